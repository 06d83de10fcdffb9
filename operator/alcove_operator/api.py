"""The client of the API server for asyncio: each request waits in a thread, and is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from alcove_kube.client import NOTHING_UNREAD, KubeClient, Object, Unread
from alcove_kube.errors import ApiError
from alcove_kube.resources import PODS, Resource

_T = TypeVar("_T")


@dataclass
class Api:
    """All methods do, and raise, what those of :class:`KubeClient` do; each is one request."""

    client: KubeClient
    count: Callable[[str, str], None] = lambda _verb, _plural: None
    """Told of every request: its HTTP verb, and the plural of its kind."""
    count_failure: Callable[[str, str, int], None] = lambda _verb, _plural, _status: None
    """Told of every one that failed, with the HTTP status, 0 where there was no answer. 404 and 409 are answers."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self._run("GET", resource, self.client.get, resource, namespace, name)

    async def find(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        return await self._run("GET", resource, self.client.find, resource, namespace, name)

    async def find_all(self, resource: Resource, namespace: str, selector: str = "") -> list[Object]:
        return await self._run("GET", resource, self.client.find_all, resource, namespace, selector)

    async def find_page(
        self,
        resource: Resource,
        namespace: str,
        limit: int,
        selector: str = "",
        after: str = "",
        unread: Unread = NOTHING_UNREAD,
        bytes_at_most: int | None = None,
    ) -> tuple[list[Object], str]:
        call = self.client.find_page
        asked = (namespace, limit, selector, after, unread, bytes_at_most)
        return await self._run("GET", resource, call, resource, *asked)

    async def read_log(self, namespace: str, pod: str) -> str:
        return await self._run("GET", PODS, self.client.read_log, namespace, pod)

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        return await self._run("POST", resource, self.client.create, resource, namespace, body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        return await self._run("PUT", resource, self.client.replace, resource, namespace, name, body)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Object | list[Object],
        subresource: Literal["", "status"] = "",
    ) -> Object:
        return await self._run(
            "PATCH", resource, self.client.patch, resource, namespace, name, body, subresource
        )

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str | None = None) -> bool:
        return await self._run("DELETE", resource, self.client.delete, resource, namespace, name, uid)

    async def _run(self, verb: str, resource: Resource, call: Callable[..., _T], *arguments: Any) -> _T:
        self.count(verb, resource.plural)
        try:
            return await self._send(verb, resource, call, *arguments)
        except ApiError as error:
            if not (error.not_found or error.conflict):
                self.count_failure(verb, resource.plural, error.status)
            raise

    async def _send(self, _verb: str, _resource: Resource, call: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.to_thread(partial(call, *arguments))
