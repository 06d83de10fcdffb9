"""The contact sheet: one page that shows what is in a dataset and reaches for nothing outside itself."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import wave
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alcove_format.errors import FormatError
from alcove_format.metadata import Format, Metadata
from alcove_format.reader import open_dataset
from alcove_format.solution import read_solution
from alcove_format.writer import NewExample, write_dataset
from alcove_toolkit.contact_sheet import render_contact_sheet
from alcove_toolkit.practice import PRACTICE, REGRESSIONS, PracticeDataset, make_practice
from tests.unit.format.strategies import png
from tests.unit.toolkit.test_convert_command import alcove

EACH = pytest.mark.parametrize("practice", [*PRACTICE, *REGRESSIONS], ids=lambda practice: practice.name)


class Page(HTMLParser):
    """Tags with their attributes, and the text between."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str, attribute: str) -> list[str]:
        return [
            attributes[attribute] or ""
            for name, attributes in self.tags
            if name == tag and attribute in attributes
        ]


def sheet(path: Path, examples: int = 40) -> Page:
    return Page(render_contact_sheet(open_dataset(path), None, examples))


def payload(uri: str) -> io.BytesIO:
    assert re.match("data:[a-z]+/[a-z]+;base64,", uri)
    return io.BytesIO(base64.b64decode(uri.partition(",")[2]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    for practice in (*PRACTICE, *REGRESSIONS):
        make_practice(practice.name, out, examples=120)
    return out


@EACH
def test_each_kind_is_shown_in_its_own_way_and_nothing_is_fetched(
    made: Path, practice: PracticeDataset
) -> None:
    html = render_contact_sheet(open_dataset(made / f"{practice.name}.data"), None, 20)
    page = Page(html)
    tags = Counter(tag for tag, _ in page.tags)
    shown = 25  # 20 of train, 5 of test
    if practice.kind in ("tabular", "text"):
        assert tags["tr"] == shown + 2
    else:
        assert tags["figure"] == shown
    assert tags["img"] == {"image": shown, "video": 6 * shown}.get(practice.kind, 0)
    assert tags["audio"] == (shown if practice.kind == "audio" else 0)
    assert tags["path"] == {"series": 2 * shown, "audio": shown}.get(practice.kind, 0)
    assert not {"script", "link", "iframe", "form", "object"} & set(tags)
    for attribute in ("src", "href"):
        for tag in tags:
            assert all(uri.startswith("data:") for uri in page.all(tag, attribute))
    assert not any(
        name.startswith("on") or name == "style" for _, attributes in page.tags for name in attributes
    )


def test_the_page_forbids_itself_all_but_its_own_style(made: Path) -> None:
    html = render_contact_sheet(open_dataset(made / "waves.data"), None)
    (policy,) = [a["content"] for tag, a in Page(html).tags if tag == "meta" and "http-equiv" in a]
    style = re.search("<style>(.*)</style>", html, re.S)
    assert policy is not None
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    assert f"style-src 'sha256-{digest}'" in policy


def test_pictures_and_sounds_are_those_of_the_examples(made: Path) -> None:
    folder = open_dataset(made / "digits.data")
    pixels = {np.round(features[0, :, :, 0] * 255).astype(np.uint8).tobytes() for features, _ in folder.train}
    pictures = sheet(folder.path).all("img", "src")[:40]
    assert all(np.asarray(Image.open(payload(uri))).tobytes() in pixels for uri in pictures)

    folder = open_dataset(made / "vowels.data")
    sounds = {np.round(features.ravel() * 32767).astype("<i2").tobytes() for features, _ in folder.train}
    for uri in sheet(folder.path).all("audio", "src")[:40]:
        with wave.open(payload(uri)) as file:
            assert file.getframerate() == 8000
            assert file.readframes(file.getnframes()) in sounds


def test_every_label_is_seen_with_its_examples(made: Path) -> None:
    html = render_contact_sheet(open_dataset(made / "docstrings.data"), None, 12)
    train = html[html.index("<h2>Train") : html.index("<h2>Test")]
    assert Counter(re.findall('class="tag">(.*?)<', train)) == dict.fromkeys(
        ("mail", "network", "concurrency", "numbers", "development", "files"), 2
    )


def test_labels_of_test_are_shown_with_the_solution_alone(made: Path) -> None:
    folder = open_dataset(made / "digits.data")
    solution = read_solution(made / "digits.solution")
    hidden, open_ = (
        render_contact_sheet(folder, given, 8).partition("<h2>Test")[2] for given in (None, solution)
    )
    assert hidden.count("hidden") == 2
    assert 'class="tag"' not in hidden
    shown = [int(number) for number in re.findall(r"<span>#(\d+)</span>", open_)]
    assert re.findall('class="tag">(.*?)<', open_) == [str(solution[number].argmax()) for number in shown]


def test_what_names_and_texts_smuggle_in_is_text(tmp_path: Path) -> None:
    evil = "</style><script>alert(1)</script>\"'><img src=http://x onerror=alert(1)>"
    table = Metadata(
        n_examples=0, n_labels=1, rows=1, cols=1, labels={evil: 0}, features={evil: 0}, split=evil
    )
    texts = Metadata(
        n_examples=0, n_labels=1, rows=1, cols=1, channels=2, sequence_size=-1, format=Format.SPARSE,
        labels={evil: 0}, channel_names={evil: 0, "b": 1},
    )  # fmt: skip
    for name, metadata in (("a<b>", table), ("t", texts)):
        example = NewExample(np.zeros((1, 1, 1, 1)), {0: 1.0})
        page = sheet(write_dataset(tmp_path, name, metadata, [example], [example]))
        assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img"})
        assert page.text.count(evil) >= 3


def test_dense_pictures_of_any_range_and_missing_numbers_are_shown(tmp_path: Path) -> None:
    metadata = Metadata(n_examples=0, n_labels=1, rows=3, cols=2, has_locality_rows=True)
    arrays = [np.arange(6) * factor for factor in (1 / 5, 51.0, 2000.0)]
    arrays.append(np.array([np.nan, 1, -np.inf, 0, 0.5, np.inf]))
    examples = [NewExample(np.asarray(a, np.float32).reshape(1, 3, 2, 1), {0: 1.0}) for a in arrays]
    page = sheet(write_dataset(tmp_path, "d", metadata, examples, []))
    pictures = [np.asarray(Image.open(payload(uri))).ravel().tolist() for uri in page.all("img", "src")]
    assert pictures[:3] == [[0, 51, 102, 153, 204, 255]] * 3
    assert len(pictures) == 4


def test_large_pictures_are_made_smaller_and_of_a_long_clip_six_frames_are_decoded(tmp_path: Path) -> None:
    large = np.zeros((300, 600, 3), np.uint8)
    metadata = Metadata(
        n_examples=0, n_labels=1, rows=-1, cols=-1, channels=3, sequence_size=-1, format=Format.COMPRESSED
    )
    frames = [png(large + i) for i in range(20)]
    frames[1] = b"not decoded"
    page = sheet(write_dataset(tmp_path, "d", metadata, [NewExample(frames, {0: 1.0})], []))
    assert page.all("img", "title") == [f"frame {i} of 20" for i in (1, 5, 9, 12, 16, 20)]
    assert {Image.open(payload(uri)).size for uri in page.all("img", "src")} == {(112, 56)}


def test_wide_sparse_rows_are_shown_by_what_is_not_zero(tmp_path: Path) -> None:
    metadata = Metadata(
        n_examples=0, n_labels=1, rows=1, cols=1000, format=Format.SPARSE, features={"age": 7}
    )
    row = np.zeros((1, 1, 1000, 1), np.float32)
    row[0, 0, [7, 500], 0] = 41, 0.25
    page = sheet(write_dataset(tmp_path, "d", metadata, [NewExample(row, {0: 1.0})], []))
    assert "age = 41, 500 = 0.25" in page.text


def test_a_picture_that_cannot_be_decoded_is_said_so_and_a_damaged_record_ends_it(tmp_path: Path) -> None:
    metadata = Metadata(n_examples=0, n_labels=1, rows=-1, cols=-1, format=Format.COMPRESSED)
    examples = [
        NewExample([b"no picture"], {0: 1.0}),
        NewExample([png(np.zeros((9, 9, 1), np.uint8))], {0: 1.0}),
    ]
    path = write_dataset(tmp_path, "d", metadata, examples, [])
    page = sheet(path)
    assert any("cannot be decoded" in text for text in page.text)
    assert len(page.all("img", "src")) == 1
    file = path / "train" / "sample-00000"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(FormatError, match="sample-00000, record 1"):
        sheet(path)


def test_the_command_writes_the_page(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("dataset", "show", str(made / "digits.data"))
    assert alcove(monkeypatch, *command) == 0
    assert "digits.html" in capsys.readouterr().out
    page = (tmp_path / "digits.html").read_text()
    assert ">hidden<" not in page, "the solution lies beside"
    for option in ("--solution", "--out"):
        assert alcove(monkeypatch, *command, option, "gone/x") == 2
        assert re.fullmatch("alcove: gone/x.*\n", capsys.readouterr().err)
    assert alcove(monkeypatch, *command, "--rate", "8000") == 2
    assert "--rate has no meaning for a dataset of domain image" in capsys.readouterr().err
