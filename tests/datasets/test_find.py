from __future__ import annotations

from pathlib import Path

import pytest

from pvla.datasets.find import find_dataset
from pvla.errors import InputError


def put(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text("{}")
    return folder


def test_the_one_dataset_is_meant(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    only = put(tmp_path / "demo")
    assert find_dataset(folder=tmp_path) == only


def test_a_named_path_is_meant(tmp_path: Path) -> None:
    put(tmp_path / "demo")
    assert find_dataset(Path("elsewhere"), tmp_path) == Path("elsewhere")


def test_none_and_several(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no dataset under .*`pvla data demo`"):
        find_dataset(folder=tmp_path)
    one, two = put(tmp_path / "one"), put(tmp_path / "two")
    with pytest.raises(InputError, match=f"several datasets .*{one}, {two}"):
        find_dataset(folder=tmp_path)
