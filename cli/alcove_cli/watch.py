"""Follows submissions until they have ended: a live table on a terminal, a line a change elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alcove_api.score_text import format_score
from alcove_cli.errors import FailedError
from alcove_kube.client import KubeClient, Object
from alcove_kube.errors import ApiError
from alcove_kube.resources import SUBMISSIONS

ENDED = ("Done", "Failed", "Rejected")
POLL_SECONDS = 1.0
RANK_SECONDS = 60.0
"""That the board may take once a submission has its scores."""
HEARTBEAT_SECONDS = 20.0
"""Where nothing changes, a line is printed this often, so that nobody takes a long run for a hung command."""
Key = tuple[str, str]


def list_runs(submission: Object) -> Iterator[Object]:
    yield from submission.get("status", {}).get("runs", [])


def render_view(submissions: Iterable[Object], seconds: float, trouble: str = "") -> Group:
    """For each submission a line, and below it a row a run: dataset, phase, predictions, score, cause."""
    parts: list[RenderableType] = [Text(f"{seconds:4.0f} s")]
    for submission in submissions:
        parts.append(Text(state_line(submission)))
        table = Table(box=None, padding=(0, 2), pad_edge=True, header_style="dim")
        for column in ("Dataset", "Phase", "Predictions", "ALC", "Cause"):
            table.add_column(column, justify="right" if column in ("Predictions", "ALC") else "left")
        for run in list_runs(submission):
            table.add_row(run["dataset"], run.get("phase", ""), *_figures(run), run.get("cause", ""))
        if table.row_count:
            parts.append(table)
    if trouble:
        parts.append(Text(trouble, style="yellow"))
    return Group(*parts)


def _figures(run: Object) -> tuple[str, str]:
    alc = run.get("alc")
    return str(run.get("snapshots", "") or ""), "" if alc is None else format_score(alc, 4)


def state_line(submission: Object) -> str:
    """One line that changes whenever anything a watcher cares about does."""
    status = submission.get("status", {})
    counts: dict[str, int] = {}
    for run in list_runs(submission):
        counts[run.get("phase", "")] = counts.get(run.get("phase", ""), 0) + 1
    parts = ", ".join(f"{n} {phase.lower()}" for phase, n in counts.items())
    meta = submission["metadata"]
    line = f"{meta['namespace']}/{meta['name']}: {status.get('phase') or 'waiting'}"
    if parts:
        line += f" ({parts})"
    # While runs go on, the cause is only that of the runs that have ended.
    if status.get("cause") and status.get("phase") not in ("Running", "Scoring"):
        # A wait for anything but a place has its reason in the message alone.
        why = status.get("message") if status["cause"] == "Waiting" else None
        line += f" — {why or status['cause']}"
    return line


@dataclass
class WatchView:
    """What was last shown, and how: a live table where the console is a terminal, else lines."""

    console: Console
    started: float = field(default_factory=time.monotonic)
    _live: Live | None = None
    _shown: dict[Key, str] = field(default_factory=dict)
    _printed: float = 0.0
    _found: list[Object] = field(default_factory=list)
    _trouble: str = ""

    @contextlib.contextmanager
    def open(self) -> Iterator[WatchView]:
        self._printed = self.started
        if not self.console.is_terminal:
            yield self
            return
        with Live(console=self.console, refresh_per_second=4) as self._live:
            yield self

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def show(self, found: list[Object]) -> None:
        if self._trouble:
            self._trouble = ""
            self._print("The API server answers again.")
        self._found = found
        if self._live is not None:
            self._live.update(render_view(found, self.seconds))
            return
        for submission in found:
            key = (submission["metadata"]["namespace"], submission["metadata"]["name"])
            line = state_line(submission)
            if self._shown.get(key) != line or time.monotonic() - self._printed > HEARTBEAT_SECONDS:
                self._shown[key] = line
                self._print(line)

    def show_trouble(self, error: ApiError) -> None:
        """Once for each outage: what was seen before stays in view."""
        first = not self._trouble
        self._trouble = f"{error.cause} What is shown may be old; the submissions go on. Still trying."
        if self._live is not None:
            self._live.update(render_view(self._found, self.seconds, self._trouble))
        elif first or time.monotonic() - self._printed > HEARTBEAT_SECONDS:
            self._print(self._trouble)

    def _print(self, text: str) -> None:
        if self._live is None:
            self._printed = time.monotonic()
            self.console.print(f"{self.seconds:6.0f} s  {text}", highlight=False, soft_wrap=True)


def follow_submissions(kube: KubeClient, wanted: list[Key], console: Console, timeout: float) -> list[Object]:
    """Returns the submissions once all have ended.

    An API server that does not answer is waited for, and said.

    Raises:
        ApiError: the first look was refused: no such submission, say.
        FailedError: one was deleted meanwhile or may no longer be read, or ``timeout`` seconds are over.
    """
    found: list[Object] = []
    with WatchView(console).open() as view:
        while True:
            try:
                found = [kube.get(SUBMISSIONS, namespace, name) for namespace, name in wanted]
                view.show(found)
            except ApiError as error:
                if not error.retriable:
                    if found:
                        raise _cut_short(error) from error
                    raise
                view.show_trouble(error)
            if found and all(s.get("status", {}).get("phase") in ENDED for s in found):
                return found
            if view.seconds > timeout:
                raise FailedError(
                    f"Not all had ended after {timeout:g} s.", remedy="They go on: watch them again."
                )
            time.sleep(POLL_SECONDS)


def _cut_short(error: ApiError) -> FailedError:
    what = "It was deleted while it was watched" if error.not_found else "It can no longer be read"
    return FailedError(f"{what}: {error.message}.", remedy="Submit it again." if error.not_found else "")


def wait_for_rank(kube: KubeClient, submission: Object) -> Object:
    """The submission with its rank, which follows the scores by a few seconds; as it is where none comes in time."""
    meta = submission["metadata"]
    end = time.monotonic() + RANK_SECONDS
    with contextlib.suppress(ApiError):
        while _may_get_rank(submission) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            submission = kube.get(SUBMISSIONS, meta["namespace"], meta["name"])
    return submission


def _may_get_rank(submission: Object) -> bool:
    status = submission.get("status", {})
    scored = any(run.get("alc") is not None for run in list_runs(submission))
    return scored and status.get("phase") == "Done" and status.get("rank") is None
