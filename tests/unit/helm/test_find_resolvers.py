"""Whom a pod asks for names, and what the hook allows for that."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.helm.chart import CHART


def _load() -> Any:
    spec = importlib.util.spec_from_file_location(
        "alcove_find_resolvers", CHART / "files" / "find_resolvers.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hook = _load()


@pytest.mark.parametrize(
    ("text", "cidrs"),
    [
        ("nameserver 10.96.0.10\nsearch svc.cluster.local\noptions ndots:5\n", ["10.96.0.10/32"]),
        ("nameserver 169.254.20.10\nnameserver fd00::a\n", ["169.254.20.10/32", "fd00::a/128"]),
        ("nameserver\t169.254.20.10 # on the node\n\nnameserver 169.254.20.10\n", ["169.254.20.10/32"]),
        ("nameserver fe80::1%eth0\n", ["fe80::1/128"]),
        ("# nameserver 192.0.2.1\n;nameserver 192.0.2.1\nnameserver\nnameserver here\n", []),
        ("nameserver 127.0.0.53\nnameserver 0.0.0.0\nnameserver ::1\nnameserver 224.0.0.251\n", []),
    ],
)
def test_each_address_is_allowed_alone(text: str, cidrs: list[str]) -> None:
    (rule,) = hook.egress(hook.read_resolvers(text))
    assert [peer["ipBlock"]["cidr"] for peer in rule["to"]] == cidrs
    assert [(port["protocol"], port["port"]) for port in rule["ports"]] == [("UDP", 53), ("TCP", 53)]


_VALUES = st.ip_addresses() | st.sampled_from(["", "here", "10.0.0", "127.0.0.53", "fe80::1%eth0"])


@given(st.lists(st.tuples(st.sampled_from(["nameserver", "options", "#"]), _VALUES)))
def test_only_lines_of_nameservers_count(lines: list[tuple[str, object]]) -> None:
    text = "\n".join(f"{word} {value}" for word, value in lines)
    named = {
        word for line in text.splitlines() if line.startswith("nameserver ") for word in line.split()[1:2]
    }
    found = hook.read_resolvers(text)
    assert {str(address) for address in found} <= {name.partition("%")[0] for name in named}
    assert len(found) == len(set(found))
    assert not [address for address in found if address.is_loopback or address.is_multicast]
