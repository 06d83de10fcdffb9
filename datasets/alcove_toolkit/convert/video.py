"""Clips: video files, or folders of frames; in a folder for each label, or named by a table.

Frames are stored as JPEG (of one quality) or PNG, one after the other as they are decoded: no clip is in memory but as
it is stored. What a JPEG loses depends on the version of libjpeg inside Pillow; PNG loses nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition
from PIL import Image

from alcove_format.metadata import VARIES, Format, Metadata
from alcove_toolkit.convert import pictures
from alcove_toolkit.convert.base import Converter, ConvertOptions, ConvertProgress, Indices, refuse_options
from alcove_toolkit.convert.containers import count_missing_bytes
from alcove_toolkit.convert.files import FileConverter, FileItems, list_files
from alcove_toolkit.convert.image import check_options, common_size
from alcove_toolkit.convert.listing import is_regular, walk_folders
from alcove_toolkit.errors import SourceError

SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv", ".3gp", ".3g2",
    ".ts", ".mts", ".m2ts", ".vob",
)  # fmt: skip
FRAME_SUFFIXES = tuple(suffix for suffix in pictures.SUFFIXES if suffix != ".gif")
MOST_BYTES = 4 << 30
"""Of one example, as readers give it: float32."""
_QUALITY = 90
_ROWS, _COLS, _GREY, _FRAMES, _DEEP = range(5)


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    check_options(options)
    if options.channels == 4:
        raise SourceError(
            "--channels 4",
            "is not a number of channels that clips have",
            remedy="Choose 1 (grey) or 3 (colour).",
        )
    of_frames = source.is_dir() and not _holds_clips(source)
    if of_frames:
        refuse_options(options, ("frames",), f"has no meaning for {source}, which has folders of frames")
    suffixes = FRAME_SUFFIXES if of_frames else SUFFIXES
    return _Clips(list_files(source, options, suffixes, folders=of_frames), options, progress)


def _holds_clips(source: Path) -> bool:
    return any(name.lower().endswith(SUFFIXES) for _, names in walk_folders(source) for name in names)


class _Clips(FileConverter):
    def __init__(self, files: FileItems, options: ConvertOptions, progress: ConvertProgress) -> None:
        super().__init__(files, options, progress)
        self._rates: set[float] = set()
        self._channels = 0
        self._scale: pictures.ValueRange | None = None

    def _header(self, path: Path) -> tuple[int, ...]:
        """Rows, columns, whether grey, the number of frames (0: not counted), whether its frames need a scale."""
        return self._folder_header(path) if path.is_dir() else self._file_header(path)

    def _folder_header(self, path: Path) -> tuple[int, int, bool, int, bool]:
        if self._options.fps:
            raise SourceError(
                str(path),
                "is a folder of frames, which do not say when they were taken",
                remedy="Leave --fps out.",
            )
        frames = list_frames(path)
        first = pictures.read_header(frames[0])
        return first.rows, first.cols, first.grey, len(frames), first.deep

    def _file_header(self, path: Path) -> tuple[int, int, bool, int, bool]:
        with _open_clip(path) as (_, stream):
            self._rates.add(float(stream.average_rate or 0))
        # Whether frames are turned is known once there is one.
        frame = next(decode_frames(path))
        rows, cols = _turn_upright(frame.to_ndarray(format="gray"), frame).shape
        return rows, cols, frame.format.name.startswith(("gray", "mono")), 0, False

    def sizes(self) -> npt.NDArray[np.float64]:
        """Frames."""
        headers = self._headers
        for item in np.flatnonzero(headers[:, _FRAMES] < 1).tolist():
            with _open_clip(self._files.path(item)) as (container, stream):
                shown = (packet.size > 0 and not packet.is_discard for packet in container.demux(stream))
                headers[item, _FRAMES] = sum(shown)
        return headers[:, _FRAMES].astype(np.float64)

    def fit(self, train: Indices) -> Metadata:
        """Size and channels are of the whole dataset: they are its form, nothing that is learnt."""
        del train
        headers = self._headers
        self._channels = self._options.channels or (1 if headers[:, _GREY].all() else 3)
        deep = np.flatnonzero(headers[:, _DEEP]).tolist()
        if deep:
            self._scale = pictures.find_scale(
                file for item in deep for file in list_frames(self._files.path(item))
            )
        size = self._options.size
        rate = self._options.fps or (next(iter(self._rates)) if len(self._rates) == 1 else 0.0)
        return Metadata(
            n_examples=0,
            n_labels=1,
            rows=size[0] if size else common_size(headers[:, _ROWS]),
            cols=size[1] if size else common_size(headers[:, _COLS]),
            channels=self._channels,
            sequence_size=VARIES,
            format=Format.COMPRESSED,
            is_sequence=True,
            has_locality_rows=True,
            has_locality_cols=True,
            rate=rate,
        )

    def encode(self, items: Indices) -> Iterator[list[bytes]]:
        for item in items.tolist():
            path = self._files.path(item)
            stored = self._from_folder(path) if path.is_dir() else self._from_file(path)
            frames: list[bytes] = []
            first: tuple[int, int] | None = None
            for data, size in stored:
                first = first or size
                self._check(path, size, first, len(frames) + 1)
                frames.append(data)
                if len(frames) == self._options.max_frames:
                    break
            yield frames

    def _check(self, path: Path, size: tuple[int, int], first: tuple[int, int], count: int) -> None:
        if size != first:
            raise SourceError(
                str(path),
                f"frame {count} has {size[0]} × {size[1]} pixels, but the first one {first[0]} × {first[1]}",
                remedy="Bring all to one size with --size.",
            )
        if count * size[0] * size[1] * self._channels * 4 > MOST_BYTES:
            raise SourceError(
                str(path),
                f"has more than {MOST_BYTES >> 20:,} MiB once its frames are decoded",
                remedy="Make it smaller with --size, --fps or --max-frames.",
            )

    def _from_folder(self, path: Path) -> Iterator[tuple[bytes, tuple[int, int]]]:
        """Each frame as it is stored, with its rows and columns."""
        for file in list_frames(path):
            header = pictures.read_header(file)
            data = pictures.encode_picture(file, self._channels, self._options.size, self._scale)
            yield data, self._options.size or (header.rows, header.cols)

    def _from_file(self, path: Path) -> Iterator[tuple[bytes, tuple[int, int]]]:
        mode = "gray" if self._channels == 1 else "rgb24"
        for frame in decode_frames(path, self._options.fps):
            pixels = Image.fromarray(_turn_upright(frame.to_ndarray(format=mode), frame))
            image = pictures.resize_picture(pixels, self._options.size)
            encode = pictures.encode_png if self._options.frames == "png" else _encode_jpeg
            yield encode(image), (image.height, image.width)

    def notes(self) -> tuple[str, ...]:
        notes = []
        if self._scale:
            notes.append(pictures.scale_note(int(self._headers[:, _DEEP].sum()), "clips", self._scale))
        if len(self._rates) > 1 and not self._options.fps:
            slowest, fastest = min(self._rates), max(self._rates)
            notes.append(f"Clips have {slowest:g} to {fastest:g} frames a second; --fps brings all to one.")
        return tuple(notes)


def _encode_jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _turn_upright(pixels: npt.NDArray[np.uint8], frame: Any) -> npt.NDArray[np.uint8]:
    """As it is seen: telephones store frames as their sensor lies, and say how to turn them."""
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def list_frames(folder: Path) -> list[Path]:
    """The pictures in a folder, frame 9 before frame 10."""
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in FRAME_SUFFIXES and path.name[0] != "." and is_regular(path)
    ]
    if not found:
        raise SourceError(
            str(folder), "there is no frame in it", remedy="Put its pictures there, or remove it."
        )
    return sorted(found, key=_natural_order)


def _natural_order(path: Path) -> tuple[list[str | int], str]:
    parts = re.split("([0-9]+)", path.name)  # Text and numbers by turns.
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


def decode_frames(path: Path, fps: float | None = None) -> Iterator[Any]:
    """Decoded frames; with ``fps``, for each k the last one that begins at k/fps or before.

    Raises:
        SourceError: a frame is damaged, or the file ends too soon; names the frame.
    """
    number = 0
    with _open_clip(path) as (container, stream):
        try:
            decoded = _decode(container, stream)
            for frame in _sample_frames(decoded, fps) if fps else decoded:
                yield frame
                number += 1
        except av.FFmpegError as error:
            raise _unreadable(path, f"{error.strerror} (at frame {number + 1})") from None
        if not number:
            raise _unreadable(path, "there is no frame in it")


def _decode(container: Any, stream: Any) -> Iterator[Any]:
    """All frames that are to be seen; an edit list hides the others, which the header counts as well."""
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise av.InvalidDataError(0, "the file ends within a frame")
        yield from packet.decode()


def _sample_frames(frames: Iterator[Any], fps: float) -> Iterator[Any]:
    before: Any = None
    start = 0.0
    taken = 0
    for frame in frames:
        if before is None:
            start = frame.time or 0.0
        else:
            # A hair early, so that 0.1 s is not missed by the last bit of the time base's division.
            while start + taken / fps < (frame.time or 0.0) - 1e-6:
                yield before
                taken += 1
        before = frame
    if before is not None and start + taken / fps <= (before.time or 0.0) + 1e-6:
        yield before


@contextmanager
def _open_clip(path: Path) -> Iterator[tuple[Any, Any]]:
    """Container and its video stream."""
    if not path.exists():
        raise FileNotFoundError(2, "it is not there any more", str(path))
    missing = count_missing_bytes(path)
    if missing:
        raise _unreadable(path, f"it ends {missing:,} bytes before its data do")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except av.FFmpegError as error:
        raise _unreadable(path, error.strerror) from None
    with container:
        stream = container.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic:  # The cover of a recording.
            raise _unreadable(path, "there is no video in it")
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"err_detect": "explode"}
        yield container, stream


def _unreadable(path: Path, reason: str) -> SourceError:
    return SourceError(
        str(path), f"the clip cannot be read: {reason.rstrip('. ')}", remedy="Repair it, or remove it."
    )
