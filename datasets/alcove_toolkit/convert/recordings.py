"""Recordings as their decoders give them: libsndfile's where it is exact, else FFmpeg's.

libsndfile stops an MP3 at a length that it estimates from the first frame, cannot read a FLAC that does not know its
length, stops after the first of several Ogg streams, and reads neither AAC nor WMA.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
import soundfile

from alcove_toolkit.convert.containers import count_missing_bytes, is_chained_ogg
from alcove_toolkit.errors import SourceError

Floats = npt.NDArray[np.float32]
SUFFIXES = (
    ".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64",
    ".m4a", ".m4b", ".aac", ".wma", ".amr", ".mka", ".webm", ".weba",
)  # fmt: skip
_BLOCK = 1 << 16
_MOST_FRAMES = 1 << 48
"""A length beyond it means that it is not known, as of a FLAC that was written into a pipe."""
_BAD_PACKETS = 0.01
"""Share of a file's packets that may fail: what lies between and behind the sound (tags, say) is taken for some."""


class Recording(Protocol):
    """A recording that is open."""

    @property
    def rate(self) -> int:
        """Samples a second."""
        ...

    @property
    def channels(self) -> int: ...

    @property
    def frames(self) -> int:
        """Samples a channel; 0 where only decoding tells."""
        ...

    def read_blocks(self) -> Iterator[Floats]:
        """Yields time × channels until the end. Raises SourceError where it is damaged."""
        ...


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Opens a recording.

    Raises:
        SourceError: it is none, has no sound in it, or was cut off.
    """
    missing = count_missing_bytes(path)
    if missing:
        raise make_unreadable_error(path, f"it ends {missing:,} bytes before its data do")
    try:
        sound = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        with _open_ffmpeg(path, error.error_string) as recording:
            yield recording
        return
    with sound:
        is_whole = sound.format not in ("MP3", "MPEG") and not (
            sound.format == "OGG" and is_chained_ogg(path)
        )
        if 0 < sound.frames < _MOST_FRAMES and is_whole:
            yield _SndfileRecording(sound, path)
            return
    with _open_ffmpeg(path, "there is no sound in it") as recording:
        yield recording


def make_unreadable_error(path: Path, reason: str) -> SourceError:
    return SourceError(
        str(path), f"the recording cannot be read: {reason.rstrip('. ')}", remedy="Repair it, or remove it."
    )


class _SndfileRecording:
    def __init__(self, sound: Any, path: Path) -> None:
        self._sound, self._path = sound, path
        self.rate: int = sound.samplerate
        self.channels: int = sound.channels
        self.frames: int = sound.frames

    def read_blocks(self) -> Iterator[Floats]:
        done = 0
        while True:
            try:
                block: Floats = self._sound.read(_BLOCK, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise make_unreadable_error(
                    self._path, f"{error.error_string} (after {done:,} samples)"
                ) from None
            if not len(block):
                break
            done += len(block)
            yield block
        if done < 0.98 * self.frames:
            raise make_unreadable_error(self._path, f"it ends after {done:,} of {self.frames:,} samples")


@contextmanager
def _open_ffmpeg(path: Path, reason: str) -> Iterator[Recording]:
    """``reason``: what to say where there is nothing that FFmpeg can decode either."""
    try:
        container = av.open(str(path), metadata_errors="replace")
    except av.FFmpegError:
        raise make_unreadable_error(path, reason) from None
    with container:
        if not container.streams.audio:
            raise make_unreadable_error(path, reason)
        yield _FfmpegRecording(container, path, reason)


class _FfmpegRecording:
    def __init__(self, container: Any, path: Path, reason: str) -> None:
        self._container, self._path = container, path
        self._stream = container.streams.audio[0]
        self._decoded = self._decode()
        first = next(self._decoded, None)
        if first is None:
            raise make_unreadable_error(path, reason)
        self._first: Any = first
        # Of the first frame, since a header can say half the rate (HE-AAC).
        self.rate: int = self._first.sample_rate
        self.channels: int = self._first.layout.nb_channels
        self.frames = 0

    def _decode(self) -> Iterator[Any]:
        packets = failed = 0
        try:
            for packet in self._container.demux(self._stream):
                packets += 1
                try:
                    yield from packet.decode()
                except av.InvalidDataError:
                    failed += 1
        except av.FFmpegError as error:
            raise make_unreadable_error(self._path, f"{error.strerror} (at packet {packets:,})") from None
        if failed > max(2, _BAD_PACKETS * packets):
            raise make_unreadable_error(self._path, f"{failed:,} of its {packets:,} packets are damaged")

    def read_blocks(self) -> Iterator[Floats]:
        resampler = av.AudioResampler(format="fltp", layout=self._first.layout, rate=self.rate)
        most = self._length()
        done = 0
        frame: Any = self._first
        while done < most:
            for made in resampler.resample(frame):
                block = made.to_ndarray().T[: most - done]
                done += len(block)
                if len(block):
                    yield np.ascontiguousarray(block)
            if frame is None:
                break
            frame = next(self._decoded, None)

    def _length(self) -> int:
        """Samples a channel of an MP4, whose last packet is filled up; else no bound."""
        told = self._stream.duration
        if told is None or "mp4" not in self._container.format.name:
            return _MOST_FRAMES
        return round(float(told * self._stream.time_base) * self.rate)
