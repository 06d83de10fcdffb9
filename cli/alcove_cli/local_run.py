"""One submission on one dataset, on this machine: the cluster's own recorder, supervisor and runner.

No cluster and no store: the recorder writes its snapshots to a folder, where they are scored as they come.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Protocol

from alcove_api import keys
from alcove_api.compatibility import FREE_CONSTRUCTOR_SECONDS
from alcove_api.exit_statuses import SupervisorExit
from alcove_api.frameworks import Framework
from alcove_api.run_documents import Manifest, Record, RecorderReport, RunConfig
from alcove_api.score_documents import NO_PREDICTIONS
from alcove_cli.environments import runner_command
from alcove_cli.errors import CommandError, FaultError
from alcove_scorer.curves import CurveRules, Point, counted_seconds
from alcove_scorer.predictions import Kind
from alcove_scorer.run_files import load_solution, score_files
from alcove_scorer.scoring import RunOutcome, RunScorer, Snapshot

NOBODY = "local"
"""Stands for the Submission's UID and the dataset's alias, which a run at home has not."""
_POD = "laptop"
_LOOK_SECONDS = 0.2
_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class LocalDataset:
    name: str
    path: Path
    """``NAME.data``."""
    shape: tuple[int, int]
    """Test examples × labels."""
    solution: Path | None


@dataclass(frozen=True)
class LocalTask:
    """A folder of code on a dataset."""

    code: Path
    dataset: LocalDataset
    recorded: Path
    """Where what is recorded is kept."""
    seed: int = 0
    """``ALCOVE_SEED``: all that repeats are told apart by."""


@dataclass(frozen=True)
class LocalSettings:
    framework: Framework
    rules: CurveRules
    """The budget among them, whole seconds."""
    command: tuple[str, ...] = ()
    """Run in place of model.py, as the command of an image is."""
    free_constructor: bool = False
    """Whether import and constructor of a model.py run before the go, as with ``compat.freeConstructor``."""


@dataclass(frozen=True)
class SeenSnapshot:
    """A prediction, as soon as the recorder has it. ``score`` is None where it is refused, or nothing to score with."""

    name: str
    seconds: float
    score: float | None
    refused: str = ""


@dataclass(frozen=True)
class LocalEnd:
    """What came of a run. ``outcome`` is None where there is no solution to score with."""

    task: LocalTask
    status: int
    """The supervisor's."""
    manifest: Manifest
    attempt: Path
    """The folder with the manifest."""
    names: dict[int, str]
    outcome: RunOutcome | None
    steps: dict[str, float]
    """Seconds of each step: ``start`` (until the go), ``run``, ``seal`` and ``score``."""

    @property
    def has_prediction(self) -> bool:
        if self.outcome is not None:
            return self.outcome.alc is not None
        return any(record.refused is None for record in self.manifest.records)

    @property
    def is_good(self) -> bool:
        """Whether it ended as runs should, and left a prediction that counts."""
        return self.status in _GOOD_ENDS and self.has_prediction

    @property
    def cause(self) -> str:
        """As the cluster names it."""
        if self.status in _GOOD_ENDS and not self.has_prediction:
            return NO_PREDICTIONS
        return _CAUSES.get(self.status, "Unknown")

    @property
    def message(self) -> str:
        """A sentence for people."""
        told = _ENDS.get(self.status, f"the supervisor ended with status {self.status}")
        if self.status in _GOOD_ENDS and not self.has_prediction:
            refused = len(self.outcome.refused if self.outcome else self.manifest.records)
            said = {0: "it saved no prediction", 1: "its only prediction was refused"}
            told += f", but {said.get(refused, f'each of its {refused} predictions was refused')}"
        return f"{told}."


class RunListener(Protocol):
    """Is told what happens in a run, by threads of that run."""

    def hear_line(self, task: LocalTask, line: str) -> None: ...
    def hear_go(self, task: LocalTask, at: datetime) -> None: ...
    def hear_snapshot(self, task: LocalTask, seen: SeenSnapshot) -> None: ...


_GOOD_ENDS = (SupervisorExit.FINISHED, SupervisorExit.BUDGET)
_CAUSES: dict[int, str] = {
    SupervisorExit.FINISHED: "Finished",
    SupervisorExit.PROGRAM_FAILED: "ExitCode",
    SupervisorExit.SIGNALLED: "Signalled",
    SupervisorExit.BUDGET: "DeadlineReached",
    SupervisorExit.RECORDER_LOST: "RecorderLost",
    SupervisorExit.NOT_STARTED: "CouldNotStart",
}
_ENDS: dict[int, str] = {
    SupervisorExit.FINISHED: "the program finished",
    SupervisorExit.PROGRAM_FAILED: "the program failed; its output says why",
    SupervisorExit.SIGNALLED: "the program was killed by a signal",
    SupervisorExit.BUDGET: "the budget was used up",
    SupervisorExit.RECORDER_LOST: "the recorder was lost",
    SupervisorExit.NOT_STARTED: "the program could not be started",
}
FAULTS = (SupervisorExit.RECORDER_LOST, SupervisorExit.NOT_STARTED)
"""Ends that are not the program's."""


def execute(task: LocalTask, settings: LocalSettings, listener: RunListener, stop: Event) -> LocalEnd:
    """Runs the code, and returns once it is recorded and scored.

    Args:
        stop: once set, the run is ended.

    Raises:
        CommandError: the supervisor is not installed.
        FaultError: the recorder left nothing.
        InputError, SolutionError: the solution cannot be used.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="alcove-run-", ignore_cleanup_errors=True) as name:
        place = _Place(Path(name))
        task.recorded.mkdir(parents=True, exist_ok=True)
        attempt = task.recorded / keys.attempt_prefix(NOBODY, NOBODY, 1, _POD)
        watch = _SnapshotWatch(task, settings.rules, attempt, listener)
        with _recorder(place, task, settings), _supervised(place, task, settings) as process:
            reader = Thread(target=_read_lines, args=(process, task, listener), daemon=True)
            reader.start()
            while process.poll() is None:
                if stop.is_set():
                    process.terminate()
                place.tell_go(task, listener)
                watch.look()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_SECONDS)
            reader.join()
            ended = time.monotonic()
        watch.look()
        return _conclude(task, settings, process.returncode, attempt, place, ended - began)


def _conclude(
    task: LocalTask, settings: LocalSettings, status: int, attempt: Path, place: _Place, seconds: float
) -> LocalEnd:
    path = attempt / "manifest.json"
    if not path.is_file():
        raise FaultError(
            f"The recorder left no manifest of the run on {task.dataset.name}, so there is nothing to score. "
            f"Its last words: {place.last_words()}"
        )
    manifest = Manifest.model_validate_json(path.read_bytes())
    names: dict[int, str] = {}
    outcome, began = None, time.monotonic()
    if task.dataset.solution is not None:
        names, outcome = score_files(task.dataset.solution, attempt, settings.rules)
    run = max(0.0, manifest.end.ended_ns / 1e9)
    steps = {
        "start": place.seconds_to_go(seconds),
        "run": run,
        "seal": max(0.0, seconds - place.seconds_to_go(seconds) - run),
        "score": time.monotonic() - began,
    }
    return LocalEnd(task, status, manifest, attempt, names, outcome, steps)


class _Place:
    """The folders that a pod has as volumes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._began = time.time()
        self._go_at: datetime | None = None
        for name in ("run", "out", "spool", "home"):
            (root / name).mkdir()

    def tell_go(self, task: LocalTask, listener: RunListener) -> None:
        if self._go_at is not None:
            return
        with suppress(OSError, ValueError):  # Not there yet, or being written.
            report = RecorderReport.model_validate_json((self.root / "recorder.json").read_bytes())
            if report.go_at is not None:
                self._go_at = report.go_at
                listener.hear_go(task, report.go_at)

    def seconds_to_go(self, otherwise: float) -> float:
        return otherwise if self._go_at is None else max(0.0, self._go_at.timestamp() - self._began)

    def last_words(self) -> str:
        with suppress(OSError):
            return " ".join((self.root / "recorder.log").read_text(errors="replace").split()[-60:])
        return "none"


class _SnapshotWatch:
    """Scores each prediction once the recorder has written it down."""

    def __init__(self, task: LocalTask, rules: CurveRules, attempt: Path, listener: RunListener) -> None:
        self._task, self._rules, self._attempt, self._listener = task, rules, attempt, listener
        self._solution = (
            None if task.dataset.solution is None else load_solution(task.dataset.solution, rules.metric)
        )
        self._next = 0

    def look(self) -> None:
        while (path := self._attempt / "rec" / f"{self._next:08d}.json").is_file():
            record = Record.model_validate_json(path.read_bytes())
            self._listener.hear_snapshot(self._task, self._see(record))
            self._next += 1

    def _see(self, record: Record) -> SeenSnapshot:
        seconds = counted_seconds(record.t_ns, record.seen_ns, self._rules.budget)
        if record.refused is not None:
            return SeenSnapshot(record.name, record.t_ns / 1e9, None, record.refused)
        if seconds is None:
            return SeenSnapshot(record.name, record.t_ns / 1e9, None, "late")
        if self._solution is None:
            return SeenSnapshot(record.name, seconds, None)
        scorer = RunScorer(self._rules, self._solution)
        kind: Kind = "npy" if record.kind == "npy" else "text"
        data = (self._attempt / "snap" / f"{record.seq:08d}.bin").read_bytes()
        scorer.add(record.seq, record.name, seconds, Snapshot(kind, len(data), (data,)))
        found = scorer.points or [Point(0, 0.0, 0.0)]
        refused = scorer.refused[0].reason if scorer.refused else ""
        return SeenSnapshot(record.name, seconds, None if refused else found[0].score, refused)


def _read_lines(process: subprocess.Popen[str], task: LocalTask, listener: RunListener) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        listener.hear_line(task, line.rstrip("\n"))


@contextmanager
def _supervised(place: _Place, task: LocalTask, settings: LocalSettings) -> Iterator[subprocess.Popen[str]]:
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(place.root / "home"),
        "USER": "participant",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        # On a laptop the folder is writable, and it is the user's.
        "PYTHONDONTWRITEBYTECODE": "1",
        "ALCOVE_DATA": str(task.dataset.path),
        "ALCOVE_OUT": str(place.root / "out"),
        "ALCOVE_CODE": str(task.code),
        "ALCOVE_BUDGET": f"{settings.rules.budget:g}",
        "ALCOVE_FRAMEWORK": settings.framework,
        "ALCOVE_SEED": str(task.seed),
    }
    free = ("--free-constructor", str(FREE_CONSTRUCTOR_SECONDS)) if settings.free_constructor else ()
    if free:
        environment["ALCOVE_FREE_CONSTRUCTOR"] = str(FREE_CONSTRUCTOR_SECONDS)
    command = [
        str(find_supervisor()), "run", "--socket", str(place.root / "run" / "go.sock"),
        "--go", "start" if settings.command else "runner", *free, "--",
        *(settings.command or runner_command(settings.framework)),
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        cwd=place.root / "home" if settings.command else None,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # Ctrl-C is for us to pass on: the recorder must outlive the program.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


@contextmanager
def _recorder(place: _Place, task: LocalTask, settings: LocalSettings) -> Iterator[None]:
    config = RunConfig(
        submission_uid=NOBODY, alias=NOBODY, attempt=1, data_sha256=None, code_sha256=None,
        budget_ns=round(settings.rules.budget * 1e9),
        free_constructor_ns=FREE_CONSTRUCTOR_SECONDS * 10**9 if settings.free_constructor else 0,
        n_test=task.dataset.shape[0], n_labels=task.dataset.shape[1],
    )  # fmt: skip
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "ALCOVE_ROOT": str(place.root),
        "ALCOVE_RUN": json.dumps(config.model_dump(mode="json")),
        "ALCOVE_POD_UID": _POD,
        "ALCOVE_STORE_ENDPOINT": task.recorded.resolve().as_uri(),
        "ALCOVE_TERMINATION_LOG": str(place.root / "recorder.json"),
    }
    with (place.root / "recorder.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "alcove_recorder"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        _end(process)


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def find_supervisor() -> Path:
    """Beside this interpreter, where ``make install`` puts it, or on the PATH."""
    beside = Path(sys.executable).parent / "alcove-supervisor"
    found = beside if beside.exists() else shutil.which("alcove-supervisor")
    if not found:
        raise CommandError(
            "alcove-supervisor is not installed, so a run could not be timed. `make install` compiles it "
            "(it needs a C compiler: apt-get install gcc libc6-dev)."
        )
    return Path(found)
