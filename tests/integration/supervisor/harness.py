"""The other side of the supervisor's socket, and ways to start it, for its tests and its bench."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from alcove_api.run_documents import RunConfig
from tests.cluster.children import WITH_US

SOURCE = Path(__file__).parents[3] / "images" / "supervisor"
# One that every uid may run: a virtual environment below /root is not.
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else shutil.which("python3") or "python3"
LIMIT_S = 60.0
"""How long a test waits for anything at all before it fails."""

MARK = "ALCOVE_TEST_MARK"

Message = dict[str, Any]
FIELDS = {
    "hello": (), "resume": ("token",), "construct": (), "go": (), "log": ("bytes",),
    "end": ("cause", "code", "signal", "ended_ns", "oom_kills"),
}  # fmt: skip
"""What follows each verb of the supervisor's, as docs/contracts.md says."""


def read_message(stream: BinaryIO) -> Message | None:
    """The supervisor's next message; of a ``log`` with its ``data``. None at the end of file."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    verb, *words = line[:-1].decode("ascii").split(" ")
    values = [
        word if name in ("token", "cause") else int(word)
        for name, word in zip(FIELDS[verb], words, strict=True)
    ]
    message: Message = {"type": verb, **dict(zip(FIELDS[verb], values, strict=True))}
    if verb == "log":
        message["data"] = stream.read(message["bytes"])
    return message


def ready(budget_ns: object, token: object, t0_ns: object = -1, *, disclosed: object = True) -> Message:
    return {"type": "ready", "budget_ns": budget_ns, "disclosed": disclosed, "token": token, "t0_ns": t0_ns}


def write_message(message: Message) -> bytes:
    """An answer of the recorder's."""
    words = [str(int(value) if isinstance(value, bool) else value) for value in message.values()]
    return " ".join(words).encode() + b"\n"


class Recorder:
    """Answers one supervisor's messages as docs/contracts.md says, and keeps them.

    ``replies`` maps a message's type to what makes its answer; None means silence.
    """

    def __init__(self, path: Path, budget_s: float = 30.0, *, disclosed: bool = True) -> None:
        self.path = path
        self.messages: list[Message] = []
        self.t0_ns = -1
        self.ended_seen_ns = -1
        self.budget_ns = int(budget_s * 1e9)
        self.disclosed = disclosed
        self.token = uuid.uuid4().hex
        self.raw_ready: bytes | None = None
        """In place of the answer to hello."""
        self.reading = threading.Event()
        self.reading.set()
        self.replies: dict[str, Callable[[Message], Message | None]] = {
            "hello": self.ready,
            "resume": self.ready,
            "construct": lambda _: {"type": "constructing"},
            "go": self._started,
            "end": lambda _: {"type": "sealed", "manifest_sha256": "0" * 64},
        }
        self._news = threading.Condition()
        self._connection: socket.socket | None = None
        self._listener: socket.socket | None = None
        self.listen()

    def listen(self) -> None:
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self.path.chmod(0o666)
        self._listener.listen(4)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def ready(self, _: Message) -> Message:
        return ready(self.budget_ns, self.token, self.t0_ns, disclosed=self.disclosed)

    def _started(self, _: Message) -> Message:
        if self.t0_ns < 0:
            self.t0_ns = time.monotonic_ns()
        return {"type": "started", "t0_ns": self.t0_ns}

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connection = connection
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            stream = connection.makefile("rb")
            while (message := read_message(stream)) is not None:
                with self._news:
                    self.messages.append(message)
                    if message["type"] == "end":
                        self.ended_seen_ns = time.monotonic_ns()
                    self._news.notify_all()
                reply = self.replies.get(message["type"])
                answer = None if reply is None else reply(message)
                if self.raw_ready is not None and message["type"] == "hello":
                    connection.sendall(self.raw_ready + b"\n")
                elif answer is not None:
                    connection.sendall(write_message(answer))
                self.reading.wait()
        except OSError:
            return

    def tell(self, message: Message) -> None:
        """Says something unasked."""
        assert self._connection is not None
        self._connection.sendall(write_message(message))

    def wait_for(self, kind: str, count: int = 1) -> Message:
        """The ``count``-th message of that type, once it is there."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.of(kind)) >= count, LIMIT_S), f"no {kind} came"
            return self.of(kind)[count - 1]

    def of(self, kind: str) -> list[Message]:
        return [m for m in self.messages if m["type"] == kind]

    @property
    def log(self) -> bytes:
        return b"".join(m["data"] for m in self.of("log"))

    @property
    def end(self) -> Message:
        return self.wait_for("end")

    def vanish(self) -> None:
        """As when the recorder's container is killed: nobody listens, and the connection is gone."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.path.unlink(missing_ok=True)
        if self._connection is not None:
            try:
                self._connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # gone already
                return


@dataclass
class Run:
    """One supervisor that was started. ``mark`` is in the environment of all that it starts."""

    process: subprocess.Popen[bytes]
    mark: str
    stdout: bytes = b""
    stderr: bytes = b""

    def wait(self) -> int:
        self.stdout, self.stderr = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode

    def marked(self) -> list[int]:
        """Pids of this run's processes, the supervisor's own among them, that are alive (zombies are not)."""
        return [pid for pid in _pids() if self.mark.encode() in _read(pid, "environ")]


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit, "it did not come to pass"
        time.sleep(0.01)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _exe(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""


@cache
def may_unshare() -> bool:
    """Whether a PID namespace with a /proc and another uid can be had, as in a container of a pod."""
    command = [
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "setpriv",
        "--reuid=54321",
        "--clear-groups",
        "true",
    ]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def as_uid(uid: int) -> list[str]:
    """Also has it die with its parent, which a change of uid would undo."""
    user = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig", "KILL", *user]


NEW_NAMESPACE = [*WITH_US, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def launcher(scope: str, uid: int, mark: str = "", walled: bool = True) -> list[str]:
    """What to put before the supervisor's command so that it runs as ``uid`` in that scope, and not on when we die.

    As subreaper, it could leave processes behind that are nobody's children: where that can be had, a PID namespace
    is walled around it, whose first process is a shell, so that the supervisor still isn't.
    """
    if scope == "pid1":
        return [*NEW_NAMESPACE, *as_uid(uid)]
    if scope == "subreaper" and walled and may_unshare():
        return [*NEW_NAMESPACE, "sh", "-c", '"$@"; exit $?', "sh", "env", f"{MARK}={mark}", *as_uid(uid)]
    return as_uid(uid)


@dataclass
class Workshop:
    """A folder that every uid can use, a recorder in it, and the supervisors started there."""

    folder: Path
    binary: Path
    scope: str = "namespace"
    walled: bool = True
    """Whether a subreaper is within a PID namespace that goes with us."""
    within: list[str] = field(default_factory=list)
    """What comes right before the supervisor's command."""
    uid: int = field(default_factory=lambda: random.randint(100_000, 2_000_000))
    runs: list[Run] = field(default_factory=list)
    recorders: list[Recorder] = field(default_factory=list)
    socket: Path = field(init=False)

    def __post_init__(self) -> None:
        self.socket = self.folder / "go.sock"

    def recorder(self, budget_s: float = 30.0, *, disclosed: bool = True) -> Recorder:
        recorder = Recorder(self.socket, budget_s, disclosed=disclosed)
        self.recorders.append(recorder)
        return recorder

    def start(
        self,
        *command: str,
        options: tuple[str, ...] = (),
        stdout: int = subprocess.PIPE,
        inherit: tuple[int, ...] = (),
    ) -> Run:
        mark = f"alcove-test-{uuid.uuid4()}"
        scope = () if self.scope == "pid1" else ("--kill-scope", self.scope)
        supervisor = [
            *self.within,
            str(self.binary),
            "run",
            "--socket",
            str(self.socket),
            *scope,
            *options,
            "--",
        ]
        launch = launcher(self.scope, self.uid, mark, self.walled)
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
        if "env" not in launch:
            environment[MARK] = mark
        process = subprocess.Popen(
            [*launch, *supervisor, *command],
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=inherit,
        )
        run = Run(process, mark)
        self.runs.append(run)
        return run

    def python(self, code: str, *, options: tuple[str, ...] = ()) -> Run:
        """Runs that program as the participant's command."""
        return self.start(PYTHON, "-u", "-c", code, options=options)

    def supervisor_pid(self, run: Run) -> int:
        """Of the process that does the work: the innermost of our own binary."""
        return max(pid for pid in run.marked() if _exe(pid) == self.binary.name)

    def commands(self, run: Run) -> list[int]:
        """Pids of what the supervisor started."""
        ours = {self.binary.name, "unshare", "setpriv"}
        return [pid for pid in run.marked() if _exe(pid) not in ours]


@contextmanager
def workshop(binary: Path, scope: str = "namespace") -> Iterator[Workshop]:
    folder = Path(tempfile.mkdtemp(prefix="alcove-supervisor-", dir="/tmp"))
    folder.chmod(0o777)
    own = folder / "alcove-supervisor"
    place = Workshop(folder, own, scope)
    try:
        shutil.copy(binary, own)
        own.chmod(0o555)
        yield place
    finally:
        for run in place.runs:
            for pid in run.marked():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            run.process.kill()
            run.process.communicate()
        for recorder in place.recorders:
            recorder.reading.set()
            recorder.vanish()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def workshop_of_pod(binary: Path) -> Iterator[Workshop]:
    """With the folders that supervisor and recorder share in a pod."""
    with workshop(binary) as shop:
        shop.uid = os.geteuid()  # the recorder's, as in a pod
        for name in ("run", "out", "spool", "kept"):
            (shop.folder / name).mkdir()
        shop.socket = shop.folder / "run" / "go.sock"
        yield shop


@contextmanager
def run_recorder(shop: Workshop, config: RunConfig) -> Iterator[subprocess.Popen[bytes]]:
    """The real one; it uploads into ``kept`` and leaves ``report.json``."""
    environment = {
        "PATH": os.environ["PATH"],
        "ALCOVE_ROOT": str(shop.folder),
        "ALCOVE_RUN": config.model_dump_json(),
        "ALCOVE_POD_UID": "pod",
        "ALCOVE_STORE_ENDPOINT": (shop.folder / "kept").as_uri(),
        "ALCOVE_TERMINATION_LOG": str(shop.folder / "report.json"),
    }
    command = [*WITH_US, sys.executable, "-I", "-m", "alcove_recorder"]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(LIMIT_S)
