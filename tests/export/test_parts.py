from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from export_fakes import card, parts, preset, write_tokenizer

from pvla.core.checkpoint import load_card, read_tensors, save_part
from pvla.errors import InputError
from pvla.export.parts import (
    CARRIED,
    STAGES,
    find_checkpoints,
    load_policy,
    newest_runs,
    require_encoders,
    require_stages,
)


def touch(root: Path, stages: tuple[str, ...], layout: str, when: float = 0.0) -> None:
    for stage in stages:
        file = root / layout.format(stage)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        os.utime(file, (when, when))


@pytest.mark.parametrize("layout", ["{}/checkpoint.safetensors", "{}.safetensors", "checkpoints/{}.safetensors"])
def test_checkpoints_are_found_in_runs_and_in_bundles(tmp_path: Path, layout: str) -> None:
    touch(tmp_path, (*STAGES, *CARRIED), layout)
    found = find_checkpoints(tmp_path)
    assert found == {stage: tmp_path / layout.format(stage) for stage in (*STAGES, *CARRIED)}


def test_the_newest_whole_set_wins(tmp_path: Path) -> None:
    layout = "{}/checkpoint.safetensors"
    assert newest_runs(tmp_path) is None
    touch(tmp_path / "old", STAGES, layout, 1e9)
    touch(tmp_path / "new", STAGES, layout, 2e9)
    touch(tmp_path / "half", STAGES[1:], layout, 3e9)
    assert newest_runs(tmp_path) == tmp_path / "new"
    touch(tmp_path, STAGES, layout, 4e9)
    assert newest_runs(tmp_path) == tmp_path


def test_a_missing_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fast-evaluator"):
        require_stages({"evaluator": tmp_path / "e.safetensors"}, tmp_path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"data": "other"}, "data"),
        ({"inputs": {"encoders": "other"}}, "encoders"),
        ({"preset": {**preset().model_dump(mode="json"), "name": "other"}}, "presets"),
    ],
)
def test_checkpoints_of_different_trainings_are_refused(tmp_path: Path, change: dict[str, object], what: str) -> None:
    found = {}
    for stage in STAGES:
        found[stage] = tmp_path / f"{stage}.safetensors"
        save_part(found[stage], torch.nn.Linear(1, 1), card(stage, preset()))
    assert require_stages(found, tmp_path) == preset()
    save_part(found["latent-expert"], torch.nn.Linear(1, 1), replace(card("latent-expert", preset()), **change))
    with pytest.raises(InputError, match=f"different {what}"):
        require_stages(found, tmp_path)


def test_networks_must_have_been_trained_on_these_encoders() -> None:
    cards = {"evaluator": card("evaluator", preset())}
    require_encoders(cards, "key")
    with pytest.raises(InputError, match="encoders"):
        require_encoders(cards, "another")


def test_writing_rounds_files_and_networks_alike(tmp_path: Path) -> None:
    source = tmp_path / "world.safetensors"
    save_part(source, torch.nn.Linear(3, 3), card("world-model", preset()))
    made = replace(parts(write_tokenizer(tmp_path / "tokenizer.json")), carried={CARRIED[0]: source})
    folder = tmp_path / "checkpoints"
    made.write(folder, half=True)
    assert {file.stem for file in folder.iterdir()} == {*STAGES, "vision", "text", CARRIED[0]}
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o777 == 0o644
        assert all(t.dtype == torch.float16 for t in read_tensors(file)[0].values())
    assert load_card(folder / "evaluator.safetensors").stage == "evaluator"
    again, _ = load_policy(find_checkpoints(tmp_path), made.preset)
    for name, value in made.policy.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
