"""tf.train.Example without TensorFlow: a flat map from names to lists of bytes, floats or integers.

The message is three levels of Protocol Buffers (tensorflow/core/example/{example,feature}.proto); field numbers are
those of the schema, and unknown fields are skipped as the format demands.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.source import Damaged

Values = list[bytes] | npt.NDArray[np.float32] | npt.NDArray[np.int64]
"""The list of one feature; an empty one that does not say its type is an empty list."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_Field = tuple[int, int, Any]  # number, wire type, value: an int of a varint, else bytes


def parse(data: bytes) -> dict[str, Values]:
    """The features of a serialized tf.train.Example by name.

    Raises:
        Damaged: the bytes are no such message.
    """
    try:
        features: dict[str, Values] = {}
        for message in _messages(data, 1):  # Example.features
            for entry in _messages(message, 1):  # Features.feature, a map entry
                fields = {number: value for number, _, value in _fields(entry)}
                features[bytes(fields[1]).decode()] = _feature(fields.get(2, b""))
        return features
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise Damaged(f"A record is no tf.train.Example ({error}).") from error


def serialize(features: Mapping[str, Values]) -> bytes:
    """The bytes of a tf.train.Example with these features, in their order."""
    entries = b"".join(_tagged(1, _tagged(1, name.encode()) + _tagged(2, _list(v))) for name, v in features.items())
    return _tagged(1, entries)


def _feature(data: bytes) -> Values:
    for number, _, value in _fields(data):
        if number == 1:
            return [bytes(item) for item in _messages(value, 1)]
        if number == 2:
            return np.concatenate([_floats(w, v) for n, w, v in _fields(value) if n == 1] or [np.zeros(0, np.float32)])
        if number == 3:
            return np.concatenate([_integers(w, v) for n, w, v in _fields(value) if n == 1] or [np.zeros(0, np.int64)])
    return []


def _floats(wire: int, value: Any) -> npt.NDArray[np.float32]:
    if wire not in (_BYTES, _FIXED32):
        raise ValueError(f"floats of wire type {wire}")
    return np.frombuffer(value, "<f4").astype(np.float32)


def _integers(wire: int, value: Any) -> npt.NDArray[np.int64]:
    if wire == _VARINT:
        return np.array([value], np.uint64).astype(np.int64)
    return _varints(np.frombuffer(value, np.uint8))


def _varints(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Packed varints at once: seven bits a byte, the lowest first; the top bit says that more follow."""
    if not len(data):
        return np.zeros(0, np.int64)
    last = data < 0x80
    if not last[-1]:
        raise ValueError("a number is cut off")
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    place = np.arange(len(data)) - np.repeat(starts, np.diff([*starts, len(data)]))
    if place.max() > 9:
        raise ValueError("a number has more than ten bytes")
    bits = (data & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.add.reduceat(bits, starts).astype(np.int64)


def _messages(data: Any, number: int) -> Iterator[Any]:
    for field, wire, value in _fields(data):
        if field == number:
            if wire != _BYTES:
                raise ValueError(f"field {number} has wire type {wire}")
            yield value


def _fields(data: Any) -> Iterator[_Field]:
    """The fields of a message; values of bytes are views, nothing is copied."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        tag, at = _varint(view, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(view, at)
            yield tag >> 3, wire, value
            continue
        length, at = _varint(view, at) if wire == _BYTES else (_FIXED[wire], at)
        if at + length > len(view):
            raise ValueError("a field is cut off")
        yield tag >> 3, wire, view[at : at + length]
        at += length


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = view[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + place + 1
    raise ValueError("a number has more than ten bytes")


def _tagged(number: int, payload: bytes) -> bytes:
    return _to_varint(number << 3 | _BYTES) + _to_varint(len(payload)) + payload


def _list(values: Values) -> bytes:
    if isinstance(values, list):
        return _tagged(1, b"".join(_tagged(1, item) for item in values))
    if values.dtype.kind == "f":
        return _tagged(2, _tagged(1, values.astype("<f4").tobytes()))
    return _tagged(3, _tagged(1, b"".join(_to_varint(int(v) & 0xFFFFFFFFFFFFFFFF) for v in values)))


def _to_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
