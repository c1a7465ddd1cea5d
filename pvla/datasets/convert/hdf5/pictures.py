"""Pictures in HDF5, read while they are drawn: raw, padded JPEG, or bytes of any length."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import h5py
import numpy as np
from PIL import Image

from pvla.datasets import jpeg
from pvla.datasets.convert.hdf5.files import dataset, open_file, rows
from pvla.datasets.convert.source import Damaged, Frame

Coding = Literal["rows of pixels", "channels first", "encoded"]
_MAGIC: Final = (b"\xff\xd8", b"\x89PNG")
_BLOCK_BYTES: Final = 1 << 26
_MIN_SIDE: Final = 8
"""Below that many pixels u8 (T, 4, 4, 3) is a column of numbers rather than a picture."""


@dataclass(frozen=True)
class Pictures:
    """The pictures of one camera in one episode, in the order of their frames; they can be drawn again.

    Attributes:
        file: the HDF5 file.
        path: the dataset in it.
        turned: by 180 degrees, as they are drawn.
        lengths: the dataset with the number of bytes of each encoded picture, if there is one for this camera.
    """

    file: Path
    path: str
    turned: bool = False
    lengths: str | None = None

    def __iter__(self) -> Iterator[Frame]:
        with open_file(self.file) as file:
            item = dataset(file, self.path)
            coding = coding_of(item)
            if coding is None:
                raise Damaged(f"Its {self.path} is {item.dtype} of shape {item.shape}, which are no pictures.")
            lengths = None if self.lengths is None else rows(file, self.lengths)[:, 0]
            for t, value in enumerate(_values(item)):
                frame = _frame(value, coding, None if lengths is None else int(lengths[t]))
                yield _turned(frame) if self.turned else frame


def coding_of(item: h5py.Dataset) -> Coding | None:
    """How pictures are kept in a dataset, None if it has none.

    u8 (T, h, w, 3) are raw, as are u8 (T, 3, h, w). u8 (T, n), and rows of any length, are encoded if the first begins
    as JPEG (FFD8) or PNG does.
    """
    if item.ndim == 4 and item.dtype == np.uint8:
        if item.shape[3] == 3 and min(item.shape[1:3]) >= _MIN_SIDE:
            return "rows of pixels"
        return "channels first" if item.shape[1] == 3 and min(item.shape[2:]) >= _MIN_SIDE else None
    one_dimensional = item.ndim == 1 and item.dtype.kind in "OSV"
    padded = item.ndim == 2 and item.dtype.kind in "iu" and item.dtype.itemsize == 1
    if (one_dimensional or padded) and len(item) and _bytes(item[0], None).startswith(_MAGIC):
        return "encoded"
    return None


def size_of(item: h5py.Dataset, coding: Coding) -> tuple[int, int]:
    """Height and width of the first picture.

    Raises:
        ValueError: its head cannot be read.
    """
    if coding == "encoded":
        with Image.open(io.BytesIO(_bytes(item[0], None)), formats=("JPEG", "PNG")) as image:
            return image.height, image.width
    height, width = item.shape[1:3] if coding == "rows of pixels" else item.shape[2:]
    return int(height), int(width)


def _values(item: h5py.Dataset) -> Iterator[Any]:
    """One row after the other, read in blocks of whole chunks: each chunk is decompressed once."""
    row_bytes = max(item.nbytes // max(len(item), 1), 1)
    chunk = item.chunks[0] if item.chunks else 1
    block = max(1, min(chunk, _BLOCK_BYTES // row_bytes))
    for start in range(0, len(item), block):
        yield from item[start : start + block]


def _frame(value: Any, coding: Coding, length: int | None) -> Frame:
    if coding == "encoded":
        return _bytes(value, length)
    return np.moveaxis(value, 0, 2) if coding == "channels first" else np.asarray(value)


def _bytes(value: Any, length: int | None) -> bytes:
    """The encoded picture in a row.

    Rows are padded with zeros to one length. JPEG ends with FFD9 and PNG with AE426082, so taking away the zeros at the
    end never cuts off a part of the picture. ALOHA's table `compress_len` is not needed, nor could it be trusted: its
    rows follow the recorder's list of cameras, which is not in the file.
    """
    if isinstance(value, str):
        return b""
    octets = np.asarray(value)
    data = octets.tobytes() if octets.dtype.kind in "SV" or octets.dtype.itemsize == 1 else b""
    return data.rstrip(b"\0") if length is None else data[:length]


def _turned(frame: Frame) -> Frame:
    """By 180 degrees."""
    pixels = jpeg.decode(frame) if isinstance(frame, bytes) else frame
    return pixels[::-1, ::-1]
