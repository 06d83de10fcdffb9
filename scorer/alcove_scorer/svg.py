"""Matplotlib's pictures as SVG: alone in a file, or inside a page in the page's colours."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from alcove_scorer.written_text import clean_text

PAPER, INK, MUTED, GRID, OTHERS = "#ffffff", "#1f2328", "#57606a", "#e4e8ec", "#b4bcc6"
BAD = "#b42318"
SERIES = (
    "#0b61c4", "#c2410c", "#0a7d55", "#9333a8", "#8a6100", "#c2185b", "#0e7490", "#4d7c0f", "#5b50e0", "#7f4f24",
)  # fmt: skip
COLOURS = {
    PAPER: ("paper", "#171b21"),
    INK: ("ink", "#e6edf3"),
    MUTED: ("muted", "#9aa5b1"),
    GRID: ("grid", "#2b323a"),
    OTHERS: ("others", "#545e69"),
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
STYLE = {
    # The same input gives the same bytes.
    "svg.hashsalt": "alcove",
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.size": 10.5,
    # A dollar sign in a name must not be read as a formula.
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
}
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d+")


@contextmanager
def open_canvas(width: float, height: float, **subplots: Any) -> Iterator[tuple[Figure, Any]]:
    """An empty figure of this size (inches) with its axes, in our style."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(**subplots)


def write_svg(figure: Figure) -> bytes:
    """The picture as a file of its own."""
    FigureCanvasSVG(figure)
    file = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that Matplotlib's own font lacks is measured as a box; whoever shows the picture has the letter.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def inline_svg(svg: bytes, name: str, title: str, description: str) -> Markup:
    """The picture to be put into a page, with its colours as variables of the page's style sheet.

    ``name`` keeps the identifiers of several pictures of a page apart. ``title`` and ``description`` are for those who
    do not see it.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if (
                child.tag == f"{_SVG}style"
                or not child.tag.startswith(_SVG)
                or child.tag == f"{_SVG}metadata"
            ):
                parent.remove(child)
    for element in root.iter():
        _simplify(element, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-t {name}-d"}
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        said = ElementTree.Element(f"{_SVG}{tag}", {"id": f"{name}-{tag[0]}"})
        said.text = clean_text(text, 500)
        root.insert(place, said)
    return Markup(_serialized(root))


def _simplify(element: ElementTree.Element, name: str) -> None:
    attributes = element.attrib
    element.text, element.tail = (
        text if text and text.strip() else None for text in (element.text, element.tail)
    )
    if "id" in attributes:
        attributes["id"] = f"{name}-{attributes['id']}"
    if _XLINK in attributes:
        attributes["href"] = f"#{name}-{attributes.pop(_XLINK)[1:]}"
    if "clip-path" in attributes:
        attributes["clip-path"] = attributes["clip-path"].replace("url(#", f"url(#{name}-")
    for key in ("d", "x", "y", "transform", "viewBox"):
        if key in attributes:
            attributes[key] = " ".join(_NUMBER.sub(_shorter, attributes[key]).split())
    style = attributes.get("style", "")
    for colour, (variable, _) in COLOURS.items():
        style = style.replace(colour, f"var(--{variable})")
    style = re.sub(r"font-family: [^;]*; ?", "", style)
    # Where Matplotlib has a weight or a style to tell, it writes the families into one declaration with the size.
    style = re.sub(r"font: ([^;']*?)([\d.]+px) [^;]*", r"font-size: \2; font-weight: \1", style)
    if style:
        attributes["style"] = style


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _serialized(root: ElementTree.Element) -> str:
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
    used = {e.attrib["href"][1:] for e in root.iter() if "href" in e.attrib}
    used |= {e.attrib["clip-path"][5:-1] for e in root.iter() if "clip-path" in e.attrib}
    used |= set(root.attrib["aria-labelledby"].split())
    for element in root.iter():
        if element.attrib.get("id", "") not in used:
            element.attrib.pop("id", None)
    return ElementTree.tostring(root, encoding="unicode")
