"""Turn features into media that a page can hold: small pictures, curves and sounds, as data: URIs or SVG paths."""

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
class EmbeddedPicture:
    uri: str
    width: int
    height: int
    """Size on the page, CSS pixels."""
    tiny: bool
    """Whether it is enlarged, so that single pixels show."""
    caption: str


@dataclass(frozen=True)
class CurvePlot:
    paths: tuple[str, ...]
    """SVG path data, a curve each, in a box of 300 × 90."""
    filled: bool
    """Whether a curve is drawn as the area between its lowest and highest values."""
    low: float
    high: float
    steps: int
    left_out: int
    """Number of curves that are not drawn."""


def embed_picture(frame: Floats, side: int, factor: float, caption: str = "") -> EmbeddedPicture:
    """Encode one frame, rows × columns × channels, as a data: URI; ``factor`` scales its numbers to 0 … 255.

    A frame larger than ``side`` pixels is made smaller, a tiny one is shown enlarged.
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
    return EmbeddedPicture(uri, image.width * scale, image.height * scale, scale > 1, caption)


def brightness_factor(features: Floats) -> float:
    """Return the factor that scales a picture to 0 … 255: its numbers reach to 1, to 255, or to their own maximum."""
    highest = float(np.nan_to_num(features).max(initial=0))
    if highest <= 1:
        return 255.0
    return 1.0 if highest <= 255 else 255 / highest


def draw_curves(features: Floats) -> CurvePlot:
    """Draw time × rows × columns × channels over time: a curve for each row, column and channel."""
    steps = len(features)
    curves = np.nan_to_num(features.reshape(steps, -1).T.astype(np.float64))
    shown = curves[:MOST_CURVES]
    low, high = float(shown.min(initial=0)), float(shown.max(initial=0))
    filled = steps > 2 * _WIDTH
    draw = _draw_area if filled else _draw_line
    return CurvePlot(
        tuple(draw(curve, low, high) for curve in shown), filled, low, high, steps, len(curves) - len(shown)
    )


def _draw_line(curve: npt.NDArray[np.float64], low: float, high: float) -> str:
    x = np.linspace(0, _WIDTH, len(curve)) if len(curve) > 1 else np.array([0, _WIDTH])
    return _svg_path(x, _to_heights(curve if len(curve) > 1 else np.repeat(curve, 2), low, high))


def _draw_area(curve: npt.NDArray[np.float64], low: float, high: float) -> str:
    """Lowest and highest value in each of as many equal spans as there are units of width."""
    starts = np.linspace(0, len(curve), _WIDTH, endpoint=False).astype(int)
    above = _to_heights(np.maximum.reduceat(curve, starts), low, high)
    below = _to_heights(np.minimum.reduceat(curve, starts), low, high)
    x = np.arange(_WIDTH)
    return _svg_path(np.concatenate([x, x[::-1]]), np.concatenate([above - 0.3, below[::-1] + 0.3])) + "Z"


def _to_heights(values: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    margin = 4
    return margin + (high - values) / ((high - low) or 1) * (_HEIGHT - 2 * margin)


def _svg_path(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{a:.4g} {b:.4g}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def embed_sound(features: Floats, rate: float, seconds: float) -> str:
    """Encode the first ``seconds`` as a data: URI of a WAV: 16 bits, the mean of all channels, peak at most 1."""
    mono = np.nan_to_num(features.reshape(len(features), -1)[: round(rate * seconds)]).mean(axis=1)
    mono = mono / max(1.0, float(np.abs(mono).max(initial=0)))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(round(rate))
        file.writeframes(np.round(mono * 32767).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(buffer.getvalue()).decode()}"
