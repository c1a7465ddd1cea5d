"""What a bundle says besides its networks: sampling, control, stopping, limits. From defaults, a bundle or a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pvla.deploy.manifest import BundleContent, ChainSpec, Control, Guidance, Limits, Part, Stop
from pvla.errors import InputError


class Settings(Part):
    """Everything in a bundle that training does not decide.

    Attributes:
        latent_steps: strided DDIM steps of stage 1.
        joint_steps: of stage 2.
        guidance: how progress guides sampling by default.
        control: rate and rhythm of the closed loop.
        stop: when progress says done.
        limits: what the arm may do.
        kinematics: of the arm; None where the runtime knows it (the simulated arm).
    """

    latent_steps: int = 10
    joint_steps: int = 10
    guidance: Guidance = Guidance(mode="fast", scale=1.0)
    control: Control = Control()
    stop: Stop = Stop(threshold=0.95, consecutive=2)
    limits: Limits
    kinematics: ChainSpec | None = None

    @classmethod
    def of(cls, content: BundleContent) -> Settings:
        """The settings of an existing bundle."""
        return cls(
            latent_steps=content.sampling.latent_steps,
            joint_steps=content.sampling.joint_steps,
            guidance=content.sampling.guidance,
            control=content.control,
            stop=content.stop,
            limits=content.limits,
            kinematics=content.kinematics,
        )

    def changed_by_file(self, file: Path) -> Settings:
        """These settings with what a JSON file changes (see `changed`)."""
        return self.changed(_read(file), f"Settings file {file}")

    def changed(self, document: dict[str, Any], where: str) -> Settings:
        """These settings with what `document` changes; a key that it leaves out stays, inside the groups too.

        Args:
            document: new values by key, groups as dictionaries.
            where: what the values come from, for the message.

        Raises:
            InputError: a key is unknown, or its value is none that it can have.
        """
        try:
            return Settings.model_validate(_merged(self.model_dump(), document))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "settings"
            raise InputError(f"{where}: {key}: {first['msg']}.") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Settings file {file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"Settings file {file} is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise InputError(f"Settings file {file} must hold one JSON object.")
    return document


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`base` with `change` laid over it, dictionaries key by key."""
    both = dict(base)
    for key, value in change.items():
        old = base.get(key)
        both[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both
