"""The running operator: its parts put together, and the few loops that are not driven by events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from prometheus_client import start_http_server

from alcove_api.errors import AlcoveError
from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import JOBS, SUBMISSIONS
from alcove_operator import events, garbage, logs
from alcove_operator.activity import ActivityPublisher
from alcove_operator.api import Api
from alcove_operator.audit_list import AuditList
from alcove_operator.clock import ServerClock, utc_now
from alcove_operator.competitions import Competitions
from alcove_operator.config import OperatorSettings
from alcove_operator.core.model import ReconcileSettings
from alcove_operator.datasets import Datasets
from alcove_operator.executor import Executor
from alcove_operator.finals import Finals
from alcove_operator.index import Index, WorkKey
from alcove_operator.job_credentials import JobCredentials
from alcove_operator.jobs_health import JobsHealth
from alcove_operator.lease import Lease
from alcove_operator.listing import fill_competition, fill_index, fill_teams
from alcove_operator.liveness import Liveness, answer_probes
from alcove_operator.looks import Looks
from alcove_operator.loops import first_of, stop_signal
from alcove_operator.metrics import Metrics
from alcove_operator.notifier import Notifier
from alcove_operator.offers import Offers
from alcove_operator.orphans import delete_orphans
from alcove_operator.rankings import Rankings
from alcove_operator.retention import RetentionKeeper
from alcove_operator.store import OperatorStore
from alcove_operator.store_health import StoreHealth
from alcove_operator.store_room import StoreRoom
from alcove_operator.stored_objects import StoredObjects
from alcove_operator.submissions import Submissions
from alcove_operator.team_list import TeamList
from alcove_operator.turn_time import measure_turn, watch_standstills
from alcove_operator.watches import TeamWatch, watch_competition
from alcove_operator.webhooks import Sender
from alcove_operator.workqueue import WorkQueue
from alcove_store.client import StoreConfig
from alcove_store.errors import StoreError, StoreUnavailableError

log = logging.getLogger(__name__)
WORKERS = 8
RELIST_EVERY = 10
"""Resyncs between two full lists of the teams' namespaces, which may be many."""
PROBE_SECONDS = 10.0
START_PAUSE = 0.005
"""Seconds between two Submissions that have ended, when the operator looks at them at its start."""


class Watch(Protocol):
    """Takes in the events of some namespaces: see :class:`alcove_operator.watches.TeamWatch`."""

    @property
    def namespaces(self) -> frozenset[str]: ...

    @property
    def alive(self) -> bool: ...

    def cover(self, namespaces: frozenset[str]) -> bool: ...

    def stop(self) -> None: ...


@dataclass
class Service:
    """The parts and what they share: one index, one work queue, one event loop."""

    api: Api
    settings: OperatorSettings
    store: OperatorStore
    credentials: JobCredentials
    clock: Callable[[], datetime] = utc_now
    index: Index = field(default_factory=Index)
    queue: WorkQueue[WorkKey] = field(default_factory=lambda: WorkQueue(place_of=find_place))
    metrics: Metrics = field(default_factory=Metrics)
    open_watch: Callable[[Index, frozenset[str], Callable[[str], bool] | None], Watch] = TeamWatch
    _watch: Watch | None = None
    """Of the teams' namespaces that could be listed."""

    @classmethod
    def connect(cls, settings: OperatorSettings) -> Service:
        """Raises :class:`AlcoveError`."""
        client, clock = KubeClient.from_pod(), ServerClock()
        client.hear_date = clock.hear
        api = Api(client)
        store = OperatorStore.connect(_store_config(settings), uploads=settings.store_uploads_bucket)
        return cls(api, settings, store, JobCredentials(api, settings, clock.now), clock.now)

    def __post_init__(self) -> None:
        settings = self.settings
        events.connect(self.index, self.queue)
        self.api.count = self.metrics.count_request
        self.api.count_failure = self.metrics.count_failed_request
        self.liveness = Liveness()
        self.jobs_health = JobsHealth(self.index, self.credentials, self.metrics)
        self.executor = Executor(
            self.api,
            self.index,
            settings,
            self.store,
            self.credentials,
            lambda view: self.queue.add(WorkKey("submission", view.namespace, view.name)),
            self.clock,
        )
        self.submissions = Submissions(
            self.api, self.index, self.queue, self.executor, self.metrics, self.clock,
            settings=ReconcileSettings(frameworks=settings.frameworks),
        )  # fmt: skip
        self.teams = TeamList(self.api, settings)
        self.room = StoreRoom(
            self.store, settings.competition_namespace, self.metrics, self._remind_competitions, self.clock
        )
        self.competitions = self._make_competitions()
        self.datasets = Datasets(self.api, self.index, self.queue, self.executor, settings, self.clock)
        self.notifier = Notifier(
            self.index,
            self.store,
            Sender(settings.notification_secrets, frozenset(settings.notification_hosts)),
            lambda: self.room.trouble,
            self.clock,
        )
        endpoint = settings.store_public_endpoint or settings.store_endpoint
        self.offers = Offers(
            self.api, self.index, self.store, endpoint, lambda: self.teams.namespaces, self.clock
        )
        self.retention = RetentionKeeper(
            self.api,
            self.index,
            self.store,
            StoredObjects(self.store.client, self.store.bucket, self.store.uploads),
            self.teams,
            self.metrics,
            settings.competition_namespace,
            self.clock,
        )
        self.lease = Lease(self.api, settings.competition_namespace, settings.lease_name, settings.identity)

    def _make_competitions(self) -> Competitions:
        settings = self.settings
        rankings = Rankings(self.api, self.index, self.executor, settings, self.metrics, self.teams)
        audit = AuditList(self.api, self.store, self.executor.announcer, self.clock)
        finals = Finals(self.api, self.index, self.store, settings, rankings.counted)
        looks = Looks(
            *(self.api, self.index, self.queue, self.metrics, rankings, finals, self.teams),
            activity=ActivityPublisher(self.store),
            usage=self.executor.usage,
            clock=self.clock,
        )
        return Competitions(
            *(self.api, self.index, self.queue, self.submissions, settings, self.metrics, looks),
            audit=audit,
            teams=self.teams,
            room=self.room,
            clock=self.clock,
        )

    async def run(self) -> None:
        """Until a signal, or until something that cannot be lived with; then the Lease is given back.

        Raises:
            LeaseLostError: another operator took over.
            ApiError: the API server does not let it start.
        """
        began = time.monotonic()
        await self.lease.acquire()
        garbage.search_seldom()
        await self.start()
        garbage.spare_rows()
        if self.settings.metrics_port:
            start_http_server(self.settings.metrics_port, registry=self.metrics.registry)
        log.info(
            "The operator started in %.1f s and watches %d namespaces.",
            time.monotonic() - began,
            len(self._watched()) + 1,
        )
        with contextlib.ExitStack() as probes:
            if self.settings.health_port:
                probes.enter_context(answer_probes(self.liveness, self.settings.health_port))
            await self._run_until_stopped()

    async def _run_until_stopped(self) -> None:
        watching, started = watch_competition(self.index, self.settings)
        store_health = StoreHealth(_store_config(self.settings), self.metrics)
        loops: list[Coroutine[Any, Any, None]] = [
            watching,
            stop_signal(started),
            self.queue.run(self.work, WORKERS),
            self.lease.hold(),
            self.resync_forever(),
            self._probe_store(),
            self.room.watch(),
            self.notifier.run(),
            self.offers.run(),
            self.retention.run(),
            store_health.watch(),
            store_health.measure(),
            self._measure(),
            garbage.search_forever(),
            watch_standstills(self.metrics.standstill.observe),
        ]
        try:
            await first_of(loops)
        finally:
            if self._watch is not None:
                self._watch.stop()
            with contextlib.suppress(ApiError):
                await self.lease.release()

    async def start(self) -> None:
        """Fills the index, makes everything due, and watches the teams' namespaces."""
        await self.teams.refresh()
        await fill_index(self.index, self.api, self.settings, self.teams.namespaces)
        urgent, rest = self.index.all_keys()
        for key in urgent:
            self.queue.add(key)
        # Whose runs go on must not wait behind all that has ended.
        self._spread(rest, min(self.settings.resync_seconds, START_PAUSE * len(rest)))
        self.watch_teams()

    def watch_teams(self) -> None:
        """Sees to it that those teams' namespaces are watched that could be listed at the last try, and no others."""
        listed = frozenset(team for team in self.teams.namespaces if self.index.is_filled(SUBMISSIONS, team))
        if listed == self._watched():
            return
        old = self._watch
        if old is not None and old.alive and listed and old.cover(listed):
            return
        self._watch = None
        if listed:
            # It lists everything first, so nothing is lost where the old one stops before it has begun.
            is_team = self.teams.is_team if self.settings.cluster_wide else None
            self._watch = self.open_watch(self.index, listed, is_team)
            log.info("The namespaces of %d teams are watched.", len(listed))
        if old is not None:
            old.stop()

    def _watched(self) -> frozenset[str]:
        """Of the teams' namespaces."""
        return self._watch.namespaces if self._watch is not None and self._watch.alive else frozenset()

    async def work(self, key: WorkKey) -> None:
        """One turn; whatever goes wrong is said in one line, and the queue tries again."""
        turns = {
            "submission": self.submissions.work,
            "competition": self.competitions.work,
            "board": self.competitions.looks.work,
            "dataset": self.datasets.work,
            "rescore": self.submissions.deliver_credentials,
        }
        if key.kind == "submission" and not self._is_watched(key.namespace):
            # Its namespace was a team's when the key became due.
            return
        about = "competition" if key.kind == "board" else key.kind
        with logs.bind_object(about, key.namespace, key.name):
            try:
                await measure_turn(turns[key.kind](key), self.metrics.turn_cpu.labels(key.kind).observe)
            except Exception as error:
                self.metrics.work_failures.labels(key.kind).inc()
                known = None if isinstance(error, AlcoveError) else error
                cause = {"cause": type(error).__name__}
                log.warning("%s It is tried again.", error, exc_info=known, extra=cause)
                raise

    async def resync_forever(self) -> None:
        for turn in range(1, 1 << 62):
            await asyncio.sleep(self.settings.resync_seconds)
            await self.resync(everything=turn % RELIST_EVERY == 0)

    async def resync(self, everything: bool) -> None:
        """Looks at everything now and then, so that a lost event costs time and nothing else.

        ``everything``: lists everything again; otherwise only the teams' namespaces that no watch tells of, and the
        competition's own. There a Job whose end was missed would hold a place, and keep its Submission from going: a
        watch begins with a list, which says nothing of what has gone since the list before.
        """
        try:
            # First: a list that the server refuses must not cost runs under way their credentials.
            await self.submissions.refresh_credentials()
            await self._refresh_teams()
            if everything:
                await fill_index(self.index, self.api, self.settings, self.teams.namespaces)
                await delete_orphans(self.index, self.api, self.settings.competition_namespace, self.clock())
                self._forget()
            else:
                await fill_competition(self.index, self.api, self.settings)
                watched = self._watched()
                await fill_teams(self.index, self.api, self.teams.namespaces - watched)
            self.watch_teams()
            await self._release_teams()
            await self.executor.uploads.sweep(self._is_watched)
        except AlcoveError as error:
            log.warning("The resync was cut short: %s", error)
        # So that what events make due does not wait behind all of it.
        self._spread([key for keys in self.index.all_keys() for key in keys], self.settings.resync_seconds)

    def _spread(self, keys: list[WorkKey], seconds: float) -> None:
        for place, key in enumerate(keys):
            self.queue.add(key, seconds * place / len(keys))

    async def _refresh_teams(self) -> None:
        try:
            await self.teams.refresh()
        except AlcoveError as error:
            log.warning("The teams stay as they were: %s", error)

    def _is_watched(self, namespace: str) -> bool:
        return namespace in self.teams.namespaces or namespace == self.settings.competition_namespace

    async def _release_teams(self) -> None:
        """Lets go of namespaces that are no longer teams': their runs end, and their Submissions can be deleted.

        What cannot be let go of now is tried again at the next resync.
        """
        for namespace in sorted({of for of, _ in self.index.submissions if not self._is_watched(of)}):
            try:
                stopped = await self._release(namespace)
                log.info("%s is no team any more; %d Jobs were stopped.", namespace, stopped)
            except ApiError as error:
                log.warning("%s is no team any more, but cannot be let go of yet: %s", namespace, error)

    async def _release(self, namespace: str) -> int:
        """How many Jobs were deleted. Raises ApiError."""
        views = [
            self.index.submissions[name]
            for name in self.index.submissions.names_having("namespace", namespace)
        ]
        stopped = 0
        for view in views:
            for job in self.index.jobs_of(view.uid):
                stopped += await self.api.delete(JOBS, self.settings.competition_namespace, job.name, job.uid)
            await self.executor.remove_finalizer(view)
        self.index.forget_team(namespace)
        return stopped

    def _forget(self) -> None:
        """Drops what is kept in memory of objects that are gone."""
        self.submissions.forget()
        competitions = self.index.competitions.values()
        uids = {competition.uid for competition in competitions}
        self.competitions.forget(uids)
        self.notifier.forget(uids)
        self.metrics.forget({competition.name for competition in competitions})

    def _remind_competitions(self) -> None:
        for namespace, name in self.index.competitions:
            self.queue.add(WorkKey("competition", namespace, name))

    async def _probe_store(self) -> None:
        """While runs go on, notices that the store does not answer: evidence from outside of their pods."""
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if any(job.is_run and not job.view.finished for job in self.index.jobs.values()):
                try:
                    await asyncio.to_thread(self.store.exists, "code/probe")
                except StoreUnavailableError:
                    self.submissions.store_seen_away = self.clock()
                except StoreError as error:
                    log.warning("The store answers, but not as it should: %s", error)

    async def _measure(self) -> None:
        while True:
            self.metrics.work_age.set(self.queue.age)
            self.metrics.work_depth.set(self.queue.depth)
            self.liveness.beat(self.queue.turns, self.queue.depth)
            self.jobs_health.measure(self.clock())
            await asyncio.sleep(1.0)


def find_place(key: WorkKey) -> tuple[int, str]:
    """Competitions and datasets before Submissions, since others wait for what comes of them; then team by team."""
    return (1, key.namespace) if key.kind == "submission" else (0, "")


def _store_config(settings: OperatorSettings) -> StoreConfig:
    return StoreConfig(
        settings.store_endpoint, settings.store_region, settings.store_bucket, settings.store_credentials
    )


async def serve(settings: OperatorSettings) -> None:
    """Connects and runs. Raises :class:`AlcoveError`."""
    await Service.connect(settings).run()
