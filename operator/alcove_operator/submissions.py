"""One turn on one Submission: ask the core, write the status, do the actions, keep what was learnt."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from alcove_api.errors import AlcoveError
from alcove_api.submission import SubmissionStatus
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import NAMESPACES, NODES, SUBMISSIONS, Resource
from alcove_operator.api import Api
from alcove_operator.core import model, names
from alcove_operator.core.model import Facts, SubmissionView
from alcove_operator.core.reconcile import reconcile
from alcove_operator.core.scoring import shows_new_curve
from alcove_operator.executor import Executor
from alcove_operator.index import Index, Key
from alcove_operator.metrics import Metrics
from alcove_operator.workqueue import WorkQueue
from alcove_store.errors import StoreUnavailableError

log = logging.getLogger(__name__)
NODE_SECONDS = 20.0
UNSEEN_SECONDS = 3.0
"""How soon to look again at what a Submission waits for and no watch tells of."""


def whole_status(status: SubmissionStatus) -> Object:
    """For a merge patch: every field is there, so that one without a value is taken away."""
    fields = {f.alias or name for name, f in SubmissionStatus.model_fields.items()}
    dumped: Object = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: dumped.get(name) for name in sorted(fields)}


@dataclass
class Cached:
    """Objects that are seldom asked for, and not watched: Nodes and team namespaces."""

    api: Api
    _known: dict[tuple[Resource, str], tuple[float, Object | None]] = field(default_factory=dict)
    _forbidden: set[Resource] = field(default_factory=set)

    async def get(self, resource: Resource, name: str, seconds: float, namespace: str | None = None) -> Any:
        """The object as it was at most ``seconds`` ago; None where there is none.

        Raises:
            ApiError: not to be had, but for a lack of rights, which is said once and then answered with {}.
        """
        if resource in self._forbidden:
            return {}
        now = asyncio.get_running_loop().time()
        at, known = self._known.get((resource, name), (-seconds, None))
        if now - at < seconds:
            return known
        try:
            found = await self.api.find(resource, namespace, name)
        except ApiError as error:
            if error.status != 403:
                raise
            self._forbidden.add(resource)
            log.info("This operator may not read %s; it goes on without.", resource.plural)
            return {}
        self._known[resource, name] = (now, found)
        return found


@dataclass
class Submissions:
    api: Api
    index: Index
    queue: WorkQueue[Key]
    executor: Executor
    metrics: Metrics
    facts: dict[str, Facts] = field(default_factory=dict)
    """By UID."""
    store_seen_away: datetime | None = None
    _cached: Cached = field(init=False)
    _core: model.ReconcileSettings = field(default_factory=model.ReconcileSettings)

    def __post_init__(self) -> None:
        self._cached = Cached(self.api)

    async def work(self, key: Key) -> None:
        """Raises what the executor raises: the queue then tries again, a little later each time."""
        view = self.index.submissions.get((key.namespace, key.name))
        if view is None:
            return
        competition = self._competition(view)
        before = await self._observe(key, view, competition)
        self.facts[view.uid] = before
        now = datetime.now(UTC)
        outcome = reconcile(
            submission=view,
            competition=competition,
            datasets=self.index.datasets_by_name(),
            jobs=self.index.jobs_of(view.uid),
            pods=self.index.pods_of(view.uid),
            facts=before,
            settings=self._core,
            now=now,
        )
        if not await self._write(key, view, outcome):
            return
        if shows_new_curve(view.status, outcome.status):
            self.facts[view.uid] = replace(self.facts[view.uid], curve_at=now)
        for action in outcome.actions:
            await self._perform(key, action)
        if outcome.requeue_at is not None:
            self.queue.add(key, (outcome.requeue_at - now).total_seconds())
        if (key.namespace, key.name) not in self.index.submissions:
            self.facts.pop(view.uid, None)
            return
        if outcome.status != view.status and view.spec is not None:
            wanted = view.spec.competition
            self.queue.add(Key("competition", wanted.namespace, wanted.name))
        learnt = replace(self.facts[view.uid], curve_at=before.curve_at)
        if outcome.status != view.status or learnt != before or competition != self._competition(view):
            self.queue.add(key)

    def grant(self, uid: str, granted: frozenset[str], places: dict[str, model.QueuePlace]) -> bool:
        """Takes in what the capacity queue says; whether that is news."""
        known = self.facts.get(uid, Facts())
        new = replace(known, granted=granted, queue=places)
        self.facts[uid] = new
        return (known.granted, dict(known.queue)) != (granted, places)

    def granted(self, uid: str) -> frozenset[str]:
        return self.facts[uid].granted if uid in self.facts else frozenset()

    def forget(self) -> None:
        """Drops the facts of Submissions that are gone."""
        present = {s.uid for s in self.index.submissions.values()}
        for uid in self.facts.keys() - present:
            del self.facts[uid]
        self.executor.admissions.forget(present)

    def _competition(self, view: SubmissionView) -> model.CompetitionView | None:
        if view.spec is None:
            return None
        return self.index.competitions.get((view.spec.competition.namespace, view.spec.competition.name))

    async def _perform(self, key: Key, action: model.Action) -> None:
        # An earlier action, or the status, may have made a newer version of the object.
        view = self.index.submissions.get((key.namespace, key.name))
        if view is None:
            return
        try:
            learnt = await self.executor.perform(action, view, self.facts[view.uid])
        except StoreUnavailableError:
            self.store_seen_away = datetime.now(UTC)
            raise
        # The capacity queue may have spoken meanwhile: its word is not overwritten.
        latest = self.facts[view.uid]
        self.facts[view.uid] = replace(learnt, granted=latest.granted, queue=latest.queue)

    async def _write(self, key: Key, view: SubmissionView, outcome: model.Decision) -> bool:
        """False where the view was old: the newest is fetched, and the key is due again at once."""
        if outcome.status == view.status and not outcome.fenced:
            return True
        body = {
            "metadata": {"resourceVersion": view.resource_version},
            "status": whole_status(outcome.status),
        }
        try:
            made = await self.api.patch(SUBMISSIONS, view.namespace, view.name, body, "status")
        except ApiError as error:
            if not (error.conflict or error.not_found):
                raise
            newest = await self.api.find(SUBMISSIONS, view.namespace, view.name)
            gone = {"metadata": {"namespace": view.namespace, "name": view.name, "resourceVersion": "0"}}
            self.index.apply(SUBMISSIONS, newest or gone, deleted=newest is None)
            self.queue.add(key)
            return False
        self.index.apply(SUBMISSIONS, made)
        runs = sorted(self.index.jobs_of(view.uid), key=lambda job: job.attempt)
        created = {job.alias: job.created_at for job in runs if job.role == names.RUN}
        self.metrics.observe(view, outcome.status, self._competition(view), created)
        return True

    async def _observe(
        self, key: Key, view: SubmissionView, competition: model.CompetitionView | None
    ) -> Facts:
        """The facts that are to be had by looking: asked for anew in each turn, or nearly."""
        facts = self.facts.get(view.uid, Facts())
        pods = [p for p in self.index.pods_of(view.uid) if not p.terminal and p.node]
        lost = frozenset({p.node for p in pods if not await self._node_answers(p.node)})
        jobs = [j.created_at for j in self.index.jobs_of(view.uid) if j.role == names.RUN]
        away = bool(jobs and self.store_seen_away and self.store_seen_away >= min(jobs))
        facts = replace(facts, lost_nodes=lost, store_away=away)
        if view.spec is None or competition is None or view.unreadable or view.status.phase != "":
            return facts
        member = facts.team_member or await self._is_team(view.namespace, view.spec.competition)
        facts = replace(facts, team_member=member)
        if not member or (facts.code is not None and facts.code.wait):
            # No event tells of the label of a namespace, or of a ConfigMap; the core asks for the latter each time.
            self.queue.add(key, UNSEEN_SECONDS)
        return facts

    async def _is_team(self, namespace: str, wanted: Any) -> bool:
        found = await self._cached.get(NAMESPACES, namespace, UNSEEN_SECONDS / 2)
        labels = ((found or {}).get("metadata") or {}).get("labels") or {}
        return bool(labels.get(names.COMPETITION) == f"{wanted.namespace}.{wanted.name}")

    async def _node_answers(self, name: str) -> bool:
        """True also where Nodes may not be read: then only the pod's own state tells."""
        found = await self._cached.get(NODES, name, NODE_SECONDS)
        if found == {}:
            return True
        conditions = ((found or {}).get("status") or {}).get("conditions") or ()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    async def refresh_credentials(self) -> None:
        """Of every run that is under way; see :mod:`run_credentials`."""
        soon = datetime.now(UTC) - timedelta(seconds=10)
        for record in list(self.index.jobs.values()):
            view = record.view
            if record.config and not view.finished and not view.deleting and view.created_at < soon:
                try:
                    await self.executor.credentials.refresh(view.name, record.labels, view.uid, record.config)
                except AlcoveError as error:
                    # One that fails must not keep the others, always later in the same order, from theirs.
                    log.warning("The credentials of %s were not renewed: %s", view.name, error)
