"""What the operator knows of the cluster: small frozen views, kept up to date by watches and full lists.

The index may lag behind. Nothing is decided on it alone that could not be undone: names are computed, and writes
carry the resource version of what they were decided on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import ValidationError

from alcove_api.dataset import DatasetSpec, DatasetStatus
from alcove_api.documents import RunConfig
from alcove_api.leaderboard import LeaderboardStatus
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, DATASETS, JOBS, LEADERBOARDS, PODS, SUBMISSIONS, Resource
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core import boards, names, parse_objects
from alcove_operator.core.model import CompetitionView, DatasetView, JobView, PodView, SubmissionView

log = logging.getLogger(__name__)

SELECTOR = names.ROLE
"""Jobs and pods of ours carry this label; the server leaves out all others."""
AGGREGATE, CHECK = "aggregate", "check"
"""Values of the label ``alcove.dev/role`` beside the core's."""


class Key(NamedTuple):
    """What is worked on as one: never two at a time."""

    kind: str
    """submission, competition or dataset."""
    namespace: str
    name: str


@dataclass(frozen=True)
class DatasetRecord:
    view: DatasetView
    uid: str
    generation: int
    spec: DatasetSpec
    status: DatasetStatus


@dataclass(frozen=True)
class JobRecord:
    view: JobView
    labels: dict[str, str]
    config: RunConfig | None
    """What the pod of a run was told; None of other Jobs."""


@dataclass(frozen=True)
class PodRecord:
    view: PodView
    labels: dict[str, str]
    message: str
    """Termination message of a scorer's container, which is ours; "" of other pods."""
    waiting: str
    """Why that container has not started, such as an image that cannot be pulled."""


Ref = tuple[str, str]


@dataclass
class Index:
    submissions: dict[Ref, SubmissionView] = field(default_factory=dict)
    competitions: dict[Ref, CompetitionView] = field(default_factory=dict)
    versions: dict[tuple[Resource, str, str], tuple[int, int]] = field(default_factory=dict)
    """Generation and resource version of what is known; the server counts both upwards."""
    datasets: dict[Ref, DatasetRecord] = field(default_factory=dict)
    leaderboards: dict[Ref, LeaderboardStatus] = field(default_factory=dict)
    jobs: dict[Ref, JobRecord] = field(default_factory=dict)
    pods: dict[Ref, PodRecord] = field(default_factory=dict)

    def apply(self, resource: Resource, raw: Object, deleted: bool = False) -> None:
        """Takes in one object. One that cannot be read is left out, and said so in the log."""
        meta = raw["metadata"]
        ref = (meta["namespace"], meta["name"])
        table = self._table(resource)
        version = int(meta["resourceVersion"])
        if deleted:
            table.pop(ref, None)
            return
        if ref in table and version < self.versions.get((resource, *ref), (0, 0))[1]:
            # An answer to a write of ours is often here before the watch tells of what was there earlier.
            return
        try:
            table[ref] = _READERS[resource](raw)
            self.versions[resource, *ref] = (int(meta.get("generation", 1)), version)
        except ValidationError as error:
            log.warning("%s %s/%s is left alone: %s", resource.plural, *ref, parse_objects.problems(error))

    def refs(self, resource: Resource, namespace: str) -> set[Ref]:
        return {ref for ref in self._table(resource) if ref[0] == namespace}

    def replace(self, resource: Resource, before: set[Ref], found: Iterable[Object]) -> None:
        """Takes in a full list: what was known ``before`` it was asked for, and is not in it, is gone."""
        present = set()
        for raw in found:
            self.apply(resource, raw)
            present.add((raw["metadata"]["namespace"], raw["metadata"]["name"]))
        for ref in before - present:
            self._table(resource).pop(ref, None)

    def submission_by_uid(self, uid: str) -> SubmissionView | None:
        return next((s for s in self.submissions.values() if s.uid == uid), None)

    def jobs_of(self, submission_uid: str) -> tuple[JobView, ...]:
        return tuple(r.view for r in self.jobs.values() if r.view.submission_uid == submission_uid)

    def pods_of(self, submission_uid: str) -> tuple[PodView, ...]:
        return tuple(
            r.view for r in self.pods.values() if r.labels.get(names.SUBMISSION_UID) == submission_uid
        )

    def submissions_of(self, namespace: str, competition: str) -> list[SubmissionView]:
        """Of one competition, earliest first; those of the same second by name, the only order that a team can see."""
        found = [
            s
            for s in self.submissions.values()
            if s.spec is not None
            and (s.spec.competition.namespace, s.spec.competition.name) == (namespace, competition)
        ]
        return sorted(found, key=boards.creation_order)

    def datasets_by_name(self) -> dict[str, DatasetView]:
        return {row.view.name: row.view for row in self.datasets.values()}

    def all_keys(self) -> list[Key]:
        return [
            *(Key("competition", *ref) for ref in self.competitions),
            *(Key("dataset", *ref) for ref in self.datasets),
            *(Key("submission", *ref) for ref in self.submissions),
        ]

    def _table(self, resource: Resource) -> dict[Ref, Any]:
        tables: dict[Resource, dict[Ref, Any]] = {
            SUBMISSIONS: self.submissions,
            COMPETITIONS: self.competitions,
            DATASETS: self.datasets,
            LEADERBOARDS: self.leaderboards,
            JOBS: self.jobs,
            PODS: self.pods,
        }
        return tables[resource]


async def fill(index: Index, api: Api, settings: OperatorSettings) -> list[str]:
    """Lists everything anew: at the start, and now and then, since a deletion can be missed by a watch.

    Returns the teams' namespaces that can be read: one that was deleted, or whose Role is gone, must not keep all
    other teams waiting.
    """

    async def one(resource: Resource, namespace: str, selector: str = "") -> None:
        before = index.refs(resource, namespace)
        index.replace(resource, before, await api.find_all(resource, namespace, selector))

    async def team(namespace: str) -> bool:
        try:
            await one(SUBMISSIONS, namespace)
        except ApiError as error:
            if error.status != 403:
                raise
            log.warning(
                "The namespace %s is left out: %s Is it still there, and of the chart?", namespace, error
            )
            return False
        return True

    own = settings.competition_namespace
    teams = [namespace for namespace in settings.watched if namespace != own]
    await asyncio.gather(
        *(one(resource, own) for resource in (COMPETITIONS, DATASETS, LEADERBOARDS)),
        *(one(resource, own, SELECTOR) for resource in (JOBS, PODS)),
    )
    readable = await asyncio.gather(*(team(namespace) for namespace in teams))
    return [namespace for namespace, can in zip(teams, readable, strict=True) if can]


def keys_for(index: Index, resource: Resource, raw: Object) -> list[Key]:
    """Which keys an event about ``raw`` makes due."""
    meta = raw["metadata"]
    labels = meta.get("labels") or {}
    ref = (meta["namespace"], meta["name"])
    if resource is SUBMISSIONS:
        found = [Key("submission", *ref)]
        wanted = (raw.get("spec") or {}).get("competition") or {}
        return [*found, Key("competition", wanted.get("namespace", ""), wanted.get("name", ""))]
    if resource is COMPETITIONS:
        # Its status changes all day, its spec now and then: that is also about submissions that have ended.
        known, _ = index.versions.get((resource, *ref), (0, 0))
        spec_changed = int(meta.get("generation", 1)) != known
        affected = [s for s in index.submissions_of(*ref) if spec_changed or s.status.phase in _OPEN]
        return [Key("competition", *ref), *(Key("submission", s.namespace, s.name) for s in affected)]
    if resource is DATASETS:
        return [Key("dataset", *ref), *(Key("competition", *c) for c in index.competitions if c[0] == ref[0])]
    if resource is LEADERBOARDS or labels.get(names.ROLE) == AGGREGATE:
        return [Key("competition", *c) for c in index.competitions if c[0] == ref[0]]
    if labels.get(names.ROLE) == CHECK:
        uid = labels.get(names.DATASET_UID)
        return [Key("dataset", *ref) for ref, d in index.datasets.items() if d.uid == uid]
    owner = index.submission_by_uid(labels.get(names.SUBMISSION_UID, ""))
    return [Key("submission", owner.namespace, owner.name)] if owner else []


_OPEN = ("", "Queued", "Running", "Scoring")
"""Phases of a Submission that has not ended."""


def _dataset(raw: Object) -> DatasetRecord:
    return DatasetRecord(
        view=parse_objects.dataset_view(raw),
        uid=str(raw["metadata"].get("uid", "")),
        generation=int(raw["metadata"].get("generation", 1)),
        spec=DatasetSpec.model_validate(raw["spec"]),
        status=DatasetStatus.model_validate(raw.get("status") or {}),
    )


def _job(raw: Object) -> JobRecord:
    labels = dict(raw["metadata"].get("labels") or {})
    template = raw["spec"]["template"]["spec"]
    variables = [v for c in template.get("initContainers") or () for v in c.get("env") or ()]
    told = next((v["value"] for v in variables if v["name"] == "ALCOVE_RUN"), None)
    config = RunConfig.model_validate_json(told) if told and labels.get(names.ROLE) == names.RUN else None
    return JobRecord(parse_objects.job_view(raw), labels, config)


def _pod(raw: Object) -> PodRecord:
    labels = dict(raw["metadata"].get("labels") or {})
    message = waiting = ""
    for status in (raw.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") in ("check", "score", "aggregate"):
            state = status.get("state") or {}
            message = str((state.get("terminated") or {}).get("message") or "")
            waiting = str((state.get("waiting") or {}).get("message") or "")
    return PodRecord(parse_objects.pod_view(raw), labels, message, waiting)


_READERS: dict[Resource, Callable[[Object], Any]] = {
    SUBMISSIONS: parse_objects.submission_view,
    COMPETITIONS: parse_objects.competition_view,
    DATASETS: _dataset,
    LEADERBOARDS: lambda raw: LeaderboardStatus.model_validate(raw.get("status") or {}),
    JOBS: _job,
    PODS: _pod,
}
