"""Talks to the API server: the few calls that the commands need, over the kubernetes client."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from alcove_api.base import API_VERSION, GROUP, VERSION
from alcove_cli.errors import CommandError

Object = dict[str, Any]


class Cluster:
    """One connection, with whatever rights the user's kubeconfig has."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        try:
            self._api = config.new_client_from_config(config_file=kubeconfig, context=context)
        except Exception as error:
            # Of a file that is none the client complains in half a dozen ways.
            reason = " ".join(str(error).split())[:300].rstrip(".")
            raise CommandError(
                f"No usable kubeconfig, so no cluster can be reached: {reason}. Set KUBECONFIG, or give --kubeconfig."
            ) from error
        self._objects = client.CustomObjectsApi(self._api)
        self._core = client.CoreV1Api(self._api)

    @property
    def client(self) -> client.ApiClient:
        """For what these calls do not do."""
        return self._api

    def get(self, plural: str, namespace: str, name: str) -> Object:
        with _Sentences(f"{plural}/{name} in {namespace}"):
            found: Object = self._objects.get_namespaced_custom_object(
                GROUP, VERSION, namespace, plural, name
            )
            return found

    def list(self, plural: str, namespace: str | None = None) -> list[Object]:
        with _Sentences(plural):
            if namespace is None:
                answer = self._objects.list_cluster_custom_object(GROUP, VERSION, plural)
            else:
                answer = self._objects.list_namespaced_custom_object(GROUP, VERSION, namespace, plural)
            items: list[Object] = answer["items"]
            return items

    def create(self, plural: str, namespace: str, body: Object) -> Object:
        body = {"apiVersion": API_VERSION, **body}
        with _Sentences(f"{plural}/{body['metadata'].get('name', '')} in {namespace}"):
            created: Object = self._objects.create_namespaced_custom_object(
                GROUP, VERSION, namespace, plural, body
            )
            return created

    def create_config_map(self, namespace: str, name: str, files: dict[str, bytes]) -> None:
        """Text goes to ``data``, so that ``kubectl get -o yaml`` can be read; the rest to ``binaryData``."""
        data, binary = {}, {}
        for path, content in files.items():
            try:
                data[path] = content.decode()
            except UnicodeDecodeError:
                binary[path] = base64.b64encode(content).decode()
        body = client.V1ConfigMap(
            metadata=client.V1ObjectMeta(name=name),
            data=data or None,
            binary_data=binary or None,
            immutable=True,
        )
        with _Sentences(f"configmaps/{name} in {namespace}"):
            self._core.create_namespaced_config_map(namespace, body)

    def secret(self, namespace: str, name: str) -> dict[str, bytes]:
        with _Sentences(f"secrets/{name} in {namespace}"):
            found = self._core.read_namespaced_secret(name, namespace)
        return {key: base64.b64decode(value) for key, value in (found.data or {}).items()}


class _Sentences:
    """Turns the client's errors into one sentence about ``what``."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ApiException):
            raise CommandError(f"{self._what}: {_reason(error)}") from error
        if isinstance(error, urllib3.exceptions.HTTPError):
            raise CommandError(
                f"{self._what}: the API server cannot be reached ({type(error).__name__}). "
                "Check KUBECONFIG and that the cluster is up."
            ) from error


def _reason(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"the API server answered {error.status} {error.reason}"


def runs(submission: Object) -> Iterator[Object]:
    yield from submission.get("status", {}).get("runs", [])
