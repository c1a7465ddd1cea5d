from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

from pvla.export.net import Net
from pvla.export.weights import SMALLEST, WeightIndex


@pytest.fixture
def weight() -> torch.Tensor:
    return torch.randn(5, 9, generator=torch.Generator().manual_seed(0)).half()


def saved(folder: Path, weight: torch.Tensor, **more: torch.Tensor) -> WeightIndex:
    (folder / "checkpoints").mkdir()
    file = folder / "checkpoints" / "part.safetensors"
    save_file({"w": weight, **more}, file)
    return WeightIndex({"checkpoints/part.safetensors": file})


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_linked_weight_is_read_from_the_checkpoint(
    tmp_path: Path, weight: torch.Tensor, dtype: torch.dtype, transposed: bool
) -> None:
    index = saved(tmp_path, weight.to(dtype), other=torch.ones(3, 3, dtype=torch.float64))
    values = (weight.T if transposed else weight).float().numpy()
    link = index.find(values)
    assert link is not None
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, values.shape)
    net = Net([], [y], [helper.make_node("Identity", [link.name], ["y"])])
    net.constants[link.stored.name] = link.stored.initializer()
    net.prologue.update({node.output[0]: node for node in link.nodes})
    file = tmp_path / "g.onnx"
    file.write_bytes(net.model("g").SerializeToString())
    assert file.stat().st_size < 1000
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {})[0], values)


def test_what_is_small_unknown_or_not_float_stays_in_the_graph(tmp_path: Path, weight: torch.Tensor) -> None:
    index = saved(tmp_path, weight, tiny=torch.arange(SMALLEST - 1).half())
    assert index.find(np.arange(SMALLEST - 1, dtype=np.float32)) is None
    assert index.find(np.zeros((6, 9), np.float32)) is None
    assert index.find(weight.to(torch.int64).numpy()) is None
    assert index.find(weight.float().reshape(9, 5).numpy()) is None
