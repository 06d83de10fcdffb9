"""What an audit says: which checks hold, what differs from what it should be, and what could not be checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from pydantic import BaseModel


class Check(Enum):
    """The value is what people read."""

    ARCHIVE = "archive: files as they were exported"
    INPUT = "datasets: manifest and input files"
    SOLUTION = "datasets: solutions"
    CODE = "code"
    VERDICT = "verdicts: which attempt is scored"
    IMAGE = "images that ran"
    RECORD = "records: chain, order and times"
    MANIFEST = "manifests"
    HEAD = "heads of the chains, against the status"
    PREDICTION = "predictions, as recorded"
    OUTPUT = "output of the runs"
    RESULT = "score files, against the status"
    SCORE = "scores, computed again"
    LADDER = "Ladder: best scores, computed again"
    SHOWN = "scores and ranks in the status"
    PAGES = "reports, pictures and live curves"
    COUNTED = "who counts"
    BOARD = "ranks, computed again"
    BOARD_FILES = "files of the board"
    EXTRA = "no other objects"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be."""

    check: Check
    key: str
    """Of the object in the store; of one in the cluster, its kind, namespace and name."""
    expected: str
    found: str
    meaning: str
    """What follows from it, for people."""


@dataclass
class AuditReport:
    """Collects; ``checked`` and ``left_out`` count objects or values, by check and, of the second, by reason."""

    findings: list[Finding] = field(default_factory=list)
    checked: Counter[Check] = field(default_factory=Counter)
    left_out: Counter[tuple[Check, str]] = field(default_factory=Counter)
    progress: Callable[[int], None] = lambda _bytes: None
    """Told of each piece that was read, in bytes."""

    def differ(self, check: Check, key: str, expected: str, found: str, meaning: str) -> None:
        self.checked[check] += 1
        self.findings.append(Finding(check, key, expected, found, meaning))

    def hold(self, check: Check, count: int = 1) -> None:
        self.checked[check] += count

    def leave_out(self, check: Check, reason: str, count: int = 1) -> None:
        """``reason``: why it could not be checked; short, without a full stop."""
        self.left_out[check, reason] += count

    def compare(
        self, check: Check, key: str, what: str, expected: object, found: object, meaning: str
    ) -> bool:
        """Whether they are equal; a finding where not. ``what``: the name of the value."""
        expected, found = _as_plain(expected), _as_plain(found)
        if expected == found:
            self.hold(check)
            return True
        where, wanted, other = narrow(what, expected, found)
        self.differ(check, key, describe(where, wanted), describe(where, other), meaning)
        return False

    def count_wrong(self, check: Check) -> int:
        return sum(finding.check is check for finding in self.findings)


def _as_plain(value: object) -> object:
    """Models as mappings of their fields, so that what differs can be told."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_as_plain(item) for item in value] if isinstance(value, tuple | list) else value


def narrow(what: str, expected: object, found: object) -> tuple[str, object, object]:
    """Of lists and mappings that differ, the first place where they do."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for name in (*expected, *found):
            if name not in expected or name not in found or expected[name] != found[name]:
                return narrow(f"{what}.{name}", expected.get(name), found.get(name))
    if isinstance(expected, Sequence) and isinstance(found, Sequence) and not isinstance(expected, str):
        for place, (one, other) in enumerate(zip(expected, found, strict=False)):
            if one != other:
                return narrow(f"{what}[{place}]", one, other)
        return f"length of {what}", len(expected), len(found)
    return what, expected, found


MISSING = "nothing: there is no such object"


def describe(what: str, value: object) -> str:
    """A value in a finding, cut where it is long."""
    text = "nothing" if value is None else str(value)
    shown = text if len(text) <= 200 else f"{text[:200]}…"
    return f"{what} {shown}"
