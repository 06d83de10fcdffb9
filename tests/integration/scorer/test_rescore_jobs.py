"""Scoring again by other settings: beside what there is, unseen, and found again by the ordinary score job."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from alcove_api import keys
from alcove_api.board_documents import AggregateRequest, BoardSubmission
from alcove_api.comparison import CompareRequest, Comparison
from alcove_api.score_documents import STORE_DAMAGED, Feedback, ScoreRequest, ScoreResult, Scoring
from alcove_scorer import job_rescore, job_score
from alcove_scorer.job_score import request_rules
from alcove_scorer.result_cache import find_cached_result
from alcove_scorer.store import RunRecords

from .conftest import Job, Recording, Store, prediction

pytestmark = pytest.mark.integration
Start = Callable[..., Job]
Make = Callable[..., ScoreRequest]
AUTODL = Scoring(scheme="autodl")


def recorded(store: Store, request: ScoreRequest, *shares: float) -> Recording:
    run = Recording(store, request.submission_uid, "one")
    for second, share in enumerate(shares, 1):
        run.snapshot(second, prediction(share))
    run.seal()
    run.verdict()
    return run


def by(scoring: Scoring, request: ScoreRequest) -> ScoreRequest:
    return request.model_copy(update={"scoring": scoring})


def scores(store: Store, request: ScoreRequest) -> dict[str, bytes | None]:
    prefix = f"scores/{request.submission_uid}/"
    listed = store.client.list_objects(keys.MAIN_BUCKET, prefix=prefix, recursive=True)
    return {o.object_name: store.get(o.object_name) for o in listed}


def key(request: ScoreRequest) -> str:
    return keys.score_result(request.submission_uid, request.scoring_digest())


def test_what_only_pages_need_is_not_loaded(
    store: Store, request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second of processor time a submission, and there may be hundreds."""
    request = by(AUTODL, request_for("one"))
    recorded(store, request, 0.7)
    loaded = list[str]()

    def thread(args: tuple[str], **_: object) -> SimpleNamespace:
        return SimpleNamespace(start=lambda: loaded.extend(args))

    monkeypatch.setattr(job_score, "Thread", thread)
    runs = RunRecords(store.client, keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET, request.submission_uid)
    job_rescore.rescore(request, runs)
    assert store.get(key(request))
    assert loaded == []
    job_score.follow_runs(request, request_rules(request), runs, drawn=True)
    assert loaded == ["alcove_scorer.report"]


def test_other_scores_lie_beside_and_are_shown_once_they_are_asked_for(
    store: Store, start: Start, request_for: Make
) -> None:
    old = request_for("one", feedback=Feedback(mode="live"))
    new = by(AUTODL, old)
    run = recorded(store, old, 0.7, 0.9)
    assert start("score", old).wait() == (0, "")
    before = scores(store, old)
    assert start("rescore", new).wait() == (0, "")
    after = scores(store, old)
    assert after.keys() - before.keys() == {key(new)}
    assert before.items() <= after.items(), "nothing that anybody is shown has changed"

    # The score job takes what is there: without the predictions it could not do it again.
    for seq in range(2):
        store.client.remove_object(keys.MAIN_BUCKET, keys.snapshot(run.prefix, seq))
    assert start("score", new).wait() == (0, "")
    shown = scores(store, old)
    assert shown[key(new)] == after[key(new)]
    assert shown[key(old)] == before[key(old)]
    report = keys.report(old.submission_uid)
    assert shown[report] != before[report]
    # And back: the very same bytes.
    assert start("score", old).wait() == (0, "")
    assert scores(store, old)[key(old)] == before[key(old)]


def test_a_result_is_kept_only_while_it_answers_the_request(
    store: Store, start: Start, request_for: Make
) -> None:
    request = request_for("one")
    run = recorded(store, request, 0.7)
    runs = RunRecords(store.client, keys.MAIN_BUCKET, keys.SOLUTIONS_BUCKET, request.submission_uid)
    rules = request_rules(request)
    assert find_cached_result(request, rules, runs) is None
    assert start("rescore", request).wait() == (0, "")
    data = store.get(key(request))
    assert data is not None
    good = ScoreResult.model_validate_json(data)
    assert find_cached_result(request, rules, runs) == good

    damaged = good.runs[0].model_copy(update={"cause": STORE_DAMAGED})
    other = good.runs[0].model_copy(update={"attempt": 2})
    for wrong in (
        b"{",
        good.model_copy(update={"submission_uid": "another"}).canonical(),
        good.model_copy(update={"scorer_version": "0"}).canonical(),
        good.model_copy(update={"scoring": AUTODL}).canonical(),
        good.model_copy(update={"t0_seconds": 2.0}).canonical(),
        good.model_copy(update={"budget_seconds": 31.0}).canonical(),
        good.model_copy(update={"runs": ()}).canonical(),
        good.model_copy(update={"runs": (damaged,)}).canonical(),
        good.model_copy(update={"runs": (other,)}).canonical(),
    ):
        store.put(key(request), wrong)
        assert find_cached_result(request, rules, runs) is None, wrong
    assert start("rescore", request).wait() == (0, "")
    assert store.get(key(request)) == data, "it is made again, and the same"

    # What was recorded is another: the old result says nothing of it.
    run.snapshot(9, prediction(1.0))
    run.seal()
    assert find_cached_result(request, rules, runs) is None


def test_a_comparison_tells_every_move_and_writes_nothing(
    store: Store, start: Start, request_for: Make, tmp_path: Path
) -> None:
    # One is good from the start, the other at the end: how time is weighed decides.
    teams = {"early": (0.75, 0.76, 0.77), "late": (0.6, 0.6, 0.95)}
    asked = {team: request_for("one") for team in teams}
    new = {team: by(Scoring(metric="nauc", curve="step", t0_seconds=1000), r) for team, r in asked.items()}
    for team, shares in teams.items():
        recorded(store, asked[team], *shares)
        assert start("rescore", asked[team]).wait() == (0, "")
        assert start("rescore", new[team]).wait() == (0, "")
    board = AggregateRequest(
        competition_namespace="hack", competition="one", phase="practice", leaderboard="practice",
        datasets=("one",), budget_seconds=30,
        entries=tuple(
            BoardSubmission(
                team=team, submission="first", submission_uid=r.submission_uid,
                created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=i),
                scoring_digest=r.scoring_digest(),
            )
            for i, (team, r) in enumerate(asked.items())
        ),
    )  # fmt: skip
    digests = {r.submission_uid: r.scoring_digest() for r in new.values()}
    request = tmp_path / "request.json"
    request.write_bytes(CompareRequest(boards=(board,), digests=digests).canonical())
    before = {o.object_name: o.etag for o in store.client.list_objects(keys.MAIN_BUCKET, recursive=True)}
    done = compare(store, request)
    assert done.returncode == 0, done.stderr
    after = {o.object_name: o.etag for o in store.client.list_objects(keys.MAIN_BUCKET, recursive=True)}
    assert before == after
    (found,) = Comparison.model_validate_json(done.stdout).boards
    for moved in found.teams:
        for request_, alc in ((asked, moved.scores[0].old), (new, moved.scores[0].new)):
            result = json.loads(store.get(key(request_[moved.team])) or b"")
            assert alc == result["runs"][0]["alc"], "at full precision"
    by_old = sorted(found.teams, key=lambda team: -(team.scores[0].old or 0))
    by_new = sorted(found.teams, key=lambda team: -(team.scores[0].new or 0))
    assert [team.old_rank for team in by_old] == [team.new_rank for team in by_new] == [1, 2]
    assert found.problems == ()

    # A score that is not there is said, and ranks nobody.
    store.client.remove_object(keys.MAIN_BUCKET, key(new["late"]))
    (found,) = Comparison.model_validate_json(compare(store, request).stdout).boards
    late = next(team for team in found.teams if team.team == "late")
    assert (late.new_rank, late.scores[0].new, late.scores[0].new_cause) == (None, None, "no score")
    assert "late/first" in found.problems[0]


def compare(store: Store, request: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **store.environment,
        "ALCOVE_REQUEST_FILE": str(request),
        "PATH": "",
        "MPLCONFIGDIR": str(request.parent),
    }
    return subprocess.run(
        [sys.executable, "-m", "alcove_scorer", "compare"],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_request_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    done = compare(store, tmp_path / "nothing.json")
    assert done.returncode == 2
    assert "nothing.json" in done.stderr
    assert "Traceback" not in done.stderr
