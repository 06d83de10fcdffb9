"""What the scorer's jobs share: their environment, how they end, and what they say about it."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from minio import Minio
from pydantic import ValidationError

from alcove_api.documents import Document
from alcove_api.keys import SOLUTIONS_BUCKET
from alcove_scorer.errors import DamagedError, InputError, first_fault
from alcove_store.client import StoreConfig, get_bytes

MESSAGE_BYTES = 4096
"""Of a termination message; the kubelet cuts what is longer."""

REQUEST_BYTES = 16 << 20
"""Of a request in the store, at most: several times that of the 2000 teams that a competition may have."""

R = TypeVar("R", bound=Document)


def read_request(kind: type[R], environment: Mapping[str, str] = os.environ) -> R:
    """``ALCOVE_REQUEST``. Raises InputError that names the field."""
    return _parse_request(kind, "ALCOVE_REQUEST", environment.get("ALCOVE_REQUEST", ""))


def read_stored_request(kind: type[R], store: Minio, bucket: str, key: str, sha256: str) -> R:
    """What lies under ``key``.

    Raises DamagedError where its digest is not ``sha256``, InputError that names the field, and the store's errors.
    """
    data = get_bytes(store, bucket, key, limit=REQUEST_BYTES)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedError(
            f"{key} is not what the operator asked for: it changed in the store; it asks again"
        )
    return _parse_request(kind, key, data)


def read_mounted_request(kind: type[R], environment: Mapping[str, str] = os.environ) -> R:
    """What the file ``ALCOVE_REQUEST_FILE`` holds. Raises InputError that names the field."""
    name = environment.get("ALCOVE_REQUEST_FILE", "")
    try:
        return _parse_request(kind, name, Path(name).read_bytes())
    except OSError as error:
        raise InputError(f"ALCOVE_REQUEST_FILE: {name or 'not set'}: {error.strerror}") from None


def _parse_request(kind: type[R], where: str, text: str | bytes) -> R:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        field, fault = first_fault(error)
        raise InputError(f"{where}: field {field!r}: {fault}; expected a {kind.__name__}") from None


def store_config() -> StoreConfig:
    """Raises the store's errors, naming what is missing from the environment."""
    return StoreConfig.from_environment()


def solutions_bucket() -> str:
    return os.environ.get("ALCOVE_SOLUTIONS_BUCKET", SOLUTIONS_BUCKET)


def log_line(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def write_termination_message(message: str) -> None:
    """Writes the termination message; where that cannot be, the log has it."""
    log_line(message)
    path = Path(os.environ.get("ALCOVE_TERMINATION_LOG", "/dev/termination-log"))
    try:
        path.write_bytes(message.encode()[:MESSAGE_BYTES])
    except OSError as error:
        log_line(f"the termination message could not be written to {path}: {error.strerror}")
