"""A small client of the API server: verbs on paths, JSON in and out.

It stands on the ``kubernetes`` package for authentication, TLS and connections, and leaves out its models:
the operator handles plain dictionaries, and building models of Jobs and Pods to take them apart costs time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from alcove_api.base import API_VERSION
from alcove_operator.errors import ApiError

Object = dict[str, Any]
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and to read."""


@dataclass(frozen=True)
class Resource:
    """One kind of object, all of them in namespaces but Nodes."""

    api_version: str
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        parts = [root, *(["namespaces", namespace] if namespace else []), self.plural, name, subresource]
        return "/".join(part for part in parts if part)


SUBMISSIONS = Resource(API_VERSION, "submissions")
COMPETITIONS = Resource(API_VERSION, "competitions")
DATASETS = Resource(API_VERSION, "datasets")
LEADERBOARDS = Resource(API_VERSION, "leaderboards")
JOBS = Resource("batch/v1", "jobs")
PODS = Resource("v1", "pods")
SECRETS = Resource("v1", "secrets")
CONFIG_MAPS = Resource("v1", "configmaps")
DEPLOYMENTS = Resource("apps/v1", "deployments")
NODES = Resource("v1", "nodes")
NAMESPACES = Resource("v1", "namespaces")
EVENTS = Resource("events.k8s.io/v1", "events")
LEASES = Resource("coordination.k8s.io/v1", "leases")


@dataclass
class Api:
    """All methods raise :class:`ApiError`; each is one request."""

    client: client.ApiClient
    count: Callable[[str, str], None] = lambda _verb, _plural: None
    """Told of every request."""

    @classmethod
    def connect(cls) -> Api:
        """With the pod's own token; outside of a cluster, with the current kubeconfig."""
        settings = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException:
            config.load_kube_config(client_configuration=settings)
        settings.connection_pool_maxsize = 16
        return cls(client.ApiClient(settings))

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self._ask("GET", resource, resource.path(namespace, name))

    async def find(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """None where there is no such object."""
        try:
            return await self.get(resource, namespace, name)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def find_all(self, resource: Resource, namespace: str, selector: str = "") -> list[Object]:
        query = [("labelSelector", selector)] if selector else []
        answer = await self._ask("GET", resource, resource.path(namespace), query=query)
        return list(answer["items"])

    async def log(self, namespace: str, pod: str) -> str:
        """All that the pod's only container has said."""
        return await asyncio.to_thread(self._read_log, PODS.path(namespace, pod, "log"))

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        return await self._ask("POST", resource, resource.path(namespace), body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        return await self._ask("PUT", resource, resource.path(namespace, name), body)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Object | list[Object],
        subresource: Literal["", "status"] = "",
    ) -> Object:
        """A list is a JSON patch, a dictionary a merge patch."""
        kind = JSON_PATCH if isinstance(body, list) else MERGE
        return await self._ask("PATCH", resource, resource.path(namespace, name, subresource), body, kind)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str | None = None) -> bool:
        """Deletes with Background propagation; False where there was nothing (of that uid) to delete."""
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._ask("DELETE", resource, resource.path(namespace, name), body)
        except ApiError as error:
            if error.not_found or (uid and error.conflict):
                return False
            raise
        return True

    async def _ask(
        self,
        verb: str,
        resource: Resource,
        path: str,
        body: Object | list[Object] | None = None,
        content: str = "application/json",
        query: list[tuple[str, str]] | None = None,
    ) -> Object:
        self.count(verb, resource.plural)
        return await asyncio.to_thread(self._send, verb, path, body, content, query)

    def _send(
        self, verb: str, path: str, body: object, content: str, query: list[tuple[str, str]] | None
    ) -> Object:
        headers = {"Accept": "application/json", "Content-Type": content}
        return _parse(self._exchange(verb, path, body, headers, query))

    def _read_log(self, path: str) -> str:
        return self._exchange("GET", path, None, {"Accept": "*/*"}, None).decode(errors="replace")

    def _exchange(
        self,
        verb: str,
        path: str,
        body: object,
        headers: dict[str, str],
        query: list[tuple[str, str]] | None,
    ) -> bytes:
        request = self.client.param_serialize(
            verb,
            path,
            query_params=query or [],
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self.client.call_api(*request, _request_timeout=TIMEOUT)
            data = bytes(response.read() or b"")
        except (HTTPError, OSError) as error:
            raise ApiError(f"The API server did not answer {verb} {path}: {error}.") from error
        except ApiException as error:
            raise ApiError(f"The API server refused {verb} {path}: {error.reason}.") from error
        if not 200 <= response.status < 300:
            answer = _parse(data)
            raise ApiError(
                f"{verb} {path}: {answer.get('message') or response.status}.",
                status=response.status,
                reason=str(answer.get("reason", "")),
            )
        return data


def _parse(data: bytes) -> Object:
    try:
        answer = json.loads(data or b"{}")
    except ValueError:
        return {"message": (data or b"")[:200].decode(errors="replace")}
    return answer if isinstance(answer, dict) else {}
