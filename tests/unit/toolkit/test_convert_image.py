"""Folders of pictures become a dataset: kept as they are where readers agree on them, else made PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from alcove_format.format_pb2 import SequenceExample
from alcove_format.reader import open_dataset
from alcove_format.records import read_records
from alcove_format.solution import read_solution
from alcove_toolkit.check import check_dataset
from alcove_toolkit.convert.base import ConvertOptions
from alcove_toolkit.convert.run import Converted, convert
from alcove_toolkit.convert.split import SplitRequest
from alcove_toolkit.errors import SourceError
from tests.unit.format.test_roundtrip import digest
from tests.unit.toolkit.conversions import converted

Pixels = npt.NDArray[np.uint8]
GIVEN = SplitRequest(how="given")


def colour(seed: int = 0, rows: int = 30, cols: int = 40) -> Image.Image:
    """Smooth, so that a lossy format keeps it nearly."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((cols, rows), Image.Resampling.BICUBIC)


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.asarray(colour().convert("L")).astype(np.uint16) * 257)


def turned(seed: int = 0) -> tuple[Image.Image, Image.Exif]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return colour(seed), exif


def save(folder: Path) -> dict[str, tuple[bool, Pixels]]:
    """One picture of every sort; whether its bytes can stay in a dataset of colour, and its pixels in colour."""
    made: dict[str, tuple[bool, Pixels]] = {}

    def add(name: str, image: Image.Image, seen: Image.Image, kept: bool, **how: Any) -> None:
        image.save(folder / name, **how)
        made[name] = kept, np.asarray(seen.convert("RGB"))

    rgb, grey = colour(), colour().convert("L")
    few = rgb.quantize(4)
    white = Image.new("RGBA", rgb.size, "white")
    clear = rgb.convert("RGBA")
    clear.putalpha(grey)
    over_white = Image.alpha_composite(white, clear)
    add("rgb.png", rgb, rgb, True)
    add("grey.png", grey, grey, True)
    add("one-bit.png", rgb.convert("1"), rgb.convert("1"), True)
    many = rgb.quantize(200)
    add("palette.png", many, many, True)
    add("palette2.png", few, few, True, bits=2)
    add("interlaced.gif", few, few, True, interlace=1)
    add("still.gif", few, few, True, interlace=0)
    add("rgb.bmp", rgb, rgb, True)
    add("palette.bmp", few, few, False)
    add("grey.bmp", grey, grey, False)
    add("bits16.png", sixteen_bits(), grey, False)
    add("alpha.png", clear, over_white, False)
    add("clear.gif", few, Image.alpha_composite(white, _with_hole(few)), False, transparency=1)
    add("palette-clear.png", few, Image.alpha_composite(white, _with_hole(few)), False, transparency=1)
    add("moving.gif", few, few, False, save_all=True, append_images=[few.rotate(90)])
    add("scan.tif", rgb, rgb, False)
    add("lab.tif", rgb.convert("LAB"), rgb.convert("LAB"), False)
    add("bits16.tif", sixteen_bits(), grey, False)
    add("web.webp", rgb, rgb, False, lossless=True)
    add("raw.ppm", rgb, rgb, False)
    for name, image in (("rgb.jpg", rgb), ("grey.jpeg", grey), ("cmyk.jpg", rgb.convert("CMYK"))):
        image.save(folder / name)
        made[name] = name != "cmyk.jpg", np.asarray(Image.open(folder / name).convert("RGB"))
    image, exif = turned()
    image.save(folder / "phone.jpg", exif=exif)
    made["phone.jpg"] = False, np.rot90(np.asarray(Image.open(folder / "phone.jpg")), -1)
    return made


def _with_hole(few: Image.Image) -> Image.Image:
    shown = np.array(few.convert("RGBA"))
    shown[np.asarray(few) == 1, 3] = 0
    return Image.fromarray(shown)


def stored(path: Path) -> list[bytes]:
    """The encoded picture of each example, in order."""
    messages = [
        SequenceExample.FromString(data)
        for file in open_dataset(path).train.files
        for _, data in read_records(file)
    ]
    return [m.feature_lists.feature_list["0_compressed"].feature[0].bytes_list.value[0] for m in messages]


def in_order(source: Path, out: Path, options: ConvertOptions | None = None) -> Converted:
    """All in train, but for one of each label."""
    return convert("image", source, out, "d", options=options, request=GIVEN)


@pytest.fixture
def every_sort(tmp_path: Path) -> tuple[Path, dict[str, tuple[bool, Pixels]]]:
    folder = tmp_path / "train" / "a"
    folder.mkdir(parents=True)
    made = save(folder)
    for part, label in (("train", "b"), ("test", "a"), ("test", "b")):
        (tmp_path / part / label).mkdir(parents=True)
        colour(9).save(tmp_path / part / label / "x.png")
    return tmp_path, made


def test_every_sort_of_picture_is_read_alike_by_both_readers(
    every_sort: tuple[Path, dict[str, tuple[bool, Pixels]]], tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow")
    from alcove_format.tf_reader import tf_dataset

    source, made = every_sort
    converted = in_order(source, tmp_path / "out")
    assert (converted.metadata.rows, converted.metadata.cols, converted.metadata.channels) == (-1, -1, 3)
    train = open_dataset(converted.path).train
    theirs = list(tf_dataset(train).as_numpy_iterator())
    files = {(source / "train" / "a" / name).read_bytes(): name for name in made}
    arrays = {pixels.astype(np.float32).tobytes(): name for name, (_, pixels) in made.items()}
    kept = set()
    found: set[str] = set()
    for (features, _), (tf_features, _), data in zip(train, theirs, stored(converted.path), strict=True):
        assert np.array_equal(features, tf_features)
        if data in files:
            kept.add(files[data])
        pixels = np.round(features * 255).astype(np.float32)
        found |= {name for array, name in arrays.items() if array == pixels.tobytes()}
    assert kept == {name for name, (keeps, _) in made.items() if keeps}
    assert found == set(arrays.values())
    assert any("several frames" in note for note in converted.notes)


@pytest.mark.parametrize("channels", [1, 4])
def test_channels_can_be_chosen(
    every_sort: tuple[Path, dict[str, tuple[bool, Pixels]]], tmp_path: Path, channels: int
) -> None:
    pytest.importorskip("tensorflow")
    from alcove_format.tf_reader import tf_dataset

    converted = in_order(every_sort[0], tmp_path / "out", ConvertOptions(channels=channels))
    train = open_dataset(converted.path).train
    for (features, _), (tf_features, _) in zip(train, tf_dataset(train).as_numpy_iterator(), strict=True):
        assert features.shape[-1] == channels
        assert np.array_equal(features, tf_features)


def folders(root: Path, make: Callable[[int], Image.Image], count: int = 6, suffix: str = "png") -> Path:
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for i in range(count):
            make(i + 100 * (label == "dog")).save(root / label / f"{i}.{suffix}")
    return root


def test_a_folder_of_folders_is_one_command_from_a_sound_dataset(tmp_path: Path) -> None:
    source = folders(tmp_path / "pets", lambda seed: colour(seed).convert("L"), 20)
    converted = convert("image", source, tmp_path / "out")
    assert converted.path.name == "pets.data"
    metadata = converted.metadata
    assert (metadata.rows, metadata.cols, metadata.channels) == (30, 40, 1), "all are grey and of one size"
    assert metadata.domain == "image"
    assert metadata.label_names == ("cat", "dog")
    solution = tmp_path / "out" / "pets.solution"
    found = check_dataset(converted.path, solution)
    assert found.ok, found
    assert read_solution(solution).sum(axis=0).tolist() == [7, 7]
    again = convert("image", source, tmp_path / "again")
    assert digest(converted.path) == digest(again.path)


def test_a_table_names_files_and_labels(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rows = []
    for i in range(12):
        colour(i).save(folder / f"{i}.png")
        rows.append(f"pictures/{i}.png,{'even' if i % 2 == 0 else 'odd'}{';small' if i < 5 else ''}")
    (tmp_path / "index.csv").write_text("file,label\n" + "\n".join(rows) + "\n")
    converted = convert("image", tmp_path / "index.csv", tmp_path / "out", "d")
    assert converted.metadata.label_names == ("even", "odd", "small")
    train = open_dataset(converted.path).train
    number = {np.asarray(colour(i)).tobytes(): i for i in range(12)}
    for features, label in train:
        i = number[np.round(features * 255).astype(np.uint8).tobytes()]
        assert label.tolist() == [i % 2 == 0, i % 2 == 1, i < 5]


def test_all_are_brought_to_one_size(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", lambda seed: colour(seed, 20 + seed % 7, 40))
    sizes = in_size(tmp_path, source, None)
    assert sizes == {(rows, 40) for rows in range(20, 27)}
    assert in_size(tmp_path, source, (16, 24)) == {(16, 24)}


def in_size(tmp_path: Path, source: Path, size: tuple[int, int] | None) -> set[tuple[int, ...]]:
    converted = convert("image", source, tmp_path / f"out{size}", options=ConvertOptions(size=size))
    folder = open_dataset(converted.path)
    assert (converted.metadata.rows, converted.metadata.cols) == (size or (-1, 40))
    return {features.shape[1:3] for part in (folder.train, folder.test) for features, _ in part}


def test_what_has_the_size_already_keeps_its_bytes(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", lambda seed: colour(seed, 16, 24), suffix="jpg")
    converted = convert("image", source, tmp_path / "out", options=ConvertOptions(size=(16, 24)))
    files = {path.read_bytes() for path in source.rglob("*.jpg")}
    assert set(stored(converted.path)) <= files


def test_large_ones_can_be_held_out(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", lambda seed: colour(seed, 20 + seed % 50, 40), 12)
    request = SplitRequest(how="shift", by="size")
    converted = convert("image", source, tmp_path / "out", options=ConvertOptions(), request=request)
    folder = open_dataset(converted.path)
    largest = max(features.shape[1] for features, _ in folder.train)
    assert largest <= min(features.shape[1] for features, _ in folder.test)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def no_picture(path: Path) -> None:
    path.write_bytes(b"hello")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def bomb(path: Path) -> None:
    """A PNG of a few bytes that says it has 10¹⁰ pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + struct.pack(">I", zlib.crc32(header)))


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [cut, no_picture, empty, bomb, flipped])
@pytest.mark.parametrize("size", [None, (8, 8)])
def test_a_damaged_picture_is_named_and_nothing_is_left(
    tmp_path: Path, damage: Callable[[Path], None], size: tuple[int, int] | None
) -> None:
    source = folders(tmp_path / "s", colour)
    damage(source / "dog" / "3.png")
    with pytest.raises(SourceError, match=r"dog/3\.png"):
        convert("image", source, tmp_path / "out", options=ConvertOptions(size=size))
    assert not list((tmp_path / "out").glob("*"))


def test_a_row_without_its_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("file,label\na.png,a\nb.png,b\n")
    colour().save(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"index\.csv.*b\.png"):
        convert("image", tmp_path / "index.csv", tmp_path / "out")


def test_a_size_that_is_no_picture_s_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    with pytest.raises(SourceError, match=r"--size 99999x99999: is more than 67,108,864 pixels"):
        converted(tmp_path / "s", "image", size=(99_999, 99_999))


def test_a_row_that_names_a_folder_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "files.csv").write_text("file,label\na,x\n./,y\n")
    with pytest.raises(SourceError, match=r"/a: the picture cannot be read: Is a directory\."):
        converted(tmp_path / "files.csv", "image", how="random", test_fraction=0.5)
