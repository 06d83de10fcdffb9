"""Words for numbers of things and of bytes, and for ranks."""

from __future__ import annotations


def count_of(number: int, noun: str) -> str:
    """``1 file``, ``0 files``, ``1,000 files``: for a ``noun`` whose plural ends in s."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def count_answers(number: int, are_numbers: bool) -> str:
    """What an example is asked for: ``10 labels``, or ``1 number to predict``."""
    return f"{count_of(number, 'number')} to predict" if are_numbers else count_of(number, "label")


def write_place(rank: int, shared: bool) -> str:
    """A rank as people read it: ``2``, or ``2=`` where it is shared."""
    return f"{rank}{'=' * shared}"


def format_bytes(count: int) -> str:
    """``0 B``, ``1.5 MiB``, ``2,048.0 TiB``: in units of 1,024."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{count:,} B" if unit == "B" else f"{value:,.1f} {unit}"
