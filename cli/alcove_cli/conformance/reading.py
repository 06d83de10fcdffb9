"""Everything that somebody's own account can read: of the cluster, of the store, and the operator's metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from alcove_kube.client import KubeClient
from alcove_kube.errors import ApiError
from alcove_kube.resources import Resource
from alcove_store.client import get_bytes
from alcove_store.errors import StoreDeniedError, StoreNotFoundError

if TYPE_CHECKING:
    from minio import Minio

_NOT_READ = ("/exec", "/attach", "/portforward")
_EVERYWHERE = ("/metrics", "/api/v1/events", "/apis/alcove.dev/v1alpha1/submissions")


def read_path(kube: KubeClient, path: str) -> str:
    """ "" where it may not be read, or is not there."""
    try:
        return kube.read_text(path)
    except ApiError:
        return ""


def list_kinds(kube: KubeClient) -> Iterator[tuple[Resource, set[str]]]:
    """Every kind in namespaces that the API server serves, with what can be done to it; log and status as well."""
    groups = json.loads(read_path(kube, "/apis"))["groups"]
    for version in ["v1", *(v["groupVersion"] for group in groups for v in group["versions"])]:
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for kind in json.loads(read_path(kube, root) or "{}").get("resources", ()):
            if kind["namespaced"]:
                yield Resource(version, kind["name"]), set(kind["verbs"])


def list_paths(organizer: KubeClient, namespaces: Iterable[str]) -> list[str]:
    """Paths of every list, object and readable part of one, in these namespaces."""
    kinds = list(list_kinds(organizer))
    parts: dict[tuple[str, str], list[str]] = {}
    for kind, verbs in kinds:
        name, _, part = kind.plural.partition("/")
        if part and "get" in verbs:
            parts.setdefault((kind.api_version, name), []).append(part)
    lists = {
        kind.path(namespace): kind
        for kind, verbs in kinds
        if "list" in verbs and "/" not in kind.plural
        for namespace in namespaces
    }
    found = list(lists)
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda path: read_path(organizer, path), lists)
    for (path, kind), text in zip(lists.items(), answers, strict=True):
        for item in json.loads(text or "{}").get("items") or ():
            here = f"{path}/{item['metadata']['name']}"
            found += [here, *(f"{here}/{part}" for part in parts.get((kind.api_version, kind.plural), ()))]
    return [path for path in found if not path.endswith(_NOT_READ)]


def read_cluster(organizer: KubeClient, eyes: KubeClient, namespaces: Iterable[str]) -> dict[str, str]:
    """What ``eyes`` can read of all that there is in the namespaces, by path."""
    paths = [*list_paths(organizer, namespaces), *_EVERYWHERE]
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(paths, pool.map(lambda path: read_path(eyes, path), paths), strict=True))
    return {path: text for path, text in found.items() if text}


def read_store(store: Minio, objects: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What these credentials can read of the objects (bucket, key), as text by "bucket/key"."""
    found = {f"{bucket}/{key}": fetch_text(store, bucket, key) for bucket, key in objects}
    return {where: text for where, text in found.items() if text}


def fetch_text(store: Minio, bucket: str, key: str) -> str:
    """ "" where it may not be read, or is not there. Raises StoreError where the store gives no answer to that."""
    try:
        return get_bytes(store, bucket, key).decode(errors="replace")
    except (StoreDeniedError, StoreNotFoundError):
        return ""


def read_metrics(organizer: KubeClient, namespace: str) -> str:
    """The operator's, as Prometheus shows them to spectators; "" where they cannot be reached."""
    return read_path(organizer, f"/api/v1/namespaces/{namespace}/services/alcove-operator:9090/proxy/metrics")
