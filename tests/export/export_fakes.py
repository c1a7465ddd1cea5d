"""Networks of width 64 and depth 1, with random weights that do not make the gradient vanish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pvla.core.checkpoint import Card
from pvla.core.config import Preset
from pvla.core.presets import load_preset
from pvla.core.text import build_text
from pvla.core.vision import build_vision
from pvla.deploy.manifest import Limits
from pvla.export.parts import STAGES, Parts, empty_policy
from pvla.export.settings import Settings

H, A = 8, 7


def preset() -> Preset:
    p: dict[str, Any] = load_preset("tiny").model_dump()
    p["name"] = "test"
    cameras = [{"name": "head", "size": 32}, {"name": "wrist", "size": 32}]
    p["vision"].update(width=64, cameras=cameras, stages={"head": [[64, 1]], "wrist": [[64, 1]]})
    p["text"].update(width=64, depth=1, heads=2, vocabulary=64, tokens=4)
    p["progress"].update(width=64, depth=1, heads=2, hidden=64)
    p["world"].update(width=64, encoder_depth=1, decoder_depth=1, heads=2)
    p["fast_evaluator"].update(context=32, width=64, depth=1)
    for denoiser in ("latent_expert", "action_decoder"):
        p[denoiser].update(width=64, depth=1, heads=2, mlp=128, bottleneck=8)
    return Preset.model_validate(p)


def card(stage: str, of: Preset) -> Card:
    extra = {
        "action_transform": {
            "low": np.full((H, A), -1.0).tolist(), "high": np.full((H, A), 1.0).tolist(),
            "relative": [True] * 6 + [False],
        },
        "action_space": {
            "kind": "joint_position", "names": [f"joint{i}" for i in range(1, 7)] + ["gripper"],
            "units": ["rad"] * 6 + ["1"], "frame": "joints", "rate_hz": 10.0,
        },
        "tasks": {"stack_bowls": ["stack the bowls"]},
    }  # fmt: skip
    return Card(stage, of.model_dump(mode="json"), 1, 0, "data", {"encoders": "key"}, {"l1": 0.1}, "", extra)


def write_tokenizer(file: Path) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "stack": 2, "the": 3, "bowls": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(length=4, pad_id=0, pad_token="[PAD]")
    tokenizer.save(str(file))
    return file


def parts(tokenizer: Path, seed: int = 0) -> Parts:
    torch.manual_seed(seed)
    p = preset()
    policy = empty_policy(p)
    # The change that D predicts starts at zero, and the gradient with it.
    torch.nn.init.normal_(policy.evaluator.dynamics.to_change.weight, std=0.2)
    torch.nn.init.normal_(policy.evaluator.estimator.score.weight, std=0.5)
    vision, text = (network.eval().requires_grad_(False) for network in (build_vision(p.vision), build_text(p.text)))
    return Parts(policy, vision, text, tokenizer, {name: card(name, p) for name in (*STAGES, "vision", "text")})


def limits() -> Limits:
    return Limits(
        position_low=(-3.0,) * 6 + (0.0,),
        position_high=(3.0,) * 6 + (1.0,),
        velocity=(5.0,) * 7,
        acceleration=(100.0,) * 7,
        workspace_low=(-1.0, -1.0, -1.0),
        workspace_high=(1.0, 1.0, 1.0),
    )


def settings(**changes: Any) -> Settings:
    return Settings(limits=limits()).changed(changes, "test")
