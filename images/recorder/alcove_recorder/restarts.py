"""The parent of the recorder: starts it again, at once, when it was killed or has failed.

The kubelet starts a native sidecar again as well. But it starts the program's container only when it has seen the
sidecar run, and looks once a second; and it lets a second crash wait for 10 s. The parent imports next to nothing: what
can fail is in its child.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from threading import Thread
from typing import NoReturn

from alcove_api.exit_statuses import RecorderExit

FORWARDED = frozenset({signal.SIGTERM})
MOST_RESTARTS = 20
"""A recorder that fails again and again must not do so until the pod's deadline."""
_FINAL = (RecorderExit.SEALED, RecorderExit.NOT_STARTED, RecorderExit.NOT_STAGED)


def keep_running(serve: Callable[[int], int], pause: Callable[[float], None] = time.sleep) -> int:
    """Runs ``serve`` in a child, and again in another until it ends for good; returns its exit status.

    Args:
        serve: is given how often it was started before, and returns an exit status. It runs with SIGTERM blocked.
        pause: waits for so many seconds, before all restarts but the first.

    SIGTERM goes to the child, also to one that is started after it. One that was told to stop, and ends by itself, is
    not started again; one that is killed meanwhile is.
    """
    awaited = FORWARDED | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    alive_r, alive_w = os.pipe2(os.O_CLOEXEC)
    stopped, restarts = False, 0
    try:
        while True:
            child = os.fork()
            if child == 0:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
                os.close(alive_w)
                _run_child(serve, restarts, alive_r)
            if stopped:
                os.kill(child, signal.SIGTERM)
            while (status := _find_end(child)) is None:
                if signal.sigwait(awaited) in FORWARDED:
                    stopped = True
                    os.kill(child, signal.SIGTERM)
            killed = os.WIFSIGNALED(status)
            code = 128 + os.WTERMSIG(status) if killed else os.WEXITSTATUS(status)
            if code in _FINAL or (stopped and not killed) or restarts == MOST_RESTARTS:
                return code
            if restarts:
                pause(min(0.05 * 2**restarts, 5.0))
            restarts += 1
    finally:
        os.close(alive_r)
        os.close(alive_w)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_child(serve: Callable[[int], int], restarts: int, alive: int) -> NoReturn:
    """Nothing in it may get back into the parent's loop."""
    try:
        Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
        os._exit(serve(restarts))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(RecorderExit.NOT_SEALED)


def _end_with_parent(alive: int) -> None:
    """Outside a container nothing else ends the child of a parent that was killed. The pipe ends with the parent."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _find_end(child: int) -> int | None:
    """Its wait status; None while it runs."""
    pid, status = os.waitpid(child, os.WNOHANG)
    return status if pid else None
