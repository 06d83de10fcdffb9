"""Images, and frames that are images: kept as they are where every reader sees the same pixels, else made PNG.

What readers agree on was tried with Pillow and TensorFlow: PNG of up to 8 bits, JPEG in grey or RGB, BMP of 24 bits,
GIF of one opaque frame. Anything else (more bits, CMYK, transparency, several frames, turned by EXIF, other formats)
is decoded here, once. Values of more than 8 bits are brought to 8 by one scale for the whole dataset.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from alcove_toolkit.errors import SourceError

SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".gif", ".bmp", ".dib", ".tif",
    ".tiff",     ".webp", ".avif", ".jp2", ".j2k", ".jpx", ".tga", ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
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
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 64 << 20
"""Notes inside a PNG do no harm; image editors write more of them than Pillow takes by default."""
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
    deep: bool = False
    """Whether its numbers are decoded with more than 8 bits, and so need a scale."""
    cut: bool = False
    """Whether it has more than 8 bits a channel, of which the decoder gives the upper 8 alone."""


@dataclass(frozen=True)
class ValueRange:
    """The values that become 0 and 255."""

    low: float
    high: float


def find_scale(paths: Iterable[Path]) -> ValueRange:
    """One scale for images of more than 8 bits, from all their values.

    Whole numbers from 0 on keep the scale of their bit depth (8, 10, 12, 14 or 16, whatever the file reserves), and
    fractions within 0 … 1 or 0 … 255 keep that. Anything else is scaled from its lowest to its highest value.

    Raises:
        SourceError: an image cannot be decoded, or has values that are not finite.
    """
    low, high, whole = np.inf, -np.inf, True
    for path in paths:
        with _picture_errors(path), Image.open(path) as image:
            numbers = np.asarray(image)
            if not np.isfinite(numbers).all():
                raise ValueError("it has numbers that are not finite")
            low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
            whole = whole and image.mode != "F"
    if low < 0 or not np.isfinite(low):
        return ValueRange(low, high)
    scales = [2.0**bits - 1 for bits in (8, 10, 12, 14, 16)] if whole else [1.0, 255.0]
    return next((ValueRange(0.0, scale) for scale in scales if high <= scale), ValueRange(low, high))


def scale_note(count: int, what: str, scale: ValueRange) -> str:
    """For people: what became of the values."""
    return (
        f"{count:,} {what} have more than 8 bits: values from {scale.low:,.6g} to {scale.high:,.6g} became 0 to 255, "
        "by one scale for all."
    )


def read_header(path: Path) -> PictureHeader:
    """Raises SourceError: it is not a picture, or has too many pixels."""
    with warnings.catch_warnings(), _picture_errors(path):
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path) as image:
            return _header(image, path)


@contextmanager
def _picture_errors(path: Path) -> Iterator[None]:
    """Whatever Pillow raises for a damaged file becomes a SourceError that names it."""
    try:
        yield
    except (FileNotFoundError, PermissionError):
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
    if turn in (5, 6, 7, 8) and not _is_turned(image):
        rows, cols = cols, rows
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    upright = turn in _UPRIGHT
    keep = _find_kept_channels(image) if upright and frames == 1 else ()
    deep = image.mode.startswith("I") or image.mode == "F"
    cut = not deep and _bits(image) > 8
    return PictureHeader(rows, cols, image.mode in _GREY, upright, keep, frames, deep, cut)


def _is_turned(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow itself turns the picture as it decodes it, and gives its size so: it does for TIFF."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and ExifTags.Base.Orientation in image.tag_v2


def _bits(image: ImageFile.ImageFile) -> int:
    """A channel; 8 where the format has no others."""
    if image.format == "PNG":
        return _png_bits(image)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(image.tag_v2.get(ExifTags.Base.BitsPerSample, (8,))))
    return 8


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


def encode_picture(
    path: Path, channels: int, size: tuple[int, int] | None, scale: ValueRange | None = None
) -> bytes:
    """The file's own bytes, if they can stay; else a PNG of it.

    All is decoded in any case, so that a damaged file is found here and not in a run.

    Args:
        size: rows and columns to bring it to.
        scale: what :func:`find_scale` found; only pictures of more than 8 bits need it.

    Raises:
        SourceError: it cannot be decoded.
    """
    with _picture_errors(path):
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            header = _header(image, path)
            fits = channels in header.keep and size in (None, (header.rows, header.cols))
            if fits and _is_exact(data, image):
                image.load()
                return data
            turned = image if header.upright else ImageOps.exif_transpose(image)
            if header.deep:
                if scale is None:  # Of the frames of a clip, the first one says how they are.
                    raise ValueError("it has more than 8 bits, but the first frame has not")
                turned = _to_eight_bits(turned, scale, inverted=_zero_is_white(image))
            return encode_png(resize_picture(_to_plain_pixels(turned, channels), size))


def _is_exact(data: bytes, image: ImageFile.ImageFile) -> bool:
    """Whether the file ends where its format says. TensorFlow refuses a PNG without its end, and a BMP with more."""
    if image.format == "PNG":
        return b"IEND" in data[-64:] or b"IEND\xaeB`\x82" in data
    if image.format == "BMP":
        start = int.from_bytes(data[10:14], "little")
        return len(data) == start + (3 * image.width + 3) // 4 * 4 * image.height
    return True


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
    """This many channels; transparency is laid over white unless there are four."""
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        if channels != 4:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    plain = (image.convert("RGB") if image.mode in ("P", "LAB") else image).convert(_MODES[channels])
    # Nothing but pixels goes into the PNG, no profile and no gamma.
    plain.info.clear()
    return plain


def _to_eight_bits(image: Image.Image, scale: ValueRange, *, inverted: bool) -> Image.Image:
    numbers = np.asarray(image).astype(np.float64)
    shares = (numbers - scale.low) / ((scale.high - scale.low) or 1)
    pixels = np.round(255 * shares.clip(0, 1)).astype(np.uint8)
    return Image.fromarray(255 - pixels if inverted else pixels)


def _zero_is_white(image: ImageFile.ImageFile) -> bool:
    """Of a TIFF, whose decoder turns this round for 8 bits alone."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == 0


def _unreadable(path: Path, error: BaseException) -> SourceError:
    reason = str(getattr(error, "strerror", None) or error)
    if isinstance(error, UnidentifiedImageError):
        reason = "it is not a picture of a known format"
    return SourceError(
        str(path), f"the picture cannot be read: {reason.rstrip('.')}", remedy="Repair it, or remove it."
    )
