"""Pictures: a folder with a folder for each label in it, or a table of files and labels.

Number of channels and size are of the whole dataset, test included, since every example must fit them; they come from
the files' headers, before any pixel is decoded. Nothing is learnt from content.
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
from alcove_toolkit.convert.pictures import MOST_PIXELS, SUFFIXES, encode_picture, read_header
from alcove_toolkit.errors import SourceError

_ROWS, _COLS, _GREY, _FRAMES = range(4)


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    check_options(options)
    return _Pictures(list_files(source, options, SUFFIXES), options, progress)


def check_options(options: ConvertOptions) -> None:
    """Raises SourceError where channels or size are such that no picture can have."""
    if options.size and math.prod(options.size) > MOST_PIXELS:
        raise SourceError(
            f"--size {options.size[0]}x{options.size[1]}",
            f"is more than {MOST_PIXELS:,} pixels",
            remedy="Choose a smaller one.",
        )
    if options.channels not in (None, 1, 3, 4):
        raise SourceError(
            f"--channels {options.channels}",
            "is nothing that pictures have",
            remedy="Choose 1 (grey), 3 (colour) or 4 (colour and transparency).",
        )


class _Pictures(FileConverter):
    def __init__(self, files: FileItems, options: ConvertOptions, progress: ConvertProgress) -> None:
        super().__init__(files, options, progress)
        self._channels = 0

    def _header(self, path: Path) -> tuple[int, ...]:
        header = read_header(path)
        return header.rows, header.cols, header.grey, header.frames

    def sizes(self) -> npt.NDArray[np.float64]:
        """Pixels."""
        pixels: npt.NDArray[np.float64] = self._headers[:, [_ROWS, _COLS]].prod(axis=1, dtype=np.float64)
        return pixels

    def fit(self, train: Indices) -> Metadata:
        del train
        headers = self._headers
        self._channels = self._options.channels or (1 if headers[:, _GREY].all() else 3)
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

    def encode(self, items: Indices) -> Iterator[list[bytes]]:
        """Several pictures at a time: decoding lets other threads run."""
        workers = os.cpu_count() or 1
        paths = (self._files.path(item) for item in items.tolist())
        waiting: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            try:
                for path in paths:
                    waiting.append(pool.submit(encode_picture, path, self._channels, self._options.size))
                    if len(waiting) > workers:
                        yield [waiting.popleft().result()]
                while waiting:
                    yield [waiting.popleft().result()]
            finally:
                for future in waiting:
                    future.cancel()

    def notes(self) -> tuple[str, ...]:
        animated = int((self._headers[:, _FRAMES] > 1).sum())
        if not animated:
            return ()
        return (f"Of {animated} pictures with several frames the first one was taken.",)


def common_size(sizes: npt.NDArray[np.integer]) -> int:
    """What all are, or −1 where they vary."""
    return int(sizes[0]) if (sizes == sizes[0]).all() else VARIES
