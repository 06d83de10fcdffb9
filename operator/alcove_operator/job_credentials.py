"""Store credentials of Jobs: issued before the Job, delivered in a Secret that the Job owns, kept fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from urllib3 import PoolManager

from alcove_api import keys
from alcove_api.documents import CheckRequest, StoreCredentials
from alcove_api.run_documents import RunConfig
from alcove_api.score_documents import ScoreRequest, solutions_file
from alcove_kube.errors import ApiError
from alcove_kube.resources import SECRETS
from alcove_operator.api import Api
from alcove_operator.clock import utc_now
from alcove_operator.config import OperatorSettings
from alcove_operator.credentials import (
    LONGEST_SECONDS,
    RUN_ROLE,
    SCORE_ROLE,
    Policy,
    check_policy,
    recorder_policy,
    role_arn,
    score_policy,
    session_credentials,
    solutions_policy,
    stage_policy,
)
from alcove_operator.manifests import job_secret
from alcove_operator.records import JobOrder
from alcove_store.client import http_pool, read_credentials

SHORTEST, LONGEST = timedelta(minutes=15), timedelta(seconds=LONGEST_SECONDS)
AFTER_BUDGET = timedelta(minutes=10)
"""For sealing, and for a store that is away at the end."""
SCORER_LIFE = timedelta(hours=2)
"""A Job of the scorer may wait for runs for days; its credentials are renewed at half of this."""


class Grant(NamedTuple):
    """What one set of credentials is made from."""

    policy: Policy
    by: Literal["operator", "scorer"]
    """Whose user hands it on."""


@dataclass(frozen=True)
class Issued:
    files: Mapping[str, StoreCredentials]
    """By the name of their file in the Job's Secret."""
    at: datetime
    life: timedelta
    job_uid: str = ""
    """Of the Job that they were delivered to. Another may have its name, such as the next try of a check."""

    def stale(self, now: datetime) -> bool:
        return now - self.at > self.life / 2

    def overdue(self, now: datetime) -> bool:
        """Whether less than a third of the life is left."""
        return now - self.at > self.life * 2 / 3


def life_of(order: JobOrder) -> timedelta:
    """Twice what a run needs: renewed at half of it, they outlast a run that starts just before."""
    if not isinstance(order, RunConfig):
        return SCORER_LIFE
    needed = timedelta(microseconds=(order.free_constructor_ns + order.budget_ns) / 1000) + AFTER_BUDGET
    return min(LONGEST, max(SHORTEST, 2 * needed))


def grants_of(
    order: JobOrder, bucket: str = keys.MAIN_BUCKET, solutions: str = keys.SOLUTIONS_BUCKET
) -> dict[str, Grant]:
    """What a Job that was made for ``order`` may do in the store, by the file of its Secret."""
    match order:
        case RunConfig():
            recorder = recorder_policy(order.submission_uid, order.alias, order.attempt, bucket)
            stage = stage_policy(order.data_sha256, order.code_sha256, bucket)
            return {"stage.json": Grant(stage, "operator"), "recorder.json": Grant(recorder, "operator")}
        case CheckRequest():
            return {"credentials.json": Grant(check_policy(order, bucket, solutions), "scorer")}
        case ScoreRequest():
            policies = {"credentials.json": score_policy(order, bucket)}
            for number, group in enumerate(order.solution_groups()):
                policies[solutions_file(number)] = solutions_policy(group, solutions)
            return {file: Grant(policy, "scorer") for file, policy in policies.items()}


@dataclass
class JobCredentials:
    api: Api
    settings: OperatorSettings
    clock: Callable[[], datetime] = utc_now
    _known: dict[str, Issued] = field(default_factory=dict)
    _connections: PoolManager = field(default_factory=http_pool)
    """To the store's STS, used again and again: a run takes two sets of credentials."""

    async def issue(self, order: JobOrder) -> Issued:
        """Asks the store for all sets of credentials.

        Raises :class:`alcove_store.errors.StoreError`, or :class:`alcove_operator.errors.OperatorError` where the order
        cannot be put into a policy.
        """
        life, grants = life_of(order), self._grants(order)
        given = await asyncio.gather(
            *(asyncio.to_thread(self._session, grant, life) for grant in grants.values())
        )
        return Issued(dict(zip(grants, given, strict=True)), self.clock(), life)

    def _grants(self, order: JobOrder) -> dict[str, Grant]:
        return grants_of(order, self.settings.store_bucket, self.settings.store_solutions_bucket)

    def _session(self, grant: Grant, life: timedelta) -> StoreCredentials:
        settings = self.settings
        file, role = settings.store_credentials, settings.store_run_role or role_arn(RUN_ROLE)
        if grant.by == "scorer":
            file, role = settings.scorer_credentials, settings.store_score_role or role_arn(SCORE_ROLE)
        parent = read_credentials(file)
        endpoint = settings.store_sts_endpoint or settings.store_endpoint
        seconds = int(life.total_seconds())
        return session_credentials(
            *(parent, endpoint, settings.store_region, grant.policy, seconds, role, self._connections)
        )

    async def deliver(self, job: str, labels: Mapping[str, str], job_uid: str, issued: Issued) -> None:
        """Creates the Secret, or gives the one that is there new content and this Job as its owner: with an earlier Job
        of that name it would go."""
        namespace = self.settings.competition_namespace
        body = job_secret(job, job_uid, namespace, labels, issued.files)
        try:
            await self.api.create(SECRETS, namespace, body)
        except ApiError as error:
            if not error.conflict:
                raise
            owners = {"ownerReferences": body["metadata"]["ownerReferences"]}
            await self.api.patch(SECRETS, namespace, job, {"metadata": owners, "data": body["data"]})
        self._known[job] = replace(issued, job_uid=job_uid)

    async def refresh(self, job: str, labels: Mapping[str, str], job_uid: str, order: JobOrder) -> None:
        """Renews what is past half of its life, or was issued by an operator before this one."""
        known = self._known.get(job)
        if known is None or known.job_uid != job_uid or known.stale(self.clock()):
            await self.deliver(job, labels, job_uid, await self.issue(order))

    def count_overdue(self, jobs: Collection[str]) -> int:
        """How many of ``jobs`` have credentials that should have been renewed long ago."""
        now = self.clock()
        known = (self._known.get(job) for job in jobs)
        return sum(issued is not None and issued.overdue(now) for issued in known)

    def forget(self, job: str) -> None:
        self._known.pop(job, None)

    def forget_all_but(self, jobs: Collection[str]) -> None:
        for job in self._known.keys() - set(jobs):
            del self._known[job]
