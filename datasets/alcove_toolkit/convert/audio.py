"""Recordings: a folder with a folder for each label in it, or a table of files and labels.

An example is its samples, time × 1 × 1 × channels, float32; whole numbers of any bit depth become −1 … 1. All have one
rate, since a model could not know it otherwise; the metadata name it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alcove_format.metadata import VARIES, Metadata
from alcove_toolkit.convert.base import Converter, ConvertOptions, ConvertProgress, Indices
from alcove_toolkit.convert.files import FileConverter, FileItems, list_files
from alcove_toolkit.convert.recordings import (
    SUFFIXES,
    Floats,
    Recording,
    make_unreadable_error,
    open_recording,
)
from alcove_toolkit.errors import SourceError

MOST_SAMPLES = 16 << 20
"""Of one recording, all channels together: 17 minutes at 16,000 a second. The format has ten bytes for each."""
LOUD = 4.0
"""Floating-point samples may exceed full scale a little; beyond this they are on another scale, as whole numbers."""
_RATE, _CHANNELS, _FRAMES = range(3)


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    return _Recordings(list_files(source, options, SUFFIXES), options, progress)


class _Recordings(FileConverter):
    def __init__(self, files: FileItems, options: ConvertOptions, progress: ConvertProgress) -> None:
        super().__init__(files, options, progress)
        self._rate = 0
        self._loud = 0
        """Recordings whose samples are no shares of full scale."""
        self._loudest = 0.0

    def _header(self, path: Path) -> tuple[int, ...]:
        """Rate, channels, and samples a channel (0 where only decoding tells)."""
        with open_recording(path) as recording:
            return recording.rate, recording.channels, recording.frames

    def sizes(self) -> npt.NDArray[np.float64]:
        """Seconds."""
        headers = self._headers
        for item in np.flatnonzero(headers[:, _FRAMES] < 1).tolist():
            with open_recording(self._files.path(item)) as recording:
                headers[item, _FRAMES] = sum(map(len, recording.read_blocks()))
        seconds: npt.NDArray[np.float64] = headers[:, _FRAMES] / headers[:, _RATE]
        return seconds

    def fit(self, train: Indices) -> Metadata:
        """Rate and channels are of the whole dataset: they are its form, nothing that is learnt."""
        del train
        headers = self._headers
        self._rate = self._options.rate or self._common_rate(headers[:, _RATE])
        wanted = self._options.channels
        if wanted and wanted > 1:
            wrong = np.flatnonzero(headers[:, _CHANNELS] != wanted)
            if len(wrong):
                raise SourceError(
                    str(self._files.path(wrong[0])),
                    f"has {headers[wrong[0], _CHANNELS]} channels, not {wanted}",
                    remedy="Leave --channels out, and all are mixed to one.",
                )
        return Metadata(
            n_examples=0,
            n_labels=1,
            rows=1,
            cols=1,
            channels=wanted or 1,
            sequence_size=VARIES,
            is_sequence=True,
            rate=self._rate,
        )

    def _common_rate(self, rates: npt.NDArray[np.int64]) -> int:
        other = np.flatnonzero(rates != rates[0])
        if len(other):
            raise SourceError(
                str(self._files.path(other[0])),
                f"has {rates[other[0]]:,} samples a second, but {self._files.names[0]} has {rates[0]:,}",
                remedy=f"--rate {rates.min()} brings all to one rate.",
            )
        return int(rates[0])

    def encode(self, items: Indices) -> Iterator[Floats]:
        for item in items.tolist():
            yield self._load_samples(self._files.path(item)).reshape(-1, 1, 1, self._options.channels or 1)

    def _load_samples(self, path: Path) -> Floats:
        """Time × channels, mixed and resampled as asked."""
        keep = (self._options.channels or 1) > 1
        with open_recording(path) as recording:
            rate, seconds = recording.rate, self._options.max_seconds
            limit = MOST_SAMPLES // (recording.channels if keep else 1) * rate // max(self._rate, rate)
            wanted = min(limit, math.ceil(seconds * rate)) if seconds else limit
            samples = _read_samples(recording, path, wanted + 1, mix=not keep)
        loudest = float(np.abs(samples).max())
        self._loud += loudest > LOUD
        self._loudest = max(self._loudest, loudest)
        if len(samples) > wanted == limit:
            raise SourceError(
                str(path),
                f"is longer than {limit / rate:,.0f} seconds",
                remedy="Cut it into pieces, or cut off the rest with --max-seconds.",
            )
        samples = samples[:wanted]
        if rate == self._rate:
            return samples
        from scipy.signal import resample_poly  # Slow to import.

        common = math.gcd(rate, self._rate)
        made = resample_poly(samples.astype(np.float64), self._rate // common, rate // common, axis=0)
        out: Floats = made.astype(np.float32)
        return out

    def notes(self) -> tuple[str, ...]:
        notes = []
        mixed = int((self._headers[:, _CHANNELS] > 1).sum()) if (self._options.channels or 1) == 1 else 0
        if mixed:
            notes.append(f"The channels of {mixed} recordings were mixed to one; --channels keeps them.")
        if self._loud:
            notes.append(
                f"Samples of {self._loud} recordings go far beyond -1 to 1, up to {self._loudest:,.6g}: they are kept "
                "as they are. If others are within, bring all to one scale."
            )
        return tuple(notes)


def _read_samples(recording: Recording, path: Path, most: int, *, mix: bool) -> Floats:
    """Up to ``most`` samples a channel, in blocks, so that channels that are mixed are never all in memory."""
    blocks: list[Floats] = []
    done = 0
    for block in recording.read_blocks():
        if not np.isfinite(block).all():
            first = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise SourceError(
                str(path), f"sample {done + first:,} is not finite", remedy="Repair it, or remove it."
            )
        blocks.append(block.mean(axis=1, keepdims=True) if mix else block)
        done += len(block)
        if done >= most:
            break
    if not done:
        raise make_unreadable_error(path, "there is no sound in it")
    return np.concatenate(blocks)[:most]
