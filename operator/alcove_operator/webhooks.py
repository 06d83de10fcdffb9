"""Sends one notice to one webhook: signed as Standard Webhooks has it, to a host that is allowed, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import urllib3
from standardwebhooks import Webhook as Signer

from alcove_api.notifications import Notice, Webhook
from alcove_operator.errors import WebhookError

TIMEOUT = urllib3.Timeout(connect=5.0, read=10.0)


@dataclass(frozen=True)
class Target:
    url: str
    secret: str
    """"" where nothing is signed."""


def read_target(folder: Path | None, name: str, hosts: Collection[str]) -> Target:
    """Address and secret of a webhook, from the mounted Secret; read each time, so that a change needs no restart.

    Args:
        folder: where the Secret is mounted; None where the release has none.
        name: of the webhook.
        hosts: those that may be sent to: names, as they are in the address.

    Raises:
        WebhookError: there is no address, or its host is not allowed.
    """
    remedy = (
        f"Put {name}.url into the Secret that notifications.secret of the values names, and run helm upgrade."
    )
    try:
        url = (folder / f"{name}.url").read_text().strip() if folder else ""
        secret = (folder / f"{name}.secret") if folder else None
        key = secret.read_text().strip() if secret is not None and secret.exists() else ""
    except OSError:
        url = key = ""
    if not url:
        raise WebhookError(f"The webhook {name} has no address.", remedy=remedy)
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise WebhookError(f"The address of the webhook {name} is not https://HOST/….", remedy=remedy)
    if parts.hostname not in hosts:
        raise WebhookError(
            f"The host of the webhook {name}, {parts.hostname}, is not one that may be sent to.",
            remedy="Put it into notifications.hosts of the values, and run helm upgrade.",
        )
    return Target(url, key)


def build_body(notice: Notice, form: Literal["json", "slack"]) -> bytes:
    """The same bytes for the same notice, however often it is sent."""
    if form == "slack":
        # Slack reads these three as markup.
        text = notice.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return json.dumps({"text": text}, ensure_ascii=False).encode()
    at = notice.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    body = {"type": notice.type, "timestamp": at, "data": {**notice.data, "text": notice.text}}
    return json.dumps(body, ensure_ascii=False).encode()


def sign(secret: str, notice: Notice, body: bytes, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks. Raises WebhookError where the secret is none."""
    headers = {"webhook-id": notice.id, "webhook-timestamp": str(int(now.timestamp()))}
    if not secret:
        return headers
    try:
        signature = Signer(secret).sign(notice.id, now.astimezone(UTC), body.decode())
    except (ValueError, RuntimeError) as error:
        raise WebhookError(
            f"The secret of a webhook cannot be used: {error}.", remedy="It is whsec_ and base64 after it."
        ) from error
    return {**headers, "webhook-signature": signature}


@dataclass(frozen=True)
class Sender:
    pool: urllib3.PoolManager
    folder: Path | None
    hosts: frozenset[str]

    @classmethod
    def of(cls, folder: Path | None, hosts: Collection[str]) -> Sender:
        # No redirect: it could lead to a host that is not allowed.
        return cls(
            urllib3.PoolManager(num_pools=8, maxsize=2, retries=False, timeout=TIMEOUT),
            folder,
            frozenset(hosts),
        )

    def send(self, webhook: Webhook, notice: Notice, now: datetime) -> None:
        """Blocks for :data:`TIMEOUT` at most. Raises WebhookError unless the receiver has taken it."""
        target = read_target(self.folder, webhook.name, self.hosts)
        body = build_body(notice, webhook.format)
        headers = {
            "content-type": "application/json",
            "user-agent": "alcove-operator",
            **sign(target.secret, notice, body, now),
        }
        try:
            answer = self.pool.request(
                "POST", target.url, body=body, headers=headers, redirect=False, preload_content=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # Its address can be a secret in itself, so the error is not quoted.
            raise WebhookError(
                f"The webhook {webhook.name} did not answer ({type(error).__name__})."
            ) from error
        answer.close()
        if not 200 <= answer.status < 300:
            raise WebhookError(f"The webhook {webhook.name} answered with HTTP status {answer.status}.")
