"""The chain of records holds off a time that is changed in the store, and without it the changed time is scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from alcove_api import keys
from alcove_api.score_documents import ScoreRequest
from tests.integration.scorer.conftest import Job, Recording, Store, prediction, request_for, start, store
from tests.integration.scorer.test_score_job import result

__all__ = ["request_for", "start", "store"]
pytestmark = pytest.mark.integration
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
