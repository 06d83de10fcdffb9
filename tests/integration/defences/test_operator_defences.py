"""Each defence of the operator's judgement holds its attack off, and without it the attack succeeds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from alcove_operator.core import causes, run_results, runs, status
from tests.unit.operator_core.cluster import START, Cluster
from tests.unit.operator_core.test_retries import lost_after, play_to_attempt, save_and_show

Attack = Callable[[], bool]
"""Whether it got what it wanted."""
REVEAL = START + timedelta(days=9)


def read_how_long_a_blind_run_took() -> bool:
    cluster = Cluster({"d0": ["exit"]}, feedback="none")
    cluster.settle()
    before = [s for at, s in zip(cluster.written_at, cluster.history, strict=True) if at < REVEAL]
    assert before
    return any("endedAt" in run for s in before for run in s.get("runs", ()))


def be_run_again_after_using_up_the_inodes() -> bool:
    cluster = Cluster({"d0": ["inodes", "finished"]})
    cluster.settle()
    return len(cluster.created) > 1


def be_repeated_for_one_fault_after_the_other() -> bool:
    cluster = Cluster({f"d{i}": ["stage-fault"] * 3 for i in range(3)}, capacity=1)
    cluster.settle()
    return len(cluster.created) == 9


def see_two_attempts_worth_of_scores() -> bool:
    """A live curve, then a fault of the platform's, then another live curve."""
    cluster = lost_after(3, "finished", max_snapshots=4)
    play_to_attempt(cluster, 2)
    save_and_show(cluster, 3)
    shown = {
        (run["attempt"], point["t"])
        for written in cluster.history
        for run in written.get("runs", ())
        for point in run["curve"]
    }
    return len(shown) > 4


DEFENCES: dict[str, tuple[ModuleType, str, Callable[..., Any], Attack]] = {
    "secrecy of a blind phase": (status, "redact", lambda shown, _: shown, read_how_long_a_blind_run_took),
    "who pays": (causes, "_brought_about_pressure", lambda *_: "", be_run_again_after_using_up_the_inodes),
    "bound on retries": (runs, "count_retries", lambda *_: 99, be_repeated_for_one_fault_after_the_other),
    "bound on feedback": (
        run_results, "count_points_shown_before", lambda _: 0, see_two_attempts_worth_of_scores,
    ),
}  # fmt: skip
"""What is switched off, what stands for it, and the attack that this lets through."""


@pytest.mark.parametrize("switched_off", [False, True], ids=["as it is", "switched off"])
@pytest.mark.parametrize("name", DEFENCES)
def test_the_attack_fails_and_without_the_defence_succeeds(
    monkeypatch: pytest.MonkeyPatch, name: str, *, switched_off: bool
) -> None:
    module, function, nothing, attack = DEFENCES[name]
    if switched_off:
        monkeypatch.setattr(module, function, nothing)
    assert attack() is switched_off
