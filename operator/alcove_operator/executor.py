"""Carries out the core's actions: the only place where the operator changes anything on behalf of a Submission.

Every action can be repeated: names are computed, 409 and 404 are answers, and what was learnt goes into the facts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from alcove_api.base import GROUP
from alcove_api.competition import CompetitionSpec
from alcove_api.run_documents import Verdict
from alcove_api.team_usage import TeamUsageStatus
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import CONFIG_MAPS, JOBS, PODS, SUBMISSIONS
from alcove_operator.announce import Announcer
from alcove_operator.api import Api
from alcove_operator.clock import utc_now
from alcove_operator.code_intake import Admissions
from alcove_operator.config import OperatorSettings
from alcove_operator.core import actions, model, names, parse_objects, usage
from alcove_operator.core.actions import Action
from alcove_operator.core.model import Facts, SubmissionView
from alcove_operator.errors import CodeError, OperatorError
from alcove_operator.index import Index
from alcove_operator.job_credentials import JobCredentials
from alcove_operator.manifests import run_job
from alcove_operator.records import JobOrder
from alcove_operator.scorer_jobs import score_job
from alcove_operator.store import OperatorStore
from alcove_operator.uploads import Uploads
from alcove_operator.usage_writer import Change, UsageWriter
from alcove_store.errors import StoreError, StoreUnavailableError

log = logging.getLogger(__name__)
SCORED_AGAIN_AT_ONCE = 16
"""Where settings change, all that was ever submitted is scored again: runs must find room beside that."""


MAX_REPORT_REFUSALS = 9
"""At giving a report to its team where the store refuses it, over about a minute: a policy is known to all of a store's
servers a moment after it is made. A page keeps no score back for longer."""


def to_json(document: BaseModel) -> Any:
    """For a merge patch; no nulls, which the API server would refuse within lists."""
    return document.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass
class Executor:
    api: Api
    index: Index
    settings: OperatorSettings
    store: OperatorStore
    credentials: JobCredentials
    due: Callable[[SubmissionView], None]
    """Called where an action that takes a while has its answer."""
    clock: Callable[[], datetime] = utc_now
    _emitted: dict[str, set[str]] = field(default_factory=dict)
    """Keys of the Events that were sent, by the Submission's UID: spares requests, and may be lost at any time."""
    _reports_refused: dict[str, int] = field(default_factory=dict)
    """By the Submission's UID: how often, while its report is asked for."""
    admissions: Admissions = field(init=False)
    announcer: Announcer = field(init=False)
    uploads: Uploads = field(init=False)
    usage: UsageWriter = field(init=False)

    def __post_init__(self) -> None:
        self.announcer = Announcer(self.api, self.settings.identity, self.clock)
        self.admissions = Admissions(self._admit, self.due)
        endpoint = self.settings.store_public_endpoint or self.settings.store_endpoint
        self.uploads = Uploads(self.store, self.index, endpoint, self.clock)
        self.usage = UsageWriter(self.api, self.index)

    def forget(self, present: Collection[str]) -> None:
        """Drops what is kept of all Submissions but those of these UIDs, and of Jobs that are gone."""
        for by_uid in (self._emitted, self._reports_refused):
            for uid in by_uid.keys() - set(present):
                del by_uid[uid]
        self.admissions.forget(present)
        self.credentials.forget_all_but({name for _, name in self.index.jobs})

    def forget_one(self, submission_uid: str) -> None:
        """Drops what is kept of a Submission that has ended."""
        self._emitted.pop(submission_uid, None)
        self._reports_refused.pop(submission_uid, None)

    async def perform(self, action: Action, view: SubmissionView, facts: Facts) -> Facts:
        """Does one action; returns what is known afterwards.

        Raises:
            AlcoveError: it could not be done; it is to be tried again.
        """
        match action:
            case actions.AddFinalizer():
                await self._finalizers(view, add=True)
            case actions.RemoveFinalizer():
                await self._finalizers(view, add=False)
            case actions.AdmitCode() | actions.DropCode():
                return await self._handle_code(action, view, facts)
            case actions.CountUsage():
                return replace(facts, usage_refused=await self._count(action, view))
            case actions.SettleUsage():
                await self._settle(action, view)
                return replace(facts, settled=True)
            case actions.CreateRun():
                await self._create_run(action, view)
                return replace(facts, live=None)
            case actions.StartScoring():
                return replace(facts, live=None) if await self._start_scoring(action) else facts
            case actions.DeleteJob():
                await self._delete_job(action)
            case actions.ListLive():
                return replace(facts, live=await self._list(action.submission_uid, view))
            case actions.Emit():
                await self._emit(action, view)
            case _:
                return await asyncio.to_thread(self._stored, action, facts)
        return facts

    def _stored(self, action: actions.Stored, facts: Facts) -> Facts:
        match action:
            case actions.WriteVerdict():
                repeated = self.store.list_repeated(action.verdict)
                self.store.write_verdict(action.verdict.replace(repeated=repeated))
                return replace(facts, verdicts=facts.verdicts | {action.verdict.alias})
            case actions.ReadVerdict():
                found_verdict = self._verdict(action)
                return replace(facts, read_verdicts={**facts.read_verdicts, action.alias: found_verdict})
            case actions.ReadCurve():
                found = self.store.live_curve(action.submission_uid)
                return replace(facts, curve=found or facts.curve, curve_at=self.clock())
            case actions.ReadScore():
                found_score = self._score(action)
                if action.awaited and isinstance(found_score, model.ScoreFault):
                    return facts
                # The result is written last, so what lies beside it is there once it is.
                pages = self.store.digest_of_pages(action.submission_uid)
                return replace(facts, score=found_score, pages_sha256=pages)
            case actions.PublishReport():
                self._publish_report(action)
                return replace(facts, published=action.scoring_digest)
            case actions.ReadLogTail():
                return replace(facts, log_tails={**facts.log_tails, action.job: self._log_tail(action)})

    async def _start_scoring(self, action: actions.StartScoring) -> bool:
        """False where enough submissions that have ended are being scored again already: the core asks once more."""
        if names.AGAIN in action.labels:
            going = [j for j in self.index.jobs.values() if names.AGAIN in j.labels and not j.view.finished]
            if len(going) >= SCORED_AGAIN_AT_ONCE:
                return False
        job = score_job(action.job, action.labels, action.request, self.settings)
        await self.create_job_with_credentials(job, action.request)
        return True

    def _score(self, action: actions.ReadScore) -> Any:
        try:
            result = self.store.score_result(action.submission_uid, action.scoring_digest)
        except OperatorError as error:
            return model.ScoreFault(str(error))
        return result or model.ScoreFault("The scorer left no result in the store.")

    def _publish_report(self, action: actions.PublishReport) -> None:
        where = (action.namespace, action.submission_uid)
        try:
            self.store.publish_report(*where)
            for entry in action.logs:
                self.store.publish_log(*where, entry.run, entry.prefix)
        except StoreUnavailableError:
            raise
        except StoreError as error:
            uid = action.submission_uid
            self._reports_refused[uid] = refusals = self._reports_refused.get(uid, 0) + 1
            if error.retriable and refusals < MAX_REPORT_REFUSALS:
                raise
            kept_back = {"cause": "ReportNotPublished"}
            log.warning("%s The team cannot fetch this report; its scores are shown.", error, extra=kept_back)
        self._reports_refused.pop(action.submission_uid, None)

    def _verdict(self, action: actions.ReadVerdict) -> Verdict | None:
        try:
            return self.store.verdict(action.submission_uid, action.alias)
        except OperatorError as error:
            log.warning("%s", error, extra={"cause": "VerdictUnreadable"})
            return None

    def _log_tail(self, action: actions.ReadLogTail) -> str:
        try:
            return self.store.log_tail(action.prefix)
        except StoreError:
            return ""

    async def create_job_with_credentials(self, job: Object, order: JobOrder) -> None:
        """As :meth:`create_job`, and the Secret that its pod mounts. Raises the store's errors, too."""
        issued = await self.credentials.issue(order)
        metadata = (await self.create_job(job))["metadata"]
        # After the Job, so that the Secret can be owned by it and goes when it goes; the kubelet waits for it.
        await self.credentials.deliver(metadata["name"], metadata["labels"], metadata["uid"], issued)

    async def create_job(self, job: Object) -> Object:
        """Creates a Job; one that exists already is taken for ours if it was made for the same thing.

        Raises:
            ApiError: refused, or the name is another Job's: of a submission whose UID begins alike, say.
        """
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        try:
            made = await self.api.create(JOBS, namespace, job)
        except ApiError as error:
            if not error.conflict:
                raise
            made = await self.api.get(JOBS, namespace, name)
            labels = made["metadata"].get("labels") or {}
            if any(labels.get(key) != job["metadata"]["labels"].get(key) for key in names.IDENTITY):
                raise ApiError(
                    f"There is a Job {name} already that was made for something else.",
                    consequence="This one is created once that is gone.",
                    remedy=f"See whose it is: kubectl describe job {name} -n {namespace}.",
                    status=409,
                ) from error
        else:
            log.info("The Job %s was created.", name, extra={"cause": "JobCreated"})
        self.index.apply(JOBS, made)
        return made

    async def _delete_job(self, action: actions.DeleteJob) -> None:
        name = (self.settings.competition_namespace, action.job)
        known = self.index.versions.get((JOBS, *name))
        if await self.api.delete(JOBS, *name):
            gone = {"cause": "JobDeleted"}
            log.info("The Job %s was deleted: %s.", action.job, action.reason, extra=gone)
            self.index.mark_deleting(name)
        elif known is not None:
            self.index.drop(JOBS, name, known.resource)
        self.credentials.forget(action.job)

    async def _create_run(self, action: actions.CreateRun, view: SubmissionView) -> None:
        dataset = self.index.datasets.get((self.settings.competition_namespace, action.dataset))
        notes = {f"{GROUP}/submission": f"{view.namespace}/{view.name}"}
        size = (dataset.status.bytes or 0) if dataset else 0
        job = run_job(action, self.settings, notes, size)
        await self.create_job_with_credentials(job, action.config)

    async def _list(self, submission_uid: str, view: SubmissionView) -> model.LiveList:
        selector = f"{names.SUBMISSION_UID}={submission_uid}"
        namespace = self.settings.competition_namespace
        asked = self.clock()
        jobs, pods = await asyncio.gather(
            self.api.find_all(JOBS, namespace, selector), self.api.find_all(PODS, namespace, selector)
        )
        found = sorted(map(parse_objects.pod_view, pods), key=lambda pod: pod.created_at)
        return model.LiveList(
            frozenset(j["metadata"]["name"] for j in jobs),
            {pod.job: pod for pod in found},
            asked,
            view.status.runs,
        )

    async def remove_finalizer(self, view: SubmissionView) -> None:
        """So that it can be deleted without the operator, whatever became of it meanwhile. Raises ApiError."""
        newest = await self.api.find(SUBMISSIONS, view.namespace, view.name)
        if newest is None or newest["metadata"]["uid"] != view.object_uid:
            return
        finalizers = newest["metadata"].get("finalizers") or []
        if names.FINALIZER in finalizers:
            left = [name for name in finalizers if name != names.FINALIZER]
            body = {
                "metadata": {
                    "resourceVersion": newest["metadata"]["resourceVersion"],
                    "finalizers": left,
                }
            }
            await self.api.patch(SUBMISSIONS, view.namespace, view.name, body)

    async def _finalizers(self, view: SubmissionView, add: bool) -> None:
        other_finalizers = [f for f in view.finalizers if f != names.FINALIZER]
        wanted = [*other_finalizers, names.FINALIZER] if add else other_finalizers
        body = {"metadata": {"resourceVersion": view.resource_version, "finalizers": wanted}}
        try:
            made = await self.api.patch(SUBMISSIONS, view.namespace, view.name, body)
        except ApiError as error:
            if error.not_found and not add:
                return
            raise
        self.index.apply(SUBMISSIONS, made)

    async def _admit(self, view: SubmissionView, action: actions.AdmitCode) -> model.CodeFact:
        """Copies the code of a Submission into the store, or says why not."""
        assert view.spec is not None
        code = view.spec.code
        try:
            if view.original is not None and view.of_organizer and code.bundle is not None:
                return await asyncio.to_thread(self.store.take_admitted, code.bundle.sha256)
            if code.bundle is not None:
                limits = (action.limit_bytes, action.most_permits)
                return await self.uploads.take_bundle(view, code.bundle.sha256, *limits)
            assert code.config_map is not None
            name = code.config_map.name
            found = await self.api.find(CONFIG_MAPS, view.namespace, name)
            if found is None:
                raise CodeError(
                    "CodeMissing",
                    f"There is no ConfigMap {name} in namespace {view.namespace}.",
                    remedy=f"Make it: kubectl create configmap {name} --from-file=model.py.",
                    wait=True,
                )
            files, binary = found.get("data") or {}, found.get("binaryData") or {}
            take = self.store.take_config_map
            return await asyncio.to_thread(take, name, files, binary, action.limit_bytes)
        except CodeError as error:
            return model.CodeFact(False, reason=error.reason, message=str(error), wait=error.wait)

    async def _handle_code(
        self, action: actions.AdmitCode | actions.DropCode, view: SubmissionView, facts: Facts
    ) -> Facts:
        if isinstance(action, actions.AdmitCode):
            facts = replace(facts, code_asked_at=facts.code_asked_at or self.clock())
            return replace(facts, code=self.admissions.ask(view, action) or facts.code)
        found = await self.api.find(CONFIG_MAPS, view.namespace, action.config_map)
        metadata = found["metadata"] if found is not None else {}
        if any(owner["uid"] == action.submission_uid for owner in metadata.get("ownerReferences") or ()):
            await self.api.delete(CONFIG_MAPS, view.namespace, action.config_map, metadata["uid"])
        return replace(facts, code_dropped_at=self.clock())

    async def _count(self, action: actions.CountUsage, view: SubmissionView) -> model.QuotaRefusal | None:
        refused: list[model.QuotaRefusal] = []

        def change(used: TeamUsageStatus, spec: CompetitionSpec) -> TeamUsageStatus:
            refused.clear()
            who = (action.team, action.phase, action.submission_uid)
            answer = usage.count_submission(used, spec, *who, self.clock())
            if isinstance(answer, model.QuotaRefusal):
                refused.append(answer)
                return used
            return answer

        await self._usage(view, action.team, change)
        return refused[0] if refused else None

    async def _settle(self, action: actions.SettleUsage, view: SubmissionView) -> None:
        await self._usage(
            view,
            action.team,
            lambda used, _: usage.settle_submission(
                used,
                action.phase,
                action.submission_uid,
                action.compute_seconds,
                action.refund,
                action.admitted_at,
            ),
        )

    async def _usage(self, view: SubmissionView, team: str, change: Change) -> None:
        if view.spec is None:
            return
        wanted = view.spec.competition
        if wanted.namespace == self.settings.competition_namespace:
            await self.usage.change((wanted.namespace, wanted.name), team, change)

    async def _emit(self, action: actions.Emit, view: SubmissionView) -> None:
        if action.key in self._emitted.get(view.uid, ()):
            return
        level = logging.WARNING if action.type == "Warning" else logging.INFO
        log.log(level, "%s", action.message, extra={"cause": action.reason})
        about = {"metadata": {"name": view.name, "namespace": view.namespace, "uid": view.object_uid}}
        await self.announcer.announce(
            SUBMISSIONS, about, action.key, action.type, action.reason, action.message
        )
        self._emitted.setdefault(view.uid, set()).add(action.key)
