"""What an organizer decides about single teams and submissions: left out of boards, stopped, allowed more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alcove_api.competition import CompetitionSpec
from alcove_api.decisions import Cancellation, Exclusion
from alcove_api.team_usage import TeamUsageStatus
from alcove_operator.core import boards, usage
from alcove_operator.core.model import QuotaRefusal, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules
from tests.unit.operator_core.cluster import START, Cluster
from tests.unit.operator_core.test_boards import DATASET, OLD, rules, view
from tests.unit.operator_core.test_reconcile_paths import STEPS, play

DATASETS = {"ds": DATASET}


def rules_without(*excluded: dict[str, str]) -> PhaseRules:
    plain = rules()
    spec = plain.spec.replace(excluded=[Exclusion.model_validate(e) for e in excluded])
    return PhaseRules(replace(plain.competition, spec=spec), plain.phase)


def scored(team: str, name: str = "first", seconds: int = 0) -> SubmissionView:
    made = view(team, OLD)
    return replace(made, uid=f"{team}-{name}", name=name, created_at=START + timedelta(seconds=seconds))


RED = (scored("red"), scored("red", "second", 9))
VIEWS = [*RED, scored("blue")]


@pytest.mark.parametrize(
    ("excluded", "left"),
    [
        ([], ["blue/first", "red/second"]),
        ([{"team": "red", "reason": "Two accounts"}], ["blue/first"]),
        # Where one of its submissions is left out, the one before it counts.
        ([{"team": "red", "submission": "second", "reason": "Leaked labels"}], ["blue/first", "red/first"]),
        ([{"team": "red", "phase": "final", "reason": "Late"}], ["blue/first", "red/second"]),
        ([{"team": "red", "phase": "practice", "reason": "Late"}], ["blue/first"]),
        ([{"team": "green", "reason": "Unknown"}], ["blue/first", "red/second"]),
    ],
)
def test_whom_the_organizer_leaves_out_is_not_ranked_and_comes_back(
    excluded: list[dict[str, str]], left: list[str]
) -> None:
    ranked = boards.select_ranked(rules_without(*excluded), VIEWS, (), DATASETS)
    assert sorted(f"{v.namespace}/{v.name}" for v in ranked) == left
    everybody = boards.select_counted(rules_without(), VIEWS)
    assert boards.select_ranked(rules_without(), VIEWS, (), DATASETS) == everybody


def test_a_deleted_submission_is_left_out_as_well() -> None:
    out = rules_without({"team": "red", "submission": "first", "reason": "Leaked labels"})
    gone = replace(RED[0], deleting=True, spec=None)
    current = boards.compute_digests([gone], out, DATASETS)[gone.uid]
    gone = replace(gone, status=gone.status.replace(scoring_digest=current))
    assert boards.select_ranked(out, [], [gone], DATASETS) == []
    assert boards.select_ranked(rules_without(), [], [gone], DATASETS) == [gone]


def test_the_board_says_why_but_only_of_those_who_could_be_on_it() -> None:
    out = rules_without(
        {"team": "red", "submission": "second", "reason": "Leaked labels"},
        {"team": "green", "reason": "Never submitted"},
    )
    said = boards.list_excluded(out, VIEWS, ())
    assert [(e.team, e.submission, e.reason) for e in said] == [("red", "second", "Leaked labels")]
    wanted = {v.uid: OLD for v in VIEWS}
    # An entry of a namespace that cannot be listed is kept from the last board, unless it is left out by now.
    before = boards.build_board_request(rules(), ("digits",), VIEWS, wanted)
    unseen_entries = boards.keep_unseen(before, {"red"}, {})
    assert unseen_entries
    request = boards.build_board_request(out, ("digits",), [VIEWS[2]], wanted, unseen_entries, said)
    assert [(e.team, e.submission) for e in request.entries] == [("blue", "first"), ("red", "first")]
    assert request.excluded == said


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * 201])
def test_a_reason_is_one_line_that_says_something(reason: str) -> None:
    with pytest.raises(ValidationError):
        Exclusion(team="red", reason=reason)


def spec_with(extra: list[dict[str, Any]], **phase: object) -> CompetitionSpec:
    practice = {"name": "practice", "datasets": ["d"], "budget": {"seconds": 20}, **phase}
    final = {"name": "final", "datasets": ["d"], "budget": {"seconds": 20}}
    return CompetitionSpec.model_validate(
        {
            "phases": [practice, final],
            "limits": {"perDay": 2, "total": 3},
            "extraSubmissions": [{"reason": "The cluster was down", **e} for e in extra],
        }
    )


def submit(spec: CompetitionSpec, *phases: str, day: int = 0) -> list[str]:
    """Which limit stands against each of these Submissions of one team; "" where none does."""
    used, said = TeamUsageStatus(), []
    for i, phase in enumerate(phases):
        found = usage.count_submission(used, spec, "red", phase, f"u{i}", START + timedelta(days=day))
        said.append(found.limit if isinstance(found, QuotaRefusal) else "")
        used = used if isinstance(found, QuotaRefusal) else found
    return said


TODAY = f"{START:%Y-%m-%d}"


def test_extra_submissions_raise_the_limits_of_that_team_on_that_day() -> None:
    both = ("practice", "final", "practice", "final", "practice")
    assert submit(spec_with([]), *both) == ["", "", "perDay", "perDay", "perDay"]
    given_back = [{"team": "red", "count": 1, "day": TODAY}]
    assert submit(spec_with(given_back), *both) == ["", "", "", "perDay", "perDay"]
    assert submit(spec_with(given_back), *both, day=1) == ["", "", "perDay", "perDay", "perDay"]
    other = [{"team": "blue", "count": 5, "day": TODAY}]
    assert submit(spec_with(other), *both) == submit(spec_with([]), *both)
    total = [{"team": "red", "count": 9, "day": TODAY}]
    assert submit(spec_with(total), *["practice"] * 12) == [""] * 11 + ["perDay"]


def test_a_phase_has_limits_of_its_own() -> None:
    spec = spec_with([], limits={"total": 1})
    assert submit(spec, "practice", "practice", "final", "final") == ["", "phaseTotal", "", "perDay"]
    daily = spec_with([], limits={"perDay": 1})
    assert submit(daily, "practice", "practice", "final") == ["", "phasePerDay", ""]
    for phase, expected in ((None, ""), ("practice", ""), ("final", "phaseTotal")):
        more = spec_with([{"team": "red", "count": 1, "phase": phase}], limits={"total": 1})
        assert submit(more, "practice", "practice") == ["", expected]


@given(st.lists(st.tuples(st.sampled_from(("practice", "final")), st.booleans()), max_size=12))
def test_a_place_that_is_given_back_is_given_back_in_its_phase(steps: list[tuple[str, bool]]) -> None:
    spec = CompetitionSpec.model_validate(
        {**spec_with([]).model_dump(), "limits": {"perDay": 99, "total": 99}}
    )
    used = TeamUsageStatus()
    for i, (phase, _) in enumerate(steps):
        found = usage.count_submission(used, spec, "red", phase, f"u{i}", START)
        assert isinstance(found, TeamUsageStatus)
        used = found
    for i, (phase, refund) in enumerate(steps):
        used = usage.settle_submission(used, phase, f"u{i}", 1.0, refund, START)
    for phase in ("practice", "final"):
        left = sum(1 for p, refund in steps if p == phase and not refund)
        of_phase = usage.usage_in_phase(used, phase)
        assert (of_phase.total, of_phase.today) == (left, left)
    assert used.total == sum(not refund for _, refund in steps)


def stop(cluster: Cluster, dataset: str | None) -> None:
    entry = Cancellation(team="team-a", submission="first", dataset=dataset, reason="It hangs")
    cluster.spec = cluster.spec.replace(cancelled=[entry])


@settings(max_examples=60)
@given(before=st.lists(STEPS, max_size=30), one=st.booleans())
def test_a_run_that_the_organizer_stops_ends_whenever_that_is(
    before: list[tuple[str, object]], one: bool
) -> None:
    cluster = Cluster({"a": ["finished"] * 3, "b": ["node-lost", "finished", "finished"]}, capacity=1)
    for step in before:
        play(cluster, step)
    over = {r["dataset"]: r for r in _runs(cluster) if r["phase"] in ("Scoring", "Done", "Failed")}
    decided = {r["dataset"] for r in _runs(cluster) if r.get("cause") and r.get("chargedTo") != "Platform"}
    stop(cluster, "b" if one else None)
    created = len(cluster.created)
    cluster.store_up = cluster.competition_there = cluster.datasets_there = cluster.datasets_ready = True
    cluster.settle()
    for run in _runs(cluster):
        alias = run["dataset"]
        if alias in over or alias in decided or (one and alias == "a"):
            continue
        assert (run["cause"], run["chargedTo"]) == ("Cancelled", "Organizer"), run
        assert "It hangs" in run["message"]
        assert not [made for made in cluster.created[created + 1 :] if made[0] == alias], "no attempt follows"
    assert cluster.submission is not None
    assert cluster.submission["status"]["phase"] in ("Done", "Failed")
    assert not [job for job in cluster.jobs if job.startswith("r-")], "its Jobs are gone"


@pytest.mark.parametrize(
    ("competition", "phase", "tail", "full"),
    [
        ("tail", None, True, False),
        ("none", None, False, False),
        ("full", None, True, True),
        ("none", "full", True, True),
        ("full", "tail", True, False),
        ("tail", "none", False, False),
    ],
)
@pytest.mark.parametrize("feedback", ["live", "none"])
def test_output_is_shown_as_the_phase_says_and_nothing_before_the_reveal(
    competition: str, phase: str | None, tail: bool, full: bool, feedback: str
) -> None:
    cluster = Cluster({"a": ["exit"], "b": ["node-lost"] * 3}, feedback=feedback)
    (first,) = cluster.spec.phases
    cluster.spec = cluster.spec.replace(logs=competition, phases=[first.replace(logs=phase)])
    play_until_done(cluster)
    if feedback == "none":
        assert not any("last words" in run["message"] for run in _runs(cluster))
        assert cluster.logs == []
        cluster.now = START + timedelta(days=9)
        cluster.settle()
    (crashed, lost) = _runs(cluster)
    assert ("last words" in crashed["message"]) is tail
    assert "last words" not in lost["message"], "what the platform has lost was not its team's doing"
    assert cluster.logs == (["a"] if full else [])


def play_until_done(cluster: Cluster) -> None:
    for _ in range(200):
        play(cluster, ("round", None))
        for index in range(len(cluster.pods)):
            play(cluster, ("kubelet", index))
        play(cluster, ("wait", 31))
        if cluster.submission and cluster.submission.get("status", {}).get("phase") in ("Done", "Failed"):
            return
    raise AssertionError(cluster.submission)


def _runs(cluster: Cluster) -> list[dict[str, Any]]:
    assert cluster.submission is not None
    return list(cluster.submission.get("status", {}).get("runs", ()))
