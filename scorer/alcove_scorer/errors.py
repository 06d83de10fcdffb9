"""The scorer's errors: each says cause, consequence and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alcove_api.errors import AlcoveError

if TYPE_CHECKING:
    from pydantic import ValidationError


class ScorerError(AlcoveError):
    """Base of the scorer's errors."""


class PredictionError(ScorerError):
    """A prediction cannot be read or must not be scored: it scores nothing and is listed with this reason."""


class InputError(ScorerError):
    """A file, a row, a column or an option of the caller's is wrong: exit status 2."""


class DamagedError(ScorerError):
    """What the store holds is missing, or is not what its digest names.

    Records of a run: that run alone is not scored. Anything else: exit status 3, nothing is scored.
    """


class StoreAwayError(ScorerError):
    """The API server did not answer, or says that it can later."""

    retriable = True


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Of a document: the field, empty for all of it, and what is wrong there."""
    first = error.errors()[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]
