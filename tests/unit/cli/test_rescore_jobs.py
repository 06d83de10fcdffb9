"""The Jobs that `alcove rescore` waits for, whatever the cluster does to them meanwhile; what is in them is tested on a
cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from alcove_api.comparison import CompareRequest
from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.score_documents import Feedback, ScoreRequest, Scoring
from alcove_cli import rescore_jobs
from alcove_cli.errors import FailedError
from alcove_cli.rescore_jobs import JOBS_AT_ONCE, PreviewJobs
from alcove_kube.client import Object
from alcove_kube.resources import JOBS, Resource
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core.model import CompetitionView

SETTINGS = OperatorSettings(
    namespaces=("comp",), competition_namespace="comp", image_ingestion="i", image_recorder="r",
    image_scorer="s", store_endpoint="http://store:9000", store_credentials=Path("credentials.json"),
)  # fmt: skip
COMPETITION = CompetitionView(
    "comp", "cup", "u",
    CompetitionSpec.model_validate({"phases": [{"name": "p", "datasets": ["d"], "budget": {"seconds": 9}}]}),
    CompetitionStatus(),
)  # fmt: skip


class Jobs:
    """An API server that has Jobs, and does ``between`` with them each time that it is asked for all."""

    def __init__(self, between: Callable[[dict[str, Object]], None]) -> None:
        self.between = between
        self.jobs: dict[str, Object] = {}
        self.created: list[str] = []
        self.most = 0

    async def find_all(self, resource: Resource, _namespace: str, _selector: str = "") -> list[Object]:
        if resource is not JOBS:
            return []
        self.between(self.jobs)
        return list(self.jobs.values())

    async def create(self, resource: Resource, _namespace: str, body: Object) -> Object:
        made = {**body, "metadata": {**body["metadata"], "uid": body["metadata"]["name"]}}
        if resource is JOBS:
            self.created.append(made["metadata"]["name"])
            self.jobs[made["metadata"]["name"]] = made
            self.most = max(self.most, sum("status" not in job for job in self.jobs.values()))
        return made


def ended(job: Object) -> Object:
    return {**job, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}


def requests(count: int) -> list[ScoreRequest]:
    return [
        ScoreRequest(
            submission_uid=str(i), namespace="team", submission=f"s{i}", competition="cup", phase="p", budget_seconds=9,
            scoring=Scoring(), feedback=Feedback(), datasets=(),
        )
        for i in range(count)
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescore_jobs, "POLL_SECONDS", 0)


def preview(api: Jobs) -> PreviewJobs:
    return PreviewJobs(cast(Api, api), SETTINGS, COMPETITION, lambda _: None)


def run(task: Any) -> None:
    asyncio.run(asyncio.wait_for(task, 10))


def test_what_has_ended_may_be_removed_before_the_last_has() -> None:
    def between(jobs: dict[str, Object]) -> None:
        for name in [name for name, job in jobs.items() if "status" in job]:
            del jobs[name]
        jobs |= {name: ended(job) for name, job in list(jobs.items())[:3]}

    api = Jobs(between)
    run(preview(api).score(requests(20)))
    assert len(api.created) == 20
    assert api.most == JOBS_AT_ONCE


@pytest.mark.parametrize("which", ["score", "compare"])
def test_a_job_that_somebody_deleted_is_not_waited_for(which: str) -> None:
    jobs = preview(Jobs(lambda jobs: jobs.clear()))
    task = (
        jobs.score(requests(2)) if which == "score" else jobs.compare(CompareRequest(boards=(), digests={}))
    )
    with pytest.raises(FailedError, match=rf"deleted the Job rescore-{jobs.run}.*Nothing was changed"):
        run(task)
