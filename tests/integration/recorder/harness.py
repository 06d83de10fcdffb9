"""A recorder process, a supervisor's side of the socket, and a participant's side of the directory."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alcove_api import keys
from alcove_api.run_documents import Manifest, Record, RecorderReport, RunConfig
from tests.cluster.children import WITH_US

N_TEST, N_LABELS = 20, 3
SECOND = 1_000_000_000


def run_config(**changes: Any) -> RunConfig:
    fields: dict[str, Any] = {
        "submission_uid": "uid-1",
        "alias": "table",
        "attempt": 1,
        "data_sha256": None,
        "code_sha256": "0" * 64,
        "budget_ns": 60 * SECOND,
        "n_test": N_TEST,
        "n_labels": N_LABELS,
    }
    return RunConfig(**{**fields, **changes})


def wait_for(condition: Callable[[], Any], *, seconds: float = 20.0, what: str = "it") -> Any:
    """What ``condition`` returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(0.005)
    return value


@dataclass(frozen=True)
class Ready:
    budget_ns: int
    disclosed: bool
    token: str
    t0_ns: int


class Supervisor:
    """Speaks the supervisor's part by hand, so that a test can say what the real one never would."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(20)

        def connect() -> bool:
            try:
                self._socket.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                return False  # not there, or more wait already than its queue has room for
            return True

        wait_for(connect, what="a recorder that listens")
        self._lines = self._socket.makefile("rb")
        self.token = ""
        """What the recorder gave with its ``ready``."""

    def say(self, line: str, data: bytes = b"") -> None:
        self._socket.sendall(line.encode() + b"\n" + data)

    def hear(self) -> list[str] | None:
        """The words of an answer; None where the recorder closed the connection."""
        line = self._lines.readline()
        return line.decode().split() if line else None

    def say_hello(self) -> Ready:
        self.say("hello")
        return self.hear_ready()

    def hear_ready(self) -> Ready:
        words = self.hear()
        assert words is not None
        verb, budget_ns, disclosed, token, t0_ns = words
        assert verb == "ready"
        return Ready(int(budget_ns), disclosed == "1", token, int(t0_ns))

    def say_go(self) -> int:
        self.say("go")
        words = self.hear()
        assert words is not None
        verb, t0_ns = words
        assert verb == "started"
        return int(t0_ns)

    def has_answer(self, seconds: float) -> bool:
        return bool(select.select([self._socket], [], [], seconds)[0])

    def go(self) -> int:
        self.token = self.say_hello().token
        return self.say_go()

    def say_end(
        self, cause: str = "finished", *, code: int = 0, oom_kills: int = 0, ended_ns: object = None
    ) -> None:
        self.say(f"end {cause} {code} 0 {time.monotonic_ns() if ended_ns is None else ended_ns} {oom_kills}")

    def end(self, cause: str = "finished", **fields: Any) -> str:
        """The digest of the manifest, once it is sealed."""
        self.say_end(cause, **fields)
        words = self.hear()
        assert words is not None
        verb, digest = words
        assert verb == "sealed"
        return digest

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@dataclass
class Recorder:
    """One run's recorder. ``store`` reads back what it wrote: key to bytes, None where there is nothing."""

    root: Path
    run: RunConfig
    environment: dict[str, str]
    store: Callable[[str], bytes | None]
    within: list[str] = field(default_factory=list)
    """What comes before its command."""
    program: list[str] | None = None
    """What Python runs; None: the recorder without its parent, so that a test says when it starts again."""
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None
    supervisors: list[Supervisor] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        return keys.attempt_prefix(self.run.submission_uid, self.run.alias, self.run.attempt, "pod-1")

    @property
    def out(self) -> Path:
        return self.root / "out"

    def start(self) -> None:
        alone = ["-c", f"from alcove_recorder.__main__ import main; main({self.starts})"]
        self.starts += 1
        with (self.root / "recorder.log").open("ab") as output:
            self.process = subprocess.Popen(
                [*WITH_US, *self.within, sys.executable, "-I", *(self.program or alone)],
                env={"PATH": os.environ["PATH"], **self.environment},
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait_end(self) -> int:
        """The exit status of one that ends by itself."""
        assert self.process is not None
        return self.process.wait(timeout=60)

    def stop(self, seconds: float = 20) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def supervisor(self) -> Supervisor:
        supervisor = Supervisor(self.root / "run" / "go.sock")
        self.supervisors.append(supervisor)
        return supervisor

    def resume(self) -> tuple[Supervisor, Ready]:
        """The first supervisor comes back to a recorder that was restarted; with it, the answer to its hello."""
        again = self.supervisor()
        again.say(f"resume {self.supervisors[0].token}")
        return again, again.hear_ready()

    def save(self, name: str, data: bytes) -> None:
        """As a participant should: another name first, then a rename."""
        temporary = self.out / f".{name}.tmp"
        temporary.write_bytes(data)
        temporary.rename(self.out / name)

    def records(self) -> list[Record]:
        """What is in the store by now."""
        found: list[Record] = []
        while (data := self.store(keys.record(self.prefix, len(found)))) is not None:
            found.append(Record.model_validate_json(data))
        return found

    def wait_records(self, count: int) -> list[Record]:
        wait_for(lambda: len(self.records()) >= count, what=f"{count} records in the store")
        return self.records()

    def report(self) -> RecorderReport:
        return RecorderReport.model_validate_json((self.root / "termination-log").read_bytes())

    def peak_kib(self) -> int:
        """Of its resident memory, since it started."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    def cpu_share(self, seconds: float) -> float:
        """Of one core, over that time from now on."""
        before, began = self.cpu_seconds(), time.monotonic()
        wait_for(lambda: time.monotonic() - began >= seconds, seconds=10 * seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - began)

    def cpu_seconds(self) -> float:
        """Processor time that it has had; still there when it has ended."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log_text(self) -> str:
        return (self.root / "recorder.log").read_text()

    def sealed(self) -> Manifest:
        """The manifest in the store, after checking everything that must hold of any manifest."""
        data = self.store(keys.manifest(self.prefix))
        assert data is not None
        manifest = Manifest.model_validate_json(data)
        assert manifest.canonical() == data
        previous = None
        for seq, record in enumerate(manifest.records):
            assert record.seq == seq
            assert record.previous == previous
            stored = self.store(keys.record(self.prefix, seq))
            assert stored == record.canonical()
            previous = record.digest()
            copy = self.store(keys.snapshot(self.prefix, seq))
            if record.refused is None:
                assert copy is not None
                assert record.sha256 == digest(copy)
                assert record.bytes == len(copy)
            else:
                assert copy is None
                assert record.sha256 is None
            assert 0 <= record.seen_ns <= record.t_ns
        assert manifest.head == previous
        return manifest


def digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


@contextmanager
def recorder(
    root: Path,
    run: RunConfig,
    environment: dict[str, str],
    store: Callable[[str], bytes | None],
    within: list[str] | None = None,
    program: list[str] | None = None,
) -> Iterator[Recorder]:
    """A started recorder; gone, with its connections, at the end."""
    for name in ("run", "out", "tmp", "spool"):
        (root / name).mkdir()
    full = {
        "ALCOVE_ROOT": str(root),
        "ALCOVE_RUN": run.model_dump_json(),
        "ALCOVE_POD_UID": "pod-1",
        "ALCOVE_TERMINATION_LOG": str(root / "termination-log"),
        **environment,
    }
    it = Recorder(root, run, full, store, within or [])
    it.program = program
    it.start()
    try:
        yield it
    finally:
        for supervisor in it.supervisors:
            supervisor.close()
        it.kill()


def npy(value: float = 0.5, shape: tuple[int, int] = (N_TEST, N_LABELS)) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, np.full(shape, value, dtype=np.float32))
    return file.getvalue()
