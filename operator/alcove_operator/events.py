"""What a change of the index brings about: which keys become due, and when.

Wherever a change comes from (an event, a list, the answer to a write), it makes keys due once. What is known already,
such as the event of our own write, makes nothing due.
"""

from __future__ import annotations

from collections.abc import Callable

from alcove_api.run_names import alias_of
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
from alcove_operator.core import names
from alcove_operator.core.model import SubmissionView
from alcove_operator.core.run_ends import OVER
from alcove_operator.index import Index, Version, WorkKey, WorkKind
from alcove_operator.records import AGGREGATE, CHECK
from alcove_operator.workqueue import WorkQueue

PROGRESS_PAUSE = 0.7
"""Seconds that a Job or pod which only goes on waits for more of the same: five runs of a Submission that are
scheduled, staged and started are a few writes of its status instead of fifteen."""


def connect(index: Index, queue: WorkQueue[WorkKey]) -> None:
    """From now on every change of ``index`` makes due in ``queue`` what it concerns."""

    def begin(resource: Resource, raw: Object, deleted: bool) -> Callable[[], None]:
        before = affected_keys(index, resource, raw)

        def end() -> None:
            pause = 0.0 if deleted else _pause(resource, raw)
            for key in {*before, *affected_keys(index, resource, raw)}:
                queue.add(key, pause)

        return end

    index.on_change = begin


def _pause(resource: Resource, raw: Object) -> float:
    status = raw.get("status") or {}
    if resource not in (JOBS, PODS) or "deletionTimestamp" in raw["metadata"]:
        return 0.0
    ended = any(c.get("type") in ("Complete", "Failed") for c in status.get("conditions") or ())
    if ended or status.get("phase") in ("Succeeded", "Failed"):
        return 0.0
    # Of a run: its pod is called ended two looks of the kubelet later than its containers.
    main = status.get("containerStatuses") or ()
    return 0.0 if main and all("terminated" in c.get("state", {}) for c in main) else PROGRESS_PAUSE


def affected_keys(index: Index, resource: Resource, raw: Object) -> list[WorkKey]:
    """The keys that an event about ``raw`` makes due."""
    return _AFFECTED[resource](index, raw)


def _submission(_index: Index, raw: Object) -> list[WorkKey]:
    wanted = (raw.get("spec") or {}).get("competition") or {}
    competition = WorkKey("competition", wanted.get("namespace", ""), wanted.get("name", ""))
    return [_key("submission", raw), competition]


def _competition(index: Index, raw: Object) -> list[WorkKey]:
    """Its status changes all day, which concerns nobody: whoever writes it goes on from there. Its spec, or that it
    could not be read, concerns all of its Submissions."""
    own = _key("competition", raw)
    known = index.versions.get((COMPETITIONS, own.namespace, own.name), Version(0, 0))
    changed = int(raw["metadata"].get("generation", 1)) != known.generation
    if not changed and (own.namespace, own.name) in index.competitions:
        return []
    return [own, *map(_key_of, index.submissions_of(own.namespace, own.name))]


def _dataset(index: Index, raw: Object) -> list[WorkKey]:
    """Also who waits for it, to be admitted or for an attempt. What is only to be scored looks again by itself."""
    competitions = _competitions_beside(index, raw)
    opened = (view for key in competitions for view in index.open_submissions_of(key.namespace, key.name))
    alias = str((raw.get("spec") or {}).get("alias"))
    return [
        _key("dataset", raw),
        *competitions,
        *(_key_of(view) for view in opened if _may_wait_for(view, alias)),
    ]


def _may_wait_for(view: SubmissionView, alias: str) -> bool:
    """Whether ``view``, which has not ended, has no runs yet, or one on the dataset that is not over."""
    runs = view.status.runs
    return not runs or any(alias_of(run.dataset) == alias and run.phase not in OVER for run in runs)


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


def _job(index: Index, raw: Object) -> list[WorkKey]:
    if (raw["metadata"].get("labels") or {}).get(names.ROLE) == names.RESCORE:
        return [_key("rescore", raw)]
    return _job_or_pod(index, raw)


def _key(kind: WorkKind, raw: Object) -> WorkKey:
    return WorkKey(kind, raw["metadata"]["namespace"], raw["metadata"]["name"])


def _key_of(view: SubmissionView) -> WorkKey:
    return WorkKey("submission", view.namespace, view.name)


_AFFECTED: dict[Resource, Callable[[Index, Object], list[WorkKey]]] = {
    SUBMISSIONS: _submission,
    COMPETITIONS: _competition,
    DATASETS: _dataset,
    LEADERBOARDS: _competitions_beside,
    # Whoever counts goes on from there.
    TEAM_USAGES: lambda _index, _raw: [],
    JOBS: _job,
    PODS: _job_or_pod,
}
