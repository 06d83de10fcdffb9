"""The script of participant.md that runs the AutoDL kit's own ingestion program in an image, up to that program."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from alcove_format import writer
from alcove_format.metadata import Metadata
from alcove_format.reader import open_dataset
from alcove_format.writer import NewExample, write_dataset
from tests.unit.docs.pages import REPOSITORY, Page, blocks

PAGE = REPOSITORY / "docs" / "participant.md"


def test_test_examples_keep_their_order_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit's reader takes examples of several files in turn; the rows of predictions follow their names."""
    monkeypatch.setattr(writer, "SHARD_BYTES", 1)
    metadata = Metadata(n_examples=0, n_labels=2, rows=1, cols=3, labels={"no": 0, "yes": 1})
    examples = [NewExample(np.full((1, 1, 3, 1), i), {i % 2: 1.0}) for i in range(12)]
    data = write_dataset(tmp_path, "numbers", metadata, examples, examples)
    assert len(list((data / "test").glob("sample-*"))) == len(examples)

    (script,) = (b for b in blocks(Page("", PAGE, PAGE.read_text()), "text") if b.startswith("#!/bin/sh"))
    own = tmp_path / "own"
    (own / "bin").mkdir(parents=True)
    program = own / "bin" / "python3"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    variables = {
        "PATH": f"{own / 'bin'}:/usr/bin:/bin",
        "ALCOVE_DATA": str(data),
        "ALCOVE_OUT": str(own / "out"),
    }
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", script.replace("/tmp/", f"{own}/")],
        env=variables, capture_output=True, text=True, check=True,
    )  # fmt: skip

    options = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert options["--output_dir"] == str(own / "out")
    assert options["--time_budget"] == "1200"
    (folder,) = Path(options["--dataset_dir"]).iterdir()
    assert folder.suffix == ".data", "what the program looks for"
    made, given = open_dataset(folder), open_dataset(data)
    assert [p.name for p in (folder / "test").glob("sample*")] == ["sample"]
    np.testing.assert_array_equal([x for x, _ in made.test], [x for x, _ in given.test])
    np.testing.assert_array_equal([x for x, _ in made.train], [x for x, _ in given.train])
