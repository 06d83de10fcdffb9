"""What is read off while the soak runs: a file of lines, so that a run that was cut short can be analysed."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

FILES, SOCKETS, WATCHES = "files", "sockets", "inotify watches"
"""Kinds of what a process has open; what is none of them (pipes, epoll) counts as a file."""

BEGAN, KILLED, STARTED, QUIET, ENDED = "began", "operator killed", "operator started", "quiet", "ended"
"""Marks: QUIET is when the last Submission had ended."""
LEFT_IN_ETCD, LEFT_IN_STORE, LEFT_OBJECTS = (
    "KiB left in etcd",
    "KiB left in the store",
    "objects left in the store",
)
"""Facts: what the first Submission left when it had ended."""
EVENT = "KiB of an event"
"""Fact: of one of the first Submission's."""
BOARD_REQUEST = "KiB of a board's request"
"""Fact: of the last one, with every team on it."""


@dataclass(frozen=True)
class Sample:
    at: float
    """Unix time, seconds."""
    values: Mapping[str, float]
    """By series: ``operator memory`` and such."""


@dataclass(frozen=True)
class History:
    samples: tuple[Sample, ...] = ()
    marks: Mapping[str, float] = field(default_factory=dict)
    """Unix times of what was done."""
    facts: Mapping[str, float] = field(default_factory=dict)
    """What was measured once."""
    faults: tuple[str, ...] | None = None
    """That the judge found; None where the run was cut short before it judged."""

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """Times and values. Negative is what the API server does not know."""
        found = [(one.at, one.values[name]) for one in self.samples if one.values.get(name, -1.0) >= 0]
        return [at for at, _ in found], [value for _, value in found]


class Notebook:
    """Writes a history as it happens; threads may share one."""

    def __init__(self, file: TextIO) -> None:
        """``file``: line-buffered."""
        self._file = file

    def sample(self, values: Mapping[str, float]) -> None:
        self._write(values=values)

    def mark(self, name: str) -> None:
        self._write(mark=name)

    def fact(self, name: str, value: float) -> None:
        self._write(fact=name, value=value)

    def judge(self, faults: list[str]) -> None:
        self._write(faults=faults)

    def _write(self, **what: object) -> None:
        self._file.write(json.dumps({"at": time.time(), **what}) + "\n")


def read_history(path: Path) -> History:
    """A last line that was cut off is left out."""
    samples, marks, facts, faults = [], {}, {}, None
    for line in path.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        read = json.loads(line)
        if "values" in read:
            samples.append(Sample(read["at"], read["values"]))
        elif "mark" in read:
            marks[read["mark"]] = read["at"]
        elif "fact" in read:
            facts[read["fact"]] = read["value"]
        else:
            faults = tuple(read["faults"])
    return History(tuple(samples), marks, facts, faults)


def read_process(name: str, pid: int) -> dict[str, float]:
    """Resident memory in MiB, threads, and what is open by kind; nothing where the process is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        opened = Counter(filter(None, (_kind_of(folder, number) for number in os.listdir(folder / "fd"))))
        watches = sum(map(_count_watches, (folder / "fdinfo").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return {}
    if "VmRSS" not in status:
        return {}  # it has ended, and nobody has waited for it yet
    found = {
        "memory": int(status["VmRSS"].split()[0]) / 1024,
        "threads": float(status["Threads"]),
        FILES: float(opened[FILES]),
        SOCKETS: float(opened[SOCKETS]),
        WATCHES: float(watches),
    }
    return {f"{name} {what}": value for what, value in found.items()}


def _kind_of(folder: Path, number: str) -> str | None:
    try:
        target = os.readlink(folder / "fd" / number)
    except FileNotFoundError:
        return None  # closed meanwhile
    return SOCKETS if target.startswith("socket:") else FILES


def _count_watches(opened: Path) -> int:
    try:
        return opened.read_text().count("inotify wd:")
    except FileNotFoundError:
        return 0


def read_series(text: str, name: str, label: str = "") -> dict[str, float]:
    """From a page of metrics: the values of all series of ``name``, by their value of ``label``, summed up."""
    found: defaultdict[str, float] = defaultdict(float)
    for line in text.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")):
            labels, _, value = line.rpartition(" ")
            found[labels.partition(f'{label}="')[2].partition('"')[0]] += float(value)
    return dict(found)
