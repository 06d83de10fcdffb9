"""An API server in memory, and a client that delays, refuses, repeats and loses requests as a schedule says.

The server is the real :class:`KubeClient` whose requests end in this process: paths, verbs and JSON are the real ones.
It keeps what the operator relies on: resource versions and conflicts, the status subresource, generations, finalizers,
label selectors, Background deletion, writes that change nothing, and an event for each change.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from kubernetes.client import ApiClient

from alcove_kube.client import NOTHING_UNREAD, KubeClient, Object, Unread, Verb
from alcove_kube.errors import TOO_LONG, ApiError
from alcove_kube.resources import COMPETITIONS, DATASETS, LEADERBOARDS, SUBMISSIONS, TEAM_USAGES, Resource
from alcove_operator.api import Api
from tests.unit.operator_core.pods import stamp

T = TypeVar("T")
Spot = tuple[str, str, str]
"""(plural, namespace, name)."""
WITH_STATUS = {r.plural for r in (COMPETITIONS, DATASETS, LEADERBOARDS, SUBMISSIONS, TEAM_USAGES)} | {
    "jobs",
    "pods",
}


def copy(raw: T) -> T:
    return json.loads(json.dumps(raw))  # type: ignore[no-any-return]


def refusal(status: int, said: str) -> ApiError:
    return ApiError(
        f"The API server refused it: {said}.", status=status, done=None if status >= 500 else False
    )


class MemoryServer(KubeClient):
    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(cast(ApiClient, None), patience=0.0)
        self.clock = clock
        self.objects: dict[Spot, Object] = {}
        self.forbidden: set[tuple[str, str]] = set()
        """(plural, or plural/subresource; namespace, or name of what is in none): answered with 403."""
        self.unlisted: set[tuple[str, str]] = set()
        """The same, but only of lists: each object can still be asked for by its name."""
        self.listeners: list[Callable[[str, Object, bool], None]] = []
        """Told of each change: plural, object, whether it is gone."""
        self.created: list[Spot] = []
        self.version = 0

    def request(
        self,
        verb: Verb,
        path: str,
        body: Object | list[Object] | None = None,
        _content: str = "",
        query: list[tuple[str, str]] | None = None,
        _unread: Unread = NOTHING_UNREAD,
        _bytes_at_most: int | None = None,
    ) -> Object:
        plural, namespace, name, subresource = _parse(path)
        if {(plural, namespace or name), (f"{plural}/{subresource}", namespace)} & self.forbidden:
            raise refusal(403, f"{plural} in {namespace or name} is forbidden")
        if verb == "GET" and not name and (plural, namespace) in self.unlisted:
            raise refusal(403, f"listing {plural} in {namespace} is forbidden")
        if verb == "GET" and not name:
            found = list(self._select(plural, namespace, dict(query or []).get("labelSelector", "")))
            if _bytes_at_most is not None and len(json.dumps(found)) > _bytes_at_most:
                raise ApiError("The answer is too long.", status=200, reason=TOO_LONG)
            return {"items": found}
        assert not isinstance(body, list)
        sent = copy(body or {})
        if verb == "POST":
            return copy(self._create(plural, namespace, sent))
        old = self.objects.get((plural, namespace, name))
        if old is None:
            raise refusal(404, f"{plural} {name} not found")
        if verb == "GET":
            return copy(old)
        if verb == "DELETE":
            return self._delete((plural, namespace, name), old, sent)
        asked = (sent.get("metadata") or {}).get("resourceVersion")
        if asked is not None and asked != old["metadata"]["resourceVersion"]:
            raise refusal(409, f"{plural} {name} has been modified")
        if (sent.get("metadata") or {}).get("uid") not in (None, old["metadata"]["uid"]):
            raise refusal(409, f"{plural} {name} has another UID")
        new = _merged(old, sent) if verb == "PATCH" else {**sent, "status": old.get("status", {})}
        if plural in WITH_STATUS:
            merged = (
                {**old, "status": new.get("status", {})}
                if subresource
                else {**new, "status": old.get("status", {})}
            )
            new = copy(merged)
        return copy(self._store((plural, namespace, name), old, new))

    def _select(self, plural: str, namespace: str, selector: str) -> Iterator[Object]:
        key, _, value = selector.partition("=")
        for (of, where, _), raw in list(self.objects.items()):
            labels = raw["metadata"].get("labels") or {}
            # A list without a namespace is of all of them.
            if (
                of == plural
                and namespace in ("", where)
                and (not key or (key in labels and value in ("", labels[key])))
            ):
                yield copy(raw)

    def _create(self, plural: str, namespace: str, raw: Object) -> Object:
        spot = (plural, namespace, raw["metadata"]["name"])
        if spot in self.objects:
            raise refusal(409, f"{plural} {spot[2]} already exists")
        if plural in WITH_STATUS:
            raw.pop("status", None)
        self.created.append(spot)
        return self.put(plural, namespace, raw)

    def put(self, plural: str, namespace: str, raw: Object) -> Object:
        """Makes an object as it is, status and all, or replaces it: what others in the cluster do."""
        spot = (plural, namespace, raw["metadata"]["name"])
        metadata: Object = {
            "uid": f"{plural[0]}{self.version:07}-{spot[2]}",
            "creationTimestamp": stamp(self.clock()),
        }
        metadata |= {"generation": 1, **raw["metadata"], "namespace": namespace}
        return self._changed(spot, {**raw, "metadata": metadata})

    def _store(self, spot: Spot, old: Object, new: Object) -> Object:
        """Keeps what the server alone sets; a write that changes nothing makes no new version."""
        fixed = (
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "generation",
            "resourceVersion",
            "namespace",
            "name",
        )
        own = {key: old["metadata"][key] for key in fixed if key in old["metadata"]}
        new = {**new, "metadata": {**new["metadata"], **own}}
        if new == old:
            return old
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        return self._changed(spot, new)

    def _changed(self, spot: Spot, new: Object) -> Object:
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        gone = (
            "deletionTimestamp" in new["metadata"]
            and not new["metadata"].get("finalizers")
            and spot[0] != "pods"
        )
        if gone:
            self.objects.pop(spot, None)
        else:
            self.objects[spot] = new
        for listener in self.listeners:
            listener(spot[0], copy(new), gone)
        return new

    def _delete(self, spot: Spot, old: Object, options: Object) -> Object:
        if (options.get("preconditions") or {}).get("uid") not in (None, old["metadata"]["uid"]):
            raise refusal(409, f"{spot[2]} has another UID")
        if "deletionTimestamp" not in old["metadata"]:
            metadata = {**old["metadata"], "deletionTimestamp": stamp(self.clock())}
            self._changed(spot, {**old, "metadata": metadata})
        for other, raw in list(self.objects.items()):
            owners = raw["metadata"].get("ownerReferences") or []
            if any(owner.get("uid") == old["metadata"]["uid"] for owner in owners):
                self._delete(other, raw, {})
        return {}

    def remove(self, spot: Spot) -> None:
        """The object is gone at once: a pod whose kubelet has let it go."""
        self.version += 1
        raw = self.objects.pop(spot)
        raw["metadata"]["resourceVersion"] = str(self.version)
        for listener in self.listeners:
            listener(spot[0], copy(raw), True)


def _parse(path: str) -> tuple[str, str, str, str]:
    """Plural, namespace, name and subresource."""
    parts = path.strip("/").split("/")
    parts = parts[3:] if parts[0] == "apis" else parts[2:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    return plural, namespace, name, subresource


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result


@dataclass(frozen=True)
class Fate:
    """What becomes of one request."""

    before: float = 0.0
    """Seconds until the server has it."""
    refused: int = 0
    """HTTP status with which it is refused; 0: it is not."""
    repeated: bool = False
    """Whether it reaches the server twice."""
    after: float = 0.0
    """Seconds until its answer is here."""
    lost: bool = False
    """Whether its answer never comes."""


class MemoryApi(Api):
    """The operator's client in front of a :class:`MemoryServer`. Requests overtake each other by their delays."""

    def __init__(
        self, server: MemoryServer, fate: Callable[[str, Resource], Fate] = lambda *_: Fate()
    ) -> None:
        super().__init__(server)
        self.server = server
        self.fate = fate
        self.gates: dict[tuple[str, str], asyncio.Event] = {}
        """(HTTP verb, plural) → such requests wait until it is set."""
        self.waiting: list[tuple[str, str]] = []
        """Those that wait at a gate."""

    async def _send(self, verb: str, resource: Resource, call: Callable[..., T], *arguments: Any) -> T:
        fate = self.fate(verb, resource)
        gate = self.gates.get((verb, resource.plural))
        if gate is not None:
            self.waiting.append((verb, resource.plural))
            await gate.wait()
        await asyncio.sleep(fate.before)
        if fate.refused:
            raise refusal(fate.refused, "as the schedule says")
        if fate.repeated:
            with contextlib.suppress(ApiError):
                call(*arguments)
        try:
            answer = call(*arguments)
        finally:
            await asyncio.sleep(fate.after)
        if fate.lost:
            raise ApiError("The API server did not answer.", done=None)
        return answer
