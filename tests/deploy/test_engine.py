from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx_bundle import write_onnx_bundle

from pvla.deploy.bundle import Bundle
from pvla.deploy.engine import OnnxEngine
from pvla.errors import InputError, RunFault


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_onnx_bundle(tmp_path_factory.mktemp("onnx") / "bundle")


def test_runs_a_graph(bundle: Bundle) -> None:
    out = OnnxEngine(bundle).run("score", {"x_z": np.full((1, 2, 3), 0.5, np.float32)})
    assert list(out) == ["q"]
    np.testing.assert_allclose(out["q"], [0.5])


def test_guided_step_is_the_bundles_ddim_step(bundle: Bundle) -> None:
    from pvla.deploy.sampler import ddim_step

    x = np.random.default_rng(0).standard_normal((1, 2, 3), dtype=np.float32)
    one = np.ones(1, np.float32)
    feeds = {"x_z": x, "tau": one, "alpha_bar": one * 0.3, "alpha_bar_prev": one * 0.6, "scale": one * 2}
    out = OnnxEngine(bundle).run("latent_step_fast", {**feeds, "goal": np.zeros((1, 1, 7), np.float32)})
    eps = out["eps"] - 2 * np.sqrt(0.7) * out["grad"]
    np.testing.assert_allclose(ddim_step(x, eps, 0.3, 0.6, 100.0), out["x_z_next"], atol=1e-5)


def test_unknown_graph(bundle: Bundle) -> None:
    with pytest.raises(InputError, match="has no graph 'sampler_full'"):
        OnnxEngine(bundle).run("sampler_full", {})


def test_wrong_feeds_are_named(bundle: Bundle) -> None:
    engine = OnnxEngine(bundle)
    with pytest.raises(RunFault, match="fed with wrong inputs: x_z"):
        engine.run("score", {})
    with pytest.raises(RunFault, match=r"Input x_z of graph score is float64\[1, 2, 3\] instead of float32"):
        engine.run("score", {"x_z": np.zeros((1, 2, 3))})


def test_file_that_is_no_graph(tmp_path: Path) -> None:
    from deploy_fakes import write_bundle

    with pytest.raises(InputError, match=r"a\.onnx cannot be loaded by onnxruntime"):
        OnnxEngine(write_bundle(tmp_path)).run("text", {"tokens": np.zeros((1, 6), np.int64)})
