"""A small client of the API server: verbs on paths, JSON in and out.

It stands on the ``kubernetes`` package for authentication, TLS and connections, and leaves out its models: building
objects of Jobs and Pods only to take them apart costs time. Retries are this module's own, since a write whose answer
was lost must not be repeated blindly.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from alcove_api.errors import AlcoveError
from alcove_api.retry import retry
from alcove_kube.errors import TOO_LONG, ApiError, KubeconfigError
from alcove_kube.resources import PODS, SECRETS, Resource

Object = dict[str, Any]
Unread = Mapping[str, frozenset[str]]
"""By name of a member that is not read: what of it is read all the same."""
NOTHING_UNREAD: Unread = MappingProxyType({})
Verb = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and to read."""
PATIENCE = 5.0
"""Seconds after the first failure in which a request is repeated."""
CONNECTIONS = 16
_REPEATABLE = ("GET", "PUT", "DELETE")
"""Done twice, they do what they do once."""
_CONSEQUENCE_OF_LOSS = "The change may have been made or not."
_UNREACHABLE_REMEDY = "Check the address in the kubeconfig, and that the cluster is up."


@dataclass
class KubeClient:
    """All methods raise :class:`ApiError`. Threads may share one."""

    connection: client.ApiClient
    patience: float = PATIENCE
    """Seconds; 0: every request is sent once."""
    timeout: tuple[float, float] = TIMEOUT
    hear_date: Callable[[str | None], None] = lambda _date: None
    """Told of the header Date of each answer, as it comes, in whatever thread."""

    @classmethod
    def from_kubeconfig(cls, path: str | None = None, context: str | None = None) -> KubeClient:
        """By default $KUBECONFIG, its current context. Raises :class:`KubeconfigError`."""
        settings = client.Configuration()
        try:
            config.load_kube_config(path, context, client_configuration=settings)
        except Exception as error:
            # For a file that is not a kubeconfig the package raises errors of half a dozen kinds.
            raise _unusable(error) from error
        return cls(_connection(settings))

    @classmethod
    def from_pod(cls) -> KubeClient:
        """With the pod's own token; outside of a cluster as :meth:`from_kubeconfig`."""
        settings = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException:
            return cls.from_kubeconfig()
        return cls(_connection(settings))

    @staticmethod
    def read_namespace(path: str | None = None) -> str:
        """Of a kubeconfig's current context, by default $KUBECONFIG's; "" where it names none.

        Raises :class:`KubeconfigError`.
        """
        try:
            _, context = config.list_kube_config_contexts(path)
        except Exception as error:
            raise _unusable(error) from error
        return str(((context or {}).get("context") or {}).get("namespace") or "")

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return self.request("GET", resource.path(namespace, name))

    def find(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """None where there is no such object."""
        try:
            return self.get(resource, namespace, name)
        except ApiError as error:
            if error.not_found:
                return None
            raise

    def find_all(self, resource: Resource, namespace: str | None, selector: str = "") -> list[Object]:
        """Those that ``selector`` (of labels) chooses; with no namespace, those of all namespaces."""
        query = [("labelSelector", selector)] if selector else []
        return list(self.request("GET", resource.path(namespace), query=query)["items"])

    def find_page(
        self,
        resource: Resource,
        namespace: str | None,
        limit: int,
        selector: str = "",
        after: str = "",
        unread: Unread = NOTHING_UNREAD,
        bytes_at_most: int | None = None,
    ) -> tuple[list[Object], str]:
        """At most ``limit`` objects, and what to give as ``after`` for the next ones; "" after the last.

        Pages of one list are of one moment. Where the server no longer knows that moment, it answers with status 410
        (:attr:`ApiError.gone`). Members named in ``unread``, at any depth, are dropped while the answer is parsed, but
        for those of their own members that it keeps. Of an answer longer than ``bytes_at_most`` the rest is not read,
        and the error is :attr:`ApiError.too_long`.
        """
        query = [("limit", str(limit)), ("labelSelector", selector), ("continue", after)]
        asked = [pair for pair in query if pair[1]]
        answer = self.request("GET", resource.path(namespace), None, JSON, asked, unread, bytes_at_most)
        return list(answer["items"]), str((answer.get("metadata") or {}).get("continue") or "")

    def read_secret(self, namespace: str, name: str) -> dict[str, bytes]:
        data = self.get(SECRETS, namespace, name).get("data") or {}
        return {key: base64.b64decode(value) for key, value in data.items()}

    def read_log(self, namespace: str, pod: str) -> str:
        """All that the pod's only container has written."""
        return self.read_text(PODS.path(namespace, pod, "log"))

    def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: Object,
        subresource: str = "",
        *,
        dry_run: bool = False,
    ) -> Object:
        """``dry_run``: the server checks and answers as ever, and keeps nothing."""
        name = body["metadata"]["name"] if subresource else ""
        query = [("dryRun", "All")] if dry_run else []
        return self.request("POST", resource.path(namespace, name, subresource), body, query=query)

    def replace(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        return self.request("PUT", resource.path(namespace, name), body)

    def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Object | list[Object],
        subresource: Literal["", "status"] = "",
        *,
        manager: str = "",
    ) -> Object:
        """A list is a JSON patch, a dictionary a merge patch. ``manager``: who the managed fields say wrote it."""
        kind = JSON_PATCH if isinstance(body, list) else MERGE_PATCH
        query = [("fieldManager", manager)] if manager else []
        return self.request("PATCH", resource.path(namespace, name, subresource), body, kind, query)

    def delete(self, resource: Resource, namespace: str | None, name: str, uid: str | None = None) -> bool:
        """Deletes with Background propagation; False where there was nothing (of that uid) to delete."""
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self.request("DELETE", resource.path(namespace, name), body)
        except ApiError as error:
            if error.not_found or (uid and error.conflict):
                return False
            raise
        return True

    def read_text(self, path: str) -> str:
        return self._repeat("GET", path, None, "", []).decode(errors="replace")

    def request(
        self,
        verb: Verb,
        path: str,
        body: Object | list[Object] | None = None,
        content: str = JSON,
        query: list[tuple[str, str]] | None = None,
        unread: Unread = NOTHING_UNREAD,
        bytes_at_most: int | None = None,
    ) -> Object:
        return _parse(self._repeat(verb, path, body, content, query or [], bytes_at_most), unread)

    def _repeat(
        self,
        verb: Verb,
        path: str,
        body: object,
        content: str,
        query: list[tuple[str, str]],
        bytes_at_most: int | None = None,
    ) -> bytes:
        def may_repeat(error: AlcoveError) -> bool:
            assert isinstance(error, ApiError)
            return error.retriable and (verb in _REPEATABLE or error.done is False)

        return retry(
            lambda: self._send(verb, path, body, content, query, bytes_at_most),
            self.patience,
            may_repeat=may_repeat,
        )

    def _send(
        self,
        verb: Verb,
        path: str,
        body: object,
        content: str,
        query: list[tuple[str, str]],
        bytes_at_most: int | None,
    ) -> bytes:
        headers = {"Accept": JSON, "Content-Type": content} if content else {"Accept": "*/*"}
        request = self.connection.param_serialize(
            verb, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            response = self.connection.call_api(*request, _request_timeout=self.timeout)
            self.hear_date(response.headers.get("Date"))
            data = _read(response.response, verb, path, bytes_at_most)
        except (HTTPError, OSError, ApiException) as error:
            raise _unanswered(verb, path, error) from error
        if not 200 <= response.status < 300:
            raise _refused(verb, path, response.status, response.headers.get("Retry-After"), _parse(data))
        return data


def _read(answer: BaseHTTPResponse, verb: Verb, path: str, bytes_at_most: int | None) -> bytes:
    if bytes_at_most is None:
        return bytes(answer.read(decode_content=True) or b"")
    data = bytes(answer.read(bytes_at_most + 1, decode_content=True) or b"")
    if len(data) <= bytes_at_most:
        answer.release_conn()
        return data
    # What is left of it is on the connection, which nobody can use again.
    answer.close()
    raise ApiError(
        f"The API server's answer has more than {bytes_at_most} bytes when asked to {_task(verb, path)}.",
        status=answer.status,
        reason=TOO_LONG,
    )


def _connection(settings: client.Configuration) -> client.ApiClient:
    settings.connection_pool_maxsize = CONNECTIONS
    settings.retries = False
    return client.ApiClient(settings)


def _unusable(error: Exception) -> KubeconfigError:
    reason = " ".join(str(error).split())[:300].rstrip(".")
    return KubeconfigError(
        f"No usable kubeconfig, so no cluster can be reached: {reason}.",
        remedy="Set KUBECONFIG, or give --kubeconfig.",
    )


def _unanswered(verb: Verb, path: str, error: Exception) -> ApiError:
    said = error.reason if isinstance(error, ApiException) else str(error)
    reason = " ".join(str(said).split())[:300].rstrip(".")
    # A connection that was never made carried no request.
    lost = verb != "GET" and not isinstance(error, (NewConnectionError, ConnectTimeoutError, ApiException))
    return ApiError(
        f"The API server gave no answer when asked to {_task(verb, path)} ({type(error).__name__}: {reason}).",
        done=None if lost else False,
        consequence=_CONSEQUENCE_OF_LOSS if lost else "",
        remedy=_UNREACHABLE_REMEDY,
    )


_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "[^"]*"'
    r'(?P<where> in the namespace "(?P<namespace>[^"]+)"| at the cluster scope)'
)
"""What the API server says where no Role gives a right."""


def _explain(verb: Verb, path: str, status: int, message: str) -> tuple[str, str]:
    """Cause and remedy of a refusal, in a sentence each."""
    task = _task(verb, path)
    lacking = _FORBIDDEN.search(message)
    if status == 403 and lacking:
        where = f"in the namespace {lacking['namespace']}" if lacking["namespace"] else "of the whole cluster"
        cause = f"The account {lacking['user']} may not {lacking['verb']} {lacking['resource']} {where}."
        return cause, "Check the namespace, and whose kubeconfig it is."
    if status == 401:
        remedy = (
            "Its token has ended, or is of another cluster. Get a new kubeconfig; a team asks its organizer."
        )
        return f"The API server does not know who asks it to {task}.", remedy
    if status == 404 and verb == "GET" and message.endswith("not found"):
        kind, _, rest = task.removeprefix("read ").partition("/")
        name, _, namespace = rest.partition(" in ")
        if name:
            where = f" in the namespace {namespace}" if namespace else ""
            listed = f"kubectl get {kind}{f' -n {namespace}' if namespace else ''}"
            return f"There is no {kind}/{name}{where}.", f"To see what there is: {listed}"
    return f"The API server refused to {task}: {message}.", ""


def _refused(verb: Verb, path: str, status: int, wait: str | None, answer: Object) -> ApiError:
    message = str(answer.get("message") or f"HTTP status {status}").rstrip(".")
    # 429 is answered before anything is done; a server that fails with 500 or more may have got anywhere.
    unknown = verb != "GET" and status >= 500
    cause, remedy = _explain(verb, path, status, message)
    return ApiError(
        cause,
        remedy=remedy,
        status=status,
        reason=str(answer.get("reason", "")),
        message=message,
        done=None if unknown else False,
        retry_after=float(wait) if wait and wait.isdigit() else 0.0,
        consequence=_CONSEQUENCE_OF_LOSS if unknown else "",
    )


def _task(verb: Verb, path: str) -> str:
    """Such as "create jobs/one in red", from the verb and path of a request."""
    done = {"GET": "read", "POST": "create", "PUT": "replace", "PATCH": "change", "DELETE": "delete"}[verb]
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    where = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        where, rest = f" in {rest[1]}", rest[2:]
    return f"{done} {'/'.join(rest) or path}{where}"


def drop_unread(members: Iterable[tuple[str, Any]], unread: Unread) -> Object:
    """The object that has these members, without what is ``unread``."""
    found = {}
    for name, value in members:
        if name not in unread:
            found[name] = value
        elif isinstance(value, dict) and (read := {key: value[key] for key in unread[name] & value.keys()}):
            found[name] = read
    return found


def _parse(data: bytes, unread: Unread = NOTHING_UNREAD) -> Object:
    def drop(pairs: list[tuple[str, Any]]) -> Object:
        return drop_unread(pairs, unread)

    try:
        answer = json.loads(data or b"{}", object_pairs_hook=drop if unread else None)
    except ValueError:
        return {"message": (data or b"")[:200].decode(errors="replace")}
    return answer if isinstance(answer, dict) else {}
