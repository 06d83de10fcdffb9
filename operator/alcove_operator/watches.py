"""Watches, by kopf.

What kopf does for us, and all that it does:

- lists and watches each kind in each namespace, and starts again, with a pause, after a failure or a timeout;
- calls our handler for each object of the list and each event, in the order of the events of one object;
- logs in with the pod's token and renews it; answers the liveness probe.

Everything else of it is switched off: it keeps no handler state, writes no annotations, finalizers or Events, and has
no peering. Our handler only updates the index and makes keys due (:mod:`alcove_operator.events`). Which turn runs
when, and what is tried again, is for the work queue alone.

There are two kopf operators in the process, since each watches all of its kinds in all of its namespaces: one is for
the competition's namespace, the other for Submissions in the teams' namespaces, where we have no right to anything
else. A namespace that cannot be listed at the start is not watched; the resync lists it until the operator starts
again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine
from typing import Any

import kopf

from alcove_kube.resources import COMPETITIONS, DATASETS, JOBS, LEADERBOARDS, PODS, SUBMISSIONS, Resource
from alcove_operator.config import OperatorSettings
from alcove_operator.events import take_in
from alcove_operator.index import SELECTOR, SUBMISSIONS_PAGE, Index, WorkKey
from alcove_operator.workqueue import WorkQueue

IN_COMPETITION = (COMPETITIONS, DATASETS, LEADERBOARDS, JOBS, PODS)
IN_TEAMS = (SUBMISSIONS,)


class NoDiffBase(kopf.DiffBaseStorage):  # type: ignore[misc]  # kopf is not followed by the type checker
    """Kopf would read an annotation that a team can write, and fail on what it cannot parse."""

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
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.persistence.finalizer = "alcove.dev/kopf"
    for resource in (JOBS, PODS):
        settings.watching.label_selectors[group_of(resource), "v1", resource.plural] = SELECTOR
    return settings


def group_of(resource: Resource) -> str:
    return resource.api_version.rpartition("/")[0]


def registry(index: Index, queue: WorkQueue[WorkKey], resources: Collection[Resource]) -> Any:
    """Handlers for all events of ``resources``."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(_login)
    for resource in resources:
        version = resource.api_version.rpartition("/")[2]
        watch = kopf.on.event(
            group_of(resource), version, resource.plural, registry=handlers, id=resource.plural
        )
        watch(_handler(index, queue, resource))
    return handlers


def _handler(index: Index, queue: WorkQueue[WorkKey], resource: Resource) -> Any:
    async def observed(event: Any, **_: Any) -> None:
        take_in(index, queue, resource, event["object"], event["type"] == "DELETED")

    return observed


def _login(**arguments: Any) -> Any:
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)


def operators(
    index: Index, queue: WorkQueue[WorkKey], settings: OperatorSettings, teams: Collection[str]
) -> list[tuple[Coroutine[None, None, None], asyncio.Event]]:
    """One for the competition's namespace, one for those of ``teams``; each to be run for ever.

    With each comes an event that is set when it has started, and with that installed its own signal handlers.
    """
    # Each event would be a line; what matters of it is said where it is acted on.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    health = f"http://0.0.0.0:{settings.health_port}/healthz" if settings.health_port else None
    found = [_operator(index, queue, IN_COMPETITION, [settings.competition_namespace], health)]
    if teams:
        found.append(_operator(index, queue, IN_TEAMS, teams, None))
    return found


def _operator(
    index: Index,
    queue: WorkQueue[WorkKey],
    resources: Collection[Resource],
    namespaces: Collection[str],
    health: str | None,
) -> tuple[Coroutine[None, None, None], asyncio.Event]:
    started = asyncio.Event()
    running = kopf.operator(
        registry=registry(index, queue, resources),
        settings=kopf_settings(),
        namespaces=list(namespaces),
        standalone=True,
        liveness_endpoint=health,
        ready_flag=started,
    )
    return running, started
