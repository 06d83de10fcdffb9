"""Documents that the parts leave for each other in the object store, or hand over in an environment variable.

Here are their base and those of datasets; the others are in :mod:`alcove_api.run_documents`,
:mod:`alcove_api.score_documents` and :mod:`alcove_api.board_documents`. All are frozen. Times of day are RFC 3339
in UTC.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from alcove_api.base import FrozenModel
from alcove_api.schemes import BALANCED_ACCURACY, Task

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Document(FrozenModel):
    """Base of every document: immutable, and strict about names so that a typo is an error at once."""

    def canonical(self) -> bytes:
        """The bytes that digests are taken of: sorted keys, no white space, UTF-8."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()

    def digest(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()


class StoreCredentials(Document):
    access_key: str
    secret_key: str
    session_token: str | None = None
    expires_at: datetime | None = None


class FileEntry(Document):
    path: str
    bytes: int
    sha256: Sha256


class DatasetManifest(Document):
    """``data/<sha256>/manifest.json``; the digest in the key is that of exactly these bytes."""

    version: Literal[1] = 1
    name: str
    domain: str
    n_train: int
    n_test: int
    n_labels: int
    labels: tuple[str, ...]
    files: tuple[FileEntry, ...]


class DatasetVersion(Document):
    """``data/names/<name>/<data digest>.json``: what ``push`` wrote under a name, and ``pull`` finds."""

    name: str
    data_sha256: Sha256
    solution_sha256: Sha256 | None = None
    domain: str
    n_train: int
    n_test: int
    bytes: int


class CheckRequest(Document):
    dataset: str
    data_sha256: Sha256
    solution_sha256: Sha256
    metric: str = BALANCED_ACCURACY
    """Of the scores that a check gives; where the dataset's task is another than the metric's, the task's usual one."""
    on_volume: bool = False
    """Whether the input lies on a volume that is mounted at ``/alcove/data``, its manifest alone being in the store."""


class CheckResult(Document):
    """Termination message of the check, ≤ 4096 bytes."""

    ok: bool
    problems: tuple[str, ...] = ()
    """Sentences: what is wrong, where, what to do. At most 8, each at most 300 characters."""
    warnings: tuple[str, ...] = ()
    """What an organizer should know, though the dataset can be used. At most 6, each at most 300 characters."""
    domain: str = ""
    task: Task | None = None
    """None where reading did not come so far."""
    n_train: int = 0
    n_test: int = 0
    n_labels: int = 0
    """Of a regression, the numbers to predict."""
    bytes: int = 0
    chance_score: float | None = None
    """Of a prediction that knows nothing."""
    linear_score: float | None = None
    """Of a linear model on coarse features, fitted to train."""
