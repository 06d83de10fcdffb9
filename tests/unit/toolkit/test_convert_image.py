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
from PIL import Image, PngImagePlugin
from PIL import features as pillow_features

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

    def add(name: str, image: Image.Image, seen: Image.Image, as_is: bool, **how: Any) -> None:
        image.save(folder / name, **how)
        made[name] = as_is, np.asarray(seen.convert("RGB"))

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
    unchanged = set()
    found: set[str] = set()
    for (features, _), (tf_features, _), data in zip(train, theirs, stored(converted.path), strict=True):
        assert np.array_equal(features, tf_features)
        if data in files:
            unchanged.add(files[data])
        pixels = np.round(features * 255).astype(np.float32)
        found |= {name for array, name in arrays.items() if array == pixels.tobytes()}
    assert unchanged == {name for name, (keeps, _) in made.items() if keeps}
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


def corners(rows: int = 20, cols: int = 40) -> Pixels:
    """Each corner has a colour of its own."""
    pixels = np.full((rows, cols, 3), 90, np.uint8)
    pixels[:6, :6], pixels[:6, -6:], pixels[-6:, :6] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    return pixels


UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda p: p, 2: np.fliplr, 3: lambda p: np.rot90(p, 2), 4: np.flipud,
    5: lambda p: p.swapaxes(0, 1), 6: lambda p: np.rot90(p, -1), 7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: np.rot90,
}  # fmt: skip
"""What is seen of pixels as they are stored, by EXIF's orientation."""


@pytest.mark.parametrize("turn", UPRIGHT)
@pytest.mark.parametrize("suffix", ["tif", "png", "webp"])
def test_every_orientation_is_applied_once(tmp_path: Path, suffix: str, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    how: dict[str, Any] = {"exif": exif, "lossless": True} if suffix == "webp" else {"exif": exif}
    if suffix == "tif":
        how = {"tiffinfo": {0x0112: turn}}
    source = folders(tmp_path / "s", lambda _: Image.fromarray(corners()), 2, suffix)
    for path in source.rglob(f"*.{suffix}"):
        Image.fromarray(corners()).save(path, **how)
    wanted = UPRIGHT[turn](corners())
    made = converted(source, "image")
    assert (made.metadata.rows, made.metadata.cols) == wanted.shape[:2]
    for part in (open_dataset(made.path).train, open_dataset(made.path).test):
        for features, _ in part:
            assert np.array_equal(np.round(features[0] * 255), wanted)


def test_a_dataset_of_turned_scans_passes_its_check(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", colour, 6, "tif")
    for i, path in enumerate(sorted(source.rglob("*.tif"))):
        colour(i).save(path, tiffinfo={0x0112: 6})
    made = converted(source, "image")
    assert (made.metadata.rows, made.metadata.cols) == (40, 30)
    assert check_dataset(made.path, made.path.with_suffix(".solution")).ok


def deep(root: Path, suffix: str, values: Callable[[int], npt.NDArray[Any]], count: int = 4) -> Path:
    return folders(root, lambda seed: Image.fromarray(values(seed)), count, suffix)


@pytest.mark.parametrize(
    ("suffix", "kind", "peak", "full"),
    [
        ("png", np.uint16, 4000, 4095), ("tif", np.uint16, 4000, 4095), ("png", np.uint16, 900, 1023),
        ("tif", np.uint16, 15000, 16383), ("png", np.uint16, 60000, 65535), ("tif", np.uint16, 200, 255),
        ("tif", np.float32, 0.9, 1.0), ("tif", np.float32, 200.5, 255.0), ("tif", np.int32, 50000, 65535),
    ],
)  # fmt: skip
def test_one_scale_for_all_pictures_of_more_than_8_bits(
    tmp_path: Path, suffix: str, kind: type, peak: float, full: float
) -> None:
    """The second picture is half as bright as the first, and stays so."""

    def ramp(seed: int) -> npt.NDArray[Any]:
        height = peak if seed % 2 == 0 else peak / 2
        return np.linspace(0, height, 12 * 16).reshape(12, 16).astype(kind)

    made = converted(deep(tmp_path / "s", suffix, ramp), "image")
    found = {
        tuple(np.round(features[0, :, :, 0].ravel() * 255).tolist())
        for part in (open_dataset(made.path).train, open_dataset(made.path).test)
        for features, _ in part
    }
    assert found == {tuple(np.round(ramp(i).ravel().astype(float) * 255 / full).tolist()) for i in (0, 1)}
    assert (
        f"8 pictures have more than 8 bits: values from 0 to {full:,g} became 0 to 255, by one scale for all."
        in (made.notes)
    )


def test_values_below_zero_are_scaled_from_the_lowest_to_the_highest_of_all(tmp_path: Path) -> None:
    """As in computed tomography: air is −1,024 everywhere, and not black in one picture and grey in another."""

    def slice_(seed: int) -> npt.NDArray[np.int32]:
        pixels = np.full((8, 10), -1024, np.int32)
        pixels[2:6, 2:6] = 1000 if seed % 2 else 3071
        return pixels

    made = converted(deep(tmp_path / "s", "tif", slice_), "image")
    folder = open_dataset(made.path)
    values = {
        tuple(np.unique(np.round(f * 255)).tolist()) for part in (folder.train, folder.test) for f, _ in part
    }
    assert values == {(0, 255), (0, round(2024 * 255 / 4095))}


def test_a_scan_whose_zero_is_white_is_seen_as_it_was_meant(tmp_path: Path) -> None:
    source = deep(tmp_path / "s", "tif", lambda _: np.full((6, 8), 1000, np.uint16))
    for path in source.rglob("*.tif"):
        Image.fromarray(np.full((6, 8), 1000, np.uint16)).save(path, tiffinfo={262: 0})
    made = converted(source, "image")
    features, _ = next(open_dataset(made.path).train.examples())
    assert round(float(features.max()) * 255) == 255 - round(1000 * 255 / 1023)


def test_colour_of_16_bits_is_cut_to_8_and_told(tmp_path: Path) -> None:
    rows, cols = 6, 8
    raw = np.random.default_rng(0).integers(0, 65536, (rows, cols, 3)).astype(">u2")
    scan = b"".join(b"\0" + row.tobytes() for row in raw)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", cols, rows, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(scan)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )
    source = folders(tmp_path / "s", colour, 2)
    for path in source.rglob("*.png"):
        path.write_bytes(data)
    made = converted(source, "image")
    features, _ = next(open_dataset(made.path).train.examples())
    assert np.array_equal(np.round(features[0] * 255), raw >> 8)
    assert "Of 4 colour pictures with more than 8 bits a channel, the upper 8 were taken." in made.notes


def test_a_value_that_is_not_finite_is_named(tmp_path: Path) -> None:
    source = deep(
        tmp_path / "s", "tif", lambda seed: np.full((4, 4), np.nan if seed == 3 else 0.5, np.float32)
    )
    with pytest.raises(SourceError, match=r"cat/3\.tif: .*numbers that are not finite"):
        converted(source, "image")


@pytest.mark.parametrize(
    "suffix", ["jfif", "jpe", "JPG", "jif", "pjpeg", "apng", "dib", "jp2", "tga", "pbm", "avif"]
)
def test_other_endings_of_known_formats(tmp_path: Path, suffix: str) -> None:
    kind = {"jif": "JPEG", "pjpeg": "JPEG", "JPG": "JPEG", "pbm": "PPM"}.get(suffix)
    if suffix == "avif" and not pillow_features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    for label in ("cat", "dog"):
        (tmp_path / "s" / label).mkdir(parents=True)
        for i in range(2):
            image = colour(i).convert("1") if suffix == "pbm" else colour(i)
            image.save(tmp_path / "s" / label / f"{i}.{suffix}", kind)
    made = converted(tmp_path / "s", "image")
    assert (made.n_train + made.n_test, made.metadata.rows, made.metadata.cols) == (4, 30, 40)


def test_what_is_of_a_kind_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", colour, 3)
    (source / "cat" / "IMG_1.HEIC").write_bytes(b"x")
    assert "Files of other kinds, left out: 1 (.heic 1)." in converted(source, "image").notes


def test_long_notes_inside_a_png_do_no_harm(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", colour, 2)
    note = PngImagePlugin.PngInfo()
    note.add_text("history", "x" * (3 << 20), zip=True)
    colour(0).save(source / "cat" / "0.png", pnginfo=note)
    assert converted(source, "image").n_train == 2


@pytest.mark.parametrize(
    ("suffix", "change"), [("png", lambda data: data[:-12]), ("bmp", lambda data: data + b"\0\0")]
)
def test_a_file_that_one_reader_refuses_is_stored_anew(
    tmp_path: Path, suffix: str, change: Callable[[bytes], bytes]
) -> None:
    """A PNG without its last chunk, and a BMP with two bytes more, are whole pictures, but not for TensorFlow."""
    pytest.importorskip("tensorflow")
    from alcove_format.tf_reader import tf_dataset

    source = folders(tmp_path / "s", colour, 2, suffix)
    for path in source.rglob(f"*.{suffix}"):
        path.write_bytes(change(path.read_bytes()))
    train = open_dataset(converted(source, "image").path).train
    for (features, _), (theirs, _) in zip(train, tf_dataset(train).as_numpy_iterator(), strict=True):
        assert np.array_equal(features, theirs)
        assert any(
            np.array_equal(np.round(features[0] * 255), np.asarray(colour(i))) for i in (0, 1, 100, 101)
        )
