"""A photograph from a telephone, decoded and written anew: pixels alone, no place and no owner."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

_LONGEST_PX: Final = 1600  # of an edge, as it is kept
_MOST_PIXELS: Final = 60_000_000  # of what is decoded
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_QUALITY: Final = 82


class PhotoError(ValueError):
    """It is no photograph that is taken here; says `format`, `size` or `broken`."""


def rewrite(source: Path, target: Path) -> tuple[int, int]:
    """Write a photograph as a plain JPEG, upright, and return its width and height [px].

    :raises PhotoError: for anything that is none, is broken or too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own about size: ours is asked below
        try:
            with Image.open(source, formats=_FORMATS) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    raise PhotoError("size")
                picture.draft("RGB", (_LONGEST_PX, _LONGEST_PX))
                upright = ImageOps.exif_transpose(picture).convert("RGB")
        except UnidentifiedImageError as error:
            raise PhotoError("format") from error
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            if isinstance(error, PhotoError):
                raise
            raise PhotoError("broken") from error
    upright.thumbnail((_LONGEST_PX, _LONGEST_PX))
    bare = Image.new("RGB", upright.size)
    bare.paste(upright)
    bare.save(target, "JPEG", quality=_QUALITY, optimize=True)
    return bare.size
