"""Watches, by kopf.

What kopf does for us, and all that it does:

- lists and watches each kind in each namespace, and starts again, with a pause, after a failure or a timeout;
- calls our handler for each object of the list and each event, in the order of the events of one object;
- logs in with the pod's token and renews it.

Everything else of it is switched off: it keeps no handler state, writes no annotations, finalizers or Events, and has
no peering. Our handler only updates the index, whose changes make keys due (:mod:`alcove_operator.events`). Which turn
runs when, and what is tried again, is for the work queue alone.

There are two kopf operators in the process, since each watches all of its kinds in all of its namespaces: one is for
the competition's namespace, the other for Submissions in the teams' namespaces, where we have no right to anything
else. A kopf operator ends where one of its namespaces cannot be listed, and its namespaces are fixed. So the second is
started for those that can be listed, and another takes its place whenever that changes
(:meth:`alcove_operator.service.Service.watch_teams`); until then the resync lists what is not watched.

Where the administrator allows it, the second watches Submissions in the whole cluster instead: one connection, however
many teams there are, that goes on when they come and go. What it tells of others than teams is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Collection, Coroutine
from typing import Any

import kopf

from alcove_kube.client import Object, drop_unread
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
from alcove_operator.config import OperatorSettings
from alcove_operator.index import Index
from alcove_operator.listing import SELECTOR, SUBMISSIONS_PAGE, UNREAD

log = logging.getLogger(__name__)
IN_COMPETITION = (COMPETITIONS, DATASETS, LEADERBOARDS, TEAM_USAGES, JOBS, PODS, SUBMISSIONS)
IN_TEAMS = (SUBMISSIONS,)
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
"""How long to wait for a connection, and for a page of a list. By kopf's defaults a list may hang for five minutes."""
WATCH_SECONDS, SILENT_SECONDS = 90, 100.0
"""How long the server keeps a watch, which then goes on from its last event; and when we give up one that is not ended:
its connection is dead. Kopf's own bound on silence is off. Where it passes in the round of the event loop in which an
event comes, kopf 1.45 cancels what reads that watch, for good and without a word."""
IDLE_SECONDS = 0.1
"""How long kopf holds the last event of each object. By its default of 5 s the list of 10,000 Submissions would be in
memory as a whole, as it was sent."""
Observer = Callable[[Resource, Object, bool], None]
"""Told of an object, and whether it is gone."""


class NoDiffBase(kopf.DiffBaseStorage):  # type: ignore[misc]  # kopf is not followed by the type checker
    """Kopf would read an annotation that a team can write, and fail on what it cannot parse."""

    def build(self, **_: Any) -> Any:
        """Kopf would copy each object as a whole, for a comparison with what is never kept."""
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class NoProgress(kopf.ProgressStorage):  # type: ignore[misc]
    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


def kopf_settings() -> Any:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.chunk_size = SUBMISSIONS_PAGE
    settings.queueing.idle_timeout = IDLE_SECONDS
    settings.watching.inactivity_timeout = math.inf
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = SILENT_SECONDS
    settings.networking.connect_timeout = CONNECT_SECONDS
    settings.networking.request_timeout = ANSWER_SECONDS
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.persistence.finalizer = "alcove.dev/kopf"
    for resource in (JOBS, PODS):
        settings.watching.label_selectors[group_of(resource), "v1", resource.plural] = SELECTOR
    return settings


def group_of(resource: Resource) -> str:
    return resource.api_version.rpartition("/")[0]


def registry(resources: Collection[Resource], observe: Observer) -> Any:
    """A handler of all events of ``resources``."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(_login)
    for resource in resources:
        version = resource.api_version.rpartition("/")[2]
        watch = kopf.on.event(
            group_of(resource), version, resource.plural, registry=handlers, id=resource.plural
        )
        watch(_handler(resource, observe))
    return handlers


def _handler(resource: Resource, observe: Observer) -> Any:
    async def observed(event: Any, **_: Any) -> None:
        observe(resource, event["object"], event["type"] == "DELETED")

    return observed


def _login(**arguments: Any) -> Any:
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)


def watch_competition(
    index: Index, settings: OperatorSettings
) -> tuple[Coroutine[None, None, None], asyncio.Event]:
    """Watches the competition's namespace; to be run for ever.

    With it comes an event that is set when it has started, and with that installed its own signal handlers.
    """
    # Each event would be a line; what matters of it is said where it is acted on.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    started = asyncio.Event()
    running = kopf.operator(
        registry=registry(IN_COMPETITION, index.apply),
        settings=kopf_settings(),
        namespaces=[settings.competition_namespace],
        standalone=True,
        ready_flag=started,
    )
    return running, started


class TeamWatch:
    """Watches Submissions in some teams' namespaces, or in the whole cluster, from now until :meth:`stop`.

    In a thread with an event loop of its own: when kopf ends, it cancels all younger tasks of its loop.
    The index is touched on the loop of whoever makes this.
    """

    def __init__(
        self, index: Index, namespaces: frozenset[str], is_team: Callable[[str], bool] | None = None
    ) -> None:
        """``is_team``: the whole cluster is watched, and this chooses at each event whether it is taken in: also of a
        namespace that is about to be listed, or something would be lost in between."""
        self.namespaces = namespaces
        self._is_team = is_team
        self._take_in = index.apply
        self._home = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="team-watch", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._stop.is_set()

    def cover(self, namespaces: frozenset[str]) -> bool:
        """From now on these are the ones; False where that takes another watch."""
        if self._is_team is not None:
            self.namespaces = namespaces
        return self._is_team is not None

    def stop(self) -> None:
        """Returns at once; events that are on their way may still be taken in."""
        self._stop.set()

    def _run(self) -> None:
        # Kopf would say in every thread but the main one that it does not listen to signals.
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
        try:
            asyncio.run(self._operate())
        except Exception as error:
            said = "The watch of the teams' namespaces ended: %s. The next resync lists them and starts it again."
            log.warning(said, error)

    async def _operate(self) -> None:
        try:
            await kopf.operator(
                registry=registry(IN_TEAMS, self._hand_over),
                settings=kopf_settings(),
                **self._choose_scope(),
                standalone=True,
                stop_flag=self._stop,
            )
        finally:
            # Kopf's wait for it holds a thread, which would hold this one.
            self._stop.set()

    def _choose_scope(self) -> dict[str, Any]:
        return {"clusterwide": True} if self._is_team is not None else {"namespaces": sorted(self.namespaces)}

    def _hand_over(self, resource: Resource, raw: Object, deleted: bool) -> None:
        if self._is_team is not None and not self._is_team(raw["metadata"]["namespace"]):
            return
        # Kopf holds what it read for seconds, and events wait for their turn on the other loop: what teams can hang on
        # an object must not wait with them.
        raw["metadata"] = drop_unread(raw["metadata"].items(), UNREAD)
        if not self._home.is_closed():
            self._home.call_soon_threadsafe(self._take_in, resource, raw, deleted)
