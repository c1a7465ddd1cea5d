"""Images as JPEG bytes, and back."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvla.datasets.schema import ImageCoding

_SUBSAMPLING: Final[dict[str, int]] = {"4:4:4": 0, "4:2:0": 2}


def encode(rgb: npt.NDArray[np.uint8], coding: ImageCoding) -> bytes:
    """JPEG bytes of `rgb`, u8 (h, w, 3)."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": coding.quality, "subsampling": _SUBSAMPLING[coding.subsampling]}
    Image.fromarray(rgb).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def decode(data: bytes) -> npt.NDArray[np.uint8]:
    """The image in `data`, u8 (h, w, 3).

    Raises:
        ValueError: the bytes are no whole JPEG image.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{len(data)} bytes that are no whole JPEG image") from error
