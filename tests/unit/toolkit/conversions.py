"""Helpers for the tests of converters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alcove_format.reader import open_dataset
from alcove_toolkit.convert.base import ConvertOptions
from alcove_toolkit.convert.choices import Kind
from alcove_toolkit.convert.run import Converted, convert
from alcove_toolkit.convert.split import SplitRequest


def converted(
    source: Path, kind: Kind = "tabular", *, how: Any = None, seed: int = 0, name: str = "d", **asked: Any
) -> Converted:
    """Converts into a folder beside ``source``; ``asked`` are options, or fields of the split."""
    of_split = {k: asked.pop(k) for k in ("by", "hold_out", "test_fraction") if k in asked}
    request = SplitRequest(how=how, seed=seed, **of_split)
    out = source.parent / f"out-{len(list(source.parent.glob('out-*')))}"
    return convert(kind, source, out, name, options=ConvertOptions(**asked), request=request)


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def write(path: Path, *lines: str) -> Path:
    """A file of these lines, in UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def values(made: Converted, feature: str) -> npt.NDArray[np.float32]:
    """Of one feature, in all examples, sorted."""
    opened = open_dataset(made.path)
    column = made.metadata.features[feature]
    return np.sort([example.ravel()[column] for part in (opened.train, opened.test) for example, _ in part])
