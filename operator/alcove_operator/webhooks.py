"""Sends one notice to one webhook: signed as Standard Webhooks has it, to a host that is allowed, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from standardwebhooks import Webhook as Signer
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import Url, parse_url

from alcove_api.notifications import Notice, Webhook
from alcove_operator.errors import WebhookError

SEND_SECONDS = 15.0
"""For a whole send, from the look-up of its host to the status of the answer, however slowly that comes."""
MOST_SENDS = 64
"""Threads that send. They are no others' threads: a receiver that hangs must not keep the store waiting."""


@dataclass(frozen=True)
class Target:
    url: Url
    secret: str
    """"" where nothing is signed."""


def read_target(folder: Path | None, name: str, hosts: Collection[str]) -> Target:
    """Address and secret of a webhook, from the mounted Secret; read each time, so that a change needs no restart.

    Args:
        folder: where the Secret is mounted; None where the release has none.
        name: of the webhook.
        hosts: those that may be sent to: names, as they are in the address.

    Raises:
        WebhookError: there is no address that can be read, or its host is not allowed.
    """
    remedy = (
        f"Put {name}.url into the Secret that notifications.secret of the values names, and run helm upgrade."
    )
    try:
        url = (folder / f"{name}.url").read_text().strip() if folder else ""
        secret = (folder / f"{name}.secret") if folder else None
        key = secret.read_text().strip() if secret is not None and secret.exists() else ""
    except (OSError, UnicodeDecodeError):
        url = key = ""
    if not url:
        raise WebhookError(
            f"The webhook {name} has no address, or it or its secret is no text.", remedy=remedy
        )
    # The same reading of the address decides on its host and makes the connection.
    with contextlib.suppress(HTTPError):
        parts = parse_url(url)
        if parts.scheme in ("https", "http") and parts.host:
            if parts.host in hosts:
                return Target(parts, key)
            raise WebhookError(
                f"The host of the webhook {name}, {parts.host}, is not one that may be sent to.",
                remedy="Put it into notifications.hosts of the values, and run helm upgrade.",
            )
    raise WebhookError(f"The address of the webhook {name} is not https://HOST/….", remedy=remedy)


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


class Exchange:
    """One request and the status of its answer. Another thread can end it: a timeout of a socket is for each piece that
    comes, so that a receiver which sends a byte now and then would hold its thread for ever."""

    def __init__(self, url: Url, seconds: float) -> None:
        assert url.host is not None
        kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
        self._path = url.request_uri
        # No redirect is followed: it could lead to a host that is not allowed.
        self._connection = kind(url.host, url.port, timeout=seconds)
        self._ended = False

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        """Blocks. Raises HTTPError, HTTPException, OSError."""
        try:
            self._connection.connect()
            if self._ended:
                raise TimeoutError
            self._connection.request(
                "POST", self._path, body=body, headers=headers, preload_content=False, decode_content=False
            )
            return int(self._connection.getresponse().status)
        finally:
            self._connection.close()

    def end(self) -> None:
        """What waits at the socket returns; an exchange that is over stays as it is."""
        self._ended = True
        waiting = self._connection.sock
        if waiting is not None:
            with contextlib.suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)


def _make_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_SENDS, thread_name_prefix="webhook")


@dataclass(frozen=True)
class Sender:
    folder: Path | None
    hosts: frozenset[str]
    seconds: float = SEND_SECONDS
    _threads: ThreadPoolExecutor = field(default_factory=_make_threads)

    async def send(self, webhook: Webhook, notice: Notice, now: datetime) -> None:
        """Takes ``seconds`` at most. Raises WebhookError unless the receiver has taken it."""
        target = read_target(self.folder, webhook.name, self.hosts)
        body = build_body(notice, webhook.format)
        headers = {
            "content-type": "application/json",
            "user-agent": "alcove-operator",
            **sign(target.secret, notice, body, now),
        }
        exchange = Exchange(target.url, self.seconds)
        answer = asyncio.get_running_loop().run_in_executor(self._threads, exchange.post, body, headers)
        try:
            async with asyncio.timeout(self.seconds):
                status = await answer
        except (HTTPError, HTTPException, OSError) as error:
            # Its address can be a secret in itself, so the error is not quoted.
            raise WebhookError(
                f"The webhook {webhook.name} did not answer ({type(error).__name__})."
            ) from error
        finally:
            exchange.end()
        if not 200 <= status < 300:
            raise WebhookError(f"The webhook {webhook.name} answered with HTTP status {status}.")
