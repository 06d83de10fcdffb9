"""As much of a Kubernetes client as raising a cluster takes: JSON over TLS with the admin's certificate."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from .layout import API_PORT, Plan

_JSON = "application/json"
_JSON_PATCH = "application/json-patch+json"


class ApiError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    def __init__(self, plan: Plan) -> None:
        self._host = plan.addresses.node
        self._context = ssl.create_default_context(cafile=str(plan.pki / "ca.crt"))
        self._context.load_cert_chain(plan.pki / "admin.crt", plan.pki / "admin.key")

    def request(self, method: str, path: str, body: object = None, kind: str = _JSON) -> str:
        connection = http.client.HTTPSConnection(self._host, API_PORT, timeout=10, context=self._context)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(
                method, path, body=data, headers={"Content-Type": kind, "Accept": "application/json, */*"}
            )
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiError(answer.status, text[:500])
        return text

    def get(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.request("GET", path))
        return document

    def patch(self, path: str, operations: list[dict[str, Any]]) -> None:
        self.request("PATCH", path, operations, _JSON_PATCH)

    def ensure(self, path: str, document: dict[str, Any]) -> None:
        """Creates an object; one that is there already is as good."""
        try:
            self.request("POST", path, document)
        except ApiError as error:
            if error.status != 409:
                raise

    def ready(self) -> bool:
        try:
            return self.request("GET", "/readyz").strip() == "ok"
        except (OSError, ApiError, http.client.HTTPException):
            return False
