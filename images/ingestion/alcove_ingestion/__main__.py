"""``python -I -m alcove_ingestion``: libraries, then the go, then the participant's code.

Before the go nothing of the participant's is read or run, and no data is opened, unless ``ALCOVE_FREE_CONSTRUCTOR`` is
set: then the supervisor is asked to let import and constructor run before it. ``ALCOVE_FRAMEWORK`` names what is loaded
before any of this.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from alcove_api.frameworks import Framework
from alcove_api.words import count_of
from alcove_ingestion.errors import IngestionError, IngestionSettingsError
from alcove_ingestion.go import Supervisor


def main() -> int:
    # -I ignores PYTHONUNBUFFERED, and a line that waits in a buffer is lost when the budget ends.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    try:
        loaded = _load(os.environ)
        return _run(os.environ, Supervisor(os.environ), loaded)
    except IngestionError as error:
        print(f"[alcove] {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _load(environment: Mapping[str, str]) -> Framework:
    """Returns the framework of a model that names none."""
    from alcove_ingestion import runner  # noqa: F401  # Brings NumPy, Pillow and the reader.
    from alcove_ingestion.frameworks import load_framework

    return load_framework(environment)


def _run(environment: Mapping[str, str], supervisor: Supervisor, loaded: Framework) -> int:
    from alcove_format.errors import FormatError
    from alcove_ingestion.runner import construct, learn

    data, code, out = (_folder(environment, name) for name in ("ALCOVE_DATA", "ALCOVE_CODE", "ALCOVE_OUT"))
    try:
        if environment.get("ALCOVE_FREE_CONSTRUCTOR"):
            supervisor.ask_to_construct()
            constructed = construct(data, code, loaded, None)
            clock = supervisor.wait_for_go()
            print(f"[alcove] the budget began {clock.elapsed():.2f} s ago")
        else:
            clock = supervisor.wait_for_go()
            constructed = construct(data, code, loaded, clock)
        saved = learn(constructed, out, clock)
    except FormatError as error:
        print(f"[alcove] The dataset cannot be read; this is not your fault. {error}", file=sys.stderr)
        return 1
    print(f"[alcove] finished after {clock.elapsed():.2f} s with {count_of(saved, 'prediction')}")
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
