"""What a contact sheet is made of: numbers become small pictures, curves and sound, each inside the page."""

from __future__ import annotations

import base64
import io
import wave
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]
MOST_CURVES = 6
_WIDTH, _HEIGHT = 300, 90
"""Of a plot, in its own units."""


@dataclass(frozen=True)
class Picture:
    uri: str
    width: int
    height: int
    """As it is shown, in CSS pixels."""
    tiny: bool
    """Whether it is enlarged, so that its pixels should be seen."""
    caption: str


@dataclass(frozen=True)
class Plot:
    paths: tuple[str, ...]
    """SVG path data, a curve each, in a box of 300 × 90."""
    filled: bool
    """Whether a curve is drawn as the area between its lowest and highest values."""
    low: float
    high: float
    steps: int
    left_out: int
    """Curves that found no room."""


def picture(frame: Floats, side: int, factor: float, caption: str = "") -> Picture:
    """One frame, rows × columns × channels, as a data: URI; ``factor`` takes its numbers to 0 … 255.

    Larger ones are made smaller until they fit a square of ``side``; tiny ones are shown enlarged.
    """
    pixels = np.clip(np.nan_to_num(frame) * factor, 0, 255).round().astype(np.uint8)
    if pixels.shape[2] not in (3, 4):
        pixels = pixels[:, :, :1]
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    kind = "PNG" if pixels.shape[2] == 4 or max(image.size) <= 64 else "JPEG"
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=85)
    uri = f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    scale = max(1, side // max(image.size))
    return Picture(uri, image.width * scale, image.height * scale, scale > 1, caption)


def brightness(features: Floats) -> float:
    """What takes the numbers of a picture to 0 … 255: they are parts of 1, or of 255, or else of their maximum."""
    highest = float(np.nan_to_num(features).max(initial=0))
    if highest <= 1:
        return 255.0
    return 1.0 if highest <= 255 else 255 / highest


def plot(features: Floats) -> Plot:
    """Curves over time; time × rows × columns × channels, each row, column and channel one curve."""
    steps = len(features)
    curves = np.nan_to_num(features.reshape(steps, -1).T.astype(np.float64))
    shown = curves[:MOST_CURVES]
    low, high = float(shown.min(initial=0)), float(shown.max(initial=0))
    filled = steps > 2 * _WIDTH
    draw = _area if filled else _line
    return Plot(
        tuple(draw(curve, low, high) for curve in shown), filled, low, high, steps, len(curves) - len(shown)
    )


def _line(curve: npt.NDArray[np.float64], low: float, high: float) -> str:
    x = np.linspace(0, _WIDTH, len(curve)) if len(curve) > 1 else np.array([0, _WIDTH])
    return _path(x, _heights(curve if len(curve) > 1 else np.repeat(curve, 2), low, high))


def _area(curve: npt.NDArray[np.float64], low: float, high: float) -> str:
    """Lowest and highest value in each of as many equal spans as there are units of width."""
    starts = np.linspace(0, len(curve), _WIDTH, endpoint=False).astype(int)
    above = _heights(np.maximum.reduceat(curve, starts), low, high)
    below = _heights(np.minimum.reduceat(curve, starts), low, high)
    x = np.arange(_WIDTH)
    return _path(np.concatenate([x, x[::-1]]), np.concatenate([above - 0.3, below[::-1] + 0.3])) + "Z"


def _heights(values: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    margin = 4
    return margin + (high - values) / ((high - low) or 1) * (_HEIGHT - 2 * margin)


def _path(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{a:.4g} {b:.4g}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def sound(features: Floats, rate: float, seconds: float) -> str:
    """The first ``seconds`` as a WAV in a data: URI: 16 bits, one channel (their mean), the peak at most 1."""
    mono = np.nan_to_num(features.reshape(len(features), -1)[: round(rate * seconds)]).mean(axis=1)
    mono = mono / max(1.0, float(np.abs(mono).max(initial=0)))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(round(rate))
        file.writeframes(np.round(mono * 32767).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(buffer.getvalue()).decode()}"
