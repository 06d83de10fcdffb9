"""One turn on one Submission: ask the core, write the status, do the actions, keep what was learnt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from alcove_api.errors import AlcoveError
from alcove_api.run_names import alias_of
from alcove_api.submission import CompetitionRef, SubmissionSpec, SubmissionStatus
from alcove_kube.client import Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import COMPETITIONS, NAMESPACES, NODES, SUBMISSIONS, Resource
from alcove_operator import logs
from alcove_operator.api import Api
from alcove_operator.clock import utc_now
from alcove_operator.core import actions, choice, model, names, parse_objects
from alcove_operator.core.causes import DISK_PRESSURE
from alcove_operator.core.model import Facts, SubmissionView
from alcove_operator.core.reconcile import reconcile
from alcove_operator.core.scoring import shows_new_curve
from alcove_operator.core.status import ENDED
from alcove_operator.executor import Executor
from alcove_operator.grants import Grants
from alcove_operator.index import Index, WorkKey
from alcove_operator.metrics import Metrics, RunEvidence
from alcove_operator.newcomers import Newcomers
from alcove_operator.unwatched import Unknown, UnwatchedObjects
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


def _is_under_way(view: SubmissionView, attempt: actions.CreateRun) -> bool:
    """Whether it is the newest of its run, and its end is not decided."""
    run = next((run for run in view.status.runs if run.dataset == attempt.alias), None)
    return run is not None and run.attempt == attempt.attempt and not run.cause


class _EndedState(NamedTuple):
    resource_version: str
    competition_uid: str
    generation: int
    """Of the Competition."""
    dataset_changes: int
    """Of the datasets that it was run on."""


@dataclass
class Submissions:
    """Who writes what, since other turns run whenever this one awaits:

    - ``_facts`` of a Submission: its own turn alone, and there is one at a time;
    - ``newcomers``: likewise; the turn of its Competition reads them;
    - ``grants``: the turn of its Competition alone;
    - ``store_seen_away``: whoever sees it; only ever a later time;
    - the index: everybody, see there.

    So nothing is written back that somebody else may have changed meanwhile. :meth:`forget` drops what belongs to UIDs
    that are gone; a turn that still runs for one of them may leave its facts once more, until the next time.
    """

    api: Api
    index: Index
    queue: WorkQueue[WorkKey]
    executor: Executor
    metrics: Metrics
    clock: Callable[[], datetime] = utc_now
    store_seen_away: datetime | None = None
    _facts: dict[str, Facts] = field(default_factory=dict)
    """By UID."""
    newcomers: Newcomers = field(default_factory=Newcomers)
    _quiet: dict[str, _EndedState] = field(default_factory=dict)
    """By UID of those that have ended: in what state a turn found nothing to do."""
    _unwatched: UnwatchedObjects = field(init=False)
    grants: Grants = field(init=False)
    settings: model.ReconcileSettings = field(default_factory=model.ReconcileSettings)

    def __post_init__(self) -> None:
        self._unwatched = UnwatchedObjects(self.api)
        self.grants = Grants(self.clock)

    async def work(self, key: WorkKey) -> None:
        """Raises what the executor raises: the queue then tries again, a little later each time."""
        view = self.index.submissions.get((key.namespace, key.name))
        if view is None or view.shows_rerun:
            # What shows a rerun to its team is written in the turn of the competition.
            return
        if self._is_quiet(view):
            # A newer one of its team may have come since.
            self.index.shorten(view)
            return
        if not await self._read_whole(key, view):
            return
        before = await self._observe(key, view)
        view = self._current(key, view.uid)
        if view is None:
            self.queue.add(key)
            return
        # From here to the write of the status nothing is awaited: the core judges what is known now, and the resource
        # version of the view keeps it from acting on what has changed since.
        competition = self._competition(view)
        now = self.clock()
        outcome = reconcile(
            submission=view,
            competition=competition,
            datasets=self.index.datasets_by_name(),
            jobs=self.index.jobs_of(view.uid),
            pods=self.index.pods_of(view.uid),
            facts=self.grants.add_to(before, view),
            settings=self.settings,
            now=now,
        )
        before = self._tell_queue(view, outcome, before, now)
        self._facts[view.uid] = before
        if not await self._write(key, view, outcome):
            return
        if shows_new_curve(view.status, outcome.status):
            self._facts[view.uid] = replace(before, curve_at=now)
        for action in outcome.actions:
            if not await self._perform(key, view.uid, action):
                return
        self._follow_up(key, view, outcome, before, now)

    def _tell_queue(
        self, view: SubmissionView, outcome: actions.Decision, facts: Facts, now: datetime
    ) -> Facts:
        """Of a Submission that is about to be admitted. While that is being written, its runs hold their places."""
        admits = view.status.admitted_at is None and outcome.status.admitted_at is not None
        if not admits:
            self.newcomers.put(view.uid, outcome.coming)
        if outcome.coming is None or facts.queue_asked_at is not None or view.spec is None:
            return facts
        wanted = view.spec.competition
        self.queue.add(WorkKey("competition", wanted.namespace, wanted.name))
        return replace(facts, queue_asked_at=now)

    def _follow_up(
        self, key: WorkKey, view: SubmissionView, outcome: actions.Decision, before: Facts, now: datetime
    ) -> None:
        """What is due after a turn that began with ``view`` and ``before``."""
        if outcome.requeue_at is not None:
            self.queue.add(key, (outcome.requeue_at - now).total_seconds())
        if outcome.status.chosen_at != view.status.chosen_at:
            self._remind_of_marks(view)
        if outcome.status != view.status and view.spec is not None:
            wanted = view.spec.competition
            self.queue.add(WorkKey("competition", wanted.namespace, wanted.name))
        learnt = replace(self._facts.get(view.uid, before), curve_at=before.curve_at)
        counted = any(isinstance(action, actions.CountUsage) for action in outcome.actions)
        if outcome.status != view.status or learnt != before or counted:
            self.queue.add(key)
        elif not outcome.actions and outcome.requeue_at is None:
            self._leave(view)

    def _state_of_ended(self, view: SubmissionView) -> _EndedState | None:
        """All that a turn on what has ended can depend on; None where there is more than that."""
        competition = self._competition(view)
        if view.status.phase not in ENDED or competition is None or view.chosen:
            return None
        if self.index.jobs_of(view.uid) or self.index.pods_of(view.uid):
            return None
        key = (COMPETITIONS, competition.namespace, competition.name)
        generation = self.index.versions[key].generation
        aliases = {alias_of(run.dataset) for run in view.status.runs}
        changes = sum(self.index.dataset_changes[alias] for alias in aliases)
        return _EndedState(view.resource_version, competition.uid, generation, changes)

    def _is_quiet(self, view: SubmissionView) -> bool:
        state = self._state_of_ended(view)
        return state is not None and self._quiet.get(view.uid) == state

    def _leave(self, view: SubmissionView) -> None:
        """After a turn on ``view`` that found nothing to do: of what has ended only that is kept which boards need.

        All of it can be learnt again, and is where something changes.
        """
        state = self._state_of_ended(view)
        if (
            state is None
            or self._current(WorkKey("submission", view.namespace, view.name), view.uid) is not view
        ):
            return
        self._quiet[view.uid] = state
        self._facts.pop(view.uid, None)
        self.grants.forget_one(view.uid)
        self.executor.forget_one(view.uid)
        self.index.shorten(view)

    async def _read_whole(self, key: WorkKey, view: SubmissionView) -> bool:
        """Before a turn that may write the status of one of which parts were dropped; False where it is not there."""
        if not self.index.is_shortened(view):
            return True
        raw = await self.api.find(SUBMISSIONS, view.namespace, view.name)
        if raw is None:
            self.index.drop(SUBMISSIONS, (view.namespace, view.name), int(view.resource_version))
        else:
            self.index.apply_whole(SUBMISSIONS, raw)
        self.queue.add(key)
        return False

    def _remind_of_marks(self, view: SubmissionView) -> None:
        """The others that the team has marked: which of them counts may be another now."""
        for other in self.index.submissions_in(view.namespace):
            if other.chosen and other.uid != view.uid:
                self.queue.add(WorkKey("submission", other.namespace, other.name))

    def forget(self) -> None:
        """Drops all that is kept of Submissions that are gone."""
        present = {view.uid for view in self.index.submissions.values()}
        self.grants.forget(present)
        self.newcomers.forget(present)
        for by_uid in (self._facts, self._quiet):
            for uid in by_uid.keys() - present:
                del by_uid[uid]
        self.executor.forget(present)

    def _competition(self, view: SubmissionView) -> model.CompetitionView | None:
        if view.spec is None:
            return None
        wanted = view.spec.competition
        found = self.index.competitions.get((wanted.namespace, wanted.name))
        return self.index.with_usage(found, view.namespace) if found is not None else None

    @staticmethod
    def _competition_key(spec: SubmissionSpec) -> tuple[Resource, str, str]:
        return COMPETITIONS, spec.competition.namespace, spec.competition.name

    def _current(self, key: WorkKey, uid: str) -> SubmissionView | None:
        """The newest view of the Submission with this UID: after an await its name may be another one's."""
        view = self.index.submissions.get((key.namespace, key.name))
        return view if view is not None and view.uid == uid else None

    async def _perform(self, key: WorkKey, uid: str, action: actions.Action) -> bool:
        """Does one action; False where what the turn was about has passed: the Submission is gone, or another operator
        has gone on while an answer was on its way."""
        # An earlier action, or the status, may have made a newer version of the object.
        view = self._current(key, uid)
        if view is None:
            self._facts.pop(uid, None)
            self.queue.add(key)
            return False
        if isinstance(action, actions.CreateRun) and not _is_under_way(view, action):
            self.queue.add(key)
            return False
        facts = self._facts.get(uid, Facts())
        try:
            self._facts[uid] = await self.executor.perform(action, view, facts)
        except AlcoveError as error:
            # It may have been done all the same: a Job may be there now that was not when all were listed.
            self._facts[uid] = replace(facts, live=None)
            # A team can see to it that what it has uploaded cannot be read.
            if isinstance(error, StoreUnavailableError) and not isinstance(action, actions.AdmitCode):
                self.store_seen_away = self.clock()
            raise
        return True

    async def _write(self, key: WorkKey, view: SubmissionView, outcome: actions.Decision) -> bool:
        """False where nothing may follow: the Submission has left the index, or the view was old; then the newest is
        fetched, and the key is due again at once."""
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
            if newest is None:
                self.index.drop(SUBMISSIONS, (view.namespace, view.name), int(view.resource_version))
            else:
                self.index.apply(SUBMISSIONS, newest)
            self.queue.add(key)
            return False
        if self._current(key, view.uid) is None:
            # Let go of meanwhile, so its places may be others' by now: the answer must not bring it back.
            return False
        self.index.apply(SUBMISSIONS, made)
        if view.status.admitted_at is None and outcome.status.admitted_at is not None:
            log.info("The Submission was admitted.", extra={"cause": "Admitted"})
        evidence = self._evidence(view.uid)
        self.metrics.observe(view, outcome.status, self._competition(view), evidence, self.clock())
        return True

    def _evidence(self, uid: str) -> dict[str, RunEvidence]:
        pods = {pod.job: pod for pod in sorted(self.index.pods_of(uid), key=lambda pod: pod.created_at)}
        jobs = sorted(self.index.jobs_of(uid), key=lambda job: job.attempt)
        runs = [job for job in jobs if job.role == names.RUN]
        return {job.alias: RunEvidence(job.created_at, pods.get(job.name)) for job in runs}

    async def _observe(self, key: WorkKey, view: SubmissionView) -> Facts:
        """The facts that are found by looking, asked for in each turn, or nearly; and those that were learnt before."""
        facts = self._facts.get(view.uid, Facts())
        pods = [p for p in self.index.pods_of(view.uid) if p.node]
        lost = frozenset({p.node for p in pods if not p.terminal and await self._node_is_lost(p.node)})
        evicted = {p.node for p in pods if p.reason == "Evicted"}
        pressed = {node: at for node in evicted if (at := await self._pressed_since(node)) is not None}
        jobs = [j.created_at for j in self.index.jobs_of(view.uid) if j.role == names.RUN]
        away = bool(jobs and self.store_seen_away and self.store_seen_away >= min(jobs))
        unreadable = view.spec is not None and self._competition_key(view.spec) in self.index.unreadable
        facts = replace(
            facts,
            lost_nodes=lost,
            pressed_since=pressed,
            store_away=away,
            competition_unreadable=unreadable,
            chosen_instead=choice.find_chosen_instead(
                view, self.index.submissions_in(view.namespace) if view.chosen else ()
            ),
            marked_at=await self._find_mark_time(view),
        )
        if view.spec is None or self._competition(view) is None or view.unreadable or view.status.phase != "":
            return facts
        member = (
            facts.team_member
            or view.of_organizer
            or await self._is_team(view.namespace, view.spec.competition)
        )
        facts = replace(facts, team_member=member)
        if not member or (facts.code is not None and facts.code.wait):
            # No event tells of the label of a namespace, or of a ConfigMap; the core asks for the latter each time.
            self.queue.add(key, UNSEEN_SECONDS)
        return facts

    async def _find_mark_time(self, view: SubmissionView) -> datetime | None:
        """When a mark was set that a list brought, such as after the operator was down. Of one that an event told of,
        the operator's clock says it: a team could write another time."""
        name = (view.namespace, view.name)
        if not view.chosen or view.status.chosen_at is not None or name not in self.index.listed_marks:
            return None
        found = await self.api.find(SUBMISSIONS, *name)
        return parse_objects.find_mark_time(found) if found is not None else None

    async def _is_team(self, namespace: str, wanted: CompetitionRef) -> bool | None:
        """None where the namespace cannot be looked at."""
        found = await self._unwatched.look(NAMESPACES, namespace, UNSEEN_SECONDS / 2)
        if isinstance(found, Unknown):
            return None
        labels = ((found or {}).get("metadata") or {}).get("labels") or {}
        return bool(labels.get(names.COMPETITION) == f"{wanted.namespace}.{wanted.name}")

    async def _node_is_lost(self, name: str) -> bool:
        """NotReady, or gone. A Node that cannot be looked at is not lost: then only the pod's own state tells."""
        found = await self._unwatched.look(NODES, name, NODE_SECONDS)
        return not isinstance(found, Unknown) and "Ready" not in parse_objects.true_conditions(found or {})

    async def _pressed_since(self, name: str) -> datetime | None:
        """Since when the node has been short of disk; None where it is not, or cannot be looked at."""
        found = await self._unwatched.look(NODES, name, NODE_SECONDS)
        return parse_objects.true_conditions(found).get(DISK_PRESSURE) if isinstance(found, dict) else None

    async def refresh_credentials(self) -> None:
        """Renews those of every Job that is under way; see :mod:`job_credentials`."""
        soon = self.clock() - timedelta(seconds=10)
        for record in list(self.index.jobs.values()):
            view = record.view
            if record.order and not view.finished and not view.deleting and view.created_at < soon:
                try:
                    await self.executor.credentials.refresh(view.name, record.labels, view.uid, record.order)
                except AlcoveError as error:
                    self.metrics.renewal_failures.inc()
                    # One that fails must not keep the others, always later in the same order, from theirs.
                    team = record.labels.get(names.TEAM, "")
                    owner = self.index.submission_by_uid(view.submission_uid)
                    with logs.bind_object("submission", team, owner.name if owner else view.submission_uid):
                        what = "The credentials of the Job %s were not renewed: %s"
                        log.warning(what, view.name, error, extra={"cause": type(error).__name__})

    async def deliver_credentials(self, key: WorkKey) -> None:
        """To a Job that `alcove rescore` made. Raises the errors of the store and of the API server."""
        record = self.index.jobs.get((key.namespace, key.name))
        if record is not None and record.order and not record.view.finished and not record.view.deleting:
            await self.executor.credentials.refresh(key.name, record.labels, record.view.uid, record.order)
