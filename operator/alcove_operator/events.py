"""What one event of a watch brings about: the index is brought up to date, and keys become due."""

from __future__ import annotations

from collections.abc import Callable

from alcove_kube.client import Object
from alcove_kube.resources import COMPETITIONS, DATASETS, JOBS, LEADERBOARDS, PODS, SUBMISSIONS, Resource
from alcove_operator.core import names
from alcove_operator.core.model import SubmissionView
from alcove_operator.index import AGGREGATE, CHECK, Index, Version, WorkKey
from alcove_operator.workqueue import WorkQueue

_OPEN = ("", "Queued", "Running", "Scoring")
"""Phases of a Submission that has not ended."""


def take_in(index: Index, queue: WorkQueue[WorkKey], resource: Resource, raw: Object, deleted: bool) -> None:
    """Never awaits. What an object concerned before the event is due as well as what it concerns afterwards."""
    due = set(affected_keys(index, resource, raw))
    index.apply(resource, raw, deleted)
    for key in due.union(affected_keys(index, resource, raw)):
        queue.add(key)


def affected_keys(index: Index, resource: Resource, raw: Object) -> list[WorkKey]:
    """The keys that an event about ``raw`` makes due."""
    return _AFFECTED[resource](index, raw)


def _submission(_index: Index, raw: Object) -> list[WorkKey]:
    wanted = (raw.get("spec") or {}).get("competition") or {}
    competition = WorkKey("competition", wanted.get("namespace", ""), wanted.get("name", ""))
    return [_key("submission", raw), competition]


def _competition(index: Index, raw: Object) -> list[WorkKey]:
    """Its status changes all day, its spec now and then: that concerns Submissions that have ended as well."""
    own = _key("competition", raw)
    known = index.versions.get((COMPETITIONS, own.namespace, own.name), Version(0, 0))
    changed = int(raw["metadata"].get("generation", 1)) != known.generation
    views = index.submissions_of(own.namespace, own.name)
    return [own, *(_key_of(view) for view in views if changed or view.status.phase in _OPEN)]


def _dataset(index: Index, raw: Object) -> list[WorkKey]:
    return [_key("dataset", raw), *_competitions_beside(index, raw)]


def _competitions_beside(index: Index, raw: Object) -> list[WorkKey]:
    namespace = raw["metadata"]["namespace"]
    return [WorkKey("competition", *name) for name in index.competitions if name[0] == namespace]


def _job_or_pod(index: Index, raw: Object) -> list[WorkKey]:
    labels = raw["metadata"].get("labels") or {}
    if labels.get(names.ROLE) == AGGREGATE:
        return _competitions_beside(index, raw)
    if labels.get(names.ROLE) == CHECK:
        uid = labels.get(names.DATASET_UID)
        return [WorkKey("dataset", *name) for name, record in index.datasets.items() if record.uid == uid]
    owner = index.submission_by_uid(labels.get(names.SUBMISSION_UID, ""))
    return [_key_of(owner)] if owner else []


def _key(kind: str, raw: Object) -> WorkKey:
    return WorkKey(kind, raw["metadata"]["namespace"], raw["metadata"]["name"])


def _key_of(view: SubmissionView) -> WorkKey:
    return WorkKey("submission", view.namespace, view.name)


_AFFECTED: dict[Resource, Callable[[Index, Object], list[WorkKey]]] = {
    SUBMISSIONS: _submission,
    COMPETITIONS: _competition,
    DATASETS: _dataset,
    LEADERBOARDS: _competitions_beside,
    JOBS: _job_or_pod,
    PODS: _job_or_pod,
}
