"""Pictures, and frames that are pictures: kept as they are where every reader sees the same pixels, else made PNG.

What readers agree on was tried with Pillow and TensorFlow: PNG of up to 8 bits, JPEG in grey or RGB, BMP of 24 bits,
GIF of one opaque frame. Anything else (more bits, CMYK, transparency, several frames, turned by EXIF, other formats)
is decoded here, once.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from alcove_toolkit.errors import SourceError

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
MOST_PIXELS = 64 << 20
"""More are refused: as float32 in colour that is 800 MB, and a small file can claim any number."""
_BROKEN = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    Image.DecompressionBombError,
)
_GREY = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_UPRIGHT = (None, 0, 1)


@dataclass(frozen=True)
class PictureHeader:
    """What a file says of its picture, before its pixels are decoded."""

    rows: int
    cols: int
    """As it is seen: turned as EXIF says."""
    grey: bool
    upright: bool
    """Whether it is seen as its pixels are stored."""
    keep: tuple[int, ...]
    """For which numbers of channels its bytes can stay as they are."""
    frames: int = 1


def read_header(path: Path) -> PictureHeader:
    """Raises SourceError: it is no picture, or has too many pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _header(image, path)
    except FileNotFoundError:
        raise
    except _BROKEN as error:
        raise _unreadable(path, error) from None


def _header(image: ImageFile.ImageFile, path: Path) -> PictureHeader:
    cols, rows = image.size
    if rows * cols > MOST_PIXELS:
        raise SourceError(
            str(path),
            f"the picture has {cols} × {rows} pixels, more than {MOST_PIXELS:,}",
            remedy="Make it smaller, or remove it.",
        )
    # Not the PNG reader's own method: it decodes the pixels to see what comes behind them.
    turn = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    if turn in (5, 6, 7, 8):
        rows, cols = cols, rows
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    upright = turn in _UPRIGHT
    keep = _find_kept_channels(image) if upright and frames == 1 else ()
    return PictureHeader(rows, cols, image.mode in _GREY, upright, keep, frames)


def _find_kept_channels(image: ImageFile.ImageFile) -> tuple[int, ...]:
    """For which numbers of channels all readers decode this file to the same pixels."""
    transparent = "transparency" in image.info or image.mode in ("LA", "PA", "RGBA")
    kind = image.format
    if kind == "PNG" and _png_bits(image) <= 8:
        if image.mode == "RGBA":
            return (4,)
        if not transparent:
            return (1, 3) if image.mode in ("1", "L") else (3,)
    if kind in ("JPEG", "MPO"):
        return {"L": (1, 3), "RGB": (3,)}.get(image.mode, ())
    if kind == "BMP" and image.mode == "RGB" and _bmp_bits(image) == 24:
        return (3,)
    if (
        kind == "GIF"
        and not transparent
        and image.tile
        and tuple(image.tile[0][1] or ()) == (0, 0, *image.size)
    ):
        return (3,)
    return ()


def _png_bits(image: ImageFile.ImageFile) -> int:
    return _bytes_at(image, 24, 1)


def _bmp_bits(image: ImageFile.ImageFile) -> int:
    return _bytes_at(image, 28, 2)


def _bytes_at(image: ImageFile.ImageFile, offset: int, count: int) -> int:
    file = image.fp
    assert file is not None
    back = file.tell()
    file.seek(offset)
    number = int.from_bytes(file.read(count), "little")
    file.seek(back)
    return number


def encode_picture(path: Path, channels: int, size: tuple[int, int] | None) -> bytes:
    """The file's own bytes, if they can stay; else a PNG of it. ``size``: rows and columns, where they are wished.

    All is decoded in any case, so that a damaged file is found here and not in a run.

    Raises:
        SourceError: it cannot be decoded.
    """
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            header = _header(image, path)
            if channels in header.keep and size in (None, (header.rows, header.cols)):
                image.load()
                return data
            turned = image if header.upright else ImageOps.exif_transpose(image)
            return encode_png(resize_picture(_to_plain_pixels(turned, channels), size))
    except FileNotFoundError:
        raise
    except _BROKEN as error:
        raise _unreadable(path, error) from None


def resize_picture(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    """``size``: rows and columns; the picture's proportions give way to them."""
    if size is None or size == (image.height, image.width):
        return image
    return image.resize((size[1], size[0]), Image.Resampling.LANCZOS)


def encode_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _to_plain_pixels(image: Image.Image, channels: int) -> Image.Image:
    """8 bits, this many channels; transparency is laid over white unless there are four."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        if channels != 4:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    plain = (image.convert("RGB") if image.mode in ("P", "LAB") else image).convert(_MODES[channels])
    # Nothing but pixels goes into the PNG, no profile and no gamma.
    plain.info.clear()
    return plain


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, brought to 8; of numbers that go further than that, their whole range."""
    numbers = np.asarray(image).astype(np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it has numbers that are not finite")
    low, high = (0.0, 65535.0) if image.mode != "F" and low >= 0 and high <= 65535 else (low, high)
    return Image.fromarray(np.round((numbers - low) * (255 / ((high - low) or 1))).astype(np.uint8))


def _unreadable(path: Path, error: BaseException) -> SourceError:
    reason = str(getattr(error, "strerror", None) or error)
    if isinstance(error, UnidentifiedImageError):
        reason = "it is no picture of a known format"
    return SourceError(
        str(path), f"the picture cannot be read: {reason.rstrip('.')}", remedy="Repair it, or remove it."
    )
