from __future__ import annotations

from pathlib import Path

import pytest

from pvla.core.config import Preset
from pvla.core.presets import load_preset, preset_names
from pvla.errors import InputError

WIDTH32 = Path(__file__).with_name("width32.toml")


@pytest.mark.parametrize("name", preset_names())
def test_shipped_presets_load(name: str) -> None:
    preset = load_preset(name)
    assert preset.name == name
    stages = {"progress", "world-model", "evaluator", "fast-evaluator", "latent-expert", "action-decoder"}
    assert stages <= set(preset.train)
    for part in (preset.latent_expert, preset.action_decoder):
        assert preset.world.latent_tokens % part.group == 0
        assert part.width % part.heads == 0
    assert preset.actions.horizon % preset.action_decoder.group == 0
    assert Preset.model_validate(preset.model_dump(mode="json")) == preset


def test_tiny_has_the_sizes_of_the_demo() -> None:
    preset = load_preset("tiny")
    assert (preset.patches, preset.vision.width, preset.text.tokens, preset.text.width) == (8, 192, 16, 128)
    assert (preset.world.latent_tokens, preset.world.latent_dim, preset.world.gap) == (4, 16, 8)
    assert (preset.actions.horizon, preset.actions.width, preset.actions.state) == (8, 7, 7)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("hidden = 32", "hiden = 32", "progress.hid"),
        ("vq = false", "vq = false\nsurplus = 1", "world.surplus"),
        ('kind = "linear"', 'kind = "quadratic"', "latent_schedule.kind"),
        ("relative = [true, true, false]", "relative = [true, true]", "2 flags for 3"),
        ("name =", "name", "not valid TOML"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(tmp_path: Path, old: str, new: str, named: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(WIDTH32.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=named) as error:
        load_preset(str(file))
    assert "\n" not in str(error.value)


def test_unknown_presets_are_refused_with_the_choice() -> None:
    with pytest.raises(InputError, match="tiny"):
        load_preset("huge")
    with pytest.raises(InputError, match=r"no preset file absent\.toml"):
        load_preset("absent.toml")
