"""Recordings: a folder with a folder for each label in it, or a table of files and labels.

An example is its samples, time × 1 × 1 × channels, float32; whole numbers of any bit depth become −1 … 1. All have one
rate, since a model could not know it otherwise; the metadata name it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from alcove_format.metadata import VARIES, Metadata
from alcove_toolkit.convert.base import Converter, ConvertOptions, ConvertProgress, Indices
from alcove_toolkit.convert.files import FileConverter, FileItems, list_files
from alcove_toolkit.errors import SourceError

Floats = npt.NDArray[np.float32]
SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
MOST_SAMPLES = 16 << 20
"""Of one recording, all channels together: 17 minutes at 16,000 a second. The format has ten bytes for each."""
_BLOCK = 1 << 16
_UNKNOWN = 0xFFFFFF00
"""From here on, a length in a header means that whoever wrote it into a pipe did not know."""
_RATE, _CHANNELS, _FRAMES = range(3)


def open_source(source: Path, options: ConvertOptions, progress: ConvertProgress) -> Converter:
    return _Recordings(list_files(source, options, SUFFIXES), options, progress)


class _Recordings(FileConverter):
    def __init__(self, files: FileItems, options: ConvertOptions, progress: ConvertProgress) -> None:
        super().__init__(files, options, progress)
        self._rate = 0

    def _header(self, path: Path) -> tuple[int, ...]:
        """Rate, channels and samples a channel; a compressed file only estimates the last."""
        with _open_recording(path) as sound:
            return sound.samplerate, sound.channels, sound.frames

    def sizes(self) -> npt.NDArray[np.float64]:
        """Seconds."""
        headers = self._headers
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
        """Time × channels, mixed and resampled as wished."""
        keep = (self._options.channels or 1) > 1
        with _open_recording(path) as sound:
            seconds = self._options.max_seconds
            most = (
                MOST_SAMPLES
                // (sound.channels if keep else 1)
                * sound.samplerate
                // max(self._rate, sound.samplerate)
            )
            wanted = min(most, math.ceil(seconds * sound.samplerate)) if seconds else most
            samples = _read_samples(sound, path, wanted, mix=not keep)
            if len(samples) == most and len(sound.read(1)):
                raise SourceError(
                    str(path),
                    f"is longer than {most / sound.samplerate:,.0f} seconds",
                    remedy="Cut it into pieces, or cut off the rest with --max-seconds.",
                )
            rate = sound.samplerate
        if rate == self._rate:
            return samples
        from scipy.signal import resample_poly  # Slow to import.

        common = math.gcd(rate, self._rate)
        made = resample_poly(samples.astype(np.float64), self._rate // common, rate // common, axis=0)
        out: Floats = made.astype(np.float32)
        return out

    def notes(self) -> tuple[str, ...]:
        mixed = int((self._headers[:, _CHANNELS] > 1).sum()) if (self._options.channels or 1) == 1 else 0
        if not mixed:
            return ()
        return (f"The channels of {mixed} recordings were mixed to one; --channels keeps them.",)


def _open_recording(path: Path) -> Any:
    """A soundfile.SoundFile. Raises SourceError: it is no recording, or ends before its header says."""
    try:
        missing = _count_missing_bytes(path)
        if not missing:
            sound = soundfile.SoundFile(path)
            if sound.frames:
                return sound
            sound.close()
    except FileNotFoundError:
        raise
    except soundfile.LibsndfileError as error:
        raise _unreadable(path, error.error_string) from None
    raise _unreadable(
        path, f"it ends {missing:,} bytes before its data do" if missing else "there is no sound in it"
    )


def _count_missing_bytes(path: Path) -> int:
    """Of a file that was cut off: of these sorts, libsndfile reads what is left and says nothing."""
    with path.open("rb") as file:
        size = path.stat().st_size
        start = file.read(12)
        if start[:4] == b"FORM":
            return max(8 + int.from_bytes(start[4:8], "big") - size, 0)
        if start[:4] != b"RIFF":
            return 0
        offset = 12
        while offset + 8 <= size:
            file.seek(offset)
            name, length = file.read(4), int.from_bytes(file.read(4), "little")
            if name == b"data":
                return max(offset + 8 + length - size, 0) if length < _UNKNOWN else 0
            offset += 8 + length + length % 2
    return 0


def _read_samples(sound: Any, path: Path, most: int, *, mix: bool) -> Floats:
    """Up to ``most`` samples a channel, in blocks, so that channels that are mixed are never all in memory."""
    blocks: list[Floats] = []
    done = 0
    while done < most:
        try:
            block = sound.read(min(_BLOCK, most - done), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _unreadable(path, f"{error.error_string} (after {done:,} samples)") from None
        if not len(block):
            break
        if not np.isfinite(block).all():
            first = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise SourceError(
                str(path), f"sample {done + first:,} is not finite", remedy="Repair it, or remove it."
            )
        blocks.append(block.mean(axis=1, keepdims=True) if mix else block)
        done += len(block)
    if not done:
        raise _unreadable(path, "there is no sound in it")
    if done < 0.98 * min(most, sound.frames):  # In an MP3, the number is an estimate.
        raise _unreadable(path, f"it ends after {done:,} of {sound.frames:,} samples")
    return np.concatenate(blocks)


def _unreadable(path: Path, reason: str) -> SourceError:
    return SourceError(
        str(path), f"the recording cannot be read: {reason.rstrip('. ')}", remedy="Repair it, or remove it."
    )
