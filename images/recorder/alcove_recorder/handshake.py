"""The supervisor's end of the socket: listening, and lines of JSON in and out."""

from __future__ import annotations

import base64
import binascii
import json
import socket
from pathlib import Path
from typing import Any

_LINE_LIMIT = 1 << 20
_READ = 64 << 10


def listen(path: Path) -> socket.socket:
    """A listening socket at ``path``, never an abstract one: the pod shares one network namespace.

    It appears there only once it accepts connections, and replaces what a killed recorder left.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(temporary))
    temporary.chmod(0o600)
    listener.listen(16)
    listener.setblocking(False)
    temporary.replace(path)
    return listener


class Connection:
    """One supervisor. Lines longer than 1 MiB end it."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._buffer = bytearray()

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> list[dict[str, Any]] | None:
        """The messages that have arrived whole; None once the other side is gone. Does not block.

        Reads a bounded piece each time, so that a flood of log lines cannot keep the loop from stamping.
        """
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        if len(rest) > _LINE_LIMIT:
            return None
        self._buffer = bytearray(rest)
        return [message for line in lines if (message := _message(bytes(line))) is not None]

    def send(self, message: dict[str, Any]) -> bool:
        """False where the other side is gone. Answers are small: they always fit the socket's buffer."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def log_data(message: dict[str, Any]) -> bytes:
    """What a ``log`` message carries; nothing where it is damaged."""
    try:
        return base64.b64decode(message.get("data", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        return b""
