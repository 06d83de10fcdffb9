"""What a check finds: sentences for a person, a code for a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that an organizer should know before anybody is scored."""

    code: str
    """A stable word for programs, such as ``duplicate-id``."""
    message: str
    """What, and where: file, record and byte, or row."""
    remedy: str
    """What to do about it."""
    severity: Severity = "error"
    """An error means that the dataset must not be used."""

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


def error(code: str, message: str, remedy: str) -> Finding:
    return Finding(code, message, remedy)


def warning(code: str, message: str, remedy: str) -> Finding:
    return Finding(code, message, remedy, "warning")


def names(given: list[str], most: int = 4) -> str:
    """A few names for a sentence: ``a, b, c, d and 12 more``."""
    shown = ", ".join(f"'{printable(name)}'" for name in given[:most])
    return shown if len(given) <= most else f"{shown} and {len(given) - most} more"


def printable(name: str, most: int = 40) -> str:
    """A name from a file, safe for a terminal and a line."""
    clean = "".join(c if c.isprintable() else "�" for c in name)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def count(number: int, what: str) -> str:
    """``1 example``, ``1,200 examples``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
