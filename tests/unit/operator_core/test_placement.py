"""Runs that no node can take, told from runs that wait until one has room."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alcove_operator.core.model import PodView
from alcove_operator.core.placement import find_condition

AT = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
TOO_LARGE = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient memory. no new claims to deallocate, "
    "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)
BUSY = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient memory. no new claims to deallocate, "
    "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found "
    "for incoming pod."
)


def pod(unschedulable: str = "", scheduled: bool = False) -> PodView:
    return PodView(
        "r-1",
        "uid",
        "r-1",
        AT,
        "Pending",
        scheduled_at=AT if scheduled else None,
        unschedulable=unschedulable,
    )


def test_a_run_that_is_larger_than_every_node_is_named_with_what_to_do() -> None:
    status, reason, message = find_condition([("practice", pod(BUSY)), ("final", pod(TOO_LARGE))])
    assert (status, reason) == ("False", "NoNodeFits")
    assert message.startswith("No node is large enough for a run of phase final: 0/3 nodes are available")
    assert message.endswith("Add a node that is, or add a phase of another name with lower resources.")


@pytest.mark.parametrize(
    "waits", [pod(), pod(BUSY), pod(TOO_LARGE, scheduled=True), pod("0/13 nodes are available: 13 x.")]
)
def test_a_run_that_only_waits_is_not(waits: PodView) -> None:
    assert find_condition([("practice", waits)])[:2] == ("True", "Fits")


def test_a_long_message_fits_into_a_condition() -> None:
    assert len(find_condition([("p", pod(TOO_LARGE + " x" * 2000))])[2]) <= 1024
