"""Folders of clips, and of folders of frames, become a dataset of video."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.stream import Disposition
from PIL import Image

from alcove_toolkit.check import check_dataset
from alcove_toolkit.convert import video
from alcove_toolkit.convert.base import ConvertOptions
from alcove_toolkit.convert.run import Converted, convert
from alcove_toolkit.convert.split import SplitRequest
from alcove_toolkit.errors import SourceError
from tests.unit.format.reading import both, parts
from tests.unit.format.test_roundtrip import digest

Pixels = npt.NDArray[np.uint8]
ROWS, COLS, FPS = 32, 48, 10


def frame(seed: int, number: int, rows: int = ROWS, cols: int = COLS) -> Pixels:
    """A bright bar that moves to the right over a ground of the seed's colour, its left upper corner marked."""
    pixels = np.empty((rows, cols, 3), np.uint8)
    pixels[:] = np.random.default_rng(seed).integers(0, 120, 3)
    at = 4 * number % cols
    pixels[:, at : at + 6] = 220
    pixels[:8, :8] = 255, 0, 0
    return pixels


def write(
    path: Path,
    seed: int,
    count: int,
    codec: str = "ffv1",
    pixels: str = "bgr0",
    rows: int = ROWS,
    fps: int = FPS,
) -> None:
    """Lossless by default, so that frames can be compared."""
    with av.open(
        str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}
    ) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = COLS, rows, pixels
        for number in range(count):
            picture = av.VideoFrame.from_ndarray(frame(seed, number, rows), format="rgb24")
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def clips(root: Path, count: int = 4, suffix: str = "mkv", codec: str = "ffv1", pixels: str = "bgr0") -> Path:
    for label in ("left", "right"):
        (root / label).mkdir(parents=True)
        for i in range(count):
            write(root / label / f"{i}.{suffix}", i + 50 * (label == "right"), 5 + i, codec, pixels)
    return root


def frames(root: Path, count: int = 4, suffix: str = "png") -> Path:
    for label in ("left", "right"):
        for i in range(count):
            folder = root / label / f"clip{i}"
            folder.mkdir(parents=True)
            for number in range(8 + i):
                Image.fromarray(frame(i + 50 * (label == "right"), number)).save(
                    folder / f"f{number}.{suffix}"
                )
    return root


def given(source: Path, out: Path, options: ConvertOptions | None = None) -> Converted:
    return convert("video", source, out, "d", options=options)


def expected(count: int, steps: Callable[[int], list[int]]) -> set[bytes]:
    """Contents of all clips that :func:`clips` or :func:`frames` made, as whole numbers."""
    return {
        np.stack([frame(i + seed, number) for number in steps(i)]).tobytes()
        for seed in (0, 50)
        for i in range(count)
    }


def contents(converted: Converted) -> set[bytes]:
    return {np.round(features * 255).astype(np.uint8).tobytes() for features, _ in both(converted.path)}


def test_a_folder_of_clips_is_one_command_from_a_sound_dataset(tmp_path: Path) -> None:
    source = clips(tmp_path / "moves", 8, "mp4", "libx264", "yuv420p")
    converted = convert("video", source, tmp_path / "out")
    metadata = converted.metadata
    assert (metadata.domain, metadata.label_names) == ("video", ("left", "right"))
    assert (metadata.rows, metadata.cols, metadata.channels, metadata.rate) == (ROWS, COLS, 3, FPS)
    assert check_dataset(converted.path, tmp_path / "out" / "moves.solution").ok
    again = convert("video", source, tmp_path / "again")
    assert digest(converted.path) == digest(again.path)


def test_frames_stored_as_png_are_those_of_the_clip(tmp_path: Path) -> None:
    converted = given(clips(tmp_path / "s"), tmp_path / "out", ConvertOptions(frames="png"))
    assert contents(converted) == expected(4, lambda i: list(range(5 + i)))


def test_frames_stored_as_jpeg_are_near(tmp_path: Path) -> None:
    converted = given(clips(tmp_path / "s"), tmp_path / "out")
    wanted = {5 + i: [frame(i + seed, n) for n in range(5 + i) for seed in (0, 50)] for i in range(4)}
    for features, label in both(converted.path):
        close = wanted[len(features)][int(label.argmax()) :: 2]
        assert features.shape == (len(close), ROWS, COLS, 3)
        if label.any():  # It is one of train.
            assert np.abs(features * 255 - np.stack(close)).mean() < 8


@pytest.mark.parametrize(("fps", "steps"), [(5.0, [0, 2, 4, 6]), (4.0, [0, 2, 5]), (20.0, None)])
def test_frames_are_taken_by_the_clock(tmp_path: Path, fps: float, steps: list[int] | None) -> None:
    source = clips(tmp_path / "s")
    for path in source.rglob("*.mkv"):
        write(path, int(path.stem) + 50 * (path.parent.name == "right"), 8)
    converted = given(source, tmp_path / "out", ConvertOptions(frames="png", fps=fps))
    assert converted.metadata.rate == fps
    wanted = steps or [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7]
    assert contents(converted) == expected(4, lambda _: wanted)


def test_clips_of_several_rates_are_told(tmp_path: Path) -> None:
    source = clips(tmp_path / "s", count=2)
    write(source / "left" / "9.mkv", 9, 6, fps=FPS + 5)
    made = given(source, tmp_path / "a")
    assert made.metadata.rate == 0
    assert made.notes == (f"Clips have {FPS} to {FPS + 5} frames a second; --fps brings all to one.",)
    assert given(source, tmp_path / "b", ConvertOptions(fps=FPS)).notes == ()


def test_what_is_longer_than_wished_is_cut_off_and_all_is_brought_to_one_size(tmp_path: Path) -> None:
    source = clips(tmp_path / "s")
    write(source / "left" / "9.mkv", 9, 6, rows=64)
    converted = given(source, tmp_path / "a")
    assert (converted.metadata.rows, converted.metadata.cols) == (-1, COLS)
    converted = given(source, tmp_path / "b", ConvertOptions(size=(16, 24), max_frames=3, channels=1))
    assert converted.metadata.shape == (-1, 16, 24, 1)
    assert {features.shape for features, _ in both(converted.path)} == {(3, 16, 24, 1)}


def test_folders_of_frames_are_clips_and_frame_9_comes_before_frame_10(tmp_path: Path) -> None:
    source = frames(tmp_path / "s")
    converted = given(source, tmp_path / "out")
    assert (converted.metadata.rows, converted.metadata.cols, converted.metadata.rate) == (ROWS, COLS, 0)
    assert contents(converted) == expected(4, lambda i: list(range(8 + i)))
    with pytest.raises(SourceError, match=r"folder of frames.*--fps"):
        given(source, tmp_path / "other", ConvertOptions(fps=5))


def test_a_table_names_clips_and_folders_of_frames(tmp_path: Path) -> None:
    clips(tmp_path / "files", 2)
    frames(tmp_path / "folders", 2)
    names = [f"files/left/{i}.mkv,a" for i in range(2)] + [f"files/right/{i}.mkv,b" for i in range(2)]
    names += [f"folders/left/clip{i},a" for i in range(2)] + [f"folders/right/clip{i},b" for i in range(2)]
    (tmp_path / "index.csv").write_text("file,label\n" + "\n".join(names) + "\n")
    converted = given(tmp_path / "index.csv", tmp_path / "out", ConvertOptions(frames="png"))
    assert contents(converted) == expected(2, lambda i: list(range(5 + i))) | expected(
        2, lambda i: list(range(8 + i))
    )


def test_long_clips_can_be_held_out(tmp_path: Path) -> None:
    """Also where the container does not say how many frames there are."""
    request = SplitRequest(how="shift", by="size")
    converted = convert("video", clips(tmp_path / "s", 6), tmp_path / "out", request=request)
    train, test = parts(converted.path)
    assert max(len(features) for features, _ in train) <= min(len(features) for features, _ in test)


def test_a_clip_that_a_telephone_stored_turned_is_seen_upright(tmp_path: Path) -> None:
    source = clips(tmp_path / "s", 3, "mp4", "libx264", "yuv420p")
    upright = tmp_path / "s" / "left" / "0.mp4"
    data = bytearray(upright.read_bytes())
    matrix = data.index(b"tkhd") + 44
    assert struct.unpack_from(">4i", data, matrix)[0] == 65536
    struct.pack_into(">9i", data, matrix, 0, 65536, 0, -65536, 0, 0, ROWS * 65536, 0, 1 << 30)
    upright.write_bytes(bytes(data))
    converted = given(source, tmp_path / "out")
    assert (converted.metadata.rows, converted.metadata.cols) == (-1, -1)
    (turned,) = [features for features, _ in both(converted.path) if features.shape[1] == COLS]
    red = turned[0] * 255
    # Clockwise, so the mark goes from the left upper to the right upper corner.
    assert red[4, -4, 0] - red[4, -4, 1] > 150
    assert red[4, 4, 0] - red[4, 4, 1] < 50


def test_a_clip_that_no_memory_could_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MOST_BYTES", 7 * ROWS * COLS * 3 * 4)
    with pytest.raises(SourceError, match=r"(left|right)/3\.mkv: has more than .*--max-frames"):
        given(clips(tmp_path / "s"), tmp_path / "out")
    given(tmp_path / "s", tmp_path / "out", ConvertOptions(max_frames=7))


def half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def no_clip(path: Path) -> None:
    path.write_bytes(b"hello")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [half, no_clip, empty])
@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"),
    [
        ("mp4", "libx264", "yuv420p"),
        ("mkv", "ffv1", "bgr0"),
        ("avi", "mjpeg", "yuvj420p"),
        ("webm", "libvpx", "yuv420p"),
    ],
)
def test_a_damaged_clip_is_named_and_nothing_is_left(
    tmp_path: Path, damage: Callable[[Path], None], suffix: str, codec: str, pixels: str
) -> None:
    source = clips(tmp_path / "s", 3, suffix, codec, pixels)
    path = source / "right" / f"1.{suffix}"
    write(path, 1, 30, codec, pixels)
    damage(path)
    with pytest.raises(SourceError, match=rf"right/1\.{suffix}: the clip cannot be read"):
        given(source, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_damaged_and_unequal_frames_are_named(tmp_path: Path) -> None:
    source = frames(tmp_path / "s")
    path = source / "right" / "clip2" / "f5.png"
    Image.fromarray(frame(1, 1, rows=ROWS + 1)).save(path)
    with pytest.raises(
        SourceError, match=r"right/clip2: frame 6 has 33 × 48 pixels, but the first one 32 × 48"
    ):
        given(source, tmp_path / "out")
    half(path)
    with pytest.raises(SourceError, match=r"right/clip2/f5\.png: the picture cannot be read"):
        given(source, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def remux(source: Path, target: Path, shift: int, last: int = 0) -> None:
    """Copies a clip as ``ffmpeg -ss … -c copy`` does: what lies before the start stays in the file, hidden.

    Args:
        shift: frames that are hidden.
        last: frames for which the last one is shown, besides its own.
    """
    options = {"avoid_negative_ts": "disabled", "use_editlist": "1"}
    with av.open(str(source)) as read, av.open(str(target), "w", options=options) as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        packets = [packet for packet in read.demux(stream) if packet.size]
        step = round(1 / FPS / packets[0].time_base)
        for packet in packets:
            packet.pts -= shift * step
            packet.dts -= shift * step
            packet.stream = copy
        packets[-1].duration = (1 + last) * step
        written.mux(packets)


def hidden(tmp_path: Path, shift: int, last: int = 0) -> Path:
    """Clips of 40 frames without those of the first ones that an edit list hides."""
    source = tmp_path / "s"
    for label in ("left", "right"):
        (source / label).mkdir(parents=True)
        for i in range(2):
            write(tmp_path / "whole.mp4", i, 40, "mpeg4", "yuv420p")
            remux(tmp_path / "whole.mp4", source / label / f"{i}.mp4", shift, last)
    return source


def test_what_an_edit_list_hides_is_not_missing(tmp_path: Path) -> None:
    source = hidden(tmp_path, 30)
    with av.open(str(source / "left" / "0.mp4")) as container:
        assert container.streams.video[0].frames == 40, "the header counts all"
    made = given(source, tmp_path / "out", ConvertOptions(frames="png"))
    assert {len(features) for features, _ in both(made.path)} == {10}
    bars = {tuple((f[:, 20, :, 1] > 0.7).argmax(axis=1).tolist()) for f, _ in both(made.path)}
    assert bars == {tuple(4 * n % COLS for n in range(30, 40))}
    request = SplitRequest(how="shift", by="size")
    assert convert("video", source, tmp_path / "b", request=request).n_train == 3


def test_a_last_frame_that_is_shown_for_long_is_no_gap(tmp_path: Path) -> None:
    """As in recordings of a screen."""
    made = given(hidden(tmp_path, 0, last=600), tmp_path / "out")
    assert {len(features) for features, _ in both(made.path)} == {40}


def test_a_clip_from_a_stream_says_no_length_and_is_read_all_the_same(tmp_path: Path) -> None:
    """As browsers record."""
    source = clips(tmp_path / "s", 2)
    path = source / "left" / "0.mkv"
    data = bytearray(path.read_bytes())
    at = data.index(b"\x18\x53\x80\x67") + 4
    assert data[at] == 0x01
    data[at : at + 8] = b"\x01" + b"\xff" * 7
    path.write_bytes(bytes(data))
    made = given(source, tmp_path / "out", ConvertOptions(frames="png"))
    assert contents(made) == expected(2, lambda i: list(range(5 + i)))


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"), [("ts", "mpeg2video", "yuv420p"), ("qt", "mjpeg", "yuvj420p")]
)
def test_other_endings_of_known_formats(tmp_path: Path, suffix: str, codec: str, pixels: str) -> None:
    for label in ("left", "right"):
        (tmp_path / "s" / label).mkdir(parents=True)
        for i in range(2):
            made = tmp_path / f"made.{'mov' if suffix == 'qt' else suffix}"
            write(made, i, 10, codec, pixels, fps=25)
            made.rename(tmp_path / "s" / label / f"{i}.{suffix}")
    converted = given(tmp_path / "s", tmp_path / "out")
    assert {len(features) for features, _ in both(converted.path)} == {10}


def test_frames_of_more_than_8_bits_have_one_scale(tmp_path: Path) -> None:
    for label in ("left", "right"):
        for i in range(2):
            folder = tmp_path / "s" / label / f"clip{i}"
            folder.mkdir(parents=True)
            for n in range(3):
                Image.fromarray(np.full((8, 10), 1000 * (i + n), np.uint16)).save(folder / f"{n}.png")
    made = given(tmp_path / "s", tmp_path / "out")
    found = {tuple(np.round(f.max(axis=(1, 2, 3)) * 255).tolist()) for f, _ in both(made.path)}
    assert found == {tuple(round(1000 * (i + n) * 255 / 4095) for n in range(3)) for i in range(2)}
    assert "4 clips have more than 8 bits" in made.notes[-1]


def with_cover(path: Path, count: int) -> None:
    """A clip whose first stream is a picture of its cover; without frames, a recording that has one."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = COLS, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        made = None
        if count:
            made = container.add_stream("mpeg4", rate=FPS)
            made.width, made.height, made.pix_fmt = COLS, ROWS, "yuv420p"
        else:
            sound = container.add_stream("aac", rate=8000)
            sound.layout = "mono"
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
            quiet.sample_rate, quiet.pts = 8000, 0
            container.mux([*sound.encode(quiet), *sound.encode()])
        container.mux(
            [
                *cover.encode(av.VideoFrame.from_ndarray(frame(1, 0, 64), format="rgb24")),
                *cover.encode(),
            ]
        )
        for n in range(count):
            assert made is not None
            container.mux(made.encode(av.VideoFrame.from_ndarray(frame(1, n), format="rgb24")))
        if made is not None:
            container.mux(made.encode())


def test_the_picture_of_a_cover_is_not_the_clip(tmp_path: Path) -> None:
    source = clips(tmp_path / "s", 2, "mp4", "mpeg4", "yuv420p")
    with_cover(source / "left" / "0.mp4", 9)
    made = given(source, tmp_path / "out")
    assert max(len(features) for features, _ in both(made.path)) == 9
    assert (made.metadata.rows, made.metadata.cols) == (ROWS, COLS)
    with_cover(source / "left" / "0.mp4", 0)
    with pytest.raises(SourceError, match=r"left/0\.mp4: .*there is no video in it"):
        given(source, tmp_path / "b")
