"""What must survive a restart of the recorder: the go, the copies not uploaded yet, the chain so far.

Journals are files of JSON lines, each line written by one call: a crash of the process can tear none but the
last, which is then dropped. (A crash of the node takes the volumes with it, so nothing is synced.)
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from alcove_api.run_documents import End, Record
from alcove_recorder.formats import Kind

_T = TypeVar("_T")

FileIdentity = tuple[int, int, int, int]
"""Inode, size, mtime and ctime: tells a rescan which files were taken already. Never read as a time."""


@dataclass(frozen=True)
class CapturedFile:
    """One file as the loop took it, before anything has looked into it. Times in nanoseconds since the go."""

    seq: int
    name: str
    """As the system gives it, with lone surrogates for bytes that are not UTF-8; see :func:`printable`."""
    kind: Kind
    seen_ns: int
    t_ns: int
    bytes: int
    refused: str | None = None
    identity: FileIdentity | None = None
    """None if it cannot be read; a rescan then takes the file again."""


@dataclass(frozen=True)
class RunState:
    """``state.json``: what a restarted recorder starts from."""

    boot_id: str
    t0_ns: int | None = None
    """CLOCK_MONOTONIC at the go; None before it, while a free constructor runs."""
    go_at: datetime | None = None
    constructing_ns: int | None = None
    """CLOCK_MONOTONIC when a free constructor was let run; None where nothing runs before the go."""
    end: End | None = None
    flooded: bool = False
    """Whether the program exceeded its rate."""
    disk_exceeded: bool = False
    """Whether it held more on the node's disk than it asked for."""

    @property
    def free_ns(self) -> int | None:
        """How long the program ran before the go: 0 until the go, None where it does not run before."""
        if self.constructing_ns is None or self.t0_ns is None:
            return None if self.constructing_ns is None else 0
        return self.t0_ns - self.constructing_ns


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def write_atomic(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.touch(0o600)
    temporary.write_bytes(data)
    temporary.replace(path)


def save_state(path: Path, state: RunState) -> None:
    document = {
        "boot_id": state.boot_id,
        "t0_ns": state.t0_ns,
        "go_at": None if state.go_at is None else state.go_at.isoformat(),
        "constructing_ns": state.constructing_ns,
        "end": None if state.end is None else state.end.model_dump(mode="json"),
        "flooded": state.flooded,
        "disk_exceeded": state.disk_exceeded,
    }
    write_atomic(path, json.dumps(document).encode())


def load_state(path: Path) -> RunState | None:
    """None where nothing of the program's has run yet."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return RunState(
        boot_id=document["boot_id"],
        t0_ns=document["t0_ns"],
        go_at=None if document["go_at"] is None else datetime.fromisoformat(document["go_at"]),
        constructing_ns=document["constructing_ns"],
        end=None if document["end"] is None else End.model_validate(document["end"]),
        flooded=document["flooded"],
        disk_exceeded=document["disk_exceeded"],
    )


class Journal:
    """An append-only file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        content = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._fd, whole)
        self.lines: tuple[bytes, ...] = tuple(content[:whole].splitlines())
        """As found when it was opened."""

    def append(self, line: bytes) -> None:
        """Raises OSError where the volume is full; nothing of the line is then kept."""
        before = os.fstat(self._fd).st_size
        if os.write(self._fd, line + b"\n") != len(line) + 1:
            os.ftruncate(self._fd, before)
            raise OSError("the journal's volume is full")

    def close(self) -> None:
        os.close(self._fd)


class RunSpool:
    """The recorder's own volume: two journals, the copies not uploaded yet, the log, the manifest."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._taken = Journal(folder / "taken.jsonl")
        self._records = Journal(folder / "records.jsonl")
        self.captured: tuple[CapturedFile, ...] = tuple(_read(self._taken.lines, _entry))
        self.records: list[Record] = list(_read(self._records.lines, Record.model_validate))
        """Uploaded, in order. Grows; only the uploader touches it."""
        self.manifest = folder / "manifest.json"
        self.log = folder / "log.txt"
        self.token = _token(folder / "token")
        """What a supervisor that comes back is known by. Only here: the participant can read the run folder."""

    @property
    def pending(self) -> tuple[CapturedFile, ...]:
        """Taken before a restart and not uploaded by then."""
        return self.captured[len(self.records) :]

    def copy_path(self, seq: int) -> Path:
        return self.folder / f"{seq:08d}.bin"

    def add_capture(self, entry: CapturedFile) -> None:
        self._taken.append(json.dumps(asdict(entry)).encode())

    def add_record(self, record: Record) -> None:
        self._records.append(record.canonical())
        self.records.append(record)
        self.copy_path(record.seq).unlink(missing_ok=True)

    def close(self) -> None:
        self._taken.close()
        self._records.close()


def printable(name: str) -> str:
    """Names are bytes that a participant chose, and end up in JSON, HTML and terminals."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name
    )


def _token(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        token = secrets.token_hex(16)
        write_atomic(path, token.encode())
        return token


def _entry(fields: dict[str, Any]) -> CapturedFile:
    identity = fields.pop("identity")
    return CapturedFile(**fields, identity=None if identity is None else tuple(identity))


def _read(lines: tuple[bytes, ...], make: Callable[[dict[str, Any]], _T]) -> Iterator[_T]:
    return (make(json.loads(line)) for line in lines)
