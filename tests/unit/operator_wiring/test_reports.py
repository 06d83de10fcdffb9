"""A report that the store refuses is tried again a bounded number of times, and keeps no score back for ever."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest
from minio import Minio

from alcove_operator.executor import MAX_REPORT_REFUSALS
from alcove_operator.service import Service
from alcove_store.errors import StoreDeniedError, StoreError, StoreNotFoundError
from tests.unit.operator_wiring.hackathon import Hackathon, MemoryStore
from tests.unit.operator_wiring.virtual_time import run


@dataclass(frozen=True)
class RefusingStore(MemoryStore):
    error: StoreError = field(default_factory=lambda: StoreDeniedError("No rights."))
    times: int = 0
    tried: list[str] = field(default_factory=list)

    def publish_report(self, namespace: str, submission_uid: str, shown_as: str = "") -> None:
        self.tried.append(submission_uid)
        if len(self.tried) <= self.times:
            raise self.error
        super().publish_report(namespace, submission_uid, shown_as)


@pytest.mark.parametrize(
    ("error", "times", "tried", "published"),
    [
        (StoreDeniedError("No rights."), 2, 3, True),
        (StoreDeniedError("No rights."), 99, MAX_REPORT_REFUSALS, False),
        (StoreNotFoundError("There is none."), 99, 1, False),
    ],
)
def test_a_report_that_is_refused_is_tried_again(
    error: StoreError, times: int, tried: int, published: bool
) -> None:
    async def scenario() -> RefusingStore:
        hackathon = Hackathon()
        store = RefusingStore(cast(Minio, None), "alcove", error=error, times=times)
        hackathon.store = store

        async def scored(_: Service) -> None:
            hackathon.submit("red", "one")
            assert (await hackathon.ended("red", "one", 600))["phase"] == "Done"

        await hackathon.operate(scored)
        return store

    store = run(scenario())
    assert len(store.tried) == tried
    assert bool(store.reports) is published
