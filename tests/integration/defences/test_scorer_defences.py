"""What holds off who changes a time in the store, and who has taken a score job over; and that it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alcove_api import keys
from alcove_api.score_documents import ScoreRequest
from tests.integration.scorer.conftest import Job, Recording, Store, prediction, request_for, start, store
from tests.integration.scorer.test_score_job import result

__all__ = ["request_for", "start", "store"]
pytestmark = pytest.mark.integration
HOLE = str(Path(__file__).with_name("planted_score.py"))
SWITCH = str(Path(__file__).with_name("scorer_without.py"))


@pytest.mark.parametrize("switched_off", [False, True], ids=["as it is", "switched off"])
def test_an_earlier_time_in_the_store_is_scored_without_the_chain_alone(
    store: Store, start: Callable[..., Job], request_for: Callable[..., ScoreRequest], *, switched_off: bool
) -> None:
    request = request_for("one")
    run = Recording(store, request.submission_uid, "one")
    run.snapshot(2, prediction(0.7))
    run.snapshot(4, prediction(0.8))
    run.verdict(head=run.records[-1].digest())
    forged = run.records[0].model_copy(update={"t_ns": 1})
    store.put(keys.record(run.prefix, 0), forged.canonical())
    program = {"program": (SWITCH, "trust_any_chain")} if switched_off else {}
    assert start("score", request, **program).wait() == (0, "")
    (scored,) = result(store, request).runs
    if switched_off:
        assert scored.points[0].t == pytest.approx(1e-9)
    else:
        assert (scored.cause, scored.points) == ("StoreDamaged", ())


@pytest.mark.parametrize("standing", [False, True], ids=["as it is", "with all of the scorer's rights"])
def test_who_has_taken_a_score_job_over_forges_nothing_of_others(
    store: Store,
    start: Callable[..., Job],
    request_for: Callable[..., ScoreRequest],
    tmp_path: Path,
    *,
    standing: bool,
) -> None:
    request, victim = request_for("one"), request_for("one").submission_uid
    run = Recording(store, request.submission_uid, "one")
    run.snapshot(2, prediction(0.7))
    run.verdict(head=run.records[-1].digest())
    secret = "0123456789" * 6 + "abcd"
    store.put(keys.solution(secret), b"1 0\n", keys.SOLUTIONS_BUCKET)
    rights = store.hand_out(request, tmp_path / "rights")
    if standing:
        rights.write_bytes(Path(store.environment["ALCOVE_STORE_CREDENTIALS"]).read_bytes())
    loot = tmp_path / "loot.json"
    told = {
        "ALCOVE_STORE_CREDENTIALS": str(rights),
        "ALCOVE_VICTIM": victim,
        "ALCOVE_SECRET_SOLUTION": secret,
        "ALCOVE_LOOT": str(loot),
    }
    assert start("score", request, program=(HOLE,), **told).wait() == (0, "")
    everything = ["board", "manifest", "report", "score", "solution"]
    assert json.loads(loot.read_text()) == (everything if standing else [])
    assert (store.get(keys.report(victim)) == b"forged") is standing
    assert result(store, request).runs[0].alc, "the job itself goes on"
