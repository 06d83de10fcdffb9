"""Helpers for the tests of converters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
