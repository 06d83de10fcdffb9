"""``python -I -m alcove_ingestion``: libraries, then the go, then the participant's code.

Before the go nothing of the participant's is read or run, and no data is opened. ``ALCOVE_PRELOAD`` names the
libraries that are loaded before it (default ``numpy,tensorflow``); those not installed are passed over.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from alcove_ingestion.errors import IngestionError, IngestionSettingsError
from alcove_ingestion.go import Clock, wait_for_go
from alcove_ingestion.participant import Framework


def main() -> int:
    # -I ignores PYTHONUNBUFFERED, and a line that waits in a buffer is lost when the budget ends.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    try:
        loaded = _preload(os.environ.get("ALCOVE_PRELOAD", "numpy,tensorflow"))
        clock = wait_for_go(os.environ)
        return _run(os.environ, clock, loaded)
    except IngestionError as error:
        print(f"[alcove] {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _preload(names: str) -> Framework:
    """Loads what is installed of these; says which framework a model has that names none."""
    from alcove_ingestion import runner  # noqa: F401  # Brings NumPy, Pillow and the reader.

    with _silenced(sys.stderr.fileno()):
        for name in names.split(","):
            if name and importlib.util.find_spec(name) is not None:
                importlib.import_module(name)
    return "tensorflow" if "tensorflow" in sys.modules else "numpy"


@contextmanager
def _silenced(descriptor: int) -> Iterator[None]:
    """Drops what native code writes there: TensorFlow greets on stderr, whatever its log level is."""
    kept, nowhere = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(nowhere)


def _run(environment: Mapping[str, str], clock: Clock, loaded: Framework) -> int:
    from alcove_format.errors import FormatError
    from alcove_ingestion.runner import run

    data, code, out = (_folder(environment, name) for name in ("ALCOVE_DATA", "ALCOVE_CODE", "ALCOVE_OUT"))
    try:
        saved = run(data, code, out, clock, loaded)
    except FormatError as error:
        print(f"[alcove] The dataset cannot be read; this is not your fault. {error}", file=sys.stderr)
        return 1
    print(f"[alcove] finished after {clock.elapsed():.2f} s with {saved} predictions")
    return 0


def _folder(environment: Mapping[str, str], name: str) -> Path:
    path = Path(environment.get(name, ""))
    if name not in environment or not path.is_dir():
        raise IngestionSettingsError(
            f"{name} is {environment.get(name)!r}: set it to a folder that is there."
        )
    return path.resolve()


if __name__ == "__main__":
    sys.exit(main())
