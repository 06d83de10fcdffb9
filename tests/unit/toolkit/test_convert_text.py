"""Texts: words, vocabularies, and the three places where texts lie."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcove_format.reader import open_dataset
from alcove_toolkit.convert import text
from alcove_toolkit.convert.run import Converted
from alcove_toolkit.convert.text import count_words, tokenize_text
from alcove_toolkit.errors import SourceError
from tests.unit.toolkit.conversions import contents, converted


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Hello,  World-wide!", ["hello", "world", "wide"]),
        ("don't l’été x_1", ["don't", "l’été", "x_1"]),
        ("東京タワー and 北京", ["東", "京", "タ", "ワ", "ー", "and", "北", "京"]),
        ("한국어 हिन्दी Ελλάδα", ["한국어", "हिन्दी", "ελλάδα"]),
        ("e\u0301te\u0301", ["été"]),
        (" .,;", []),
    ],
)
def test_words(said: str, words: list[str]) -> None:
    assert tokenize_text(said) == words


@given(st.text())
def test_words_have_no_spaces_and_are_words_again(said: str) -> None:
    for word in tokenize_text(said):
        assert word == word.strip() != ""
        assert tokenize_text(word) == [word]


def read(made: Converted, part: str = "train") -> list[tuple[list[str], str]]:
    """Words and label of each example."""
    opened = open_dataset(made.path)
    words = {number: word for word, number in made.metadata.channel_names.items()}
    found = []
    for features, label in opened.train if part == "train" else opened.test:
        name = made.metadata.label_names[int(label.argmax())]
        found.append(([words[int(t)] for t in features.ravel()], name))
    return found


TEXTS = [(f"the {'good' if i % 2 else 'bad'} film {i}", "np"[i % 2]) for i in range(40)]


def test_files_lines_and_columns_are_the_same_texts(tmp_path: Path) -> None:
    root = tmp_path / "files"
    for i, (said, label) in enumerate(TEXTS):
        (root / label).mkdir(parents=True, exist_ok=True)
        (root / label / f"{i:02}.txt").write_text(said)
    lines = tmp_path / "lines.txt"
    lines.write_text("\ufeff" + "\n\n".join(f"{label}\t{said}" for said, label in TEXTS), "utf-8")
    table = tmp_path / "table.csv"
    table.write_text("review,label\n" + "".join(f'"{said}",{label}\n' for said, label in TEXTS))
    made = [
        converted(root, "text"),
        converted(lines, "text"),
        converted(table, "text", text_column="review"),
    ]
    for one in made:
        assert (one.n_train, one.n_test) == (26, 14)
        for words, label in read(one):
            assert words[:3] == ["the", {"n": "bad", "p": "good"}[label], "film"]
    # Order on disk differs: of two that have the same order, all is the same.
    assert contents(made[1].path) == contents(made[2].path)


def test_texts_that_parquet_holds_as_bytes(tmp_path: Path) -> None:
    """Older writers do not say that they are text."""
    cells = {"text": ["naïve words", "other words"] * 10, "label": ["a", "b"] * 10}
    made = []
    for name, kind in (("texts", pa.string()), ("bytes", pa.binary())):
        table = pa.table({column: pa.array(cell, pa.string()).cast(kind) for column, cell in cells.items()})
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
        made.append(contents(converted(tmp_path / f"{name}.parquet", "text").path))
    assert made[0] == made[1]


def test_the_vocabulary_is_trains_and_bounded(tmp_path: Path) -> None:
    rows = [f"{'ab'[i % 2]} a b b c{i},train,{'xy'[i % 2]}" for i in range(10)] + [
        "b zebra,test,x",
        "!,test,y",
    ]
    source = tmp_path / "t.csv"
    source.write_text("text,split,label\n" + "\n".join(rows))
    made = converted(source, "text", vocabulary=3)
    assert dict(made.metadata.channel_names) == {"<unknown>": 0, "b": 1, "a": 2}
    assert sorted(words for words, _ in read(made, "test")) == [["<unknown>"], ["b", "<unknown>"]]
    assert made.notes == ("Texts without a word, given as one unknown word: 1.",)


def test_counting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "COUNTED", 50)
    counts = count_words(f"often word{i}" for i in range(1000))
    assert counts["often"] == 1000
    assert len(counts) <= 51


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.txt", b"a\tx\nb y\n", r"t\.txt, line 2: is not label<TAB>text"),
        ("t.txt", b"a\tx\nb\t\xe9\n", r"t\.txt, byte 6: is not UTF-8"),
        ("t.txt", b"a\tx\nb\t\0\n", r"t\.txt, byte 6: there is a NUL byte"),
        ("t.txt", b"", r"t\.txt: there are no examples"),
        ("t.txt", b"a\t.\nb\t.\na\t?\nb\t!\n", r"t\.txt: there is no word in train"),
        ("t.csv", b"words,label\nx,a\n", r"t\.csv: has neither a column text nor a column file"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    with pytest.raises(SourceError, match=problem):
        converted(source, "text")
    assert set(contents(tmp_path)) == {name}


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    for i in range(8):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[i % 2] / f"{i}.txt").write_bytes(b"word" if i != 5 else b"caf\xe9")
    with pytest.raises(SourceError, match=r"b/5\.txt, byte 3: is not UTF-8"):
        converted(tmp_path, "text")


def test_long_texts_are_the_larger_ones(tmp_path: Path) -> None:
    source = tmp_path / "t.txt"
    source.write_text("".join(f"{'ab'[i % 2]}\t{'word ' * (i + 1)}\n" for i in range(20)))
    made = converted(source, "text", how="shift", by="size", test_fraction=0.25)
    assert sorted(len(words) for words, _ in read(made, "test")) == [16, 17, 18, 19, 20]


def test_a_text_that_is_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "t.txt"
    source.write_text("a\tone two\nb\tone\n" * 3 + "a\tone two three\n")
    assert converted(source, "text").n_train
    monkeypatch.setattr(text, "MOST_WORDS", 2)
    with pytest.raises(SourceError, match=r"t\.txt, line 7: is a text of more than 2 words.*Cut it"):
        converted(source, "text")
    for label in "ab":
        (tmp_path / "s" / label).mkdir(parents=True)
        for name in ("1.txt", "2.txt"):
            (tmp_path / "s" / label / name).write_text("one")
    monkeypatch.setattr(text, "MOST_BYTES", 2)
    with pytest.raises(SourceError, match=r"\.txt: is a text of more than"):
        converted(tmp_path / "s", "text")
