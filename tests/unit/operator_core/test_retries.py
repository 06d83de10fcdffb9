"""Runs that the platform has to repeat: how often, what of them is shown, and who pays in the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alcove_operator.core.runs import count_retries
from tests.unit.operator_core import scorer
from tests.unit.operator_core.cluster import FATES, Cluster
from tests.unit.operator_core.test_reconcile_paths import KINDS, check_feedback, check_history

PLATFORMS = sorted(fate for fate, (_, payer) in FATES.items() if payer == "Platform")
SPENT = "No quota is used up, unless a score of the Submission was shown."


def status(cluster: Cluster) -> dict[str, Any]:
    assert cluster.submission is not None
    found: dict[str, Any] = cluster.submission["status"]
    return found


def total(cluster: Cluster) -> int:
    team = cluster.usage
    assert not team.settling
    return team.total


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    scenario=st.lists(st.lists(st.sampled_from(PLATFORMS), min_size=4, max_size=4), min_size=1, max_size=5),
    most=st.integers(1, 4),
)
def test_whatever_the_causes_a_submission_has_so_many_repeats_and_no_more(
    scenario: list[list[str]], most: int
) -> None:
    """Also where faults hit several runs in the same turn."""
    fates = {f"d{i}": fate for i, fate in enumerate(scenario)}
    cluster = Cluster(fates, capacity=5, max_attempts=most, feedback="final")
    cluster.settle()
    check_history(cluster)
    repeats = min(count_retries(len(fates), most), len(fates) * (most - 1))
    assert len(cluster.created) == len(set(cluster.created)) == len(fates) + repeats
    for run in status(cluster)["runs"]:
        assert (run["phase"], run["chargedTo"]) == ("Failed", "Platform")
        assert run["message"].endswith(SPENT)
    scored = any("alc" in run for run in status(cluster)["runs"])
    assert total(cluster) == (1 if scored else 0)
    complete = next(c for c in status(cluster)["conditions"] if c["type"] == "Complete")
    if any(run["podUid"] for run in status(cluster)["runs"]):
        assert ("No quota is used up." in complete["message"]) == (not scored)


def test_the_last_of_several_runs_says_whose_attempts_are_used_up() -> None:
    fates = {f"d{i}": ["stage-fault"] * 3 for i in range(3)}
    cluster = Cluster(fates, capacity=1)
    cluster.settle()
    told = [run["message"] for run in status(cluster)["runs"]]
    assert [run["attempt"] for run in status(cluster)["runs"]] == [3, 3, 1]
    assert "gave up after 3 attempts." in told[0]
    assert "gave up after the 4 further attempts that the 3 runs of a Submission have together." in told[2]
    assert total(cluster) == 0


def play_to_attempt(cluster: Cluster, attempt: int, *, stage: int = 3) -> None:
    """Until the only run is in this attempt, and its pod has gone so many steps."""
    for _ in range(200):
        pods = [pod for pod in cluster.pods if pod.attempt == attempt and not pod.gone]
        if pods and pods[0].stage >= stage:
            break
        cluster.wait(1)
        turn(cluster)
        cluster.controllers()
        for index in range(len(pods) or 1):
            cluster.kubelet(index)
    turn(cluster)


def turn(cluster: Cluster, times: int = 4) -> None:
    for _ in range(times):
        cluster.deliver(KINDS)
        cluster.plan()
        cluster.reconcile()


def save_and_show(cluster: Cluster, count: int) -> None:
    for _ in range(count):
        scorer.snapshot(cluster, "d0")
        cluster.wait(3)
        turn(cluster)


def lost_after(saved: int, *fates: str, **options: Any) -> Cluster:
    """A live run whose first attempt is lost after ``saved`` predictions, now in its second."""
    cluster = Cluster({"d0": ["preempted", *fates]}, **options)
    play_to_attempt(cluster, 1)
    save_and_show(cluster, saved)
    assert bool(status(cluster)["runs"][0]["curve"]) == (saved > 0)
    play_to_attempt(cluster, 1, stage=4)
    play_to_attempt(cluster, 2, stage=1)
    assert status(cluster)["runs"][0]["attempt"] == 2
    return cluster


@pytest.mark.parametrize("saved", [0, 1, 3, 10])
def test_what_an_attempt_has_shown_is_missing_from_the_curve_of_the_next(saved: int) -> None:
    cluster = lost_after(saved, "finished", max_snapshots=8)
    before = status(cluster)["runs"][0]["pointsShown"]
    assert (before > 0) == (saved > 0)
    play_to_attempt(cluster, 2)
    save_and_show(cluster, 3)
    assert len(status(cluster)["runs"][0]["curve"]) == (0 if saved else 3), "nothing until the end"
    cluster.settle()
    check_feedback(cluster)
    (run,) = status(cluster)["runs"]
    assert run["attempt"] == 2
    assert run["alc"] == pytest.approx(0.247)
    shown = {point["score"] for point in run["curve"]}
    assert 0 < len(shown) <= 8 - before
    assert cluster.verdicts["d0"].points_shown_before == before


def test_an_old_curve_is_not_shown_as_that_of_the_next_attempt() -> None:
    """It was written when nobody looked, and is read once the next attempt has begun."""
    cluster = Cluster({"d0": ["preempted", "finished"]})
    play_to_attempt(cluster, 1)
    for _ in range(5):
        scorer.snapshot(cluster, "d0")
    play_to_attempt(cluster, 2)
    turn(cluster)
    assert cluster.facts.curve is not None
    assert cluster.facts.curve.runs[0].curve
    assert status(cluster)["runs"][0]["curve"] == []


@pytest.mark.parametrize("saved", [0, 2])
def test_a_place_is_not_given_back_where_an_earlier_attempt_has_shown_a_score(saved: int) -> None:
    cluster = lost_after(saved, *["stage-fault"] * 2, max_snapshots=8)
    cluster.settle()
    (run,) = status(cluster)["runs"]
    assert (run["phase"], run["chargedTo"], "alc" in run) == ("Failed", "Platform", False)
    assert total(cluster) == (1 if saved else 0)


@pytest.mark.parametrize("refused", [(), ("late",)])
def test_a_blind_phase_gives_a_place_back_only_where_it_holds_no_score_back(refused: tuple[str, ...]) -> None:
    cluster = Cluster({"d0": ["preempted"] * 3}, feedback="none", refused={"d0": refused})
    for _ in range(400):
        turn(cluster, 1)
        cluster.controllers()
        cluster.kubelet(0)
        cluster.wait(1)
    assert status(cluster)["runs"][0]["phase"] == "Failed"
    assert total(cluster) == (0 if refused else 1)
    complete = next(c for c in status(cluster)["conditions"] if c["type"] == "Complete")
    assert ("No quota is used up." in complete["message"]) == bool(refused)
    cluster.settle()
    assert ("alc" in status(cluster)["runs"][0]) == (not refused)


def test_a_full_store_is_no_second_try() -> None:
    """Teams can fill it. What was kept is scored, and with that score the place in the quota stays used."""
    cluster = Cluster({"d0": ["store-full", "finished"]})
    cluster.settle()
    assert cluster.submission is not None
    (run,) = cluster.submission["status"]["runs"]
    assert (run["cause"], run["chargedTo"], run["attempt"]) == ("StoreFull", "Platform", 1)
    assert run["alc"] is not None
    assert len(cluster.created) == 1
    assert cluster.usage.total == 1
