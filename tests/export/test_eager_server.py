from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pvla.core.checkpoint import Card
from pvla.core.presets import load_preset
from pvla.core.text import build_text
from pvla.core.vision import build_vision
from pvla.deploy.manifest import Sampling
from pvla.export.eager_server import eager_runs, load_parts, serve
from pvla.export.parts import STAGES, Parts, empty_policy

WIDTH32 = Path(__file__).parents[1] / "core" / "width32.toml"


def test_each_request_runs_once_and_is_answered_in_seconds() -> None:
    ran: list[str] = []
    runs = {name: lambda name=name: ran.append(name) or {} for name in ("vision", "text")}
    answers = io.StringIO()
    serve(runs, io.StringIO("text\nvision\ntext\n"), answers)
    first, *seconds = answers.getvalue().splitlines()
    assert first == "ready vision|text"
    assert ran == ["text", "vision", "text"]
    assert all(float(line) >= 0 for line in seconds)
    assert len(seconds) == 3


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    preset = load_preset(str(WIDTH32))
    names = (*STAGES, "vision", "text")
    cards = {n: Card(stage=n, preset=preset.model_dump(mode="json"), step=1, seed=0, data="d") for n in names}
    folder = tmp_path_factory.mktemp("eager")
    found = Parts(
        empty_policy(preset), build_vision(preset.vision), build_text(preset.text), folder / "tokenizer.json", cards
    )
    found.write(folder / "checkpoints", half=False)
    return found


def test_networks_come_back_from_a_bundles_checkpoints(parts: Parts) -> None:
    loaded = load_parts(parts.tokenizer.parent)
    for name, network in loaded.networks().items():
        for key, tensor in parts.networks()[name].state_dict().items():
            torch.testing.assert_close(network.state_dict()[key], tensor, rtol=0, atol=0)
        assert not network.training


def test_every_graph_of_a_bundle_runs(parts: Parts) -> None:
    graphs = {"vision", "progress", "context", "latent_step_full", "joint_step_fast", "sampler_full"}
    sampling = Sampling(latent_steps=2, joint_steps=2, clip_latent=4.0, clip_action=1.0)
    manifest = SimpleNamespace(sampling=sampling, graphs=dict.fromkeys([*graphs, "of_another_target"]))
    runs = eager_runs(SimpleNamespace(path=parts.tokenizer.parent, manifest=manifest))  # type: ignore[arg-type]
    assert set(runs) == graphs
    for run in runs.values():
        assert all(torch.isfinite(value).all() for value in run().values())
