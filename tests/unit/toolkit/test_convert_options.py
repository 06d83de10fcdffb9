"""An option that would have no effect is refused, whatever is converted: it was meant to do something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alcove_toolkit.convert.choices import Kind
from alcove_toolkit.errors import SourceError
from tests.unit.toolkit.conversions import converted

TABLE = "n,label\n" + "1,a\n2,b\n" * 4
SVM = "1 1:1\n0 1:2\n" * 4
LINES = "a\tone\nb\ttwo\n" * 4


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("tabular", {"rate": 8000}),
        ("tabular", {"fps": 2.0}),
        ("tabular", {"folders": "label"}),
        ("tabular", {"text_column": "n"}),
        ("text", {"size": (8, 8)}),
        ("text", {"scale": True}),
        ("image", {"categories": 3}),
        ("image", {"vocabulary": 3}),
        ("image", {"frames": "png"}),
        ("audio", {"max_frames": 3}),
        ("video", {"max_seconds": 1.0}),
        ("series", {"channels": 1}),
    ],
)
def test_of_another_kind(tmp_path: Path, kind: Kind, asked: dict[str, Any]) -> None:
    source = tmp_path / "s.csv"
    source.write_text(TABLE)
    name = next(iter(asked)).replace("_", "-")
    with pytest.raises(SourceError, match=f"--{name}: has no meaning for --kind {kind}.*Leave it out"):
        converted(source, kind, **asked)


@pytest.mark.parametrize(
    ("name", "content", "kind", "asked"),
    [
        ("s.svm", SVM, "tabular", {"scale": True}),
        ("s.svm", SVM, "tabular", {"drop": ("n",)}),
        ("s.svm", SVM, "tabular", {"label_separator": "|"}),
        ("s.txt", LINES, "text", {"group_column": "n"}),
        ("s.txt", LINES, "text", {"labels": "n"}),
        ("s.txt", LINES, "text", {"folders": "label"}),
        ("s.csv", TABLE, "text", {"text_column": "n", "folders": "label"}),
        ("s.csv", "file,label\n1.txt,a\n", "text", {"folders": "label"}),
        ("s/a/1.txt", "one", "text", {"source_column": "n"}),
        ("s/a/1.txt", "one", "text", {"text_column": "n"}),
        ("s/a/1.txt", "one", "text", {"confidence": True}),
        ("s/a/1.txt", "one", "text", {"multi_label": True}),
        ("s/a/c/1.png", "", "video", {"frames": "png"}),
    ],
)
def test_of_another_source(
    tmp_path: Path, name: str, content: str, kind: Kind, asked: dict[str, Any]
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    refused = list(asked)[-1].replace("_", "-")
    with pytest.raises(SourceError, match=f"--{refused}: has no meaning .*Leave it out"):
        converted(tmp_path / name.split("/")[0], kind, **asked)


def test_labels_of_an_array_that_are_no_table(tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "s.npz", X=np.zeros((8, 3)), y=np.arange(8) % 2)
    either: tuple[dict[str, Any], ...] = ({"group_column": "n"}, {"folders": "label"})
    for asked in either:
        with pytest.raises(SourceError, match="has no meaning"):
            converted(tmp_path / "s.npz", "series", **asked)
