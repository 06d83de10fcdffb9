"""``python -I -m alcove_recorder``: records one run. The environment is that of docs/contracts.md."""

from __future__ import annotations

import signal

# A SIGTERM before there is a handler would be lost: the kernel drops it for the first process of a container.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

import gc  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402

from alcove_api.exit_statuses import RecorderExit  # noqa: E402
from alcove_recorder.errors import RecorderSettingsError  # noqa: E402
from alcove_recorder.jsonlog import log  # noqa: E402
from alcove_recorder.recorder import Recorder  # noqa: E402
from alcove_recorder.settings import from_environment  # noqa: E402
from alcove_recorder.sinks import open_sink  # noqa: E402


def main() -> int:
    try:
        settings = from_environment(os.environ)
    except RecorderSettingsError as error:
        log("cannot-start", error=str(error))
        return RecorderExit.NOT_STARTED
    # Uploading must not delay stamping: the thread that stamps waits 0.5 ms for the interpreter at most.
    sys.setswitchinterval(0.0005)
    try:
        recorder = Recorder(settings, lambda: open_sink(settings.endpoint))
    except (OSError, ValueError) as error:
        log("cannot-start", error=f"The recorder's volumes cannot be used, so nothing is recorded: {error!r}")
        return RecorderExit.NOT_STARTED
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    gc.freeze()
    try:
        return recorder.serve()
    except Exception as error:  # the operator has to learn of it; the kubelet starts a new one, which goes on
        log("crashed", error=repr(error), trace=traceback.format_exc())
        recorder.report(f"{type(error).__name__}: {error}")
        return RecorderExit.NOT_SEALED


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # The uploader may be waiting for a store that is away; it must not keep the process.
    os._exit(status)
