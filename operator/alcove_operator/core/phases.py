"""The phases of a competition, for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from alcove_api.phase import Phase

LINE = 35
"""Characters for a column of a table that has 80."""


def describe_phases(phases: Sequence[Phase], now: datetime) -> str:
    """Names, with what keeps a phase from taking submissions. Those that are over come last; the last are only counted
    where there is no room."""
    ordered = sorted(phases, key=lambda phase: _is_over(phase, now))
    shown = [_describe(phase, now) for phase in ordered]
    named = len(shown)
    while named > 1 and len(_join(shown, named)) > LINE:
        named -= 1
    return _join(shown, named)


def _join(shown: Sequence[str], named: int) -> str:
    left = len(shown) - named
    return ", ".join(shown[:named]) + (f" and {left} more" if left else "")


def _describe(phase: Phase, now: datetime) -> str:
    if phase.from_ is not None and phase.opens_at is None:
        return f"{phase.name} (not open)"
    if phase.opens_at is not None and now < phase.opens_at:
        return f"{phase.name} (from {_day(phase.opens_at)})"
    if _is_over(phase, now):
        hidden = phase.reveals_at is not None and now < phase.reveals_at
        return f"{phase.name} (reveal {_day(phase.reveals_at)})" if hidden else f"{phase.name} (over)"
    return phase.name


def _is_over(phase: Phase, now: datetime) -> bool:
    """Whether it takes no submissions any more; one that takes those of another phase never does."""
    if phase.from_ is not None:
        return phase.opens_at is not None and now >= phase.opens_at
    return phase.closes_at is not None and now >= phase.closes_at


def _day(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%-d %b}" if moment else ""
