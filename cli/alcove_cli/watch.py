"""Follows submissions until they have ended: a live table on a terminal, a line a change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.live import Live
from rich.table import Table

from alcove_cli.cluster import Cluster, Object, runs

ENDED = ("Done", "Failed", "Rejected")
Key = tuple[str, str]


def table(submissions: Iterable[Object], started: float) -> Table:
    """One row a run: who, which dataset, in which phase, how many predictions, what score."""
    view = Table(title=f"{time.monotonic() - started:4.0f} s", title_justify="left", expand=False)
    for column in ("Team", "Submission", "Dataset", "Phase", "Predictions", "ALC", ""):
        view.add_column(column)
    for submission in submissions:
        meta, status = submission["metadata"], submission.get("status", {})
        rows = list(runs(submission))
        if not rows:
            view.add_row(
                meta["namespace"], meta["name"], "", status.get("phase", "…"), "", "", status.get("cause", "")
            )
        for number, run in enumerate(rows):
            owner = (meta["namespace"], meta["name"]) if number == 0 else ("", "")
            view.add_row(*owner, run["dataset"], run.get("phase", ""), *_figures(run), run.get("cause", ""))
    return view


def _figures(run: Object) -> tuple[str, str]:
    alc = run.get("alc")
    return str(run.get("snapshots", "") or ""), "" if alc is None else f"{alc:.4f}"


def state_line(submission: Object) -> str:
    """One line that changes whenever anything a watcher cares about does."""
    status = submission.get("status", {})
    counts: dict[str, int] = {}
    for run in runs(submission):
        counts[run.get("phase", "")] = counts.get(run.get("phase", ""), 0) + 1
    parts = ", ".join(f"{n} {phase.lower()}" for phase, n in counts.items())
    meta = submission["metadata"]
    line = f"{meta['namespace']}/{meta['name']}: {status.get('phase') or 'waiting'}"
    if parts:
        line += f" ({parts})"
    # While runs go on, the cause is only that of the runs that have ended.
    if status.get("cause") and status.get("phase") not in ("Running", "Scoring"):
        line += f" — {status['cause']}"
    return line


def follow(
    cluster: Cluster, wanted: list[Key], console: Console, timeout: float, heartbeat: float = 20.0
) -> list[Object]:
    """Returns the submissions once all have ended, or what they are when ``timeout`` seconds have passed."""
    started = time.monotonic()
    shown: dict[Key, str] = {}
    last = started
    live: Live | None = Live(console=console, refresh_per_second=4) if console.is_terminal else None

    def show(found: list[Object]) -> None:
        nonlocal last
        if live is not None:
            live.update(table(found, started))
            return
        for submission in found:
            key = (submission["metadata"]["namespace"], submission["metadata"]["name"])
            line = state_line(submission)
            if shown.get(key) != line or time.monotonic() - last > heartbeat:
                shown[key] = line
                last = time.monotonic()
                console.print(f"{time.monotonic() - started:6.0f} s  {line}", highlight=False, soft_wrap=True)

    def poll() -> list[Object]:
        while True:
            found = [cluster.get("submissions", namespace, name) for namespace, name in wanted]
            show(found)
            over = all(s.get("status", {}).get("phase") in ENDED for s in found)
            if over or time.monotonic() - started > timeout:
                return found
            time.sleep(1.0)

    return _with(live, poll)


def _with(live: Live | None, body: Callable[[], list[Object]]) -> list[Object]:
    if live is None:
        return body()
    with live:
        return body()
