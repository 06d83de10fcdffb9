"""What the scorer's jobs share: their environment, how they end, and what they say about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from alcove_crds.documents import Document
from alcove_crds.keys import SOLUTIONS_BUCKET
from alcove_datasets.store import StoreConfig
from alcove_scorer.errors import InputError

DONE, UNSOUND, WRONG, DAMAGED, AWAY = 0, 1, 2, 3, 4
"""Exit statuses: done; check found problems; the request is wrong; an input is missing or damaged; the store or the
API server is away (only this one is worth another try)."""
MESSAGE_BYTES = 4096
"""Of a termination message; the kubelet cuts what is longer."""

R = TypeVar("R", bound=Document)


def request(kind: type[R], environment: Mapping[str, str] = os.environ) -> R:
    """``ALCOVE_REQUEST``. Raises InputError that names the field."""
    text = environment.get("ALCOVE_REQUEST", "")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"ALCOVE_REQUEST: field {where!r}: {first['msg']}; expected a {kind.__name__}"
        ) from None


def store_config() -> StoreConfig:
    """Raises the store's errors, naming what is missing from the environment."""
    return StoreConfig.from_environment()


def solutions_bucket() -> str:
    return os.environ.get("ALCOVE_SOLUTIONS_BUCKET", SOLUTIONS_BUCKET)


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def leave_message(message: str) -> None:
    """Writes the termination message; where that cannot be, the log has it."""
    say(message)
    path = Path(os.environ.get("ALCOVE_TERMINATION_LOG", "/dev/termination-log"))
    try:
        path.write_bytes(message.encode()[:MESSAGE_BYTES])
    except OSError as error:
        say(f"the termination message could not be written to {path}: {error.strerror}")
