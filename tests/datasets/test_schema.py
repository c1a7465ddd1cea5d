from __future__ import annotations

import pytest
from pydantic import ValidationError

from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo


def test_json_round_trip(info: DatasetInfo) -> None:
    assert DatasetInfo.model_validate_json(info.model_dump_json()) == info


def test_dimensions_and_cameras(info: DatasetInfo) -> None:
    assert (info.action_dim, info.state_dim) == (3, 3)
    assert info.camera("wrist").width == 16
    with pytest.raises(KeyError):
        info.camera("left")


def test_every_name_has_a_unit() -> None:
    with pytest.raises(ValidationError, match="1 units for 2 names"):
        ActionSpace(kind="eef_delta", names=["x", "y"], units=["m"], frame="base", rate_hz=5)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a\n"])
def test_names_stay_in_their_folder(name: str) -> None:
    with pytest.raises(ValidationError):
        Camera(name=name, height=1, width=1)


def test_unknown_fields_are_refused(info: DatasetInfo) -> None:
    with pytest.raises(ValidationError):
        DatasetInfo.model_validate({**info.model_dump(), "frequency": 3})
