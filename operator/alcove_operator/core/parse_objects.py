"""Raw API objects → views. Missing or odd fields are taken as absent: no event may take the operator down."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from pydantic import ValidationError

from alcove_api.competition import PRUNE, CompetitionSpec, CompetitionStatus
from alcove_api.dataset import RECHECK, DatasetSpec, DatasetStatus
from alcove_api.run_documents import RecorderReport
from alcove_api.submission import CHOSEN, SubmissionSpec, SubmissionStatus
from alcove_operator.core import names
from alcove_operator.core.model import (
    CompetitionView,
    ContainerView,
    DatasetView,
    JobView,
    PodView,
    SubmissionView,
)

Raw = Mapping[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def submission_view(raw: Raw) -> SubmissionView:
    meta = _map(raw, "metadata")
    spec, invalid, unreadable = None, "", ""
    try:
        spec = SubmissionSpec.model_validate(raw.get("spec"))
    except ValidationError as error:
        invalid = describe_problems(error)
    try:
        status = SubmissionStatus.model_validate(_map(raw, "status"))
    except ValidationError as error:
        status, unreadable = SubmissionStatus(), describe_problems(error)
    uid, origin = str(meta.get("uid", "")), status.origin
    return SubmissionView(
        uid=origin.uid if origin else uid,
        namespace=str(meta.get("namespace", "")),
        name=str(meta.get("name", "")),
        generation=_int(meta.get("generation")),
        resource_version=str(meta.get("resourceVersion", "")),
        created_at=origin.created_at if origin else _time(meta.get("creationTimestamp")) or _EPOCH,
        deleting=bool(meta.get("deletionTimestamp")),
        finalizers=tuple(str(f) for f in meta.get("finalizers") or ()),
        spec=spec,
        status=status,
        invalid=invalid,
        unreadable=unreadable,
        chosen=is_marked(raw),
        object_uid=uid,
    )


def is_marked(raw: Raw) -> bool:
    """Whether a Submission has the label by which its team chooses it."""
    return _map(_map(raw, "metadata"), "labels").get(CHOSEN) == "true"


def find_mark_time(raw: Raw) -> datetime | None:
    """When that label was set, by the API server's clock; None where the object does not say it.

    Who may write the object can write another time.
    """
    entries = _map(raw, "metadata").get("managedFields")
    times = [
        _time(entry.get("time"))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
        and f"f:{CHOSEN}" in _map(_map(_map(entry, "fieldsV1"), "f:metadata"), "f:labels")
    ]
    return min((at for at in times if at is not None), default=None)


def competition_view(raw: Raw) -> CompetitionView:
    """
    Raises:
        ValidationError: the spec is not one that the API server should have let in.
    """
    meta = _map(raw, "metadata")
    status = CompetitionStatus.model_validate(_map(raw, "status"))
    uid = str(meta.get("uid", ""))
    return CompetitionView(
        namespace=str(meta.get("namespace", "")),
        name=str(meta.get("name", "")),
        uid=status.origin.uid if status.origin else uid,
        spec=CompetitionSpec.model_validate(raw.get("spec")),
        status=status,
        object_uid=uid,
        prune_request=_request(raw, PRUNE),
    )


def dataset_view(raw: Raw) -> DatasetView:
    """
    Raises:
        ValidationError: the spec is not one that the API server should have let in.
    """
    meta = _map(raw, "metadata")
    spec = DatasetSpec.model_validate(raw.get("spec"))
    status = DatasetStatus.model_validate(_map(raw, "status"))
    condition = next((c for c in status.conditions if c.type == "Ready"), None)
    # A verdict on an older spec, or from before the last request for a check, says nothing now.
    answered = recheck_value(raw) in ("", status.recheck)
    current = answered and status.observed_generation == meta.get("generation")
    ready = None if condition is None or condition.status == "Unknown" or not current else condition.status
    return DatasetView(
        name=str(meta.get("name", "")),
        alias=spec.alias,
        data_sha256=spec.data_sha256,
        solution_sha256=spec.solution_sha256,
        ready=None if ready is None else ready == "True",
        reason=condition.message if condition is not None else "",
        n_test=status.n_test or 0,
        n_labels=status.n_labels or 0,
        task=status.task,
        volume_claim=spec.volume_claim,
        target=spec.target,
    )


def recheck_value(raw: Raw) -> str:
    """The last request to check a Dataset again, short enough for its status; "" where there was none."""
    return _request(raw, RECHECK)


def _request(raw: Raw, annotation: str) -> str:
    asked = str(_map(_map(raw, "metadata"), "annotations").get(annotation, ""))
    return asked if len(asked) <= 64 else hashlib.sha256(asked.encode()).hexdigest()


def job_view(raw: Raw) -> JobView:
    meta = _map(raw, "metadata")
    labels = _map(meta, "labels")
    ended = next((c for c in _true(raw) if c.get("type") in ("Complete", "Failed")), {})
    return JobView(
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        submission_uid=str(labels.get(names.SUBMISSION_UID, "")),
        role=str(labels.get(names.ROLE, "")),
        alias=str(labels.get(names.DATASET, "")),
        attempt=_int(labels.get(names.ATTEMPT)),
        created_at=_time(meta.get("creationTimestamp")) or _EPOCH,
        deleting=bool(meta.get("deletionTimestamp")),
        finished=ended.get("type", ""),
        reason=str(ended.get("reason", "")),
        message=str(ended.get("message", "")),
        finished_at=_time(ended.get("lastTransitionTime")),
        local_queue=str(labels.get(names.LOCAL_QUEUE, "")),
        suspended=_map(raw, "spec").get("suspend") is True,
        resumed_at=_time(_map(raw, "status").get("startTime")),
    )


def pod_view(raw: Raw) -> PodView:
    meta, spec, status = _map(raw, "metadata"), _map(raw, "spec"), _map(raw, "status")
    labels = _map(meta, "labels")
    scheduled = next((c for c in _conditions(raw) if c.get("type") == "PodScheduled"), {})
    disruption = next((c for c in _true(raw) if c.get("type") == "DisruptionTarget"), None)
    containers = {
        str(c.get("name")): c
        for c in (*_list(status, "initContainerStatuses"), *_list(status, "containerStatuses"))
    }
    phase = status.get("phase")
    known = phase in ("Pending", "Running", "Succeeded", "Failed")
    waiting = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    return PodView(
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        job=str(labels.get("batch.kubernetes.io/job-name") or labels.get("job-name") or ""),
        created_at=_time(meta.get("creationTimestamp")) or _EPOCH,
        phase=cast(Any, phase if known else "Unknown"),
        node=str(spec.get("nodeName") or ""),
        reason=str(status.get("reason") or ""),
        message=str(status.get("message") or ""),
        deleted_at=_deletion(meta),
        scheduled_at=_time(scheduled.get("lastTransitionTime"))
        if scheduled.get("status") == "True"
        else None,
        active_deadline_seconds=spec.get("activeDeadlineSeconds"),
        unschedulable=str(scheduled.get("message") or "no node fits") if waiting else "",
        disruption=str(disruption.get("reason") or "DisruptionTarget") if disruption else "",
        disruption_at=_time(disruption.get("lastTransitionTime")) if disruption else None,
        stage=_container(containers.get("stage")),
        recorder=_container(containers.get("recorder")),
        main=_container(containers.get("main")),
        report=recorder_report(containers.get("recorder")),
        termination_message=_termination_message(containers.get("score")),
    )


def true_conditions(raw: Raw) -> dict[str, datetime | None]:
    """By type, of an object's conditions that are true: since when."""
    return {str(c.get("type")): _time(c.get("lastTransitionTime")) for c in _true(raw)}


def recorder_report(container: Raw | None) -> RecorderReport | None:
    """The recorder's termination message; None where there is none, or none that can be read."""
    for message in _messages(container):
        try:
            return RecorderReport.model_validate_json(message)
        except ValidationError:
            continue
    return None


def describe_problems(error: ValidationError) -> str:
    """Field and fault of each problem, for people."""
    found = [
        f"{'.'.join(str(p) for p in e['loc']) or 'spec'}: {e['msg']}"
        for e in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return "; ".join(found)[:900]


def explain_unreadable(what: str, error: ValidationError) -> str:
    """A sentence for people; ``what`` begins it."""
    return f"{what} cannot be read: {describe_problems(error)}."


def _messages(container: Raw | None) -> list[str]:
    """Termination messages of a container, of its present state first."""
    states = (_map(container or {}, "state"), _map(container or {}, "lastState"))
    return [str(said) for state in states if (said := _map(state, "terminated").get("message"))]


def _termination_message(scorer: Raw | None) -> str:
    """What the scorer's container left; the kernel leaves no time for a last word."""
    reason = _map(_map(scorer or {}, "state"), "terminated").get("reason")
    return next(iter(_messages(scorer)), "It ran out of memory." if reason == "OOMKilled" else "")


def _container(raw: Raw | None) -> ContainerView | None:
    if raw is None:
        return None
    state = _map(raw, "state")
    waiting, running, ended = _map(state, "waiting"), _map(state, "running"), _map(state, "terminated")
    # While a container waits to be restarted, how it ended is in lastState alone.
    shown = ended or running or _map(_map(raw, "lastState"), "terminated")
    return ContainerView(
        name=str(raw.get("name", "")),
        running="running" in state,
        started_at=_time(shown.get("startedAt")),
        waiting_reason=str(waiting.get("reason") or ""),
        waiting_message=str(waiting.get("message") or ""),
        terminated="terminated" in state,
        terminated_reason=str(shown.get("reason") or ""),
        exit_code=_int(shown.get("exitCode")),
        signal=_int(shown.get("signal")),
        finished_at=_time(shown.get("finishedAt")),
        restarts=_int(raw.get("restartCount")),
        image_id=str(raw.get("imageID") or ""),
    )


def _deletion(meta: Raw) -> datetime | None:
    """``deletionTimestamp`` is when the grace period ends; what counts is when deletion was asked for."""
    at = _time(meta.get("deletionTimestamp"))
    return at - timedelta(seconds=_int(meta.get("deletionGracePeriodSeconds"))) if at else None


def _true(raw: Raw) -> list[Raw]:
    return [c for c in _conditions(raw) if c.get("status") == "True"]


def _conditions(raw: Raw) -> list[Raw]:
    return _list(_map(raw, "status"), "conditions")


def _map(raw: Raw, key: str) -> Raw:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}


def _list(raw: Raw, key: str) -> list[Raw]:
    value = raw.get(key)
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list | tuple) else []


def _int(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _time(value: object) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
