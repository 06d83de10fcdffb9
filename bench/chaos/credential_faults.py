"""Credentials that end: other keys of the store for operator and scorer, made as an upgrade of the chart makes them."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import Any

import yaml

from tests.demo.hackathon import Hackathon, helm

CHANGED = "store-keys"
ROLES = ("operator", "scorer")
SETUP = "alcove-store-setup"
USERS = "alcove-store-users"


@dataclass(frozen=True)
class CredentialFaults:
    """The store refuses the old keys as soon as it is told the new ones; the kubelet brings these to the operator's pod
    up to a minute and a half later. There is nothing to undo."""

    hackathon: Hackathon
    setup: dict[str, Any]
    """The Job that tells the store its users, from the chart."""
    kinds = (CHANGED,)

    def apply(self, _kind: str) -> None:
        users = self._read(USERS, "users.json")
        keys = {role: secrets.token_hex(20) for role in ROLES}
        for user in users["users"]:
            if user["role"] in ROLES:
                user["secret_key"] = keys[user["role"]]
                known = {name: user[name] for name in ("access_key", "secret_key")}
                self._write(f"alcove-store-{user['role']}", "credentials.json", known)
        self._write(USERS, "users.json", users)
        # One that ran is in the way of another of its name.
        job = {
            **self.setup,
            "metadata": {**self.setup["metadata"], "name": f"{SETUP}-{secrets.token_hex(4)}"},
        }
        self.hackathon.kubectl("create", "-n", self.hackathon.name, "-f", "-", stdin=json.dumps(job))

    def undo(self, _kind: str) -> None:
        pass

    def _read(self, secret: str, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            base64.b64decode(self.hackathon.get("secret", secret)["data"][key])
        )
        return found

    def _write(self, secret: str, key: str, content: dict[str, Any]) -> None:
        patch = json.dumps({"stringData": {key: json.dumps(content)}})
        self.hackathon.kubectl("patch", "secret", secret, "-n", self.hackathon.name, "-p", patch)


def find_setup(hackathon: Hackathon) -> CredentialFaults:
    """Raises DemoError."""
    hooks = yaml.safe_load_all(helm(hackathon.cluster, "get", "hooks", hackathon.name, "-n", hackathon.name))
    job = next(hook for hook in hooks if hook and hook["kind"] == "Job" and hook["metadata"]["name"] == SETUP)
    metadata = {"labels": job["metadata"]["labels"]}
    spec = {**job["spec"], "ttlSecondsAfterFinished": 60}
    return CredentialFaults(hackathon, {**job, "metadata": metadata, "spec": spec})
