from __future__ import annotations

import json
from pathlib import Path

import pytest
from export_fakes import settings

from pvla.errors import InputError


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text(json.dumps({"joint_steps": 5, "guidance": {"scale": 3.0}, "limits": {"velocity": [1.0] * 7}}))
    before, after = settings(), settings().changed_by_file(file)
    assert after.joint_steps == 5
    assert after.guidance == before.guidance.model_copy(update={"scale": 3.0})
    assert after.limits.velocity == (1.0,) * 7
    assert after.limits.position_low == before.limits.position_low
    assert after.stop == before.stop


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("{", "not JSON"),
        ("[1]", "JSON object"),
        ('{"speed": 1}', "speed"),
        ('{"guidance": {"mode": "hard"}}', "guidance.mode"),
        ('{"stop": {"threshold": 0}}', "stop.threshold"),
        ('{"limits": {"velocity": [1.0]}}', "limits"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, content: str, names: str) -> None:
    file = tmp_path / "s.json"
    file.write_text(content)
    with pytest.raises(InputError, match=names) as error:
        settings().changed_by_file(file)
    assert str(file) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json"):
        settings().changed_by_file(tmp_path / "none.json")
