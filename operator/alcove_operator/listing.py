"""Lists the cluster into the index: at the start, and now and then, since a watch can miss a deletion."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from types import MappingProxyType

from alcove_api.submission import CHOSEN
from alcove_kube.client import Object, Unread
from alcove_kube.errors import ApiError
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
from alcove_operator.api import Api
from alcove_operator.config import OperatorSettings
from alcove_operator.core import names
from alcove_operator.index import Index
from alcove_operator.tables import ObjectName

log = logging.getLogger(__name__)

SELECTOR = names.ROLE
"""Jobs and pods of ours carry this label; the server leaves out all others."""
SUBMISSIONS_PAGE, LISTS = 8, 2
"""Submissions of a page, and lists of Submissions at once: one may have 1.5 MB, and several times that in Python."""
LARGE_PAGE, LARGE_PAGE_BYTES = 32, 2 * 2**20
"""Submissions of a page while these have no more bytes, as nearly all have. A page costs a request, and this takes a
quarter of them."""
UNREAD: Unread = MappingProxyType(
    {
        "labels": frozenset({CHOSEN}),
        "annotations": frozenset(),
        "managedFields": frozenset(),
        "generateName": frozenset(),
    }
)
"""Metadata of Submissions that the operator does not read, and that teams fill."""
LIST_ATTEMPTS = 3
"""How often a list is begun at most, where the server forgets in between what moment it is of."""
PAGE = 100
"""Objects of a page of what teams cannot write. The interpreter does nothing else while it parses an answer: 11 ms with
100 Jobs, 148 ms with 500."""


async def fill_index(index: Index, api: Api, settings: OperatorSettings, teams: Collection[str]) -> None:
    """Lists everything, and the Submissions of these teams: at the start, and now and then, since a watch can miss a
    deletion.

    A team's namespace that cannot be listed (deleted, its Role gone, the server overloaded) is left out, so that it
    does not keep the other teams waiting; :meth:`Index.is_filled` tells.

    Raises:
        ApiError: the competition's own namespace cannot be listed.
    """
    await fill_competition(index, api, settings)
    await fill_teams(index, api, teams)


async def fill_competition(index: Index, api: Api, settings: OperatorSettings) -> None:
    """Lists the competition's own namespace. Raises :class:`ApiError` where it cannot be listed."""
    own = settings.competition_namespace
    await asyncio.gather(
        *(
            _fill_one(index, api, resource, own)
            for resource in (COMPETITIONS, DATASETS, LEADERBOARDS, TEAM_USAGES, SUBMISSIONS)
        ),
        *(_fill_one(index, api, resource, own, SELECTOR) for resource in (JOBS, PODS)),
    )


async def fill_teams(index: Index, api: Api, namespaces: Iterable[str]) -> None:
    """Lists the Submissions of these namespaces; one that cannot be listed is marked as not filled."""

    async def fill_team(namespace: str) -> None:
        try:
            async with lists:
                await _fill_one(index, api, SUBMISSIONS, namespace)
        except ApiError as error:
            index.mark_unfilled(SUBMISSIONS, namespace)
            if error.status in (403, 404):
                await _look_one_by_one(index, api, namespace)
            log.warning(
                "The Submissions in the namespace %s cannot be listed, so it is left out for now: %s "
                "Check that the namespace exists and that the chart's values name it as a team.",
                namespace,
                error,
            )

    lists = asyncio.Semaphore(LISTS)
    await asyncio.gather(*(fill_team(namespace) for namespace in namespaces))


async def _look_one_by_one(index: Index, api: Api, namespace: str) -> None:
    """The Submissions that are known in a namespace whose rights are gone, with which it cannot be listed: where the
    namespace is being deleted, they wait for the operator. What cannot be read stays as it was."""
    for _, name in index.submissions.names_having("namespace", namespace):
        known = index.versions.get((SUBMISSIONS, namespace, name))
        if known is None:
            continue  # it went while another was asked for
        try:
            found = await api.find(SUBMISSIONS, namespace, name)
        except ApiError:
            continue
        if found is None:
            index.drop(SUBMISSIONS, (namespace, name), known.resource)
        else:
            index.apply(SUBMISSIONS, found)


async def _fill_one(index: Index, api: Api, resource: Resource, namespace: str, selector: str = "") -> None:
    for left in reversed(range(LIST_ATTEMPTS)):
        try:
            return await _fill_by_pages(index, api, resource, namespace, selector)
        except ApiError as error:
            if not error.gone or not left:
                raise


async def _fill_by_pages(index: Index, api: Api, resource: Resource, namespace: str, selector: str) -> None:
    """No more than a page is in memory, however large teams make their objects, and of it only what is read."""
    before, present, after = index.known(resource, namespace), set[ObjectName](), ""
    find = _find_submissions if resource is SUBMISSIONS else _find_others
    while True:
        page, after = await find(api, resource, namespace, selector, after)
        present.update(index.apply_listed(resource, raw) for raw in page)
        del page
        if not after:
            break
    index.settle(resource, namespace, before, present)


async def _find_others(
    api: Api, resource: Resource, namespace: str, selector: str, after: str
) -> tuple[list[Object], str]:
    return await api.find_page(resource, namespace, PAGE, selector, after)


async def _find_submissions(
    api: Api, resource: Resource, namespace: str, selector: str, after: str
) -> tuple[list[Object], str]:
    try:
        return await api.find_page(
            resource, namespace, LARGE_PAGE, selector, after, UNREAD, bytes_at_most=LARGE_PAGE_BYTES
        )
    except ApiError as error:
        if not error.too_long:
            raise
    return await api.find_page(resource, namespace, SUBMISSIONS_PAGE, selector, after, UNREAD)
