"""The queue is fair, quotas count exactly, and names are valid."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcove_api.compatibility import Compatibility
from alcove_api.competition import CompetitionSpec
from alcove_api.phase import Phase
from alcove_api.submission import RunStatus, SubmissionStatus
from alcove_api.team_usage import TeamUsageStatus
from alcove_operator.core import capacity, names, usage
from alcove_operator.core.model import QuotaRefusal, SubmissionView
from tests.unit.operator_core.cluster import START

TEAMS = ("a", "b", "c")
WAITING = st.lists(
    st.builds(
        lambda second, uid, index, team: capacity.Waiting(
            START + timedelta(seconds=second), f"{team}{uid}", index, f"d{index}", team
        ),
        st.integers(0, 9),
        st.integers(0, 4),
        st.integers(0, 3),
        st.sampled_from(TEAMS),
    ),
    unique_by=lambda w: (w.submission_uid, w.alias),
    max_size=20,
)


@given(
    waiting=WAITING,
    running=st.dictionaries(st.tuples(st.just("x"), st.text(max_size=2)), st.sampled_from(TEAMS), max_size=8),
    used=st.dictionaries(st.sampled_from(TEAMS), st.floats(0, 100)),
    places=st.integers(0, 8),
    parallel=st.integers(1, 4),
    elsewhere=st.dictionaries(st.sampled_from(TEAMS), st.integers(0, 5)),
)
def test_grants_keep_the_limits_and_waste_no_place(
    waiting: list[capacity.Waiting],
    running: dict[capacity.Key, str],
    used: dict[str, float],
    places: int,
    parallel: int,
    elsewhere: dict[str, int],
) -> None:
    plan = capacity.grant_places(waiting, running, used, places, parallel, elsewhere)
    by_key = {(w.submission_uid, w.alias): w for w in waiting}
    assert plan.grants | plan.places.keys() == by_key.keys()
    assert not plan.grants & plan.places.keys()
    held = list(running.values()) + [by_key[key].team for key in plan.grants]
    if plan.grants:
        assert len(held) <= places
    busy = Counter(held) + Counter(elsewhere)
    for team in {by_key[key].team for key in plan.grants}:
        assert busy[team] <= parallel
    assert sorted(place.position for place in plan.places.values()) == list(range(1, len(plan.places) + 1))
    for key in plan.places:
        assert len(held) >= places or busy[by_key[key].team] >= parallel
    # Nobody is passed by one that has used more.
    for granted in plan.grants:
        for left in plan.places:
            team, other = by_key[granted].team, by_key[left].team
            if busy[other] < parallel:
                assert used.get(team, 0.0) <= used.get(other, 0.0)


@settings(max_examples=40)
@given(costs=st.lists(st.integers(1, 50), min_size=2, max_size=2), places=st.integers(1, 3))
def test_no_team_starves(costs: list[int], places: int) -> None:
    """One run of a late team is served though an early one has any number waiting."""
    greedy = [capacity.Waiting(START, f"g{i:03}", 0, "d", "greedy") for i in range(60)]
    late = capacity.Waiting(START + timedelta(hours=1), "z", 0, "d", "late")
    used, served = {"late": float(costs[1])}, 0
    for _ in range(60):
        plan = capacity.grant_places([*greedy, late], {}, used, places, 100)
        if ("z", "d") in plan.grants:
            break
        served += len(plan.grants)
        greedy = [w for w in greedy if (w.submission_uid, "d") not in plan.grants]
        used["greedy"] = used.get("greedy", 0.0) + costs[0] * len(plan.grants)
    assert ("z", "d") in plan.grants
    assert served <= costs[1] / costs[0] + places


def spec_of(per_day: int, total: int, **more: object) -> CompetitionSpec:
    phase = {"name": "practice", "datasets": ["d"], "budget": {"seconds": 20}, **more}
    return CompetitionSpec.model_validate({"phases": [phase], "limits": {"perDay": per_day, "total": total}})


LIMITS = spec_of(per_day=2, total=3)
DAY = timedelta(days=1)


@given(st.lists(st.tuples(st.sampled_from(("count", "settle", "refund")), st.integers(0, 5)), max_size=40))
def test_usage_counts_each_submission_once_whatever_is_repeated(steps: list[tuple[str, int]]) -> None:
    used, counted, refunded = TeamUsageStatus(), set[int](), set[int]()
    tickets = set[int]()
    for name, i in steps:
        uid = f"uid-{i}"
        if name == "count" and i in counted - tickets:
            continue  # The fence before it keeps a settled Submission from being counted again.
        if name == "count":
            found = usage.count_submission(used, spec_of(10, 10), "t", "practice", uid, START)
            assert not isinstance(found, QuotaRefusal)
            used = found
            counted.add(i)
            tickets.add(i)
        else:
            before = used
            used = usage.settle_submission(used, "practice", uid, 10.0, name == "refund", START)
            if i not in tickets:
                assert used is before
            elif name == "refund":
                refunded.add(i)
            tickets.discard(i)
    assert used.total == used.today == len(counted) - len(refunded)
    assert set(used.settling) == {f"uid-{i}" for i in tickets}
    assert used.compute_seconds == 10.0 * len(counted - tickets)


def test_a_limit_says_when_it_frees_and_a_new_day_frees_it() -> None:
    used = TeamUsageStatus()
    for uid in ("1", "2"):
        counted = usage.count_submission(used, LIMITS, "t", "practice", uid, START)
        assert isinstance(counted, TeamUsageStatus)
        used = counted
    refused = usage.count_submission(used, LIMITS, "t", "practice", "3", START)
    assert isinstance(refused, QuotaRefusal)
    assert refused.limit == "perDay"
    assert "2026-01-06T00:00:00Z" in refused.message
    assert usage.count_submission(used, LIMITS, "t", "practice", "2", START) is used
    tomorrow = usage.count_submission(used, LIMITS, "t", "practice", "3", START + DAY)
    assert isinstance(tomorrow, TeamUsageStatus)
    assert tomorrow.today == 1
    over = usage.count_submission(tomorrow, LIMITS, "t", "practice", "4", START + 2 * DAY)
    assert isinstance(over, QuotaRefusal)
    assert over.limit == "total"
    # A refund gives back today's place only to the day that it was taken on.
    refunded = usage.settle_submission(tomorrow, "practice", "1", 0, True, START)
    assert (refunded.total, refunded.today) == (2, 1)
    assert usage.drop_tickets(tomorrow, {"1", "2"}).settling == ("3",)


def _phase(**resources: Any) -> Phase:
    budget = {"seconds": 60}
    return Phase.model_validate({"name": "p", "datasets": ["d"], "budget": budget, "resources": resources})


def test_compute_is_time_by_width_without_what_the_platform_bears() -> None:
    def run(payer: str, seconds: int | None) -> RunStatus:
        ended = START + timedelta(seconds=seconds) if seconds is not None else None
        return RunStatus.model_validate(
            {"dataset": "d", "podUid": "p", "chargedTo": payer, "startedAt": START, "endedAt": ended}
        )

    runs = (run("Participant", 10), run("Platform", 1000), run("", None))
    now = START + timedelta(seconds=5)
    assert usage.compute_seconds(runs, _phase(gpus=0, cpu="2500m"), now, blind=False) == 15 * 2.5
    assert usage.compute_seconds(runs, _phase(gpus=4, cpu="2"), now, blind=False) == 15 * 4
    assert usage.compute_seconds(runs, _phase(gpus=1, cpu="1"), now, blind=True) == 120


def test_a_free_constructor_is_compute_too() -> None:
    run = RunStatus.model_validate(
        {
            "dataset": "d",
            "podUid": "p",
            "startedAt": START,
            "endedAt": START + timedelta(seconds=10),
            "freeSeconds": 7,
        }
    )
    phase = _phase(gpus=1, cpu="1").replace(compat=Compatibility(free_constructor=True))
    assert usage.compute_seconds([run], phase, START, blind=False) == 17
    assert usage.compute_seconds([run], phase, START, blind=True) == 60 + 1200


@pytest.mark.parametrize(
    ("runs", "refund"),
    [
        ([("Failed", "Platform", None)], True),
        ([("Failed", "Platform", None), ("Failed", "Platform", None)], True),
        ([("Failed", "Platform", None), ("Done", "", 0.5)], False),
        ([("Failed", "Platform", None), ("Done", "Participant", None)], False),
        ([("Failed", "Platform", 0.5)], False),
        ([("Failed", "Platform", None), ("Failed", "Participant", None)], False),
        ([("Done", "", 0.5)], False),
    ],
)
def test_a_place_is_given_back_only_where_nothing_was_scored(
    runs: list[tuple[str, str, float | None]], refund: bool
) -> None:
    """Else whoever can bring a platform fault about on one dataset has as many tries as they like on the others."""
    status = SubmissionStatus(
        admittedAt=START,
        runs=tuple(
            RunStatus.model_validate({"dataset": f"d{i}", "phase": phase, "chargedTo": payer, "alc": alc})
            for i, (phase, payer, alc) in enumerate(runs)
        ),
    )
    submission = SubmissionView("u", "team", "s", 1, "1", START, False, (), None, status)
    assert usage.build_settlement(submission, None, START).refund == refund


@given(st.uuids(), st.from_regex(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", fullmatch=True), st.integers(1, 10))
def test_names_are_labels_and_users_are_out_of_the_way(uid: object, alias: str, attempt: int) -> None:
    job = names.run_job(str(uid), alias, attempt)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", job)
    assert len(job) <= 57
    assert 200_000 <= names.run_as(str(uid), alias, attempt) < 2**31 - 1
    assert names.run_as(str(uid), alias, attempt) != names.run_as(str(uid), alias, attempt + 1)
