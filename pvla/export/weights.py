"""Weights are stored once: initializers of the graphs point into the checkpoints' files (ONNX external data).

An initializer is recognised by its content. The tracer may keep a weight or its transpose, and a file may hold it in
float16; a Cast and a Transpose then stand between the stored tensor and its readers, which runtimes fold at loading.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

Array = npt.NDArray[Any]

SMALLEST = 32
"""Tensors with fewer numbers stay in the graph: a reference would take more room."""

DTYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype(np.float16), "F32": np.dtype(np.float32)}


@dataclass(frozen=True)
class Stored:
    """A tensor inside a safetensors file: where its bytes lie, and under which name they are known."""

    name: str
    location: str
    offset: int
    length: int
    dtype: str
    shape: tuple[int, ...]

    def initializer(self) -> onnx.TensorProto:
        """The stored tensor, by reference."""
        half = self.dtype == "F16"
        proto = onnx.TensorProto(
            name=self.name,
            dims=self.shape,
            data_type=onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT,
            data_location=onnx.TensorProto.EXTERNAL,
        )
        for key, value in (("location", self.location), ("offset", self.offset), ("length", self.length)):
            proto.external_data.add(key=key, value=str(value))
        return proto


@dataclass(frozen=True)
class Link:
    """A float32 value that comes from a stored tensor: its name, the nodes that make it, in order."""

    name: str
    stored: Stored
    nodes: tuple[onnx.NodeProto, ...]


class WeightIndex:
    """All tensors of some safetensors files, found by their content.

    Args:
        files: the files, by the path under which graphs beside them will refer to them.
    """

    def __init__(self, files: dict[str, Path]) -> None:
        self._by_content: dict[str, tuple[Stored, bool]] = {}
        for location, file in files.items():
            for stored, values in _stored_tensors(location, file):
                self._by_content.setdefault(_key(values), (stored, False))
                if values.ndim == 2:
                    self._by_content.setdefault(_key(values.T), (stored, True))

    def find(self, values: Array) -> Link | None:
        """Where an initializer (float32) is stored; None for what is small, of another type, or in no file."""
        if values.dtype != np.float32 or values.size < SMALLEST:
            return None
        found = self._by_content.get(_key(values))
        return None if found is None else _link(*found)


def _link(stored: Stored, transposed: bool) -> Link:
    name, nodes = stored.name, []
    if stored.dtype == "F16":
        nodes.append(helper.make_node("Cast", [name], [f"{name}:f32"], to=onnx.TensorProto.FLOAT))
        name = f"{name}:f32"
    if transposed:
        nodes.append(helper.make_node("Transpose", [name], [f"{name}:t"], perm=[1, 0]))
        name = f"{name}:t"
    return Link(name, stored, tuple(nodes))


def _stored_tensors(location: str, file: Path) -> list[tuple[Stored, Array]]:
    """Floating-point tensors of a safetensors file with their values in float32."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    tensors = []
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in DTYPES:
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[start + begin : start + end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        label = f"{file.stem}/{name}"
        stored = Stored(label, location, start + begin, end - begin, entry["dtype"], tuple(entry["shape"]))
        tensors.append((stored, values.astype(np.float32)))
    return tensors


def _key(values: Array) -> str:
    return f"{values.shape}{hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()}"
