from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from rlds_fixtures import make_rlds

from pvla.cli.main import run
from pvla.datasets.store import Store


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_rlds(tmp_path / "source", [4, 5, 3])


def call(*arguments: object) -> int:
    return run([str(argument) for argument in arguments])


def test_a_whole_source(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("data", "convert", source, tmp_path / "out", "--workers", 1) == 0
    told = capsys.readouterr().out
    assert "3 episodes of 3 declared, 12 of 12 frames" in told
    assert "'stack the bowls' (3x)" in told
    assert "left out" in told
    assert call("data", "validate", tmp_path / "out") == 0


def test_columns_that_are_not_shown_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.random.default_rng(0).normal(size=(6, 20)).astype(np.float32)
    with h5py.File(tmp_path / "episode_0.hdf5", "w") as file:
        file["action"] = file["observations/qpos"] = values
    wide = tmp_path / "episode_0.hdf5"
    call("data", "convert", wide, tmp_path / "out", "--workers", 1, "--instruction", "fold", "--fps", 50)
    told = capsys.readouterr().out
    assert told.count(" to ") == 16
    assert "and 4 more: --verbose and the report list them" in told
    call("data", "convert", wide, tmp_path / "all", "--workers", 1, "--instruction", "fold", "--fps", 50, "--verbose")
    assert capsys.readouterr().out.count(" to ") == 20


def test_a_source_with_losses_exits_with_1_and_lists_them(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = next(source.glob("*.tfrecord*"))
    shard.write_bytes(shard.read_bytes()[:-10])
    assert call("data", "convert", source, tmp_path / "out", "--workers", 1, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["lost"] == 2  # the cut shard, and its count
    assert document["episodes"]["converted"] == 2
    assert any("ends within record 2" in finding["what"] for finding in document["findings"])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nothing", "out"], "There is nothing at"),
        (["source", "out", "--format", "zarr"], "There is no format zarr"),
        (["source", "out", "--shard", "9"], "A part is written i/n"),
        (["source", "out", "--shard", "3/2"], "There is no part 3 of 2"),
        (["source", "out", "--action", "best"], "--action is as-recorded or next-state"),
        (["source", "out", "--drop-noops"], "leave away --drop-noops"),
        (["source", "source"], "is not empty|the source itself"),
    ],
)
def test_bad_input_is_one_sentence(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("data", "convert", *arguments) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert any(part in told for part in why.split("|"))
    assert "Traceback" not in told


def test_export_and_back(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    assert call("data", "convert", source, tmp_path / "store", "--workers", 1) == 0
    assert call("data", "export", tmp_path / "store", "--workers", 1) == 0
    assert "3 episodes, 12 frames, as LeRobot v3.0" in " ".join(capsys.readouterr().out.split())
    assert call("data", "convert", tmp_path / "store-lerobot", tmp_path / "back", "--workers", 1) == 0
    with Store.open(tmp_path / "store") as one, Store.open(tmp_path / "back") as other:
        assert [episode.action.tolist() for episode in one] == [episode.action.tolist() for episode in other]
    assert call("data", "export", tmp_path / "store") == 2
