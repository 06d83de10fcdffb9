"""Text that others wrote, of bearable length and nothing but visible: for pages, pictures and tables."""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def clean_text(text: str, most: int) -> str:
    """Of what someone else wrote: at most ``most`` characters, with a visible sign for what cannot be shown, or would
    turn other text around."""
    shown = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def shorten_name(name: str, most: int = 24) -> str:
    """A name of at most ``most`` columns: its middle is left out, for teams of a competition begin alike."""
    shown = clean_text(name, 300)
    if count_cells(shown) <= most:
        return shown
    return f"{_begin(shown, most // 3)}…{_begin(shown[::-1], most - most // 3 - 1)[::-1]}"


def _begin(text: str, most: int) -> str:
    """The longest beginning of ``text`` that takes at most ``most`` columns."""
    return next(text[:i] for i in range(len(text), -1, -1) if count_cells(text[:i]) <= most)


def count_cells(text: str) -> int:
    """Columns of a terminal that ``text`` takes: two for East Asian letters and signs, none for combining ones."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def pad_cells(text: str, width: int) -> str:
    """``text`` with spaces behind it, up to ``width`` columns of a terminal."""
    return text + " " * (width - count_cells(text))
