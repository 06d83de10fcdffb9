"""One turn on one Dataset: has what its digests name been checked, and what was found."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from alcove_api.dataset import DatasetStatus
from alcove_api.documents import CheckRequest, CheckResult
from alcove_api.phase import ScoringSpec
from alcove_api.schemes import SCHEMES
from alcove_api.words import count_of
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import DATASETS, JOBS
from alcove_operator.api import Api
from alcove_operator.clock import utc_now
from alcove_operator.config import OperatorSettings
from alcove_operator.core import names
from alcove_operator.core.conditions import READY, ConditionValue, set_condition
from alcove_operator.core.model import CompetitionView
from alcove_operator.executor import Executor, to_json
from alcove_operator.index import Index, WorkKey
from alcove_operator.records import CHECK, DatasetRecord, JobRecord, PodRecord
from alcove_operator.scorer_jobs import check_job
from alcove_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)
AGAIN = timedelta(seconds=60)
"""A check that could not be done is tried again this long after it was asked for."""


def build_request(record: DatasetRecord, competitions: Iterable[CompetitionView]) -> CheckRequest:
    """The chance score is asked for in the metric of a competition that uses the dataset, where there is one."""
    using = (c for c in competitions if any(record.view.name in phase.datasets for phase in c.spec.phases))
    scoring = next((c.spec.scoring for c in using), ScoringSpec())
    return CheckRequest(
        dataset=record.view.name,
        data_sha256=record.spec.data_sha256,
        solution_sha256=record.spec.solution_sha256,
        metric=scoring.metric or SCHEMES[scoring.scheme].metric,
        on_volume=record.spec.volume_claim is not None,
    )


def job_name(record: DatasetRecord) -> str:
    """The same for the same question, so that a check is never done twice at a time.

    Of a Dataset that was deleted and made again, or is to be checked again, it is another: what lies on a volume or in
    the store may have changed since.
    """
    spec = record.spec
    checked = [record.uid, spec.data_sha256, spec.solution_sha256, record.recheck]
    if spec.volume_claim is not None:
        checked += [spec.volume_claim.claim_name, spec.volume_claim.path]
    return f"c-{spec.alias}-{hashlib.sha256('/'.join(checked).encode()).hexdigest()[:8]}"


def job_for(record: DatasetRecord, request: CheckRequest, settings: OperatorSettings) -> Object:
    """The check's Job; the Dataset owns it, so it goes when that goes."""
    labels = {names.ROLE: CHECK, names.DATASET: record.spec.alias, names.DATASET_UID: record.uid}
    made = check_job(job_name(record), labels, request, settings, record.spec.volume_claim)
    owner = {"apiVersion": DATASETS.api_version, "kind": "Dataset"}
    made["metadata"]["ownerReferences"] = [{**owner, "name": record.view.name, "uid": record.uid}]
    return made


REMEDY = (
    "Publish it again with `alcove dataset push` and apply the Dataset that it prints; or, where the store was "
    "repaired, ask for another check: `{recheck}`."
)
VOLUME_REMEDY = "Repair what lies on the volume; then ask for another check: `{recheck}`."


def build_status(result: CheckResult, record: DatasetRecord, namespace: str, now: datetime) -> DatasetStatus:
    """What the check found, as the status of a Dataset in ``namespace``."""
    if result.ok:
        warned = len(result.warnings)
        said = f" {count_of(warned, 'warning')}: {' '.join(result.warnings)}" if warned else ""
        ready: ConditionValue = ("True", "Sound", f"Data and solution were checked.{said}")
    else:
        problems = " ".join(result.problems) or "The check refused it without a reason."
        template = VOLUME_REMEDY if record.spec.volume_claim else REMEDY
        remedy = template.format(recheck=f"alcove dataset recheck {record.view.name} -n {namespace}")
        ready = ("False", "CheckFailed", f"{problems[: 1023 - len(remedy)]} {remedy}")
    return DatasetStatus(
        observed_generation=record.generation,
        conditions=set_condition(
            record.status.conditions, READY, ready, generation=record.generation, now=now
        ),
        n_train=result.n_train,
        n_test=result.n_test,
        n_labels=result.n_labels,
        task=result.task,
        bytes=result.bytes,
        recheck=record.recheck,
        chance_score=_rounded(result.chance_score),
        linear_score=_rounded(result.linear_score),
        warnings=result.warnings,
    )


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


@dataclass
class Datasets:
    api: Api
    index: Index
    queue: WorkQueue[WorkKey]
    executor: Executor
    settings: OperatorSettings
    clock: Callable[[], datetime] = utc_now

    async def work(self, key: WorkKey) -> None:
        record = self.index.datasets.get((key.namespace, key.name))
        if record is None:
            return
        name = job_name(record)
        await self._sweep(key, record, name)
        job = self.index.jobs.get((key.namespace, name))
        if record.view.ready is not None:
            if job is not None and not job.view.deleting:
                await self.api.delete(JOBS, key.namespace, name)
            return
        now = self.clock()
        if job is None:
            request = build_request(record, self.index.competitions.values())
            await self.executor.create_job_with_credentials(job_for(record, request, self.settings), request)
            await self._say(key, record, ("Unknown", "Checking", "Data and solution are being checked."), now)
            return
        pods = [pod for pod in self.index.pods.values() if pod.view.job == name]
        if job.view.finished:
            await self._ended(key, record, job, pods, now)
            return
        waiting = next((why for pod in pods if (why := pod.waiting or pod.view.unschedulable)), "")
        if waiting:
            message = f"The check waits: {waiting}"
            await self._say(key, record, ("Unknown", "CheckWaits", message), now)

    async def _sweep(self, key: WorkKey, record: DatasetRecord, current: str) -> None:
        """Deletes checks of what the Dataset named before: nobody will read what they find."""
        for (namespace, name), job in list(self.index.jobs.items()):
            of_this = namespace == key.namespace and job.labels.get(names.DATASET_UID) == record.uid
            if of_this and name != current and not job.view.deleting:
                await self.api.delete(JOBS, namespace, name)

    async def _ended(
        self, key: WorkKey, record: DatasetRecord, job: JobRecord, pods: list[PodRecord], now: datetime
    ) -> None:
        result = next((found for pod in pods if (found := read_result(pod.message)) is not None), None)
        if result is not None:
            await self._write(key, record, build_status(result, record, key.namespace, now))
            return
        wait = (job.view.created_at + AGAIN - now).total_seconds()
        if wait > 0:
            reason = next((pod.message for pod in pods if pod.message), job.view.message)
            said = f"The check could not be done ({job.view.reason or 'its pod is gone'}): {reason[:700]}"
            message = f"{said} It is tried again. Look at: kubectl describe job {job.view.name}."
            await self._say(key, record, ("Unknown", "CheckNotDone", message), now)
            self.queue.add(key, wait)
            return
        # Its next turn, when it is seen to be gone, makes a new one.
        await self.api.delete(JOBS, key.namespace, job.view.name)

    async def _say(self, key: WorkKey, record: DatasetRecord, ready: ConditionValue, now: datetime) -> None:
        generation = record.generation
        conditions = set_condition(record.status.conditions, READY, ready, generation=generation, now=now)
        await self._write(key, record, DatasetStatus(observed_generation=generation, conditions=conditions))

    async def _write(self, key: WorkKey, record: DatasetRecord, status: DatasetStatus) -> None:
        if status == record.status:
            return
        dumped = to_json(status)
        fields = {f.alias or name for name, f in DatasetStatus.model_fields.items()}
        body = {
            "metadata": {"resourceVersion": record.resource_version},
            "status": {name: dumped.get(name) for name in sorted(fields)},
        }
        try:
            made = await self.api.patch(DATASETS, key.namespace, key.name, body, "status")
        except ApiError as error:
            if not error.conflict:
                raise
            made = await self.api.get(DATASETS, key.namespace, key.name)
            self.queue.add(key)
        self.index.apply(DATASETS, made)


def read_result(message: str) -> CheckResult | None:
    try:
        return CheckResult.model_validate_json(message)
    except ValidationError:
        return None
