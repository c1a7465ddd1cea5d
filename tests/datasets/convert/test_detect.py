from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_fixtures import make_robomimic, robosuite_demo
from rlds_fixtures import make_rlds

from pvla.datasets.convert.conversion import convert
from pvla.datasets.convert.detect import FORMATS, open_source
from pvla.datasets.store import Store
from pvla.errors import InputError


@pytest.fixture(params=["empty folder", "text", "nothing", "png", "other hdf5", "link in a circle", "pointer"])
def strange(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "data.hdf5"
    if request.param == "empty folder":
        path.mkdir()
    elif request.param == "nothing":
        path.write_bytes(b"")
    elif request.param == "other hdf5":
        with h5py.File(path, "w") as file:
            file["weights/layer1"] = np.zeros(3)
    elif request.param == "link in a circle":
        path.mkdir()
        (path / "again").symlink_to(path)
        (path / "thesis.txt").write_text("mine")
    else:
        content = {
            "text": b"hello",
            "png": b"\x89PNG\r\n",
            "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        }
        path.write_bytes(content[request.param])
    return path


def test_what_is_of_no_format_is_named_by_what_it_has(strange: Path) -> None:
    with pytest.raises(InputError) as raised:
        open_source(strange)
    message = str(raised.value)
    assert str(strange) in message
    assert "\n" not in message


@pytest.mark.parametrize("format", [format.name for format in FORMATS])
def test_a_format_that_is_named_wrongly_is_one_sentence(strange: Path, format: str) -> None:
    with pytest.raises(InputError):
        open_source(strange, format)


def test_a_folder_above_a_dataset_names_it(tmp_path: Path) -> None:
    (tmp_path / "recordings/bowls/meta").mkdir(parents=True)
    (tmp_path / "recordings/bowls/meta/info.json").write_text('{"codebase_version": "v3.0"}')
    with pytest.raises(InputError, match=r"is no dataset, but .*recordings/bowls looks like one .* lerobot"):
        open_source(tmp_path)


def test_a_dataset_of_another_format_beside_hdf5_files_is_said(tmp_path: Path) -> None:
    make_robomimic(tmp_path / "lab/demo.hdf5", {"demo_0": robosuite_demo(0, 4)})
    (tmp_path / "bowls/meta").mkdir(parents=True)
    (tmp_path / "bowls/meta/info.json").write_text('{"codebase_version": "v3.0"}')
    source = open_source(tmp_path)
    assert source.format == "robomimic"
    assert [(found.kind, found.where) for found in source.findings if "another format" in found.what] == [
        ("left out", "bowls")
    ]


def test_keys_of_hdf5_files_below_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with h5py.File(tmp_path / "logs/run.h5", "w") as file:
        file["policy/actions"] = np.zeros(3)
    with pytest.raises(InputError, match=r"it has logs, with the keys policy/actions in logs/run.h5\."):
        open_source(tmp_path)


def test_only_one_format_takes_a_dataset(tmp_path: Path) -> None:
    path = make_rlds(tmp_path / "source", [3])
    assert [format.name for format in FORMATS if format.recognises(path)] == ["rlds"]


def test_an_unknown_format() -> None:
    with pytest.raises(InputError, match="no format zarr: give auto, lerobot"):
        open_source(Path("x"), "zarr")


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    version = make_rlds(tmp_path / "source", [3, 3])
    shard = next(version.glob("*.tfrecord*"))
    os.rename(bytes(shard), bytes(shard.parent) + b"/b\xffd.tfrecord")
    report = convert(version, tmp_path / "out", workers=0)
    assert report.tally.episodes_out == 2
    with Store.open(tmp_path / "out") as store:
        assert store[0].entry.source_id == "b?d.tfrecord[0]"
