"""``python -I -m alcove_recorder``: records one run. The environment is that of docs/contracts.md."""

from __future__ import annotations

import gc
import os
import sys

from .errors import SettingsError
from .handshake import listen
from .jsonlog import log
from .recorder import Recorder
from .settings import from_environment
from .sinks import open_sink


def main() -> int:
    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        log("cannot-start", error=str(error))
        return 2
    # Uploading must not delay stamping: the thread that stamps waits 0.5 ms for the interpreter at most.
    sys.setswitchinterval(0.0005)
    settings.spool.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(settings, listen(settings.socket), lambda: open_sink(settings.endpoint))
    gc.freeze()
    return recorder.serve()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # The shipper may be waiting for a store that is away; it must not keep the process.
    os._exit(status)
