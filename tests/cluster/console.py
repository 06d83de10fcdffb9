"""Talking to the person who waits: progress with elapsed times, and errors that say what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

Progress = Callable[[str], None]

# Long enough not to chatter, short enough that nobody wonders whether anything is still happening.
REPORT_EVERY = 10.0


class ClusterError(RuntimeError):
    """A failure told as cause, consequence and remedy; printed as it is, without a traceback."""


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def elapsed(since: float) -> str:
    seconds = time.monotonic() - since
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def tail(path: Path, lines: int = 15) -> str:
    """The end of a log, indented; a note where there is none."""
    try:
        with path.open(errors="replace") as handle:
            last = deque(handle, maxlen=lines)
    except OSError:
        return f"    (no log at {path})"
    return "\n".join("    " + line.rstrip()[:400] for line in last) or f"    ({path} is empty)"


@contextmanager
def step(progress: Progress, what: str) -> Iterator[None]:
    """Says what begins, reports while it lasts, and says how long it took."""
    start = time.monotonic()
    progress(f"{what} …")
    finished = threading.Event()

    def report() -> None:
        while not finished.wait(REPORT_EVERY):
            progress(f"  … {what}: {elapsed(start)}")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        finished.set()
        reporter.join()
    progress(f"  done: {what}, {elapsed(start)}")


def run(argv: Sequence[str | Path], *, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """Runs a short command and returns its output; a failure carries the command's own words."""
    try:
        result = subprocess.run(
            [str(arg) for arg in argv], input=stdin, env=env, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise ClusterError(
            f"The program {argv[0]} is not installed, so this step cannot run. "
            "Install what is missing with: python -m tests.cluster deps"
        ) from error
    if result.returncode != 0:
        command = " ".join(str(arg) for arg in argv)
        raise ClusterError(
            f"The command `{command}` failed (status {result.returncode}):\n{result.stderr.strip()}"
        )
    return result.stdout


def run_logged(
    argv: Sequence[str | Path],
    log: Path,
    what: str,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Runs a long command with its output in a log; a failure shows the log's end.

    The command gets a process group of its own, which is killed if this process is interrupted: a build that
    lives on would fight the next one over its cache.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(arg) for arg in argv], stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            cwd=cwd, env=env, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if status != 0:
        raise ClusterError(f"{what} failed (status {status}). The end of {log}:\n{tail(log)}")
