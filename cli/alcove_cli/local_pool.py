"""Runs side by side on this machine: at most so many at a time, and none that outlives the command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event

from alcove_cli.local_run import LocalEnd, LocalSettings, LocalTask, execute
from alcove_cli.local_view import LocalView

_BEAT_SECONDS = 0.5


def run_tasks(
    tasks: Sequence[LocalTask],
    settings_of: Callable[[LocalTask], LocalSettings],
    jobs: int,
    view: LocalView,
) -> Iterator[LocalEnd]:
    """Starts tasks in their order, ``jobs`` at a time, and yields each end as it comes.

    Whatever ends this early (Ctrl-C, an error of a task, a caller that stops) ends the runs first.
    """
    stop = Event()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="alcove-run")
    waiting: set[Future[LocalEnd]] = {
        pool.submit(execute, task, settings_of(task), view, stop) for task in tasks
    }
    try:
        while waiting:
            done, waiting = wait(waiting, _BEAT_SECONDS, FIRST_COMPLETED)
            view.beat()
            for future in done:
                end = future.result()
                yield end
                view.hear_end(end)  # Once the caller has kept it: what is told stays done.
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
