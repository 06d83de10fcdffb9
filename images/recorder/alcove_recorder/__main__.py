"""``python -I -m alcove_recorder``: records one run. The environment is that of docs/contracts.md."""

from __future__ import annotations

import os
import signal
import sys

from alcove_recorder.restarts import FORWARDED, keep_running


def record(restarts: int) -> int:
    """In a process of its own, which has SIGTERM blocked until it can heed it."""
    import gc
    import traceback

    from alcove_api.exit_statuses import RecorderExit
    from alcove_recorder.errors import RecorderSettingsError
    from alcove_recorder.jsonlog import log
    from alcove_recorder.recorder import Recorder
    from alcove_recorder.settings import from_environment
    from alcove_recorder.sinks import open_sink

    try:
        settings = from_environment(os.environ)
    except RecorderSettingsError as error:
        log("cannot-start", error=str(error))
        return RecorderExit.NOT_STARTED
    # Uploading must not delay stamping: the thread that stamps waits 0.5 ms for the interpreter at most.
    sys.setswitchinterval(0.0005)
    try:
        recorder = Recorder(settings, lambda: open_sink(settings.endpoint), restarts)
    except (OSError, ValueError) as error:
        log("cannot-start", error=f"The recorder's volumes cannot be used, so nothing is recorded: {error!r}")
        return RecorderExit.NOT_STARTED
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    gc.freeze()
    try:
        return recorder.serve()
    except Exception as error:  # the operator has to learn of it; the parent starts a new one, which goes on
        log("crashed", error=repr(error), trace=traceback.format_exc())
        recorder.report(f"{type(error).__name__}: {error}")
        return RecorderExit.NOT_SEALED


def main(restarts: int) -> int:
    status = record(restarts)
    sys.stdout.flush()
    # The uploader may be waiting for a store that is away; it must not keep the process.
    os._exit(status)


if __name__ == "__main__":
    sys.exit(keep_running(main))
