"""Reading presets."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from pvla.core.config import Preset
from pvla.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def preset_names() -> list[str]:
    """Names of the presets that ship with pvla."""
    folder = resources.files("pvla") / "presets"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))


def load_preset(name_or_path: str) -> Preset:
    """A preset by its name, or from a TOML file.

    Raises:
        InputError: there is no such preset, or the file does not describe one; the message names the key.
    """
    path = Path(name_or_path)
    if not name_or_path.endswith(".toml"):
        if name_or_path not in preset_names():
            raise InputError(f"There is no preset {name_or_path!r}; choose one of {', '.join(preset_names())}.")
        text = (resources.files("pvla") / "presets" / f"{name_or_path}.toml").read_text()
    elif path.is_file():
        text = path.read_text()
    else:
        raise InputError(f"There is no preset file {path}.")
    try:
        return Preset.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"Preset {name_or_path} is not valid TOML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"Preset {name_or_path}, key {where}: {first['msg']}.") from error
