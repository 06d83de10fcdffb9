"""What the pages share: one file each, no network, no script, everything that anyone wrote escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

import jinja2
from markupsafe import Markup

from alcove_api.score_text import format_score
from alcove_scorer.colours import COLOURS
from alcove_scorer.written_text import clean_text, shorten_name

WRITTEN = 300
"""Characters that are shown of a file's name or of a reason that quotes one."""


def render_page(template: str, **values: object) -> str:
    """Its policy allows the style sheet that it holds, by digest, and no other."""
    style = style_sheet()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    values |= {"style": Markup(style), "style_digest": f"sha256-{digest}"}
    return ENVIRONMENT.get_template(template).render(values)


@cache
def style_sheet() -> str:
    return ENVIRONMENT.get_template("page.css").render(colours=COLOURS)


def format_number(value: float | None, decimals: int) -> str:
    """With a real minus sign; a dash where there is none."""
    return "–" if value is None else format_score(value, decimals).replace("-", "−")


def format_whole_seconds(seconds: float) -> str:
    """A time that is known to about a second."""
    if seconds >= 120:
        return format_duration(seconds)
    return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"


def format_duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.2f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.{1 if seconds >= 10 else 2}f} s"


def shorten_text(text: str, most: int = WRITTEN) -> str:
    """What someone else wrote, of bearable length."""
    return clean_text(text, most)


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("alcove_scorer"), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
ENVIRONMENT.filters |= {"duration": format_duration, "written": shorten_text, "label": shorten_name}
