"""Folders of recordings become a dataset of speech: samples as they are in the files, at one rate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from alcove_format.example import Floats
from alcove_toolkit.check import check_dataset
from alcove_toolkit.convert import audio
from alcove_toolkit.convert.base import ConvertOptions
from alcove_toolkit.convert.run import Converted, convert
from alcove_toolkit.convert.split import SplitRequest
from alcove_toolkit.errors import SourceError
from tests.unit.format.reading import both, parts
from tests.unit.format.test_roundtrip import digest

RATE = 8000


def tone(seed: int, samples: int = 500, channels: int = 1) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(seed)
    turns = np.outer(np.arange(samples), random.uniform(0.01, 0.1, channels)) + random.uniform(size=channels)
    return np.sin(2 * np.pi * turns) * 0.6 + random.normal(0, 0.05, (samples, channels))


def folders(root: Path, count: int = 4, suffix: str = "wav", **how: str) -> Path:
    for label in ("no", "yes"):
        (root / label).mkdir(parents=True)
        for i in range(count):
            path = root / label / f"{i}.{suffix}"
            soundfile.write(path, tone(i + 50 * (label == "no"), 400 + 20 * i), RATE, **how)
    return root


def one(
    tmp_path: Path, sound: npt.NDArray[np.float64], name: str = "0.wav", rate: int = RATE, **how: str
) -> Path:
    """A source with this recording in it, the longest one of label ``yes``."""
    root = folders(tmp_path / "s")
    (root / "yes" / "0.wav").unlink()
    soundfile.write(root / "yes" / name, sound, rate, **how)
    return root


def given(source: Path, out: Path, options: ConvertOptions | None = None) -> Converted:
    return convert("audio", source, out, "d", options=options)


def longest(converted: Converted) -> Floats:
    return max((features for features, _ in both(converted.path)), key=len)


@pytest.mark.parametrize(
    ("name", "subtype", "step"),
    [
        ("a.wav", "PCM_U8", 2**-7), ("a.wav", "PCM_16", 2**-15), ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "PCM_32", 2**-23), ("a.wav", "FLOAT", 2**-23), ("a.wav", "DOUBLE", 2**-23),
        ("a.flac", "PCM_16", 2**-15), ("a.flac", "PCM_24", 2**-23), ("a.aiff", "PCM_16", 2**-15),
    ],
)  # fmt: skip
def test_samples_of_any_bit_depth_are_those_of_the_file(
    tmp_path: Path, name: str, subtype: str, step: float
) -> None:
    wanted = tone(1, 900)
    converted = given(one(tmp_path, wanted, name, subtype=subtype), tmp_path / "out")
    features = longest(converted)
    assert features.shape == (900, 1, 1, 1)
    assert np.abs(features.ravel() - wanted.ravel()).max() <= step


def test_a_folder_of_folders_is_one_command_from_a_sound_dataset_of_speech(tmp_path: Path) -> None:
    source = folders(tmp_path / "words", 12)
    converted = convert("audio", source, tmp_path / "out")
    metadata = converted.metadata
    assert (metadata.domain, metadata.rate, metadata.label_names) == ("speech", RATE, ("no", "yes"))
    assert check_dataset(converted.path, tmp_path / "out" / "words.solution").ok
    again = convert("audio", source, tmp_path / "again")
    assert digest(converted.path) == digest(again.path)


@pytest.mark.parametrize(("rate", "length"), [(16000, 1800), (4000, 450), (11025, 1241)])
def test_another_rate_resamples(tmp_path: Path, rate: int, length: int) -> None:
    wanted = np.sin(2 * np.pi * 200 * np.arange(900) / RATE)[:, None]
    converted = given(one(tmp_path, wanted), tmp_path / "out", ConvertOptions(rate=rate))
    assert converted.metadata.rate == rate
    features = longest(converted).ravel()
    assert len(features) == length
    exact = np.sin(2 * np.pi * 200 * np.arange(length) / rate)
    assert np.abs(features - exact)[60:-60].max() < 0.01


def test_different_rates_end_with_the_remedy(tmp_path: Path) -> None:
    source = one(tmp_path, tone(1, 900), rate=16000)
    with pytest.raises(
        SourceError, match=r"yes/0\.wav: has 16,000 samples .* no/0\.wav has 8,000.*--rate 8000"
    ):
        given(source, tmp_path / "out")
    converted = given(source, tmp_path / "out", ConvertOptions(rate=8000))
    assert longest(converted).shape == (460, 1, 1, 1)


def test_channels_are_mixed_unless_they_are_wished(tmp_path: Path) -> None:
    wanted = tone(1, 900, channels=2)
    converted = given(one(tmp_path, wanted, subtype="FLOAT"), tmp_path / "out")
    assert np.abs(longest(converted).ravel() - wanted.mean(axis=1)).max() < 1e-6
    assert "The channels of 1 recordings were mixed" in converted.notes[0]
    with pytest.raises(SourceError, match=r"no/0\.wav: has 1 channels, not 2"):
        given(tmp_path / "s", tmp_path / "other", ConvertOptions(channels=2))
    for path in (tmp_path / "s").rglob("*.wav"):
        soundfile.write(path, tone(3, 300 if path.name != "0.wav" else 900, channels=2), RATE)
    converted = given(tmp_path / "s", tmp_path / "other", ConvertOptions(channels=2))
    assert longest(converted).shape == (900, 1, 1, 2)
    assert not converted.notes


def test_what_is_longer_than_wished_is_cut_off(tmp_path: Path) -> None:
    converted = given(folders(tmp_path / "s"), tmp_path / "out", ConvertOptions(max_seconds=0.05, rate=16000))
    assert {len(features) for features, _ in both(converted.path)} == {800}


def test_a_recording_that_no_example_should_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "MOST_SAMPLES", 600)
    source = one(tmp_path, tone(1, 601))
    with pytest.raises(SourceError, match=r"yes/0\.wav: is longer than .*--max-seconds"):
        given(source, tmp_path / "out")
    soundfile.write(source / "yes" / "0.wav", tone(1, 600), RATE)
    assert len(longest(given(source, tmp_path / "out"))) == 600


def test_long_recordings_can_be_held_out(tmp_path: Path) -> None:
    request = SplitRequest(how="shift", by="size")
    converted = convert("audio", folders(tmp_path / "s", 10), tmp_path / "out", request=request)
    train, test = parts(converted.path)
    assert max(len(features) for features, _ in train) <= min(len(features) for features, _ in test)


def half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def no_sound(path: Path) -> None:
    path.write_bytes(b"hello, this is no sound at all; not by far.")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def silent(path: Path) -> None:
    soundfile.write(path, np.zeros((0, 1)), RATE)


@pytest.mark.parametrize("damage", [half, no_sound, empty, silent])
@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff", "mp3", "ogg"])
def test_a_damaged_recording_is_named_and_nothing_is_left(
    tmp_path: Path, damage: Callable[[Path], None], suffix: str
) -> None:
    source = folders(tmp_path / "s", suffix=suffix)
    if suffix in ("mp3", "ogg"):  # So that half of them is no rounding.
        for path in source.rglob(f"*.{suffix}"):
            soundfile.write(path, tone(1, 20000), RATE)
    damage(source / "yes" / f"2.{suffix}")
    with pytest.raises(SourceError, match=rf"yes/2\.{suffix}: the recording cannot be read"):
        given(source, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_a_number_that_is_not_finite_is_named_with_its_place(tmp_path: Path) -> None:
    sound = tone(1, 70_000)
    sound[66_000] = np.nan
    with pytest.raises(SourceError, match=r"yes/0\.wav: sample 66,000 is not finite"):
        given(one(tmp_path, sound, subtype="FLOAT"), tmp_path / "out")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000, 0x80000000, 0x7FFFFFFF, 0, 1800 + 44], ids=hex)
def test_a_wav_whose_length_nobody_knew_is_read_whole(tmp_path: Path, length: int) -> None:
    """ffmpeg, sox, arecord, recorders that were stopped, and writers that count the header as data."""
    wanted = tone(1, 900)
    source = one(tmp_path, wanted)
    path = source / "yes" / "0.wav"
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = length.to_bytes(4, "little")
    data[4:8] = min(length + 36, 0xFFFFFFFF).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    features = longest(given(source, tmp_path / "out")).ravel()
    assert np.abs(features - wanted.ravel()).max() <= 2**-15


def test_a_flac_from_a_pipe_does_not_know_its_length(tmp_path: Path) -> None:
    source = one(tmp_path, tone(1, 900), "0.flac")
    path = source / "yes" / "0.flac"
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:42] = bytes(20)  # Samples and check sum of STREAMINFO.
    path.write_bytes(bytes(data))
    assert len(longest(given(source, tmp_path / "out"))) == 900
    assert (
        len(longest(convert("audio", source, tmp_path / "b", request=SplitRequest(how="shift", by="size"))))
        == 900
    )


def mp3(sound: npt.NDArray[np.float64], path: Path, quality: int, **options: str) -> bytes:
    """Encoded with one bit rate, and without the Xing header that says how long it is."""
    samples = (sound.T * 32767).astype(np.int16)
    with av.open(str(path), "w", options={"write_xing": "0", "id3v2_version": "0", **options}) as container:
        stream = container.add_stream("libmp3lame", rate=16000)
        stream.layout = "mono"
        stream.bit_rate = quality
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16p", layout="mono")
        frame.sample_rate = 16000
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize("rates", [(160_000, 16_000), (16_000, 160_000)])
def test_an_mp3_of_varying_bit_rate_without_a_header_of_lengths_is_read_whole(
    tmp_path: Path, rates: tuple[int, int]
) -> None:
    """Its first frame lets it seem several times as long, or as short, as it is."""
    source = folders(tmp_path / "s", 3, "mp3")
    parts = [mp3(tone(1, 32000), tmp_path / f"{rate}.mp3", rate) for rate in rates]
    for path in source.rglob("*.mp3"):
        path.write_bytes(b"".join(parts))
    features = longest(given(source, tmp_path / "out"))
    assert 64000 <= len(features) <= 64000 + 6 * 576
    request = SplitRequest(how="shift", by="size")
    assert convert("audio", source, tmp_path / "b", request=request).metadata.rate == 16000


def test_an_mp3_is_as_long_as_what_was_encoded_and_its_tags_do_no_harm(tmp_path: Path) -> None:
    wanted = tone(1, 9000)
    source = one(tmp_path, wanted, "0.mp3")
    path = source / "yes" / "0.mp3"
    tag = b"TAG" + b"title".ljust(125, b"\0")
    path.write_bytes(path.read_bytes() + b"APETAGEX" + bytes(24) + tag)
    features = longest(given(source, tmp_path / "out")).ravel()
    assert len(features) == 9000
    assert np.corrcoef(features, wanted.ravel())[0, 1] > 0.9


def encode(path: Path, codec: str, sound: npt.NDArray[np.float64], rate: int, **options: str) -> None:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound.T.astype(np.float32)), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(format=stream.codec_context.format or "fltp", layout="mono", rate=rate)
        for made in resampler.resample(frame):
            for packet in stream.encode(made):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.mark.parametrize(
    ("name", "codec", "most"),
    [
        ("0.m4a", "aac", 24000),
        ("0.aac", "aac", 24000 + 3 * 1024),
        ("0.webm", "libopus", 24000),
        ("0.mka", "libopus", 24000),
    ],
)
def test_recordings_of_telephones_and_browsers_are_read(
    tmp_path: Path, name: str, codec: str, most: int
) -> None:
    """A tone that fades in, so that it is seen whether its beginning is where it was."""
    wanted = (np.sin(np.arange(24000) / 20) * np.linspace(0, 0.8, 24000))[:, None]
    source = folders(tmp_path / "s", 3)
    encode(source / "yes" / name, codec, wanted, 48000)
    features = longest(given(source, tmp_path / "out", ConvertOptions(rate=48000))).ravel()
    assert 24000 <= len(features) <= most
    if most == 24000:
        assert np.abs(features - wanted.ravel()).mean() < 0.02


def test_a_file_whose_ending_is_wrong_is_read_as_what_it_is(tmp_path: Path) -> None:
    source = folders(tmp_path / "s", 3)
    encode(tmp_path / "a.m4a", "aac", tone(1, 9000), 8000)
    (source / "yes" / "0.wav").write_bytes((tmp_path / "a.m4a").read_bytes())
    assert len(longest(given(source, tmp_path / "out"))) == 9000


@pytest.mark.parametrize(("name", "codec"), [("2.m4a", "aac"), ("2.mka", "libopus")])
def test_a_cut_recording_of_other_kinds_is_named(tmp_path: Path, name: str, codec: str) -> None:
    source = folders(tmp_path / "s", 3)
    encode(
        source / "yes" / name,
        codec,
        tone(1, 24000),
        48000,
        **({"movflags": "faststart"} if codec == "aac" else {}),
    )
    half(source / "yes" / name)
    with pytest.raises(
        SourceError, match=rf"yes/{name}: the recording cannot be read: it ends [0-9,]+ bytes before"
    ):
        given(source, tmp_path / "out", ConvertOptions(rate=48000))


@pytest.mark.parametrize("suffix", ["aifc", "au", "caf", "w64", "wave", "oga"])
def test_other_endings_of_known_formats(tmp_path: Path, suffix: str) -> None:
    kinds = {"aifc": "AIFF", "wave": "WAV", "oga": "OGG"}
    source = folders(tmp_path / "s", 3, suffix, format=kinds.get(suffix, suffix.upper()))
    assert {len(features) for features, _ in both(given(source, tmp_path / "out").path)} == {400, 420, 440}


def test_ogg_streams_one_after_the_other_are_read_to_the_end(tmp_path: Path) -> None:
    root = one(tmp_path, tone(1, 4000), "0.ogg", format="OGG", subtype="VORBIS")
    single = longest(given(root, tmp_path / "single"))
    path = root / "yes" / "0.ogg"
    path.write_bytes(path.read_bytes() * 2)
    chained = longest(given(root, tmp_path / "chained"))
    assert len(single) == 4000
    assert len(chained) == pytest.approx(8000, abs=1024)  # The first stream's last packet is not cut.
    assert np.abs(chained[:4000] - single).max() < 0.01


def test_floating_point_samples_on_another_scale_are_told(tmp_path: Path) -> None:
    root = one(tmp_path, tone(1, 900) * 32767, subtype="FLOAT")
    (told,) = given(root, tmp_path / "out").notes
    assert told.startswith("Samples of 1 recordings go far beyond -1 to 1, up to ")
    loud = one(tmp_path / "loud", tone(1, 900) * 2, subtype="FLOAT")
    assert given(loud, tmp_path / "other").notes == ()
