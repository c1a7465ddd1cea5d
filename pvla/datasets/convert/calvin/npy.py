"""numpy's files, believed only as far as there are bytes: `.npy`, with a pickle or without, and `.npz`.

`np.load` makes an array of whatever size a header claims before it looks for the data, and with `allow_pickle` it runs
what the file says. Here nothing runs, and nothing is made that is larger than what was announced and allowed.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.calvin.pickled_arrays import Refused, count_of
from pvla.datasets.convert.calvin.restricted_pickle import loads
from pvla.datasets.convert.source import Damaged, first_line
from pvla.errors import InputError

MAX_NPY: Final = 1 << 29
"""CALVIN's largest file of annotations has some 35 MB, with larger text encoders a few times that."""

MAX_MEMBER: Final = 1 << 24
"""The largest array of one of CALVIN's time steps is a depth picture of 160 kB."""

_MAX_MEMBERS: Final = 256
_UNREADABLE: Final = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, SyntaxError, TokenError),
)


def load_npy(path: Path, max_bytes: int = MAX_NPY) -> Any:
    """What a `.npy` file holds: a numeric array as it is; of an object array that `np.save` pickled, the object.

    Args:
        path: the file.
        max_bytes: larger files are refused.

    Returns:
        A numpy array, or for pickled content what `restricted_pickle.loads` gives; of a 0-d object array the object.

    Raises:
        InputError: the file is too large, no whole .npy file, or its pickle holds something else than plain data.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise InputError(f"{path} has {size} bytes, at most {max_bytes} are read: is it the right file?")
        with path.open("rb") as file:
            return _content(file, size)
    except Refused as error:
        raise InputError(f"{path} is not read. {error}") from error
    except _UNREADABLE as error:
        raise InputError(f"{path} is no whole .npy file ({first_line(error)}): copy it again.") from error


def _content(file: IO[bytes], size: int) -> Any:
    dtype, shape, fortran = _header(file)
    if not dtype.hasobject:
        return _array(file, size - file.tell(), dtype, shape, fortran)
    value = loads(file.read())
    if shape == () and isinstance(value, np.ndarray) and value.dtype == object and value.shape == ():
        return value[()]
    return value


@contextmanager
def open_npz(path: Path) -> Iterator[Npz]:
    """Open a `.npz` file for reading.

    Raises:
        Damaged: it is no whole .npz file; also while it is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield Npz(archive, path.name)
    except Damaged:
        raise
    except _UNREADABLE as error:
        raise Damaged(f"{path.name} is no whole .npz file ({first_line(error)}).") from error


class Npz:
    """The arrays of an open `.npz` file.

    Args:
        archive: the file.
        name: what to call it.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive, self._name = archive, name
        self._members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()[:_MAX_MEMBERS]}

    def names(self) -> list[str]:
        """Of the arrays, in the file's order."""
        return list(self._members)

    def layout(self, key: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """What the header of an array says: dtype and shape.

        Raises:
            Damaged: there is no such array, or it has no header.
        """
        with self._open(key) as file:
            dtype, shape, _ = _header(file)
            return dtype, shape

    def read(self, key: str) -> npt.NDArray[Any]:
        """An array of numbers.

        Raises:
            Damaged: there is no such array, it holds objects, it is larger than `MAX_MEMBER`, or it cannot be read.
        """
        size = self._info(key).file_size
        if size > MAX_MEMBER:
            raise Damaged(f"{self._name}: {key} has {size} bytes, at most {MAX_MEMBER} are read.")
        with self._open(key) as file:
            start = io.BytesIO(file.read(size))
            dtype, shape, fortran = _header(start)
            if dtype.kind not in "biuf":
                raise ValueError(f"it is {dtype}, no numbers")
            return _array(start, size - start.tell(), dtype, shape, fortran)

    @contextmanager
    def _open(self, key: str) -> Iterator[IO[bytes]]:
        try:
            with self._archive.open(self._info(key)) as file:
                yield file
        except Damaged:
            raise
        except (*_UNREADABLE, NotImplementedError) as error:
            raise Damaged(f"{self._name}: {key} cannot be read ({first_line(error)}).") from error

    def _info(self, key: str) -> zipfile.ZipInfo:
        if key not in self._members:
            raise Damaged(f"{self._name} has no {key}; it has {', '.join(self._members)[:200] or 'nothing'}.")
        return self._members[key]


def _header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """dtype, shape and order of a .npy file; afterwards `file` stands at its data."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the format")
    return dtype, shape, fortran


def _array(file: IO[bytes], size: int, dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool) -> npt.NDArray[Any]:
    if count_of(shape) * dtype.itemsize != size:
        raise ValueError(f"its header says {dtype} of shape {shape}, {size} bytes follow")
    if not size:
        return np.empty(shape, dtype)
    rows = np.frombuffer(file.read(size), dtype)
    return np.transpose(rows.reshape(shape[::-1])) if fortran else rows.reshape(shape)
