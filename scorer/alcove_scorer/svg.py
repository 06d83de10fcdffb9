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

from alcove_scorer.colours import COLOURS, GRID, INK, MUTED
from alcove_scorer.written_text import clean_text

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
    style = attributes.pop("style", "")
    for colour, (variable, _) in COLOURS.items():
        style = style.replace(colour, f"var(--{variable})")
    style = re.sub(r"font-family: [^;]*; ?", "", style)
    # Where Matplotlib has a weight or a style to tell, it writes the families into one declaration with the size.
    style = re.sub(r"font: ([^;']*?)([\d.]+px) [^;]*", r"font-size: \2; font-weight: \1", style)
    # As attributes, not as a style: a page's Content-Security-Policy then allows its one style sheet and nothing else.
    for declaration in filter(None, map(str.strip, style.split(";"))):
        name_of_property, _, value = declaration.partition(":")
        attributes[name_of_property.strip()] = value.strip()


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
