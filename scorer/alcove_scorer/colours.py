"""The colours of pages and pictures, for light paper and for dark."""

from __future__ import annotations

PAPER, INK, MUTED, GRID, PALE = "#ffffff", "#1f2328", "#57606a", "#e4e8ec", "#b4bcc6"
BAD = "#b42318"
SERIES = (
    "#0b61c4", "#c2410c", "#0a7d55", "#9333a8", "#8a6100", "#c2185b", "#0e7490", "#4d7c0f", "#5b50e0", "#7f4f24",
)  # fmt: skip
COLOURS = {
    PAPER: ("paper", "#171b21"),
    INK: ("ink", "#e6edf3"),
    MUTED: ("muted", "#9aa5b1"),
    GRID: ("grid", "#2b323a"),
    PALE: ("pale", "#545e69"),
    BAD: ("bad", "#ff8a80"),
    SERIES[0]: ("s1", "#6cb2ff"),
    SERIES[1]: ("s2", "#ff9a62"),
    SERIES[2]: ("s3", "#4fd3a1"),
    SERIES[3]: ("s4", "#dd9bec"),
    SERIES[4]: ("s5", "#e3c04b"),
    SERIES[5]: ("s6", "#ff8fbf"),
    SERIES[6]: ("s7", "#5fd4ea"),
    SERIES[7]: ("s8", "#a8d65c"),
    SERIES[8]: ("s9", "#aaa6ff"),
    SERIES[9]: ("s10", "#d9a577"),
}
"""Of a light page: the name in style sheets, and the colour of a dark page. Text in any of them has a contrast of at
least 4.5 to its paper; ``GRID`` and ``OTHERS`` are for lines."""
