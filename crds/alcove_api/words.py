"""Words for numbers of things."""

from __future__ import annotations


def count_of(number: int, noun: str) -> str:
    """``1 file``, ``0 files``, ``1,000 files``: for a ``noun`` whose plural ends in s."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def count_answers(number: int, are_numbers: bool) -> str:
    """What an example is asked for: ``10 labels``, or ``1 number to predict``."""
    return f"{count_of(number, 'number')} to predict" if are_numbers else count_of(number, "label")
