"""What `alcove rescore` plans, prints and waits for; the Jobs themselves are tested on a cluster."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from alcove_api.comparison import ComparedBoard, ComparedScore, ComparedTeam, Comparison
from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.phase import ScoringSpec
from alcove_api.submission import PrunedParts, RunStatus, SubmissionSpec, SubmissionStatus
from alcove_cli import rank_changes
from alcove_cli.errors import CommandError, FailedError
from alcove_cli.main import app, mount
from alcove_cli.rescore import RescoreOptions, rescore_competition, warn_of_deleted
from alcove_cli.rescore_plan import (
    RescorePlan,
    ScoringChanges,
    find_scoring,
    is_scored_by,
    plan_rescore,
)
from alcove_cli.rescore_wait import shows_new_scores
from alcove_operator.api import Api
from alcove_operator.core import boards
from alcove_operator.core.model import CompetitionView, DatasetView, SubmissionView
from alcove_operator.core.reconcile_input import PhaseRules
from tests.unit.operator_core.cluster import START
from tests.unit.operator_wiring.memory_server import MemoryApi, MemoryServer

DATASETS = {"ds": DatasetView("ds", "digits", "d" * 64, "e" * 64, True, "", 100, 3)}
AUTODL = ScoringSpec(scheme="autodl")


def competition(scoring: ScoringSpec | None = None) -> CompetitionView:
    phases = [{"name": name, "datasets": ["ds"], "budget": {"seconds": 20}} for name in ("practice", "final")]
    spec = CompetitionSpec.model_validate({"phases": phases, "scoring": scoring or ScoringSpec()})
    return CompetitionView("comp", "cup", "u", spec, CompetitionStatus())


def submission(team: str, name: str = "first", phase: str = "practice", at: int = 0) -> SubmissionView:
    """Done, and scored by the settings that the competition has."""
    spec = {"competition": {"namespace": "comp", "name": "cup"}, "phase": phase,
            "code": {"bundle": {"sha256": "c" * 64}}}  # fmt: skip
    runs = (RunStatus(dataset="digits", phase="Done", alc=0.5),)
    view = SubmissionView(
        f"{team}-{name}", team, name, 1, "1", START + timedelta(seconds=at), False, (),
        SubmissionSpec.model_validate(spec), SubmissionStatus(phase="Done", runs=runs),
    )  # fmt: skip
    comp = competition()
    found = comp.phase(phase)
    assert found is not None
    digest = boards.compute_digests([view], PhaseRules(comp, found), DATASETS)[view.uid]
    return replace(view, status=view.status.model_copy(update={"scoring_digest": digest}))


def planned(views: list[SubmissionView], new: ScoringSpec = AUTODL, only: str | None = None) -> RescorePlan:
    return plan_rescore(competition(), views, DATASETS, new, only)


def names(views: Any) -> list[str]:
    return [f"{v.namespace}/{v.name}" for v in views]


def test_a_scheme_brings_its_own_settings_and_other_options_keep_what_is_there() -> None:
    old = ScoringSpec(scheme="hackathon", t0_seconds=2.0, curve="step")
    assert ScoringChanges().applied(old) == old
    assert ScoringChanges(scheme="autodl").applied(old) == AUTODL
    assert ScoringChanges(scheme="hackathon").applied(old) == ScoringSpec()
    assert ScoringChanges(metric="nauc").applied(old) == old.model_copy(update={"metric": "nauc"})
    assert ScoringChanges(scheme="autodl", t0_seconds=5.0).applied(old).t0_seconds == 5.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (ScoringChanges(scheme="autodll"), "'autodl'"),
        (ScoringChanges(t0_seconds=0.0), "--t0: "),
        (ScoringChanges(curve="steps"), "'step'"),
        (ScoringChanges(metric="m" * 64), "--metric: "),
    ],
)
def test_settings_that_no_competition_can_have_are_wrong_use(changes: ScoringChanges, said: str) -> None:
    with pytest.raises(CommandError) as refused:
        changes.applied(ScoringSpec())
    assert said in str(refused.value)
    assert refused.value.exit_status == 2
    assert "\n" not in str(refused.value)


def test_who_counts_is_compared_and_all_are_scored_again() -> None:
    views = [
        submission("red"),
        submission("red", "second", at=1),
        submission("blue"),
        submission("blue", phase="final"),
    ]
    found = planned(views)
    assert len(found.again) == 4
    assert sorted(f"{r.namespace}/{r.submission}" for r in found.requests if r.phase == "practice") == [
        "blue/first",
        "red/second",
    ]
    assert [(b.phase, len(b.entries)) for b in found.comparison.boards] == [("practice", 2), ("final", 1)]
    old = {e.scoring_digest for e in found.comparison.boards[0].entries}
    assert old == {v.status.scoring_digest for v in views[:3]}, "boards are of the present scores"
    assert not old & set(found.comparison.digests.values())


def test_nothing_is_planned_where_nothing_would_change() -> None:
    found = planned([submission("red"), submission("blue")], ScoringSpec())
    assert (found.again, found.requests) == ((), ())


def test_without_settings_an_old_score_is_found() -> None:
    old = submission("red")
    old = replace(old, status=old.status.model_copy(update={"scoring_digest": "0" * 16}))
    found = planned([old, submission("blue")], ScoringSpec())
    assert names(found.again) == ["red/first"]
    assert len(found.requests) == 1


def test_what_is_not_scored_yet_or_is_being_deleted_is_left_alone() -> None:
    running = submission("red")
    running = replace(running, status=running.status.model_copy(update={"phase": "Running"}))
    gone = replace(submission("blue"), deleting=True)
    never = submission("green")
    never = replace(never, status=never.status.model_copy(update={"scoring_digest": ""}))
    assert planned([running, gone, never]).again == ()


def test_what_waits_for_its_first_score_is_known_so_that_it_can_be_tried_again() -> None:
    waits = submission("red")
    digest = waits.status.scoring_digest
    status = waits.status.model_copy(update={"phase": "Scoring", "scoring_digest": ""})
    found = planned([replace(waits, status=status)], ScoringSpec())
    assert found.wanted == {waits.uid: digest}
    assert (found.again, found.requests) == ((), ())


@pytest.mark.parametrize(
    ("new", "then"), [(ScoringSpec(), "not compared.\n"), (AUTODL, "the newest that is left")]
)
def test_what_is_deleted_and_stands_on_a_board_is_named_before_the_comparison(
    new: ScoringSpec, then: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        server = MemoryServer(lambda: START)
        board = board_status(("red", 1, 0.7), ("blue", 2, 0.5)).model_dump(mode="json", by_alias=True)
        spec = {"competition": "cup", "phase": "practice"}
        server.put("leaderboards", "comp", {"metadata": {"name": "practice"}, "spec": spec, "status": board})
        blue = replace(submission("blue"), uid="blue-uid")
        options, api = RescoreOptions(ScoringChanges()), cast(Api, MemoryApi(server))
        await warn_of_deleted(api, competition(), options, [blue], new == ScoringSpec())

    asyncio.run(scenario())
    said = capsys.readouterr().err
    assert "red/first (practice)" in said
    assert "blue" not in said
    assert then in said


def test_one_phase_can_be_looked_at_alone() -> None:
    views = [submission("red"), submission("blue", phase="final")]
    found = planned(views, only="final")
    assert [board.phase for board in found.comparison.boards] == ["final"]
    assert [r.phase for r in found.requests] == ["final"]
    assert names(found.again) == ["blue/first"], "the settings are this phase's alone"
    with pytest.raises(CommandError, match="practice, final"):
        planned(views, only="finale")


@pytest.mark.parametrize(
    "datasets",
    [{}, {"ds": replace(DATASETS["ds"], ready=None, n_test=0)}, {"ds": replace(DATASETS["ds"], ready=False)}],
)
def test_a_dataset_that_is_not_ready_is_named(datasets: dict[str, DatasetView]) -> None:
    with pytest.raises(FailedError, match=r"red/first.*digits") as refused:
        plan_rescore(competition(), [submission("red")], datasets, AUTODL)
    assert refused.value.exit_status == 1


def team(
    name: str, old: tuple[int | None, float | None], new: tuple[int | None, float | None]
) -> ComparedTeam:
    score = ComparedScore(
        dataset="digits", old=old[1], new=new[1],
        old_cause="" if old[1] is not None else "OutOfMemory", new_cause="" if new[1] is not None else "OutOfMemory",
    )  # fmt: skip
    return ComparedTeam(
        team=name, submission="first", submission_uid=f"{name}-uid", old_rank=old[0], new_rank=new[0],
        old_mean_rank=old[0], new_mean_rank=new[0], scores=(score,),
    )  # fmt: skip


BOARD = ComparedBoard(
    phase="practice",
    decimals=3,
    datasets=("digits",),
    teams=(
        team("hack-blue", (2, 0.5), (1, 0.83931234)),
        team("hack-red", (1, 0.7), (2, -0.00281)),
        team("hack-grey", (3, None), (3, None)),
    ),
)


def test_the_table_shows_every_move_and_says_once_what_stays() -> None:
    assert rank_changes.as_text(Comparison(boards=(BOARD,))).splitlines() == [
        "practice: 2 of 3 teams would have another rank.",
        "TEAM       SUBMISSION  RANK   MEAN-RANK    DIGITS",
        "hack-blue  first       2 → 1  2.00 → 1.00  0.500 → 0.839",
        "hack-red   first       1 → 2  1.00 → 2.00  0.700 → -0.003",
        "hack-grey  first       3      3.00         OutOfMemory",
    ]


def test_more_datasets_than_a_line_has_room_for_are_in_tables_below() -> None:
    names = tuple(f"dataset-{number}" for number in range(6))
    scores = tuple(ComparedScore(dataset=n, old=0.5, new=0.75, old_cause="", new_cause="") for n in names)
    one = BOARD.teams[0].replace(scores=scores, submission="a-submission-1130-031245")
    named = one.replace(display_name="Red Pandas", new_rank=1)
    lines = rank_changes.as_text(
        Comparison(boards=(BOARD.replace(datasets=names, teams=(one, named)),))
    ).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(any(name.upper() in line for line in lines) for name in names)
    assert "\n".join(lines).count("0.500 → 0.750") == 2 * len(names)
    tables = sum(line.startswith("TEAM") for line in lines)
    assert sum(line.startswith("hack-blue  ") for line in lines) == tables
    assert sum(line.startswith("Red Pandas  ") for line in lines) == tables, "as the board has it"
    assert "2= → 1=" in lines[2], "both were second, and both are first"


def test_the_document_has_full_precision_and_a_missing_score_is_null() -> None:
    document = rank_changes.as_document(
        "comp/cup", ScoringSpec(), AUTODL, Comparison(boards=(BOARD,)), ["a/b"]
    )
    read = json.loads(json.dumps(document))
    assert read["competition"] == "comp/cup"
    assert (read["old_scoring"]["scheme"], read["new_scoring"]["scheme"]) == ("hackathon", "autodl")
    assert read["changes"] is True
    first, _, last = read["phases"][0]["teams"]
    assert (first["old_rank"], first["new_rank"], first["scores"][0]["new"]) == (2, 1, 0.83931234)
    assert (last["scores"][0]["new"], last["scores"][0]["new_cause"]) == (None, "OutOfMemory")


def test_settings_are_said_with_what_is_not_the_schemes_own() -> None:
    assert rank_changes.describe_scoring(AUTODL) == "autodl"
    own = ScoringSpec(scheme="autodl", t0_seconds=30.0, metric="nauc", curve="step")
    assert rank_changes.describe_scoring(own) == "autodl, metric nauc, t0 30, curve step"


def board_status(*entries: tuple[str, int, float | None]) -> LeaderboardStatus:
    return LeaderboardStatus.model_validate(
        {
            "teams": len(entries),
            "entries": [
                {
                    "rank": rank, "team": name, "submission": "first", "submissionUid": f"{name}-uid",
                    "averageRank": rank, "scores": [{"dataset": "digits", "alc": alc, "rank": rank}],
                }
                for name, rank, alc in entries
            ],
        }
    )  # fmt: skip


def test_a_board_is_waited_for_until_it_has_the_new_scores_and_ranks() -> None:
    red, blue, grey = ("hack-red", 2, -0.003), ("hack-blue", 1, 0.839), ("hack-grey", 3, None)
    assert shows_new_scores(board_status(blue, red, grey), BOARD)
    assert not shows_new_scores(board_status(), BOARD)
    assert not shows_new_scores(board_status(("hack-red", 1, 0.7), ("hack-blue", 2, 0.5), grey), BOARD), (
        "the old one"
    )
    assert not shows_new_scores(board_status(blue, ("hack-red", 1, -0.003), grey), BOARD), "an old rank"
    joined = ("hack-new", 1, 0.9)
    moved = (joined, ("hack-blue", 2, 0.839), ("hack-red", 3, -0.003), ("hack-grey", 4, None))
    assert shows_new_scores(board_status(*moved), BOARD), "who came since has moved the others"


def test_help_says_what_it_costs_and_returns() -> None:
    mount()
    said = CliRunner().invoke(app, ["rescore", "--help"]).stdout
    assert "nothing is run again" in " ".join(said.split())
    assert "--dry-run" in said


@pytest.mark.parametrize("name", ["", "/", "/b", "A/b", "a/b/c", "a/../b", "a?x=1"])
def test_a_name_that_no_competition_can_have_is_wrong_use(name: str) -> None:
    with pytest.raises(CommandError, match="expected NAMESPACE/NAME") as refused:
        rescore_competition(cast(Api, None), name, RescoreOptions(ScoringChanges()))
    assert refused.value.exit_status == 2


def test_settings_of_one_phase_are_its_own_and_move_no_other() -> None:
    views = [submission("red"), submission("blue", phase="final")]
    new = ScoringSpec(scheme="autodl")
    found = plan_rescore(competition(), views, DATASETS, new, "final")
    assert [f"{v.namespace}" for v in found.again] == ["blue"]
    assert found.phase == "final"
    there = competition()
    phases = tuple(p.replace(scoring=new) if p.name == "final" else p for p in there.spec.phases)
    changed = replace(there, spec=there.spec.replace(phases=phases))
    assert is_scored_by(changed, found)
    assert not is_scored_by(there, found)
    assert (find_scoring(changed, "final"), find_scoring(changed, "practice")) == (new, there.spec.scoring)
    # A phase with settings of its own keeps them when the competition's change.
    whole = plan_rescore(changed, views, DATASETS, new.replace(t0_seconds=5.0))
    assert {r.phase: r.scoring.t0_seconds for r in whole.requests} == {"practice": 5.0, "final": None}


def test_what_retention_has_left_without_predictions_is_not_scored_again() -> None:
    """It is told, and another of the team counts in its place."""
    at = PrunedParts(snapshots=START)
    old, new = submission("red", "old"), submission("red", "new", at=1)
    pruned = replace(new, status=new.status.replace(pruned=at))
    plan = planned([old, pruned])
    assert names(plan.left_behind) == ["red/new"]
    assert names(plan.again) == ["red/old"]
    assert [request.submission for request in plan.requests] == ["old"]
    assert planned([pruned], ScoringSpec()).left_behind == (), "its score is by these settings"
