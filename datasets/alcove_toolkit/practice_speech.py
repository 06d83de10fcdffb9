"""A practice dataset of speech: ten words that differ in their vowel, synthesised."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import numpy as np
import numpy.typing as npt

from alcove_format.metadata import VARIES, Metadata
from alcove_format.writer import NewExample
from alcove_toolkit.practice_draw import Generator, Parts, draw_balanced, number_names

Samples = npt.NDArray[np.float64]
RATE = 8000
"""Samples a second."""
_FORMANTS = {
    "heed": (270, 2290, 3010),
    "hid": (390, 1990, 2550),
    "head": (530, 1840, 2480),
    "had": (660, 1720, 2410),
    "hod": (730, 1090, 2440),
    "hawed": (570, 840, 2410),
    "hood": (440, 1020, 2240),
    "who'd": (300, 870, 2240),
    "hud": (640, 1190, 2390),
    "heard": (490, 1350, 1690),
}
"""Hz, men's averages: Peterson and Barney, Control Methods Used in a Study of the Vowels, JASA 24 (1952)."""
_BANDWIDTHS = (60, 90, 150)
_SHORTEST, _LONGEST = 400, 800
"""Samples of one word."""


def make_vowels(rng: Generator, examples: int) -> Parts:
    """Synthesised: breath and vocal cords through the resonances of a throat, with a room's noise.

    Speakers differ in size, pitch and loudness; words in their length. 16 bits, 8,000 samples a second.
    """
    metadata = Metadata(
        n_examples=0,
        n_labels=len(_FORMANTS),
        rows=1,
        cols=1,
        sequence_size=VARIES,
        is_sequence=True,
        rate=RATE,
        labels=number_names(tuple(_FORMANTS)),
    )
    one, other = rng.spawn(2)
    cut = examples // 2
    return metadata, _words(one, cut), _words(other, examples - cut)


def _words(rng: Generator, count: int) -> Iterator[NewExample]:
    formants = tuple(_FORMANTS.values())
    for label, _ in draw_balanced(range(len(formants)), count, rng):
        yield NewExample(_speak_word(formants[label], rng).reshape(-1, 1, 1, 1), {label: 1.0})


def _speak_word(formants: tuple[int, ...], rng: Generator) -> Samples:
    """An /h/, and a vowel with these resonances; between −1 and 1, in steps of 2⁻¹⁵."""
    from scipy.signal import lfilter  # Slow to import, and needed here alone.

    length = int(rng.integers(_SHORTEST, _LONGEST + 1))
    size = rng.uniform(0.85, 1.25)  # A shorter throat resonates higher, and its owner mostly speaks higher.
    pitch = (130 * size * size * size) * rng.uniform(0.85, 1.25)
    t = np.arange(length) / length
    # One impulse whenever the cords' phase passes a whole number, the pitch falling or rising slowly.
    phase = np.cumsum(pitch * (1 + rng.uniform(-0.25, 0.1) * t)) / RATE + rng.uniform()
    pulses = np.diff(np.floor(phase), prepend=np.floor(phase[0]))
    voice = lfilter([1.0], np.convolve([1, -0.9], [1, -0.75]), pulses)
    breath = rng.standard_normal(length)
    onset = rng.uniform(0.05, 0.25)
    voiced = np.clip((t - onset) / 0.08, 0, 1)
    source = voiced * voice + (0.35 * (1 - voiced) + 0.03) * breath
    throat = [
        _resonance(f * size * rng.uniform(0.94, 1.06), b) for f, b in zip(formants, _BANDWIDTHS, strict=True)
    ]
    sound = lfilter([1.0], reduce(np.convolve, throat), source)
    sound *= np.clip(t / 0.05, 0, 1) * np.clip((1 - t) / 0.2, 0, 1)
    sound /= np.abs(sound).max()
    noise = round(float(10 ** rng.uniform(-2, -0.4)), 6)
    sound = rng.uniform(0.2, 0.8) * (sound + noise * rng.standard_normal(length))
    out: Samples = np.round(np.clip(sound, -1, 1) * 32767) / 32768
    return out


def _resonance(frequency: float, bandwidth: float) -> Samples:
    """Denominator of a two-pole resonator (Klatt, Software for a cascade/parallel formant synthesizer, 1980)."""
    radius = np.exp(-np.pi * bandwidth / RATE)
    # Rounded: the last bits of exp() and cos() differ between processors, and the filter would carry them on.
    return np.round([1, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius * radius], 9)
