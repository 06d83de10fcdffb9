"""What grows, from the samples alone: slopes with their intervals, what was to be expected, and a verdict."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from bench.soak.samples import (
    BEGAN,
    BOARD_REQUEST,
    EVENT,
    FILES,
    KILLED,
    LEFT_IN_ETCD,
    LEFT_IN_STORE,
    LEFT_OBJECTS,
    QUIET,
    SOCKETS,
    STARTED,
    WATCHES,
    History,
)

HOUR = 3600.0
WARM_UP = 0.25
"""The part of each half that is left out at its begin: caches fill, and etcd keeps the last minutes' history."""
PIECES = 12
"""The median of each is a point of the line: samples that follow each other closely tell the same."""
COMPACTED, COMPACTIONS = "etcd in use", 8
"""The API server drops etcd's history of changes every five minutes. So many pieces of 45 minutes are longer, and the
least value of each, after a compaction, is a point of the line."""
ROW_KIB = 11.0
"""What the operator may keep of a Submission that has ended: its row (docs/scale.md), and what the heap loses."""
BOARDS_EACH = 1.0
"""A new board for each Submission at most; its request stays in the store."""
REWRITTEN_EACH = 2.0
"""Versions that each Submission adds to objects which are there: its code, and who counts (``counted.json``)."""
EVENTS_EACH = 1.0
"""That each Submission leaves, for the hour after which the API server drops them."""
TOLERANCE = 0.1
"""Of what is expected: names and numbers have more digits and fewer."""
GROWS = "GROWS"
"""The verdict on what grows more than it is to."""
RECORD_KIB = 1.7
"""What the recorder keeps of a prediction until it seals: its record, and what it knows the file by."""
Window = tuple[float, float]


@dataclass(frozen=True)
class Slope:
    """Growth in an hour."""

    value: float
    low: float
    high: float
    """Of the 95 % interval."""


@dataclass(frozen=True)
class Growth:
    """One figure in one window."""

    start: float
    end: float
    """Of the first and the last piece."""
    slope: Slope
    expected: float = 0.0
    """In an hour."""

    @property
    def is_as_expected(self) -> bool:
        """Whether it may be that it grows no more than it is to, but for :data:`TOLERANCE`."""
        return self.slope.low <= (1 + TOLERANCE) * self.expected


def measure_growth(
    times: Sequence[float],
    values: Sequence[float],
    window: Window,
    expected: float = 0.0,
    pieces: int = PIECES,
    summarize: Callable[[list[float]], float] = statistics.median,
) -> Growth | None:
    """Theil and Sen's slope, and Sen's interval of it, through one point for each of so many equal pieces of a window.

    Args:
        times: Unix times, seconds.
        values: at these.
        expected: growth in an hour.
        summarize: makes one of the values of a piece.

    Returns None where fewer than three pieces have samples.
    """
    edges = np.linspace(*window, pieces + 1)
    found: list[tuple[float, float]] = []
    for low, high in pairwise(edges):
        inside = [(at, value) for at, value in zip(times, values, strict=True) if low <= at < high]
        if inside:
            middle = statistics.median(at for at, _ in inside)
            found.append((middle, summarize([value for _, value in inside])))
    if len(found) < 3:
        return None
    hours = [(at - window[0]) / HOUR for at, _ in found]
    fitted = stats.theilslopes([value for _, value in found], hours, alpha=0.95)
    slope = Slope(float(fitted.slope), float(fitted.low_slope), float(fitted.high_slope))
    return Growth(found[0][1], found[-1][1], slope, expected)


@dataclass(frozen=True)
class Row:
    """One figure in both halves; None where a half has too few samples."""

    name: str
    halves: tuple[Growth | None, Growth | None]

    @property
    def verdict(self) -> str:
        if None in self.halves:
            return "too short to say"
        measured = [half for half in self.halves if half is not None]
        if all(half.is_as_expected for half in measured):
            return "as computed" if any(half.expected for half in measured) else "flat"
        return GROWS


def find_windows(history: History) -> tuple[Window, Window]:
    """Both halves, each without its warm-up; a half that was not reached is empty."""
    marks, last = history.marks, max((sample.at for sample in history.samples), default=0.0)
    began, killed = marks.get(BEGAN, last), marks.get(KILLED, last)
    started, quiet = marks.get(STARTED, last), marks.get(QUIET, last)
    return _warm(began, killed), _warm(started, quiet)


def _warm(start: float, end: float) -> Window:
    return start + WARM_UP * (end - start), end


def analyse(history: History) -> list[Row]:
    windows = find_windows(history)
    hourly = {
        what: [growth.slope.value if growth else 0.0 for growth in _measure_halves(history, what, windows)]
        for what in ("submitted", "saved")
    }
    rows = []
    for name, unit, of, each in _list_figures(history):
        expected = [each * rate for rate in hourly[of]] if of else [0.0, 0.0]
        halves = _measure_halves(history, name, windows, expected)
        if any(halves):
            rows.append(Row(f"{name}{unit}", halves))
    return rows


def _measure_halves(
    history: History, name: str, windows: tuple[Window, Window], expected: Sequence[float] = (0.0, 0.0)
) -> tuple[Growth | None, Growth | None]:
    series = history.series(name)
    how: tuple[int, Callable[[list[float]], float]] = (PIECES, statistics.median)
    if name == COMPACTED:
        how = (COMPACTIONS, min)
    first, second = (
        measure_growth(*series, window, each, *how) for window, each in zip(windows, expected, strict=True)
    )
    return first, second


def _list_figures(history: History) -> list[tuple[str, str, str, float]]:
    """Series, its unit, what it is to grow with, and by how much for each of those."""

    def left(what: str) -> float:
        return history.facts.get(what, 0.0)

    found: list[tuple[str, str, str, float]] = [
        ("operator memory", ", MiB", "submitted", ROW_KIB / 1024),
        *((f"operator {what}", "", "", 0.0) for what in ("threads", FILES, SOCKETS, "series of metrics")),
        ("recorder memory", ", MiB", "saved", RECORD_KIB / 1024),
        *((f"recorder {what}", "", "", 0.0) for what in ("threads", FILES, SOCKETS, WATCHES)),
        ("API server watches", "", "", 0.0),
        (COMPACTED, ", KiB after a compaction", "submitted", left(LEFT_IN_ETCD) + EVENTS_EACH * left(EVENT)),
        ("store, number", " of objects", "submitted", left(LEFT_OBJECTS) + BOARDS_EACH),
        ("versions in the store", "", "submitted", left(LEFT_OBJECTS) + BOARDS_EACH + REWRITTEN_EACH),
        ("store, KiB", "", "submitted", left(LEFT_IN_STORE) + BOARDS_EACH * left(BOARD_REQUEST)),
        ("recorder's objects, number", "", "saved", 2.0),
    ]
    names = {name for sample in history.samples for name in sample.values}
    stay = {"submissions.alcove.dev": 1.0, "events": EVENTS_EACH}
    for name in sorted(names):
        kind = name.removeprefix("objects of ")
        if kind != name:
            found.append((name, "", "submitted" if kind in stay else "", stay.get(kind, 0.0)))
    return found
