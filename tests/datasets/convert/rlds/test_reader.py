from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rlds_fixtures import make_rlds, numbers, picture, record

from pvla.datasets.convert.conversion import convert
from pvla.datasets.convert.rlds import example, tfrecord
from pvla.datasets.convert.rlds import reader as rlds
from pvla.datasets.convert.source import Choices, Damaged
from pvla.datasets.store import Store
from pvla.datasets.validate import validate
from pvla.errors import InputError

SHARED = Path(os.environ.get("PVLA_SHARED_DATA", "../shared/data"))


def kinds(source: rlds.RldsSource, kind: str) -> list[str]:
    return [f"{finding.where}: {finding.what}" for finding in source.findings if finding.kind == kind]


def test_every_number_text_and_picture_arrives(tmp_path: Path) -> None:
    source = make_rlds(tmp_path / "source", [3, 5])
    convert(source, tmp_path / "out", workers=0)
    with Store.open(tmp_path / "out") as store:
        assert [camera.name for camera in store.info.cameras] == ["observation.image", "observation.wrist.image"]
        episode = store.episode("train-00000-00001")
        assert np.array_equal(episode.action, numbers(1, 5, 7))
        assert np.array_equal(episode.state, numbers(101, 5, 3))
        assert np.array_equal(episode.extras["observation.pose"], numbers(1, 5, 16))
        assert episode.extras["is_terminal"].ravel().tolist() == [0, 0, 0, 0, 1]
        assert episode.instruction == "stack the bowls"
        assert episode.success is True
        # JPEG stays as it is to the byte; PNG is encoded once.
        assert [episode.jpeg("observation.image", t) for t in range(5)] == [picture(1, t) for t in range(5)]
        assert episode.image("observation.wrist.image", 4).shape == (16, 16, 3)


def test_what_has_no_place_is_told(tmp_path: Path) -> None:
    source = rlds.open_source(make_rlds(tmp_path / "source", [3]), Choices())
    told = "\n".join(kinds(source, "left out"))
    assert "steps/language_embedding" in told
    assert "steps/contacts" in told
    assert "the rate of control" in "\n".join(kinds(source, "assumed"))
    assert source.info.action_space.kind == "unknown"


@pytest.mark.parametrize("where", ["source", "source/1.0.0", "source/1.0.0/one"])
def test_a_dataset_a_version_or_one_file(tmp_path: Path, where: str) -> None:
    version = make_rlds(tmp_path / "source", [3, 4, 5], per_shard=2)
    path = tmp_path / where
    if path.name == "one":
        path = next(version.glob("*00000-of-00002"))
    assert rlds.recognise(path)
    source = rlds.open_source(path, Choices())
    assert len(source.refs) == (2 if path.is_file() else 3)
    assert [len(source.read(ref).action) for ref in source.refs] == [3, 4, 5][: len(source.refs)]


def test_the_newest_version_is_taken_and_said(tmp_path: Path) -> None:
    make_rlds(tmp_path / "source", [3])
    os.rename(tmp_path / "source" / "1.0.0", tmp_path / "source" / "0.9.0")
    make_rlds(tmp_path / "source2", [3, 3])
    os.rename(tmp_path / "source2" / "1.0.0", tmp_path / "source" / "0.10.0")
    source = rlds.open_source(tmp_path / "source", Choices())
    assert len(source.refs) == 2
    assert any("version 0.10.0" in told for told in kinds(source, "left out"))


def test_missing_shards_and_counts_are_listed(tmp_path: Path) -> None:
    version = make_rlds(tmp_path / "source", [3, 4, 5], per_shard=1)
    next(version.glob("*00001-of-00003")).unlink()
    last = next(version.glob("*00002-of-00003"))
    last.write_bytes(last.read_bytes() * 2)
    source = rlds.open_source(version, Choices())
    assert len(source.refs) == 3
    missing = kinds(source, "missing")
    assert any("00001-of-00003: a shard is not there" in told for told in missing)
    assert any("2 of 1 episodes" in told for told in missing)
    assert source.declared_episodes == 3


def test_without_features_json_the_first_record_tells(tmp_path: Path) -> None:
    version = make_rlds(tmp_path / "source", [3, 4])
    with_features = rlds.open_source(version, Choices())
    (version / "features.json").unlink()
    (version / "dataset_info.json").unlink()
    source = rlds.open_source(version, Choices())
    assert any("features.json is not there" in told for told in kinds(source, "assumed"))
    assert any("dataset_info.json is not there" in told for told in kinds(source, "missing"))
    assert sorted(c.name for c in source.info.cameras) == sorted(c.name for c in with_features.info.cameras)
    for ref in source.refs:
        assert np.array_equal(source.read(ref).action, with_features.read(ref).action)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"steps/action": np.ones(20, np.float32)}, "numbers for 3 steps"),
        ({"steps/observation/image": [b"x"]}, "1 pictures for 3 steps"),
        ({"steps/observation/state": []}, "no steps/observation/state"),
        ({"steps/is_first": [], "steps/is_last": [], "steps/is_terminal": [], "steps/reward": []}, ""),
    ],
)
def test_an_episode_that_is_not_as_declared(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    version = make_rlds(tmp_path / "source", [3])
    shard = next(version.glob("*.tfrecord*"))
    with shard.open("ab") as file:
        file.write(tfrecord.frame(example.serialize(record(1, 3, **change))))
    source = rlds.open_source(version, Choices())
    if not why:
        assert len(source.read(source.refs[1]).action) == 3  # the texts still tell how many steps there are
        return
    with pytest.raises(Damaged, match=why):
        source.read(source.refs[1])


@pytest.mark.parametrize(
    ("features", "why"),
    [
        ("{", "no features.json"),
        ('{"featuresDict": {"features": {"label": {"tensor": {"shape": {}, "dtype": "int64"}}}}}', "declares no steps"),
    ],
)
def test_features_json_that_is_none(tmp_path: Path, features: str, why: str) -> None:
    version = make_rlds(tmp_path / "source", [3])
    (version / "features.json").write_text(features)
    with pytest.raises(InputError, match=why):
        rlds.open_source(version, Choices())


def test_files_without_a_whole_record(tmp_path: Path) -> None:
    version = make_rlds(tmp_path / "source", [3])
    shard = next(version.glob("*.tfrecord*"))
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(InputError, match="ends within record 0"):
        rlds.open_source(version, Choices())


@pytest.mark.skipif(not (SHARED / "rlds_bridge").is_dir(), reason="PVLA_SHARED_DATA has no rlds_bridge")
def test_a_real_dataset_against_a_plain_parse(tmp_path: Path) -> None:
    path = SHARED / "rlds_bridge" / "1.0.0"
    report = convert(path, tmp_path / "out", workers=0)
    assert report.tally.episodes_out == 25
    assert [problem for problem in validate(tmp_path / "out") if problem.level == "error"] == []
    data = next(path.glob("*.tfrecord*")).read_bytes()
    with Store.open(tmp_path / "out") as store:
        for episode in store:
            # JPEG files and packed floats lie in the file as they are: they are found without any parser.
            assert episode.length == 10
            assert all(episode.jpeg(camera, t) in data for camera in episode.cameras for t in range(10))
            assert episode.extras["action"].astype("<f4").tobytes() in data
            assert episode.extras["observation.state"].astype("<f4").tobytes() in data
            assert episode.instruction.encode() in data
        assert store.frames == 250
        assert [camera.name for camera in store.info.cameras] == ["image_0", "image_1", "image_2", "image_3"]
        assert store.info.action_space.gripper == "1 = open, 0 = closed"
    declared = json.loads((path / "dataset_info.json").read_text())["splits"][0]["shardLengths"]
    assert sum(map(int, declared)) == 25
