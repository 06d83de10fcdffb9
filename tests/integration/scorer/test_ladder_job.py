"""A phase with a Ladder, by real jobs against a real store: what is kept, what is shown, and what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from alcove_api import keys
from alcove_api.score_documents import Feedback, LadderBest, ScoredRun, ScoreRequest, ScoreResult
from tests.cluster.stores import list_keys

from .conftest import Job, Recording, Store, prediction

pytestmark = pytest.mark.integration
LADDER = Feedback(mode="ladder", decimals=3, test_fraction=0.5, step=0.05)


def submit(store: Store, request: ScoreRequest, correct: float) -> None:
    run = Recording(store, request.submission_uid, "one")
    run.snapshot(0.001, prediction(correct))
    run.seal()
    run.verdict()


def read_run(store: Store, request: ScoreRequest) -> ScoredRun:
    data = store.get(keys.score_result(request.submission_uid, request.scoring_digest()))
    assert data is not None
    (run,) = ScoreResult.model_validate_json(data).runs
    return run


def read_chain(store: Store, request: ScoreRequest) -> list[LadderBest]:
    where = (request.competition_namespace, request.competition, request.phase, request.scoring_digest())
    prefix = keys.ladder(*where, request.namespace, "one")
    found = list_keys(store.client, keys.MAIN_BUCKET, prefix)
    return [LadderBest.model_validate_json(store.get(key) or b"") for key in sorted(found)]


@pytest.mark.parametrize("step", [0.05, None])
def test_a_best_is_raised_kept_and_shown_in_place_of_every_score(
    store: Store, start: Callable[..., Job], request_for: Callable[..., ScoreRequest], step: float | None
) -> None:
    feedback = LADDER.replace(step=step)
    shown, requests = [], []
    for correct in (0.7, 0.95, 0.6, 0.95):
        request = request_for("one", feedback=feedback).replace(namespace=f"team-{step}")
        submit(store, request, correct)
        assert start("score", request).wait()[0] == 0
        run = read_run(store, request)
        assert run.alc is not None
        assert run.ladder is not None
        assert run.ladder != run.alc
        shown.append(run.ladder)
        report = (store.get(keys.report(request.submission_uid)) or b"").decode()
        assert f"{run.ladder:.3f}" in report
        assert f"{run.alc:.3f}" not in report
        assert store.get(keys.live_curve(request.submission_uid)) is None
        # A job that is started again finds the same.
        assert start("score", request).wait()[0] == 0
        assert read_run(store, request) == run
        requests.append(request)
    for request, ladder in zip(requests[:2], shown[:2], strict=True):
        # One that ended between the Ladder and the result raises nothing a second time, and shows what it raised.
        store.client.remove_object(
            keys.MAIN_BUCKET, keys.score_result(request.submission_uid, request.scoring_digest())
        )
        assert start("score", request).wait()[0] == 0
        assert read_run(store, request).ladder == ladder
    assert shown[0] < shown[1] == shown[2] == shown[3]
    assert [best.shown for best in read_chain(store, request)] == shown[:2]


def test_two_runs_that_are_scored_at_once_raise_one_chain(
    store: Store, start: Callable[..., Job], request_for: Callable[..., ScoreRequest]
) -> None:
    requests = [request_for("one", feedback=LADDER).replace(namespace="at-once") for _ in range(4)]
    for request, correct in zip(requests, (0.6, 0.7, 0.8, 0.95), strict=True):
        submit(store, request, correct)
    assert [job.wait()[0] for job in [start("score", request) for request in requests]] == [0] * 4
    chain = read_chain(store, requests[0])
    assert [best.number for best in chain] == list(range(len(chain)))
    values = [best.shown for best in chain]
    assert values == sorted(values)
    assert max(read_run(store, request).ladder or 0 for request in requests) == values[-1]


def test_teams_have_ladders_of_their_own(
    store: Store, start: Callable[..., Job], request_for: Callable[..., ScoreRequest]
) -> None:
    for team, correct in (("team-strong", 0.95), ("team-weak", 0.6)):
        request = request_for("one", feedback=LADDER).replace(namespace=team)
        submit(store, request, correct)
        assert start("score", request).wait()[0] == 0
        assert [best.submission_uid for best in read_chain(store, request)] == [request.submission_uid]
