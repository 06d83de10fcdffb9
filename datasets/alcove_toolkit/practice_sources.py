"""Where the practice datasets without pictures and sound come from.

Each function takes a generator and the number of examples, train and test together.
"""

from __future__ import annotations

import ast
import re
import sysconfig
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_api.errors import AlcoveError
from alcove_format.metadata import VARIES, Format, Metadata
from alcove_format.writer import NewExample
from alcove_toolkit.practice_draw import (
    Generator,
    Parts,
    draw_balanced,
    number_names,
    pick_one,
    split_by_label,
)

# --- characters: a table

_CATEGORIES = {
    "Lu": "uppercase letter",
    "Ll": "lowercase letter",
    "Lo": "other letter",
    "Lm": "modifier letter",
    "Mn": "nonspacing mark",
    "Mc": "spacing mark",
    "Nd": "decimal digit",
    "No": "other number",
    "Sm": "mathematical symbol",
    "So": "other symbol",
}
_PROPERTIES = (
    "log2 code",
    "code mod 256",
    "code mod 16",
    "combining class",
    "mirrored",
    "decomposition length",
    "compatibility",
    "name length",
    "name words",
    "name digits",
    "name hyphens",
    "longest word",
    "last word",
)
_WIDTHS = ("N", "Na", "A", "W", "H", "F")
_DIRECTIONS = ("L", "R", "AL", "EN", "AN", "ES", "ET", "CS", "ON")


def _describe_character(code: int) -> list[float]:
    char = chr(code)
    name = unicodedata.name(char, "")
    words = name.split()
    decomposition = unicodedata.decomposition(char).split()
    width, direction = unicodedata.east_asian_width(char), unicodedata.bidirectional(char)
    if direction == "NSM":  # That would be the category by another name; such a mark goes with what it is on.
        direction = "L"
    return [
        float(np.float32(np.round(np.log2(code + 1), 4))),
        code % 256,
        code % 16,
        unicodedata.combining(char),
        unicodedata.mirrored(char),
        len(decomposition),
        bool(decomposition) and decomposition[0].startswith("<"),
        len(name),
        len(words),
        sum(letter.isdigit() for letter in name),
        name.count("-"),
        max((len(word) for word in words), default=0),
        len(words[-1]) if words else 0,
        *(width == w for w in _WIDTHS),
        *(direction == d for d in _DIRECTIONS),
    ]


@cache
def _list_characters() -> tuple[tuple[int, int], ...]:
    """Code and category of each character."""
    order = number_names(tuple(_CATEGORIES))
    return tuple(
        (code, order[category])
        for code in range(0x20, 0x20000)
        if (category := unicodedata.category(chr(code))) in order
    )


def make_characters(rng: Generator, examples: int) -> Parts:
    """Real: the Unicode character database that comes with Python.

    Altered copies mix two characters of one category and one part: each property is of one or of the other.
    """
    named = _list_characters()
    halves = split_by_label([label for _, label in named], 2 / 3, rng)
    cut = examples * 2 // 3
    train, test = (
        _character_rows([named[i] for i in half], count, own)
        for half, count, own in zip(halves, (cut, examples - cut), rng.spawn(2), strict=True)
    )
    names = [*_PROPERTIES, *(f"width {w}" for w in _WIDTHS), *(f"direction {d}" for d in _DIRECTIONS)]
    metadata = Metadata(
        n_examples=0,
        n_labels=len(_CATEGORIES),
        rows=1,
        cols=len(names),
        labels=number_names(tuple(_CATEGORIES.values())),
        features=number_names(names),
    )
    return metadata, train, test


def _character_rows(pool: Sequence[tuple[int, int]], count: int, rng: Generator) -> Iterator[NewExample]:
    """``pool``: code and category of each character of one part."""
    of_category: dict[int, list[int]] = {}
    for code, label in pool:
        of_category.setdefault(label, []).append(code)
    for i, altered in draw_balanced([label for _, label in pool], count, rng):
        code, label = pool[i]
        row = np.array(_describe_character(code), np.float32)
        if altered:
            other = np.array(_describe_character(pick_one(of_category[label], rng)), np.float32)
            row = np.where(rng.random(len(row)) < 0.5, row, other)
        yield NewExample(row.reshape(1, 1, -1, 1), {label: 1.0})


# --- waves: a series

_WAVES = ("sine", "square", "sawtooth", "triangle", "chirp", "noise")
_STEPS = 96


def _draw_wave(kind: str, rng: Generator) -> npt.NDArray[np.float64]:
    cycles, phase = rng.uniform(2, 10), rng.uniform()
    t = np.arange(_STEPS) / _STEPS
    turns = cycles * t + phase
    if kind == "chirp":
        turns = cycles * t * (0.3 + 1.2 * t) + phase
    saw = 2 * (turns % 1) - 1
    if kind == "noise":
        return np.convolve(rng.standard_normal(_STEPS + 4), np.full(5, 0.45), "valid")
    if kind == "square":
        return np.sign(saw)
    if kind == "sawtooth":
        return saw
    if kind == "triangle":
        return 2 * np.abs(saw) - 1
    return np.sin(2 * np.pi * turns)


def make_waves(rng: Generator, examples: int) -> Parts:
    """Synthesised: six wave forms of random pitch and phase, seen by two sensors with noise and a delay."""
    metadata = Metadata(
        n_examples=0,
        n_labels=len(_WAVES),
        rows=1,
        cols=1,
        channels=2,
        sequence_size=_STEPS,
        is_sequence=True,
        labels=number_names(_WAVES),
        # Not as names of channels: by those, code of the AutoDL challenge would take it for text.
        features=number_names(("sensor 1", "sensor 2")),
        stated_domain="series",
    )
    one, other = rng.spawn(2)
    cut = examples * 3 // 5
    return metadata, _waves(one, cut), _waves(other, examples - cut)


def _waves(rng: Generator, count: int) -> Iterator[NewExample]:
    for label, _ in draw_balanced(range(len(_WAVES)), count, rng):
        clean = _draw_wave(_WAVES[label], rng)
        delayed = np.roll(clean, int(rng.integers(0, 6))) * rng.uniform(0.3, 1)
        both = np.stack([clean, delayed], axis=1) + 0.8 * rng.standard_normal((_STEPS, 2))
        # Rounded: the last bits of sin() differ between processors.
        yield NewExample(np.round(both, 3).reshape(_STEPS, 1, 1, 2), {label: 1.0})


# --- friedman: a table with a number to predict

_COLUMNS = 10


def make_friedman(rng: Generator, examples: int) -> Parts:
    """Synthesised: the first of the functions by Friedman (Multivariate adaptive regression splines, 1991), in noise.

    Five of ten columns count. A linear model explains about two thirds of the variance, and noise is a twentieth.
    """
    names = [f"x{i}" for i in range(1, _COLUMNS + 1)]
    metadata = Metadata(
        n_examples=0,
        n_labels=1,
        rows=1,
        cols=_COLUMNS,
        labels={"y": 0},
        features=number_names(names),
    )
    one, other = rng.spawn(2)
    cut = examples * 3 // 5
    return metadata, _friedman_rows(one, cut), _friedman_rows(other, examples - cut)


def _friedman_rows(rng: Generator, count: int) -> Iterator[NewExample]:
    for _ in range(count):
        x = rng.random(_COLUMNS)
        y = 10 * np.sin(np.pi * x[0] * x[1]) + 20 * (x[2] - 0.5) ** 2 + 10 * x[3] + 5 * x[4]
        # Rounded: the last bits of sin() differ between processors.
        y = round(float(y + rng.standard_normal()), 4)
        yield NewExample(np.round(x, 6).reshape(1, 1, -1, 1), {0: y})


# --- docstrings: texts

_FAMILIES = {
    "mail": "email mailbox smtplib imaplib poplib mimetypes",
    "network": "http urllib socket ssl socketserver ftplib wsgiref xmlrpc ipaddress",
    "concurrency": "asyncio threading multiprocessing concurrent subprocess queue",
    "numbers": "_pydecimal statistics random fractions datetime calendar numbers",
    "development": "unittest doctest pdb bdb trace traceback inspect pydoc timeit ast",
    "files": "pathlib tarfile zipfile shutil os gzip bz2 lzma tempfile fileinput _pyio io posixpath",
}
_VOCABULARY = 2000
_LONGEST, _SHORTEST = 20, 8
"""Words in one example."""


def _read_docstrings(module: str) -> Iterator[str]:
    library = Path(sysconfig.get_path("stdlib"))
    package = library / module
    files = sorted(package.rglob("*.py")) if package.is_dir() else [library / f"{module}.py"]
    for path in files:
        if not path.is_file() or "test" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    yield text


@cache
def _labelled_docstrings() -> tuple[tuple[str, int], ...]:
    """All docstrings, each once, with their class."""
    return tuple(
        {
            (text, label): None
            for label, family in enumerate(_FAMILIES.values())
            for module in family.split()
            for text in _read_docstrings(module)
        }
    )


def _split_words(text: str) -> list[tuple[str, ...]]:
    words = re.findall(r"[a-z]+", text.lower())
    cuts = [tuple(words[i : i + _LONGEST]) for i in range(0, len(words), _LONGEST)]
    return [piece for piece in cuts if len(piece) >= _SHORTEST]


def make_docstrings(rng: Generator, examples: int) -> Parts:
    """Real: docstrings of Python's standard library, read from its sources, in pieces of up to 20 words.

    Words are numbered by their frequency in the train part alone; 0 is a word that is not among the 2,000.
    Altered copies begin as one piece and end as another of the same class and part.
    """
    texts = _labelled_docstrings()
    # Split by docstring: pieces of one text are never in both parts.
    halves = split_by_label([label for _, label in texts], 2 / 3, rng)
    pools = [
        list(
            {(piece, label): None for text, label in (texts[i] for i in half) for piece in _split_words(text)}
        )
        for half in halves
    ]
    if not all(pools):
        raise AlcoveError(
            "The sources of Python's standard library are not installed.",
            consequence="The texts of this dataset are taken from there.",
            remedy="Use a Python with sources, or another dataset.",
        )
    counts = Counter(word for piece, _ in pools[0] for word in piece)
    common = sorted(counts, key=lambda word: (-counts[word], word))[: _VOCABULARY - 1]
    numbers = number_names(["<unknown>", *common])
    known, asked = (
        list({(tuple(numbers.get(word, 0) for word in piece), label): None for piece, label in pool})
        for pool in pools
    )
    seen = {tokens for tokens, _ in known}
    asked = [(tokens, label) for tokens, label in asked if tokens not in seen]
    cut = examples * 2 // 3
    one, other = rng.spawn(2)
    train, test = _sentences(known, cut, one), _sentences(asked, examples - cut, other)
    metadata = Metadata(
        n_examples=0,
        n_labels=len(_FAMILIES),
        rows=1,
        cols=1,
        channels=len(numbers),
        sequence_size=VARIES,
        format=Format.SPARSE,
        is_sequence=True,
        labels=number_names(tuple(_FAMILIES)),
        channel_names=numbers,
    )
    return metadata, train, test


def _sentences(
    pool: Sequence[tuple[tuple[int, ...], int]], count: int, rng: Generator
) -> Iterator[NewExample]:
    """``pool``: tokens and class of each piece of one part."""
    of_class: dict[int, list[tuple[int, ...]]] = {}
    for tokens, label in pool:
        of_class.setdefault(label, []).append(tokens)
    for i, altered in draw_balanced([label for _, label in pool], count, rng):
        tokens, label = pool[i]
        if altered:
            other = pick_one(of_class[label], rng)
            cut = int(rng.integers(_SHORTEST // 2, _SHORTEST))
            tokens = tokens[:cut] + other[cut:]
        yield NewExample(np.array(tokens, np.float32).reshape(-1, 1, 1, 1), {label: 1.0})
