"""The trained parts that a bundle is made of, found in a folder of runs or in a bundle, and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from pvla.core.checkpoint import Card, load_card, load_part, read_tensors, save_part, write_tensors
from pvla.core.config import Preset
from pvla.core.denoiser import ActionDecoder, LatentActionExpert
from pvla.core.evaluator import Evaluator, FastEvaluator
from pvla.core.sampling import Policy
from pvla.core.text import TextEncoder
from pvla.core.vision import VisionEncoder
from pvla.errors import InputError

STAGES = ("evaluator", "fast-evaluator", "latent-expert", "action-decoder")
"""Stages whose networks are in the graphs."""

CARRIED = ("world-model",)
"""Stages that a bundle only carries along, so that training can go on from it."""


@dataclass(frozen=True)
class Parts:
    """All networks of a bundle, in evaluation mode and frozen.

    Attributes:
        policy: denoisers and evaluators.
        vision: frozen vision encoder.
        text: frozen text encoder.
        tokenizer: the tokenizer's file.
        cards: of everything above by name: the `STAGES`, "vision" and "text".
        carried: further checkpoints to put into the bundle, by name.
    """

    policy: Policy
    vision: VisionEncoder
    text: TextEncoder
    tokenizer: Path
    cards: Mapping[str, Card]
    carried: Mapping[str, Path] = field(default_factory=dict)

    @property
    def preset(self) -> Preset:
        """The preset of the parts."""
        return self.policy.preset

    def networks(self) -> dict[str, nn.Module]:
        """Every network with a checkpoint of its own, by the checkpoint's name."""
        return {**_stage_networks(self.policy), "vision": self.vision, "text": self.text}

    def write(self, folder: Path, half: bool) -> None:
        """Write every checkpoint to `folder`, and make the networks equal to what was written.

        With `half` the files hold float16; the networks keep float32 numbers, rounded.
        """
        for name, network in self.networks().items():
            file = folder / f"{name}.safetensors"
            save_part(file, network, self.cards[name], half)
            load_part(file, network)
        for name, source in self.carried.items():
            _copy(source, folder / f"{name}.safetensors", half)
        for file in folder.iterdir():
            file.chmod(0o644)  # safetensors writes for the owner alone, but a bundle is handed on


def find_checkpoints(folder: Path) -> dict[str, Path]:
    """The stages' checkpoints in a folder of runs, a bundle, or a bundle's `checkpoints`, by stage."""
    layouts = ("{}/checkpoint.safetensors", "checkpoints/{}.safetensors", "{}.safetensors")
    candidates = {stage: [folder / layout.format(stage) for layout in layouts] for stage in (*STAGES, *CARRIED)}
    found = {stage: next((file for file in files if file.is_file()), None) for stage, files in candidates.items()}
    return {stage: file for stage, file in found.items() if file is not None}


def newest_runs(root: Path) -> Path | None:
    """The folder at or below `root` (two levels) with a whole set of checkpoints, the last trained first."""
    pattern = "action-decoder/checkpoint.safetensors"
    decoders = [file for depth in ("", "*/", "*/*/") for file in root.glob(depth + pattern)]
    folders = [file for file in decoders if set(STAGES) <= set(find_checkpoints(file.parents[1]))]
    return max(folders, key=lambda file: file.stat().st_mtime).parents[1] if folders else None


def require_stages(found: Mapping[str, Path], folder: Path) -> Preset:
    """The preset that all checkpoints share.

    Raises:
        InputError: a stage is missing, or they are of different presets, data or encoders.
    """
    missing = [stage for stage in STAGES if stage not in found]
    if missing:
        raise InputError(
            f"{folder} lacks the checkpoint of {', '.join(missing)}: train with `pvla train {missing[0]}` first."
        )
    cards = {stage: load_card(file) for stage, file in found.items()}
    first = cards[STAGES[0]]
    for stage, card in cards.items():
        different = [what for what, (a, b) in _compared(first, card).items() if a != b]
        if different:
            raise InputError(
                f"The checkpoints {STAGES[0]} and {stage} in {folder} have different {different[0]}: "
                "train both in the same workspace."
            )
    return first.config


def require_encoders(cards: Mapping[str, Card], key: str) -> None:
    """Raise InputError unless every network was trained on the features of the encoders known as `key`."""
    for stage, card in cards.items():
        trained_on = card.inputs.get("encoders", key)
        if trained_on != key:
            raise InputError(
                f"The checkpoint {stage} was trained on the encoders {trained_on}, but the preset's are {key}: "
                "train it again, or put its encoders back."
            )


def load_policy(found: Mapping[str, Path], preset: Preset) -> tuple[Policy, dict[str, Card]]:
    """The trained networks of `STAGES` and their cards.

    Raises:
        InputError: a checkpoint is damaged or does not fit the preset.
    """
    policy = empty_policy(preset)
    cards = {name: load_part(found[name], network) for name, network in _stage_networks(policy).items()}
    return policy, cards


def empty_policy(preset: Preset) -> Policy:
    """Networks of the preset's sizes, untrained, frozen and in evaluation mode."""
    policy = Policy(preset, LatentActionExpert(preset), ActionDecoder(preset), Evaluator(preset), FastEvaluator(preset))
    return policy.eval().requires_grad_(False)


def _stage_networks(policy: Policy) -> dict[str, nn.Module]:
    networks = (policy.evaluator, policy.fast, policy.latent_expert, policy.action_decoder)
    return dict(zip(STAGES, networks, strict=True))


def _compared(a: Card, b: Card) -> dict[str, tuple[object, object]]:
    """What checkpoints of one policy must have in common."""
    sizes = [{key: value for key, value in card.preset.items() if key != "train"} for card in (a, b)]
    return {
        "presets": (sizes[0], sizes[1]),
        "data": (a.data, b.data),
        "encoders": (a.inputs.get("encoders"), b.inputs.get("encoders")),
    }


def _copy(source: Path, target: Path, half: bool) -> None:
    tensors, card = read_tensors(source)
    halved = {name: t.to(torch.float16) if half and t.is_floating_point() else t for name, t in tensors.items()}
    write_tensors(target, halved, card)
