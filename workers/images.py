"""Look at an image that a stranger sent, and make small ones of it. No Django here.

From the upload form, which asks ``inspect`` before it keeps a file, and from
``workers.consumers``, which asks ``read`` and ``shrink``; on to a file.

A few kilobytes can name an image of gigapixels, so the size in the header is checked
before a single pixel is decoded, and only formats of the list below are tried at all.
"""

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageOps

try:
    from PIL import Image, ImageOps
except ImportError:
    # The other pages of the site do without it, and this one says what is missing.
    HAS_PILLOW = False
else:
    HAS_PILLOW = True

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000  # decoded: at most 160 MB
SIZES = (96, 192, 384, 768)  # pixels: the longer side

# What Pillow raises for a file that is not what it says. Not MemoryError and the like.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


class ImageRefused(Exception):
    """This file is not one that we make thumbnails of; the text says why."""


def inspect(file: IO[bytes] | Path) -> tuple[int, int]:
    """Width and height in pixels, from the header alone. Raises ImageRefused."""
    with _opened(file) as image:
        return image.size


def read(file: IO[bytes] | Path) -> "Image.Image":
    """The decoded image, turned the way it was taken. Raises ImageRefused."""
    with _opened(file) as image:
        try:
            # Lets the JPEG decoder skip what no thumbnail can show; other formats ignore it.
            image.draft("RGB", (SIZES[-1] * 2, SIZES[-1] * 2))
            upright = ImageOps.exif_transpose(image)
            clear = upright.has_transparency_data
            return upright.convert("RGBA" if clear else "RGB")
        except _BROKEN as error:
            raise ImageRefused("The image is damaged and cannot be decoded.") from error


def shrink(image: "Image.Image", size: int, target: Path) -> tuple[int, int]:
    """Write ``image``, within ``size`` pixels each way, as WebP to ``target``.

    The file appears whole or not at all, so two that write it at once do no harm.
    Answers with the width and height. Raises OSError when it cannot be written.
    """
    small = image.copy()
    small.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}-{id(small):x}")
    try:
        small.save(unfinished, "WEBP", quality=82)
        unfinished.replace(target)
    finally:
        with suppress(FileNotFoundError):  # it has become the target
            unfinished.unlink()
    return small.size


def _opened(file: IO[bytes] | Path) -> "Image.Image":
    if not HAS_PILLOW:
        raise ImageRefused("Pillow is not installed here: pip install pillow.")
    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except _BROKEN as error:
        raise ImageRefused(
            f"This is not an image in one of the formats {', '.join(FORMATS)}."
        ) from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise _too_many_pixels()
    return image


def _too_many_pixels() -> ImageRefused:
    return ImageRefused(
        f"The image has more than {MAX_PIXELS // 1_000_000} million pixels, "
        "which is as large as we take."
    )
