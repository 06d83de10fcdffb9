"""Where the practice datasets come from. Each function takes a generator and a number of examples."""

from __future__ import annotations

import ast
import io
import re
import sysconfig
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from alcove_datasets.errors import DatasetsError
from alcove_datasets.metadata import VARIES, Format, Metadata
from alcove_datasets.writer import NewExample

Parts = tuple[Metadata, list[NewExample], list[NewExample]]
Generator = np.random.Generator


def _balanced(labels: Sequence[int], examples: int, rng: Generator) -> npt.NDArray[np.int64]:
    """Indices of about ``examples`` items, in random order, no class with more than its equal share."""
    array = np.asarray(labels)
    classes = np.unique(array)
    share = -(-examples // len(classes))
    chosen = [rng.permutation(np.flatnonzero(array == c))[:share] for c in classes]
    return rng.permutation(np.concatenate(chosen))[:examples]


def _index(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


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
_WIDTHS = ("N", "Na", "A", "W", "H", "F")
_DIRECTIONS = ("L", "R", "AL", "EN", "AN", "ES", "ET", "CS", "NSM", "ON")


def _character(code: int) -> list[float]:
    char = chr(code)
    name = unicodedata.name(char, "")
    words = name.split()
    decomposition = unicodedata.decomposition(char).split()
    width, direction = unicodedata.east_asian_width(char), unicodedata.bidirectional(char)
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


def characters(rng: Generator, examples: int) -> Parts:
    """Real: the Unicode character database that comes with Python."""
    order = _index(tuple(_CATEGORIES))
    named = [
        (code, order[category])
        for code in range(0x20, 0x20000)
        if (category := unicodedata.category(chr(code))) in order
    ]
    chosen = _balanced([label for _, label in named], examples, rng)
    rows = [
        NewExample(np.array(_character(named[i][0]), np.float32).reshape(1, 1, -1, 1), {named[i][1]: 1.0})
        for i in chosen
    ]
    names = [
        "log2 code",
        "code mod 256",
        "code mod 16",
        "combining class",
        "mirrored",
        "decomposition length",
    ]
    names += [
        "compatibility",
        "name length",
        "name words",
        "name digits",
        "name hyphens",
        "longest word",
        "last word",
    ]
    names += [f"width {w}" for w in _WIDTHS] + [f"direction {d}" for d in _DIRECTIONS]
    metadata = Metadata(
        n_examples=0,
        n_labels=len(order),
        rows=1,
        cols=len(names),
        labels=_index(tuple(_CATEGORIES.values())),
        features=_index(names),
    )
    cut = len(rows) * 2 // 3
    return metadata, rows[:cut], rows[cut:]


# --- waves: a series

_WAVES = ("sine", "square", "sawtooth", "triangle", "chirp", "noise")
_STEPS = 96


def _wave(kind: str, rng: Generator) -> npt.NDArray[np.float64]:
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


def waves(rng: Generator, examples: int) -> Parts:
    """Synthesised: six wave forms of random pitch and phase, seen by two sensors with noise and a delay."""
    rows = []
    for i in range(examples):
        label = i % len(_WAVES)
        clean = _wave(_WAVES[label], rng)
        delayed = np.roll(clean, int(rng.integers(0, 6))) * rng.uniform(0.3, 1)
        both = np.stack([clean, delayed], axis=1) + 0.8 * rng.standard_normal((_STEPS, 2))
        # Rounded: the last bits of sin() differ between processors.
        rows.append(NewExample(np.round(both, 3).reshape(_STEPS, 1, 1, 2), {label: 1.0}))
    rows = [rows[i] for i in rng.permutation(len(rows))]
    metadata = Metadata(
        n_examples=0,
        n_labels=len(_WAVES),
        rows=1,
        cols=1,
        channels=2,
        sequence_size=_STEPS,
        is_sequence=True,
        labels=_index(_WAVES),
        channel_names=_index(("sensor 1", "sensor 2")),
    )
    cut = len(rows) * 3 // 5
    return metadata, rows[:cut], rows[cut:]


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


def _docstrings(module: str) -> Iterator[str]:
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


def _pieces(text: str) -> list[tuple[str, ...]]:
    words = re.findall(r"[a-z]+", text.lower())
    cuts = [tuple(words[i : i + _LONGEST]) for i in range(0, len(words), _LONGEST)]
    return [piece for piece in cuts if len(piece) >= _SHORTEST]


def docstrings(rng: Generator, examples: int) -> Parts:
    """Real: docstrings of Python's standard library, read from its sources, in pieces of up to 20 words.

    Words are numbered by their frequency in the train part alone; 0 is a word that is not among the 2,000.
    """
    texts = {
        (text, label): None
        for label, family in enumerate(_FAMILIES.values())
        for module in family.split()
        for text in _docstrings(module)
    }
    # Split by docstring: pieces of one text are never in both parts.
    shuffled = [list(texts)[i] for i in rng.permutation(len(texts))]
    cut = len(shuffled) * 2 // 3
    halves = []
    for half, share in ((shuffled[:cut], examples * 2 // 3), (shuffled[cut:], examples - examples * 2 // 3)):
        pieces = list({(piece, label): None for text, label in half for piece in _pieces(text)})
        if not pieces:
            raise DatasetsError(
                "The sources of Python's standard library are not installed.",
                consequence="The texts of this dataset are taken from there.",
                remedy="Use a Python with sources, or another dataset.",
            )
        halves.append([pieces[i] for i in _balanced([label for _, label in pieces], share, rng)])
    counts = Counter(word for piece, _ in halves[0] for word in piece)
    common = sorted(counts, key=lambda word: (-counts[word], word))[: _VOCABULARY - 1]
    numbers = _index(["<unknown>", *common])
    train, test = (
        [
            NewExample(
                np.array([numbers.get(word, 0) for word in piece], np.float32).reshape(-1, 1, 1, 1),
                {label: 1.0},
            )
            for piece, label in half
        ]
        for half in halves
    )
    metadata = Metadata(
        n_examples=0,
        n_labels=len(_FAMILIES),
        rows=1,
        cols=1,
        channels=len(numbers),
        sequence_size=VARIES,
        format=Format.SPARSE,
        is_sequence=True,
        labels=_index(tuple(_FAMILIES)),
        channel_names=numbers,
    )
    return metadata, train, test


# --- digits and moving digits: images and video


def _load_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """1,797 handwritten digits of 8 × 8 pixels, from UCI's "Optical Recognition of Handwritten Digits"."""
    from sklearn.datasets import load_digits  # Slow to import, and needed here alone.

    images, labels = load_digits(return_X_y=True)
    return np.round(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8), labels


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def digits(rng: Generator, examples: int) -> Parts:
    """Real: scikit-learn's bundled digits. More than half are in test, so that there are 1,000."""
    images, labels = _load_digits()
    rows = [
        NewExample([_png(images[i])], {int(labels[i]): 1.0}) for i in rng.permutation(len(images))[:examples]
    ]
    metadata = Metadata(
        n_examples=0,
        n_labels=10,
        rows=8,
        cols=8,
        format=Format.COMPRESSED,
        has_locality_rows=True,
        has_locality_cols=True,
        labels=_index([str(digit) for digit in range(10)]),
    )
    cut = round(len(rows) * 797 / 1797)
    return metadata, rows[:cut], rows[cut:]


_DIRECTIONS_OF_MOTION = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
_FRAMES, _SIDE = 6, 16


def _clip(image: npt.NDArray[np.uint8], move: tuple[int, int], rng: Generator) -> list[bytes]:
    room = _SIDE - image.shape[0] + 1
    start = [
        int(rng.integers(0, room - (_FRAMES - 1))) + (_FRAMES - 1 if step < 0 else 0)
        if step
        else int(rng.integers(0, room))
        for step in move
    ]
    frames = []
    for t in range(_FRAMES):
        frame = np.zeros((_SIDE, _SIDE), np.uint8)
        top, left = start[0] + t * move[0], start[1] + t * move[1]
        frame[top : top + image.shape[0], left : left + image.shape[1]] = image
        frames.append(_png(frame))
    return frames


def moving_digits(rng: Generator, examples: int) -> Parts:
    """Real digits, moved: six frames of 16 × 16; two labels each, the digit and the direction.

    No digit's picture is in both parts.
    """
    images, labels = _load_digits()
    order = rng.permutation(len(images))
    cut = len(order) * 5 // 9
    parts = []
    for pool, count in ((order[:cut], examples * 5 // 9), (order[cut:], examples - examples * 5 // 9)):
        part = []
        for i in rng.choice(pool, count):
            direction = int(rng.integers(0, 4))
            move = tuple(_DIRECTIONS_OF_MOTION.values())[direction]
            part.append(NewExample(_clip(images[i], move, rng), {int(labels[i]): 1.0, 10 + direction: 1.0}))
        parts.append(part)
    metadata = Metadata(
        n_examples=0,
        n_labels=14,
        rows=_SIDE,
        cols=_SIDE,
        sequence_size=_FRAMES,
        format=Format.COMPRESSED,
        is_sequence=True,
        has_locality_rows=True,
        has_locality_cols=True,
        labels=_index([str(digit) for digit in range(10)] + list(_DIRECTIONS_OF_MOTION)),
    )
    return metadata, parts[0], parts[1]
