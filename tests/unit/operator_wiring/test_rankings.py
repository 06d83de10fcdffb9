"""When the board of a phase is made again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import cast

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.documents import AggregateRequest
from alcove_api.leaderboard import LeaderboardStatus
from alcove_api.submission import RunStatus, SubmissionSpec, SubmissionStatus
from alcove_kube.client import Object
from alcove_kube.resources import Resource
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core import parse_objects, scoring
from alcove_operator.core import status as statuses
from alcove_operator.core.model import CompetitionView, SubmissionView
from alcove_operator.executor import Executor
from alcove_operator.index import Index, JobRecord
from alcove_operator.metrics import Metrics
from alcove_operator.rankings import Rankings
from tests.unit.operator_core.cluster import START

REVEAL = START + timedelta(days=1)
SETTINGS = OperatorSettings(
    namespaces=("comp",), competition_namespace="comp", image_ingestion="i", image_recorder="r", image_stager="t",
    image_scorer="s", store_endpoint="http://store:9000", store_credentials=Path("credentials.json"),
)  # fmt: skip
PHASE = {
    "name": "final", "datasets": ["ds"], "budget": {"seconds": 9}, "feedback": {"mode": "none"},
    "revealsAt": REVEAL.isoformat(),
}  # fmt: skip
COMPETITION = CompetitionView(
    "comp", "cup", "u", CompetitionSpec.model_validate({"phases": [PHASE]}), CompetitionStatus()
)


class Made:
    """An executor, its store and an API server, in one: aggregations end at once."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.store = self
        self.count = 0

    def write_board_request(self, _request: AggregateRequest) -> str:
        return "f" * 64

    async def create_job(self, job: Object) -> None:
        self.count += 1
        meta = {**job["metadata"], "uid": f"u{self.count}", "creationTimestamp": START.isoformat()}
        done = {"conditions": [{"type": "Complete", "status": "True"}]}
        view = parse_objects.job_view({**job, "metadata": meta, "status": done})
        self.index.jobs[view.name, ""] = JobRecord(view, meta["labels"], None)

    async def delete(self, _resource: Resource, _namespace: str, name: str) -> None:
        del self.index.jobs[name, ""]


def view(reason: str) -> SubmissionView:
    spec = {"competition": {"namespace": "comp", "name": "cup"}, "phase": "final",
            "code": {"bundle": {"sha256": "c" * 64}}}  # fmt: skip
    status = SubmissionStatus(phase="Done", scoring_digest="0" * 16, runs=(RunStatus(dataset="digits"),))
    shown = statuses.set_condition(status, statuses.SCORED, ("True", reason, ""), START)
    parsed = SubmissionSpec.model_validate(spec)
    return SubmissionView("red-uid", "red", "first", 1, "1", START, False, (), parsed, shown)


def test_a_score_that_had_to_be_made_anew_at_the_reveal_comes_onto_the_board() -> None:
    """The board may have been made while it was gone from the store."""
    index = Index(leaderboards={("comp", "final"): LeaderboardStatus()})
    made = Made(index)
    rankings = Rankings(cast(Api, made), index, cast(Executor, made), SETTINGS, Metrics())

    def look(reason: str, seconds: float) -> int:
        now = REVEAL + timedelta(seconds=seconds)
        asyncio.run(rankings.work(COMPETITION, [view(reason)], now))
        return made.count

    assert look(scoring.HELD_BACK, -1) == 0
    assert look(scoring.HELD_BACK, 1) == look(scoring.HELD_BACK, 2) == 1
    assert look(scoring.SHOWN, 3) == look(scoring.SHOWN, 4) == 2
