"""Two clusters must never share an address, whatever they are called and whatever else the host is connected to."""

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cluster.console import ClusterError
from tests.cluster.layout import SLOTS, Addresses, check_name, free_slot

slots = st.integers(min_value=0, max_value=SLOTS - 1)


@given(slots, slots)
def test_blocks_of_different_slots_are_apart(one: int, other: int) -> None:
    assert Addresses(one).block.overlaps(Addresses(other).block) == (one == other)


@given(slots)
def test_link_pods_and_services_share_the_block_without_touching(slot: int) -> None:
    a = Addresses(slot)
    parts = [a.link, a.pods, a.services]
    assert all(part.subnet_of(a.block) for part in parts)
    assert not any(p.overlaps(q) for i, p in enumerate(parts) for q in parts[i + 1 :])


@given(slots)
def test_interface_names_fit_the_kernel(slot: int) -> None:
    assert len(Addresses(slot).host_link) <= 15


def test_a_name_keeps_its_slot_and_gives_way_to_what_is_taken() -> None:
    first = free_slot("demo", [])
    assert free_slot("demo", []) == first
    assert free_slot("demo", [Addresses(first).link]) != first


def test_a_resolver_inside_the_pool_is_avoided() -> None:
    block = Addresses(free_slot("demo", [])).block
    resolver = IPv4Network((int(block.network_address) + 77, 32))
    assert not Addresses(free_slot("demo", [resolver])).block.overlaps(resolver)


def test_a_route_to_a_whole_company_network_takes_nothing() -> None:
    assert free_slot("demo", [IPv4Network("10.0.0.0/8")]) == free_slot("demo", [])


def test_a_full_pool_is_told_with_its_remedy() -> None:
    everything = [Addresses(slot).block for slot in range(SLOTS)]
    with pytest.raises(ClusterError, match=r"tests\.cluster list"):
        free_slot("demo", everything)


@pytest.mark.parametrize("name", ["", "Demo", "../etc", "-a", "a-", "a" * 33, "a b", "a/b"])
def test_a_name_that_is_no_path_and_host_name_is_refused(name: str) -> None:
    with pytest.raises(ClusterError):
        check_name(name)
