"""Images: a folder with a folder for each label in it, or a table of files and labels.

Number of channels and size are of the whole dataset, test included, since every example must fit them; they come from
the files' headers, before any pixel is decoded. Of content, only the range of values of more than 8 bits is looked at,
so that one scale holds for all.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_format.metadata import VARIES, Format, Metadata
from alcove_toolkit.convert.base import Converter, ConvertOptions, ConvertProgress, Indices
from alcove_toolkit.convert.files import FileConverter, FileItems, list_files
from alcove_toolkit.convert.pictures import (
    MOST_PIXELS,
    SUFFIXES,
    ValueRange,
    encode_picture,
    find_scale,
    read_header,
    scale_note,
)
from alcove_toolkit.errors import SourceError

_ROWS, _COLS, _GREY, _FRAMES, _DEEP, _CUT = range(6)
_NOTED = ((_FRAMES, 1), (_DEEP, 0), (_CUT, 0))


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    check_options(options)
    return _Pictures(list_files(source, options, SUFFIXES), options, progress)


def check_options(options: ConvertOptions) -> None:
    """Raises SourceError where no picture can have such channels or such a size."""
    if options.size and math.prod(options.size) > MOST_PIXELS:
        raise SourceError(
            f"--size {options.size[0]}x{options.size[1]}",
            f"is more than {MOST_PIXELS:,} pixels",
            remedy="Choose a smaller one.",
        )
    if options.channels not in (None, 1, 3, 4):
        raise SourceError(
            f"--channels {options.channels}",
            "is not a number of channels that pictures have",
            remedy="Choose 1 (grey), 3 (colour) or 4 (colour and transparency).",
        )


class _Pictures(FileConverter):
    def __init__(self, files: FileItems, options: ConvertOptions, progress: ConvertProgress) -> None:
        super().__init__(files, options, progress)
        self._channels = 0
        self._scale: ValueRange | None = None

    def _header(self, path: Path) -> tuple[int, ...]:
        header = read_header(path)
        return header.rows, header.cols, header.grey, header.frames, header.deep, header.cut

    def sizes(self) -> npt.NDArray[np.float64]:
        """Pixels."""
        pixels: npt.NDArray[np.float64] = self._headers[:, [_ROWS, _COLS]].prod(axis=1, dtype=np.float64)
        return pixels

    def fit(self, train: Indices) -> Metadata:
        del train
        headers = self._headers
        self._channels = self._options.channels or (1 if headers[:, _GREY].all() else 3)
        deep = np.flatnonzero(headers[:, _DEEP]).tolist()
        if deep:
            self._scale = find_scale(self._report_paths(deep))
        return Metadata(
            n_examples=0,
            n_labels=1,
            rows=self._options.size[0] if self._options.size else common_size(headers[:, _ROWS]),
            cols=self._options.size[1] if self._options.size else common_size(headers[:, _COLS]),
            channels=self._channels,
            format=Format.COMPRESSED,
            has_locality_rows=True,
            has_locality_cols=True,
        )

    def _report_paths(self, items: list[int]) -> Iterator[Path]:
        for done, item in enumerate(items, start=1):
            yield self._files.path(item)
            self._progress("Reading values", done, len(items))

    def encode(self, items: Indices) -> Iterator[list[bytes]]:
        """Several pictures at a time: decoding lets other threads run."""
        workers = os.cpu_count() or 1
        paths = (self._files.path(item) for item in items.tolist())
        waiting: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            try:
                for path in paths:
                    waiting.append(
                        pool.submit(encode_picture, path, self._channels, self._options.size, self._scale)
                    )
                    if len(waiting) > workers:
                        yield [waiting.popleft().result()]
                while waiting:
                    yield [waiting.popleft().result()]
            finally:
                for future in waiting:
                    future.cancel()

    def notes(self) -> tuple[str, ...]:
        notes = []
        animated, deep, cut = (int((self._headers[:, column] > most).sum()) for column, most in _NOTED)
        if animated:
            notes.append(f"Of {animated:,} pictures with several frames the first one was taken.")
        if self._scale:
            notes.append(scale_note(deep, "pictures", self._scale))
        if cut:
            notes.append(
                f"Of {cut:,} colour pictures with more than 8 bits a channel, the upper 8 were taken."
            )
        return tuple(notes)


def common_size(sizes: npt.NDArray[np.integer]) -> int:
    """What all are, or −1 where they vary."""
    return int(sizes[0]) if (sizes == sizes[0]).all() else VARIES
