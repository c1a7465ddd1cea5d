from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pvla.cli import main
from pvla.core.checkpoint import weights_hash
from pvla.deploy import bundle as bundles

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))

from export_fakes import parts, write_tokenizer


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace, and no demo bundle either."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bundles, "demo_bundle", lambda: tmp_path / "nowhere")
    return tmp_path


def sentence(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int = 2) -> str:
    assert main.run(["export", *arguments]) == code
    printed = capsys.readouterr().err.strip()
    assert "Traceback" not in printed
    return printed.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], "nowhere lacks the checkpoint of evaluator"),
        (["--runs", "missing"], "no folder missing"),
        (["--guidance", "hard"], "guidance.mode"),
        (["--threshold", "0"], "stop.threshold"),
        (["--settings", "none.json"], r"none.json"),
        (["--target", "toaster"], "toaster"),
        (["--strange"], "--strange"),
    ],
)
def test_bad_input_is_one_sentence(
    empty: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], names: str
) -> None:
    assert names in sentence(capsys, arguments)


def test_a_run_without_every_stage_is_refused(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (empty / "runs" / "evaluator").mkdir(parents=True)
    (empty / "runs" / "evaluator" / "checkpoint.safetensors").write_bytes(b"")
    assert "fast-evaluator" in sentence(capsys, ["--runs", "runs"])


@pytest.mark.slow
def test_checkpoints_become_a_bundle(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = empty / "runs"
    _write_checkpoints(runs)
    assert main.run(["export", "--runs", "runs", "--scale", "2", "--threshold", "0.9", "--json", "-q"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["bundle"] == "bundles/runs"
    manifest = bundles.Bundle.load(empty / "bundles" / "runs").manifest
    assert (manifest.sampling.guidance.scale, manifest.stop.threshold) == (2.0, 0.9)
    assert manifest.limits.position_low[0] == pytest.approx(-3.14)
    assert set(document["parity"]) == set(manifest.graphs)


def _write_checkpoints(folder: Path) -> None:
    """A folder as a bundle's `checkpoints` is: the encoders lie beside the stages."""
    folder.mkdir(parents=True)
    made = parts(write_tokenizer(folder / "tokenizer.json"))
    made.write(folder, half=True)
    key = f"tiny_vit-{weights_hash(made.vision)}-{weights_hash(made.text)}"
    cards = {name: replace(card, inputs={"encoders": key}) for name, card in made.cards.items()}
    replace(made, cards=cards).write(folder, half=True)
