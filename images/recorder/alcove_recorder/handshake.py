"""The supervisor's end of the socket: listening, and its lines in and out. docs/contracts.md has the table."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

_LINE_LIMIT = 4096
_LOG_LIMIT = 64 << 10
"""Bytes of output that one ``log`` may carry."""
_READ = 64 << 10


class ProtocolError(ValueError):
    """What came on the socket is not the supervisor's protocol."""


@dataclass(frozen=True)
class Message:
    verb: str
    words: tuple[str, ...] = ()
    data: bytes = b""
    """Of a ``log``."""


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
    """One supervisor, or somebody who has not said yet who it is: at most 128 KiB are held of what it sends."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._buffer = bytearray()

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> list[Message] | None:
        """The messages that have arrived whole; None once the other side is gone, or breaks the protocol.

        Does not block. Reads a bounded piece each time, so that a flood of output cannot keep the loop from stamping.
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
        messages: list[Message] = []
        try:
            while (message := self._next()) is not None:
                messages.append(message)
        except ProtocolError:
            return None
        return messages

    def _next(self) -> Message | None:
        end = self._buffer.find(b"\n", 0, _LINE_LIMIT)
        if end < 0:
            if len(self._buffer) >= _LINE_LIMIT:
                raise ProtocolError
            return None
        verb, *words = self._buffer[:end].decode("ascii", "replace").split(" ")
        after = end + 1
        if verb == "log":
            after += _log_bytes(words)
        if len(self._buffer) < after:
            return None
        data = bytes(self._buffer[end + 1 : after])
        del self._buffer[:after]
        return Message(verb, tuple(words), data)

    def send(self, line: str) -> bool:
        """False where the other side is gone. Answers are small: they always fit the socket's buffer."""
        try:
            self._socket.sendall(line.encode() + b"\n")
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


def _log_bytes(words: list[str]) -> int:
    if len(words) != 1 or not words[0].isdecimal() or len(words[0]) > 8 or int(words[0]) > _LOG_LIMIT:
        raise ProtocolError
    return int(words[0])
