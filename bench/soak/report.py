"""The table and the picture of ``make soak``."""

from __future__ import annotations

from collections.abc import Sequence

from bench.soak.analysis import Growth, Row


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| figure | first half | growth an hour (95 %) | second half | growth an hour (95 %) | computed | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [cell for half in row.halves for cell in _describe(half)]
        computed = [half.expected for half in row.halves if half is not None]
        cells.append(" and ".join(dict.fromkeys(_round(value) for value in computed)))
        lines.append(f"| {row.name} | " + " | ".join([*cells, row.verdict]) + " |")
    return "\n".join(lines)


def _describe(growth: Growth | None) -> tuple[str, str]:
    if growth is None:
        return "–", "–"
    slope = growth.slope
    interval = f"{_round(slope.value)} ({_round(slope.low)} to {_round(slope.high)})"
    return f"{_round(growth.start)} → {_round(growth.end)}", interval


def _round(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1
    text = f"{value:.{digits}f}"
    return text.removesuffix(".0").replace("-0", "0") if float(text) == 0 else text.removesuffix(".0")
