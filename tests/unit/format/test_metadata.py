"""``metadata.textproto`` as the AutoDL challenge's own files and readers have it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alcove_format.metadata import Domain, Format, Metadata, parse_metadata
from alcove_format.reader import open_dataset, open_part
from alcove_format.writer import NewExample, write_dataset

PUBLIC = """is_sequence: false
sample_count: 2
sequence_size: {steps}
output_dim: 2
matrix_spec {{
  col_count: {cols}
  row_count: {rows}
  format: {form}
}}
"""
VOCABULARY = (
    'channel_to_index_map {{ key: "good" value: {} }}\nchannel_to_index_map {{ key: "bad" value: {} }}\n'
)


def read(steps: int, rows: int, cols: int, form: str = "DENSE", more: str = "") -> Metadata:
    text = PUBLIC.format(steps=steps, rows=rows, cols=cols, form=form) + more
    return parse_metadata(text.encode(), "metadata.textproto")


def image(mode: str, colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (8, 5), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_images_without_a_number_of_channels_keep_their_colours(tmp_path: Path) -> None:
    one = Metadata(n_examples=0, n_labels=2, rows=-1, cols=-1, channels=3, format=Format.COMPRESSED)
    pictures = [NewExample([image("RGB", "red")], {0: 1.0}), NewExample([image("L", "white")], {1: 1.0})]
    path = write_dataset(tmp_path, "monkeys", one, pictures, pictures)
    for part in ("train", "test"):
        file = path / part / "metadata.textproto"
        file.write_text(file.read_text().replace("  num_channels: 3\n", ""))
    train = open_dataset(path).train
    assert train.metadata.frame_channels == 3
    assert train.metadata.shape == (1, -1, -1, 3)
    (red, _), (white, _) = train
    assert red.shape == (1, 5, 8, 3)
    assert red[0, 0, 0].tolist() == [1, 0, 0]
    assert white[0, 0, 0].tolist() == [1, 1, 1], (
        "a grey one has three equal channels, as in the public reader"
    )


@pytest.mark.parametrize("form", ["DENSE", "SPARSE"])
@pytest.mark.parametrize("more", ["", "matrix_spec { num_channels: -1 }"])
def test_numbers_without_a_number_of_channels_have_one(form: str, more: str) -> None:
    text = PUBLIC.format(steps=1, rows=2, cols=3, form=form)
    if more:
        text = text.replace("matrix_spec {", "matrix_spec {\n  num_channels: -1")
    metadata = parse_metadata(text.encode(), "here")
    assert (metadata.channels, metadata.shape, metadata.numbers) == (1, (1, 2, 3, 1), 6)


@pytest.mark.parametrize(
    ("steps", "rows", "cols", "form", "more", "domain"),
    [
        (1, 1, 20, "DENSE", "", "tabular"),
        (1, 28, 28, "DENSE", "", "image"),
        (1, -1, -1, "COMPRESSED", "", "image"),
        (-1, 1, 1, "DENSE", "", "speech"),
        (-1, 1, 1, "DENSE", VOCABULARY.format(0, 1), "text"),
        (-1, 60, 80, "DENSE", "", "video"),
        (-1, 1, 20, "DENSE", "", "video"),
        (-1, 1, 1, "DENSE", VOCABULARY.format(0, 1) + "# domain: series\n", "series"),
        (-1, 1, 20, "DENSE", "# domain: series\n", "series"),
        (1, 28, 28, "DENSE", "# domain: handwriting\n", "image"),
    ],
)
def test_the_domain_is_that_of_the_file_or_else_of_the_public_rule(
    steps: int, rows: int, cols: int, form: str, more: str, domain: Domain
) -> None:
    assert read(steps, rows, cols, form, more).domain == domain


def test_dense_text_holds_tokens_of_the_named_vocabulary() -> None:
    """The challenge's last text files: token numbers as dense steps, words as names of channels."""
    text = read(-1, 1, 1, "DENSE", VOCABULARY.format(0, 1))
    assert (text.holds_tokens, text.vocabulary_size) == (True, 2)
    sparse = Metadata(
        n_examples=0, n_labels=1, rows=1, cols=1, channels=9, sequence_size=-1, format=Format.SPARSE
    )
    assert (sparse.domain, sparse.holds_tokens, sparse.vocabulary_size) == ("text", True, 9)
    assert read(-1, 1, 1).vocabulary_size == 0


def test_sizes_stand_in_the_lines_where_public_code_reads_them(tmp_path: Path) -> None:
    """Winners of the challenge take sample_count from the second line, or from the first three."""
    metadata = Metadata(
        n_examples=0, n_labels=2, rows=1, cols=3, split="stratified, a fifth is test", rate=8000.0
    )
    examples = [NewExample(np.zeros((1, 1, 3, 1)), {0: 1.0})] * 7
    path = write_dataset(tmp_path, "d", metadata, examples, examples[:3])
    for part, count in (("train", 7), ("test", 3)):
        text = (path / part / "metadata.textproto").read_text()
        lines = text.splitlines()
        assert lines[0] == "is_sequence: false"
        assert lines[1] == f"sample_count: {count}"
        assert [line.split(":")[0] for line in lines if "sample_count" in line] == ["sample_count"]
        first_comment = next(i for i, line in enumerate(lines) if line.startswith("#"))
        assert all(line.startswith("#") for line in lines[first_comment:])
        assert lines[first_comment] == "# domain: tabular"
        found = open_part(path / part).metadata
        assert (found.split, found.rate, found.domain) == (metadata.split, 8000.0, "tabular")


def test_comments_at_the_top_as_earlier_files_have_them_are_read() -> None:
    text = "# split: by speaker\n# rate: 16000\n" + PUBLIC.format(steps=-1, rows=1, cols=1, form="DENSE")
    found = parse_metadata(text.encode(), "here")
    assert (found.split, found.rate, found.domain) == ("by speaker", 16000.0, "speech")


def test_a_name_that_looks_like_a_comment_is_none() -> None:
    name = '"\\n# domain: video\\n"'
    found = read(-1, 1, 1, more=f"label_to_index_map {{ key: {name} value: 0 }}\n")
    assert found.stated_domain is None
    again = parse_metadata(found.to_text().encode(), "here")
    assert (again.stated_domain, again.labels) == (None, {"\n# domain: video\n": 0})
