"""Calling the participant's code, and showing what it raised."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alcove_api.code_layout import MODEL_FILE, explain_missing_model, find_code
from alcove_api.errors import AlcoveError
from alcove_ingestion.advice import advise
from alcove_ingestion.errors import ModelError, ParticipantCodeError


@contextmanager
def participant_code(folder: Path) -> Iterator[None]:
    """Turns whatever the participant's code raises into a ParticipantCodeError with its own frames alone.

    A damaged dataset, met while the code iterates over it, stays what it is.
    """
    try:
        yield
    except AlcoveError:
        raise
    except Exception as error:
        told = participant_traceback(error, folder)
        raise ParticipantCodeError("\n".join((told, *advise(error)))) from None


def participant_traceback(error: BaseException, folder: Path) -> str:
    """The traceback of an error and of what caused it, reduced to lines of files below ``folder``."""
    trace = traceback.TracebackException.from_exception(error)
    _reduce(trace, str(folder.resolve()))
    return "".join(trace.format()).rstrip()


def _reduce(trace: traceback.TracebackException, folder: str) -> None:
    trace.stack = traceback.StackSummary.from_list(f for f in trace.stack if _is_below(f.filename, folder))
    for linked in (trace.__cause__, trace.__context__):
        if linked is not None:
            _reduce(linked, folder)


def _is_below(filename: str, folder: str) -> bool:
    """``<frozen importlib._bootstrap>`` and the like are no files, though they would lie in the working directory."""
    return not filename.startswith("<") and str(Path(filename).resolve()).startswith(folder + "/")


def load_model_class(folder: Path) -> type:
    """Imports ``model.py`` from the code folder, which becomes the working directory and the first to look for modules.

    Raises:
        ModelError: there is no ``model.py``, or no class ``Model`` with the methods in it.
        ParticipantCodeError: importing it failed.
    """
    folder = find_code(folder)
    if not (folder / MODEL_FILE).is_file():
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        inner = (path.relative_to(folder).as_posix() for path in folder.rglob(MODEL_FILE))
        raise ModelError(
            f"There is no model.py at the top of the submitted code (found: {found}). Nothing was run. "
            f"{explain_missing_model(inner)}"
        )
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    with participant_code(folder):
        module = importlib.import_module("model")
    model_class = getattr(module, "Model", None)
    if not isinstance(model_class, type):
        raise ModelError("model.py has no class Model. Nothing was run. Define it, with train and test.")
    for method in ("train", "test"):
        if not callable(getattr(model_class, method, None)):
            raise ModelError(
                f"The class Model in model.py has no method {method}. Nothing was run. Define it."
            )
    return model_class
