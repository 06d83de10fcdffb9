"""Store credentials of run pods: issued before the Job, delivered in a Secret that the Job owns, kept fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alcove_api.documents import StoreCredentials
from alcove_api.run_documents import RunConfig
from alcove_kube.errors import ApiError
from alcove_kube.resources import SECRETS
from alcove_operator.api import Api
from alcove_operator.clock import utc_now
from alcove_operator.config import OperatorSettings
from alcove_operator.credentials import (
    LONGEST_SECONDS,
    Policy,
    recorder_policy,
    session_credentials,
    stage_policy,
)
from alcove_operator.manifests import run_secret

SHORTEST, LONGEST = timedelta(minutes=15), timedelta(seconds=LONGEST_SECONDS)
AFTER_BUDGET = timedelta(minutes=10)
"""For sealing, and for a store that is away at the end."""


@dataclass(frozen=True)
class Issued:
    stage: StoreCredentials
    recorder: StoreCredentials
    at: datetime
    life: timedelta

    def stale(self, now: datetime) -> bool:
        return now - self.at > self.life / 2

    def overdue(self, now: datetime) -> bool:
        """Whether less than a third of the life is left."""
        return now - self.at > self.life * 2 / 3


def life_of(config: RunConfig) -> timedelta:
    """Twice what a run needs: renewed at half of it, they outlast a run that starts just before."""
    needed = timedelta(microseconds=(config.free_constructor_ns + config.budget_ns) / 1000) + AFTER_BUDGET
    return min(LONGEST, max(SHORTEST, 2 * needed))


@dataclass
class RunCredentials:
    api: Api
    settings: OperatorSettings
    clock: Callable[[], datetime] = utc_now
    _known: dict[str, Issued] = field(default_factory=dict)

    async def issue(self, config: RunConfig) -> Issued:
        """Asks the store for both sets of credentials. Raises :class:`alcove_store.errors.StoreError`."""
        life = life_of(config)
        bucket = self.settings.store_bucket
        policies = (
            stage_policy(config.data_sha256, config.code_sha256, bucket),
            recorder_policy(config.submission_uid, config.alias, config.attempt, bucket),
        )
        stage, recorder = await asyncio.gather(
            *(asyncio.to_thread(self._session, policy, life) for policy in policies)
        )
        return Issued(stage, recorder, self.clock(), life)

    def _session(self, policy: Policy, life: timedelta) -> StoreCredentials:
        parent = StoreCredentials.model_validate_json(self.settings.store_credentials.read_bytes())
        endpoint, region = self.settings.store_endpoint, self.settings.store_region
        return session_credentials(parent, endpoint, region, policy, int(life.total_seconds()))

    async def deliver(self, job: str, labels: Mapping[str, str], job_uid: str, issued: Issued) -> None:
        """Creates the Secret, or gives the one that is there new content."""
        namespace = self.settings.competition_namespace
        body = run_secret(job, job_uid, namespace, labels, issued.stage, issued.recorder)
        try:
            await self.api.create(SECRETS, namespace, body)
        except ApiError as error:
            if not error.conflict:
                raise
            await self.api.patch(SECRETS, namespace, job, {"data": body["data"]})
        self._known[job] = issued

    async def refresh(self, job: str, labels: Mapping[str, str], job_uid: str, config: RunConfig) -> None:
        """Renews what is past half of its life, or was issued by an operator before this one."""
        known = self._known.get(job)
        if known is None or known.stale(self.clock()):
            await self.deliver(job, labels, job_uid, await self.issue(config))

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
