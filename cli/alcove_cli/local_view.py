"""What a user sees of runs on this machine: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alcove_api.score_text import format_score
from alcove_cli.local_run import LocalEnd, LocalTask, SeenSnapshot
from alcove_scorer.curves import CurveRules, Point, area_under_curve, axis_position, latest_per_time

_HEIGHTS = "▁▂▃▄▅▆▇█"
_COLUMNS = 16
"""Of a small curve."""
_HEARTBEAT_SECONDS = 20.0


@dataclass
class _Row:
    go_at: float | None = None
    snapshots: int = 0
    refused: int = 0
    points: list[Point] = field(default_factory=list)
    ended: str = ""


class LocalView:
    """A :class:`alcove_cli.local_run.RunListener` that shows what it hears. Its methods may be called by any thread."""

    def __init__(
        self,
        console: Console,
        tasks: Sequence[LocalTask],
        rules: CurveRules,
        label_many: Callable[[LocalTask], str] | None = None,
    ) -> None:
        """``label_many``: names a task among many; then only runs under way have a row, and ends alone have lines."""
        self._console, self._tasks, self._rules = console, tasks, rules
        self._label_many = label_many
        self._ended = 0
        self._rows = {task.recorded: _Row() for task in tasks}
        self._lock = Lock()
        self._live: Live | None = None
        self._printed = time.monotonic()

    @contextlib.contextmanager
    def open(self) -> Iterator[LocalView]:
        if not self._console.is_terminal:
            yield self
            return
        with Live(
            get_renderable=self.render, console=self._console, refresh_per_second=4, transient=True
        ) as self._live:
            try:
                yield self
            finally:
                self._live = None

    def beat(self) -> None:
        """Called from time to time: where nothing was printed for long, says that runs go on."""
        if self._live is None and time.monotonic() - self._printed > _HEARTBEAT_SECONDS:
            under_way = [self._name(task) for task in self._tasks if self._left(self._rows[task.recorded])]
            self._print("", f"Still running: {', '.join(under_way) or 'libraries load'}.")

    def hear_line(self, task: LocalTask, line: str) -> None:
        if self._label_many is None:
            self._print(self._label(task), line)

    def hear_go(self, task: LocalTask, at: datetime) -> None:
        self._rows[task.recorded].go_at = at.timestamp()

    def hear_snapshot(self, task: LocalTask, seen: SeenSnapshot) -> None:
        row = self._rows[task.recorded]
        with self._lock:
            row.snapshots += 1
            if seen.score is not None:
                row.points.append(Point(row.snapshots, seen.seconds, seen.score))
            row.refused += bool(seen.refused)
        if self._label_many is not None:
            return
        name = f"{seen.name:<28}" if len(self._tasks) == 1 else seen.name
        if seen.refused:
            self._print(self._label(task), f"  {name} refused: {seen.refused}")
        else:
            score = "" if seen.score is None else f"  score {format_score(seen.score, 4)}"
            self._print(self._label(task), f"{score}  {name} {seen.seconds:8.2f} s")

    def hear_end(self, end: LocalEnd) -> None:
        self._rows[end.task.recorded].ended = end.cause
        self._ended += 1
        if self._label_many is not None:
            alc = end.outcome.alc if end.outcome is not None else None
            score = f"ALC {format_score(alc, 4)}" if alc is not None else "no score"
            count = f"{self._ended:>{len(str(len(self._tasks)))}} of {len(self._tasks)}"
            self._print(f"{count}  {self._name(end.task)}: ", f"{end.cause}, {score}")
        elif len(self._tasks) > 1:
            self._print(self._label(end.task), f"Ended: {end.message}")

    def _name(self, task: LocalTask) -> str:
        return task.dataset.name if self._label_many is None else self._label_many(task)

    def _label(self, task: LocalTask) -> str:
        return f"{task.dataset.name}: " if len(self._tasks) > 1 else ""

    def _print(self, label: str, line: str) -> None:
        with self._lock:
            self._printed = time.monotonic()
            console = self._live.console if self._live is not None else self._console
            console.print(Text(label + line), soft_wrap=True)

    def _left(self, row: _Row) -> float | None:
        """Seconds of the budget; None before the go and after the end."""
        if row.go_at is None or row.ended:
            return None
        return max(0.0, self._rules.budget - (time.time() - row.go_at))

    def render(self) -> RenderableType:
        """The live table as it is now."""
        table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
        # Where it does not fit, only a name is cut.
        table.add_column("Dataset" if self._label_many is None else "Run")
        for column, width in (("Left", 4), ("Predictions", 11), ("Score", 6), ("ALC", 6)):
            table.add_column(column, justify="right", no_wrap=True, min_width=width)
        table.add_column("Curve", no_wrap=True, min_width=_COLUMNS)
        with self._lock:
            for task in self._tasks:
                row = self._rows[task.recorded]
                if self._label_many is None or self._left(row) is not None:
                    table.add_row(*self._cells(task, row))
        done = f"{self._ended} of {len(self._tasks)} runs have ended" if self._label_many is not None else ""
        return Group(Text(done), table)

    def _cells(self, task: LocalTask, row: _Row) -> tuple[str | Text, ...]:
        left = self._left(row)
        state = row.ended or ("waits" if left is None else f"{left:.0f} s")
        points = latest_per_time(row.points)
        score = format_score(points[-1].score, 4) if points else ""
        area = format_score(area_under_curve(points, self._rules), 4) if points else ""
        return (
            Text(self._name(task), no_wrap=True, overflow="ellipsis"),
            state,
            str(row.snapshots or ""),
            score,
            area,
            draw_small_curve(points, self._rules),
        )


def draw_small_curve(points: Sequence[Point], rules: CurveRules) -> str:
    """The last score before each of a few moments, evenly along the scaled time axis, as blocks; 0 … 1 is full height.

    ``points``: by time.
    """
    positions = [axis_position(point.seconds, rules) for point in points]
    cells = ""
    for column in range(_COLUMNS):
        before = bisect_right(positions, column / (_COLUMNS - 1) + 1e-9)
        cells += _draw_height(points[before - 1].score) if before else " "
    return cells


def _draw_height(score: float) -> str:
    return _HEIGHTS[min(len(_HEIGHTS) - 1, max(0, int(score * len(_HEIGHTS))))]
