"""numpy's part of a pickle, read as a description: dtype, shape and bytes, from which a checked array is made."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pvla.errors import InputError

_MAX_DIMENSIONS: Final = 8
_DTYPE: Final = re.compile(r"(b1|[iuf][1248]|f16|c8|c16|[SUa]\d{1,5}|O8?)")
_NUMPY: Final = ("numpy.core", "numpy._core")  # before and since numpy 2
KNOWN: Final = {  # every name that may occur in a pickle, and what is meant by it
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("__builtin__", "bytes"): "bytes",
    ("builtins", "bytes"): "bytes",
    **{(f"{package}.multiarray", "_reconstruct"): "reconstruct" for package in _NUMPY},
    **{(f"{package}.multiarray", "scalar"): "scalar" for package in _NUMPY},
    **{(f"{package}.numeric", "_frombuffer"): "frombuffer" for package in _NUMPY},
}


class Refused(InputError):
    """The pickle holds something else than plain data, or is damaged."""


@dataclass(frozen=True)
class Name:
    """One of the names of `KNOWN`, as a value: nothing stands behind it."""

    what: str


@dataclass
class Dtype:
    """A numpy dtype as the file describes it."""

    code: str
    order: str = "="

    def numpy(self) -> np.dtype[Any]:
        """As numpy's own.

        Raises:
            Refused: it is not of numbers, texts or objects.
        """
        if not _DTYPE.fullmatch(self.code):
            raise Refused(f"It has an array of dtype {self.code[:40]!r}, only numbers and texts are read.")
        order = self.order if self.order in "<>=" else "|"
        return np.dtype(order + self.code.replace("a", "S").replace("O8", "O"))


@dataclass
class Array:
    """A numpy array as the file describes it; `shape` is None until it has been described."""

    shape: Any = None
    dtype: Any = None
    order: str = "C"
    content: Any = None


def _reconstruct(kind: Any, shape: Any, code: Any) -> Array:
    """`numpy.core.multiarray._reconstruct`: an array that is described later."""
    if kind != Name("ndarray") or shape != (0,):
        raise ValueError("an array that does not begin empty")
    return Array()


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """`numpy.core.numeric._frombuffer`: how protocol 5 writes arrays."""
    return Array(shape, dtype, str(order), content)


def _scalar(dtype: Any, content: Any) -> Any:
    """`numpy.core.multiarray.scalar`: one number or text."""
    if not isinstance(dtype, Dtype) or dtype.numpy().hasobject:
        raise Refused("Its pickle has a scalar without a plain dtype.")
    return from_bytes(dtype.numpy(), (), content)[()]


def _dtype(code: Any, align: Any = False, copy: Any = True) -> Dtype:
    """`numpy.dtype` by its code, as f4."""
    if not isinstance(code, str):
        raise ValueError("a dtype that is no text")
    return Dtype(code)


def _encode(text: Any, encoding: Any) -> bytes:
    """`codecs.encode`: how protocols 0 to 2 write bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError(f"bytes written as {str(encoding)[:40]}")
    return text.encode("latin1")


def _bytes(*arguments: Any) -> bytes:
    """`bytes()`: how protocols 0 to 2 write none."""
    if arguments:
        raise Refused("Its pickle makes bytes of something.")
    return b""


def _no_call(*_: Any) -> None:
    raise ValueError("an array that is made without a description")


CALLS: Final[dict[str, Callable[..., Any]]] = {
    "reconstruct": _reconstruct,
    "frombuffer": _frombuffer,
    "scalar": _scalar,
    "dtype": _dtype,
    "encode": _encode,
    "bytes": _bytes,
    "ndarray": _no_call,
}


def describe_array(array: Array, version: Any, shape: Any, dtype: Any, fortran: Any, content: Any) -> None:
    """The state of `numpy.ndarray`: version, shape, dtype, order, bytes (a list for objects)."""
    array.shape, array.dtype, array.content = shape, dtype, content
    array.order = "F" if fortran else "C"


def describe_dtype(dtype: Dtype, version: Any, order: Any, subdtype: Any, names: Any, fields: Any, *_: Any) -> None:
    """The state of `numpy.dtype`: version, byte order, sub-array, fields, and sizes that its code has told already."""
    if subdtype is not None or names is not None or fields is not None or not isinstance(order, str):
        raise Refused("It has an array with fields, only numbers and texts are read.")
    dtype.order = order[:1]


def count_of(shape: Any) -> int:
    """How many items an array of this shape has."""
    good = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 1 << 48 for n in shape)
    if not good or len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"an array of shape {str(shape)[:80]}")
    count = 1
    for n in shape:
        count *= n
    return count


def from_bytes(dtype: np.dtype[Any], shape: tuple[int, ...], content: Any) -> npt.NDArray[Any]:
    """The array of that dtype and shape whose bytes, in the order of C, are `content`.

    Raises:
        ValueError: they are not as many as it needs.
    """
    content = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(content, (bytes, bytearray)) or count_of(shape) * dtype.itemsize != len(content):
        raise ValueError(f"an array of shape {shape} that has not the bytes for it")
    if not count_of(shape):
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype).reshape(shape)
