"""Which scores a board is made of while submissions are being scored again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.submission import RunStatus, SubmissionSpec, SubmissionStatus
from alcove_operator.core import boards, names, scoring, scoring_retries
from alcove_operator.core import status as statuses
from alcove_operator.core.model import CompetitionView, DatasetView, JobView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules
from tests.unit.operator_core.cluster import START

DATASET = DatasetView("ds", "digits", "d" * 64, "e" * 64, True, "", 100, 3)
OLD = "0" * 16


def rules(phase_name: str = "practice", /, phase: Any = None, **scoring: object) -> PhaseRules:
    phase = {"name": phase_name, "datasets": ["ds"], "budget": {"seconds": 20}, **(phase or {})}
    spec = CompetitionSpec.model_validate({"phases": [phase], "scoring": scoring})
    return PhaseRules(CompetitionView("comp", "cup", "u", spec, CompetitionStatus()), spec.phases[0])


def view(team: str, digest: str) -> SubmissionView:
    spec = {"competition": {"namespace": "comp", "name": "cup"}, "phase": "practice",
            "code": {"bundle": {"sha256": "c" * 64}}}  # fmt: skip
    status = SubmissionStatus(
        phase="Done", scoring_digest=digest, runs=(RunStatus(dataset="digits", alc=0.5),)
    )
    return SubmissionView(
        f"{team}-uid", team, "first", 1, "1", START, False, (), SubmissionSpec.model_validate(spec), status
    )


def scored(*teams: str, **scoring: object) -> list[SubmissionView]:
    """Submissions that have the score of these settings."""
    found = [view(team, OLD) for team in teams]
    wanted = boards.compute_digests(found, rules(**scoring), {"ds": DATASET})
    return [replace(v, status=v.status.model_copy(update={"scoring_digest": wanted[v.uid]})) for v in found]


def failed(of: SubmissionView, digest: str, reason: str, attempt: int = 1) -> JobView:
    name = names.score_job(of.uid, digest, attempt)
    end: Literal["Failed"] = "Failed"
    return JobView(name, "u", of.uid, names.SCORE, "", attempt, START, False, end, reason)


def test_a_board_waits_until_all_are_scored_by_the_same_settings() -> None:
    views = [*scored("red", scheme="autodl"), *scored("blue")]
    wanted = boards.compute_digests(views, rules(scheme="autodl"), {"ds": DATASET})
    assert [v.namespace for v in boards.list_awaited(views, wanted, ())] == ["blue"]
    done = scored("red", "blue", scheme="autodl")
    assert boards.list_awaited(done, wanted, ()) == []


def test_one_that_cannot_be_scored_is_left_out_and_keeps_nobody_waiting() -> None:
    current = rules(scheme="autodl")
    views = [*scored("red", scheme="autodl"), *scored("blue")]
    wanted = boards.compute_digests(views, current, {"ds": DATASET})
    blue = views[1]
    retried = failed(blue, wanted[blue.uid], "BackoffLimitExceeded")
    assert boards.list_awaited(views, wanted, [retried]) == [blue]
    given_up = failed(blue, wanted[blue.uid], "BackoffLimitExceeded", scoring_retries.MAX_SCORER_JOBS)
    assert boards.list_awaited(views, wanted, [retried, given_up]) == []
    assert (
        boards.list_awaited(views, wanted, [failed(blue, wanted[blue.uid], scoring_retries.INPUTS_AT_FAULT)])
        == []
    )
    request = boards.build_board_request(current, ("digits",), views, wanted)
    assert {e.scoring_digest for e in request.entries} == set(wanted.values()), "no entry has an old score"


def test_settings_that_score_nobody_do_not_clear_the_board() -> None:
    views = scored("red", "blue")
    wanted = boards.compute_digests(views, rules(metric="typo"), {"ds": DATASET})
    jobs = [failed(v, wanted[v.uid], scoring_retries.INPUTS_AT_FAULT) for v in views]
    assert boards.list_awaited(views, wanted, jobs) == views


def test_where_a_dataset_is_gone_the_score_that_is_there_counts() -> None:
    (red,) = scored("red")
    assert boards.compute_digests([red], rules(scheme="autodl"), {}) == {red.uid: red.status.scoring_digest}


def test_a_submission_without_a_score_displaces_none_that_has_one() -> None:
    good, crashed = view("red", OLD), view("red", OLD)
    crashed = replace(
        crashed,
        uid="later",
        name="second",
        created_at=START + timedelta(seconds=9),
        status=crashed.status.replace(runs=(RunStatus(dataset="digits", cause="ExitCode"),)),
    )
    never = replace(crashed, namespace="blue")
    assert boards.select_counted(rules(), [good, crashed, never]) == [good]
    # What is held back until the reveal can be that there is no score.
    none = statuses.set_condition(crashed.status, statuses.SCORED, ("False", scoring.HELD_BACK, ""), START)
    assert boards.select_counted(rules(), [good, replace(crashed, status=none)]) == [good]
    held = statuses.set_condition(crashed.status, statuses.SCORED, ("True", scoring.HELD_BACK, ""), START)
    assert boards.select_counted(rules(), [good, replace(crashed, status=held)])[0].name == "second"


def test_a_board_is_made_by_the_phases_own_ranking() -> None:
    relative = rules(phase={"ranking": "relative", "baseline": "linear"})
    steady = rules(phase={"ranking": "mean-minus-std", "stdPenalty": 0.5, "repeats": 3})
    found = [boards.build_board_request(one, ("digits",), [], {}) for one in (rules(), relative, steady)]
    assert [(r.method, r.compare_with, r.penalty, r.repeats) for r in found] == [
        ("average", "", 0.0, 1),
        ("relative", "linear", 0.0, 1),
        ("mean-minus-std", "", 0.5, 3),
    ]


def test_targets_go_to_the_board_only_where_ranks_are_of_times() -> None:
    phase = {"name": "practice", "datasets": ["ds", "gone"], "budget": {"seconds": 20}}
    for ranking, wanted in (("average", {}), ("performance-profile", {"digits": 0.8})):
        spec = CompetitionSpec.model_validate({"phases": [{**phase, "ranking": ranking}]})
        current = PhaseRules(CompetitionView("comp", "cup", "u", spec, CompetitionStatus()), spec.phases[0])
        found = boards.list_targets(current, {"ds": replace(DATASET, target=0.8), "other": DATASET})
        assert found == wanted
        request = boards.build_board_request(current, ("digits",), [], {}, targets=found)
        assert (request.method, request.targets) == (ranking, wanted)


def test_a_team_is_called_what_the_organizer_says() -> None:
    """Nothing of a Submission, which a team writes, has a say in it."""
    titles = [{"namespace": "red", "displayName": "Red Pandas"}, {"namespace": "gone", "displayName": "Gone"}]
    phase = {"name": "practice", "datasets": ["ds"], "budget": {"seconds": 20}}
    spec = CompetitionSpec.model_validate({"phases": [phase], "teams": titles})
    current = PhaseRules(CompetitionView("comp", "cup", "u", spec, CompetitionStatus()), spec.phases[0])
    views = scored("red", "blue")
    wanted = boards.compute_digests(views, current, {"ds": DATASET})
    request = boards.build_board_request(current, ("digits",), views, wanted)
    assert request.display_names == {"red": "Red Pandas"}
    for one, name in zip(views, ("Red Pandas", ""), strict=True):
        asked = scoring.build_request(one, current, {"digits": DATASET})
        assert not isinstance(asked, str)
        assert asked.team_name == name
        assert asked.scoring_digest() == one.status.scoring_digest, "a name is no reason to score again"


def unscored(*runs: RunStatus, phase: str = "Running") -> SubmissionView:
    return replace(view("red", ""), status=SubmissionStatus.model_validate({"phase": phase, "runs": runs}))


def test_a_score_is_foreseen_around_the_end_of_the_last_run() -> None:
    def later(seconds: float) -> datetime:
        return START + timedelta(seconds=seconds)

    over = RunStatus(dataset="a", phase="Scoring", ended_at=later(3))
    going = RunStatus(dataset="b", phase="Running", started_at=START)
    # Of a budget of 20 s.
    assert boards.foresee_score(unscored(over, going), rules()) == (later(5), later(80))
    assert boards.foresee_score(unscored(over, over), rules()) == (later(-12), later(63))
    never_began = RunStatus(dataset="c", phase="Failed")
    assert boards.foresee_score(unscored(over, never_began), rules()) == (later(-12), later(63))
    assert boards.foresee_score(unscored(never_began), rules()) is None
    for waiting in (RunStatus(dataset="d", phase="Queued"), RunStatus(dataset="d", phase="Staging")):
        assert boards.foresee_score(unscored(over, waiting), rules()) is None
    assert boards.foresee_score(unscored(over, phase="Done"), rules()) is None
    assert boards.foresee_score(unscored(), rules()) is None
    assert boards.foresee_score(unscored(over, going), rules("final")) is None
