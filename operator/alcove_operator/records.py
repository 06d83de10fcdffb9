"""What the index holds of Datasets, Leaderboards, TeamUsages, Jobs and pods, and how each of them is read into its row.

Rows of Submissions and Competitions are the core's own views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from alcove_api.dataset import DatasetSpec, DatasetStatus
from alcove_api.documents import CheckRequest
from alcove_api.leaderboard import LeaderboardSpec, LeaderboardStatus, PublishedRules, RequestedBoard
from alcove_api.run_documents import RunConfig
from alcove_api.score_documents import ScoreRequest
from alcove_api.submission import SubmissionSpec
from alcove_api.team_usage import TeamUsageSpec, TeamUsageStatus
from alcove_kube.client import Object
from alcove_kube.resources import (
    COMPETITIONS,
    DATASETS,
    JOBS,
    LEADERBOARDS,
    PODS,
    SUBMISSIONS,
    TEAM_USAGES,
    Resource,
)
from alcove_operator.core import names, parse_objects
from alcove_operator.core.model import DatasetView, JobView, PodView, SubmissionView
from alcove_operator.shared_values import share_values
from alcove_operator.tables import ObjectName

AGGREGATE, CHECK = "aggregate", "check"
"""Values of the label ``alcove.dev/role`` beside the core's."""
JobOrder = RunConfig | ScoreRequest | CheckRequest
"""What the pod of a Job with short-lived credentials was told to do."""


@dataclass(frozen=True)
class DatasetRecord:
    view: DatasetView
    uid: str
    generation: int
    resource_version: str
    spec: DatasetSpec
    status: DatasetStatus
    recheck: str = ""
    """The last request to check it again: see :data:`alcove_api.dataset.RECHECK`."""


@dataclass(frozen=True)
class BoardRecord:
    competition: str
    """Name of the one whose phase it ranks."""
    status: LeaderboardStatus
    rules: PublishedRules
    requested: RequestedBoard | None = None


@dataclass(frozen=True)
class JobRecord:
    view: JobView
    labels: dict[str, str]
    order: JobOrder | None
    """None of Jobs without short-lived credentials."""

    @property
    def is_run(self) -> bool:
        return isinstance(self.order, RunConfig)


@dataclass(frozen=True)
class PodRecord:
    view: PodView
    labels: dict[str, str]
    message: str
    """Termination message of a scorer's container, which is ours; "" of other pods."""
    waiting: str
    """Why that container has not started, such as an image that cannot be pulled."""


@dataclass(frozen=True)
class UsageRecord:
    competition: ObjectName
    competition_uid: str
    """Of its owner: a Competition of the same name that is made anew has used nothing."""
    team: str
    resource_version: str
    usage: TeamUsageStatus | None
    """None where it was made, and nothing has been written into it yet."""


def _read_submission(raw: Object) -> SubmissionView:
    view = parse_objects.submission_view(raw)
    # There may be ten thousand of them.
    spec = _share_spec(share_values(view.spec)) if view.spec is not None else None
    return replace(view, spec=spec, status=share_values(view.status))


@lru_cache(maxsize=1024)
def _share_spec(spec: SubmissionSpec) -> SubmissionSpec:
    return spec


def _read_dataset(raw: Object) -> DatasetRecord:
    return DatasetRecord(
        view=parse_objects.dataset_view(raw),
        uid=str(raw["metadata"].get("uid", "")),
        generation=int(raw["metadata"].get("generation", 1)),
        resource_version=str(raw["metadata"].get("resourceVersion", "")),
        spec=DatasetSpec.model_validate(raw["spec"]),
        status=DatasetStatus.model_validate(raw.get("status") or {}),
        recheck=parse_objects.recheck_value(raw),
    )


def _read_board(raw: Object) -> BoardRecord:
    spec = LeaderboardSpec.model_validate(raw["spec"])
    status = LeaderboardStatus.model_validate(raw.get("status") or {})
    return BoardRecord(spec.competition, status, spec.rules, spec.requested)


def _read_usage(raw: Object) -> UsageRecord:
    spec, metadata = TeamUsageSpec.model_validate(raw["spec"]), raw["metadata"]
    owner: Object = next(iter(metadata.get("ownerReferences") or ()), {})
    status = raw.get("status")
    return UsageRecord(
        competition=(metadata["namespace"], spec.competition),
        competition_uid=str(owner.get("uid", "")),
        team=spec.team,
        resource_version=str(metadata["resourceVersion"]),
        usage=TeamUsageStatus.model_validate(status) if status else None,
    )


def _read_job(raw: Object) -> JobRecord:
    labels = dict(raw["metadata"].get("labels") or {})
    template = raw["spec"]["template"]["spec"]
    containers = [*(template.get("initContainers") or ()), *(template.get("containers") or ())]
    told = {v["name"]: v.get("value", "") for c in containers for v in c.get("env") or ()}
    return JobRecord(parse_objects.job_view(raw), labels, _read_order(labels.get(names.ROLE), told))


def _read_order(role: str | None, told: dict[str, str]) -> JobOrder | None:
    """Raises ValidationError for that of a run alone: what cannot be read of it must not be taken for its absence."""
    if role == names.RUN and "ALCOVE_RUN" in told:
        return RunConfig.model_validate_json(told["ALCOVE_RUN"])
    kinds: dict[str | None, type[ScoreRequest] | type[CheckRequest]] = {
        names.SCORE: ScoreRequest,
        names.RESCORE: ScoreRequest,
        CHECK: CheckRequest,
    }
    kind = kinds.get(role)
    if kind is None or "ALCOVE_REQUEST" not in told:
        return None
    try:
        return kind.model_validate_json(told["ALCOVE_REQUEST"])
    except ValidationError:
        # Of another version of the operator.
        return None


def _read_pod(raw: Object) -> PodRecord:
    labels = dict(raw["metadata"].get("labels") or {})
    message = waiting = ""
    for status in (raw.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") in ("check", "score", "aggregate"):
            state = status.get("state") or {}
            message = str((state.get("terminated") or {}).get("message") or "")
            waiting = str((state.get("waiting") or {}).get("message") or "")
    return PodRecord(parse_objects.pod_view(raw), labels, message, waiting)


READERS: dict[Resource, Callable[[Object], Any]] = {
    SUBMISSIONS: _read_submission,
    COMPETITIONS: parse_objects.competition_view,
    DATASETS: _read_dataset,
    LEADERBOARDS: _read_board,
    TEAM_USAGES: _read_usage,
    JOBS: _read_job,
    PODS: _read_pod,
}
"""By kind: from the object to its row. Each raises ValidationError where the object cannot be read."""
