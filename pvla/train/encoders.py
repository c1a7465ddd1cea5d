"""The frozen encoders of a preset, with their weights and their identity."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from pvla.core.checkpoint import load_part, weights_hash
from pvla.core.config import Preset
from pvla.core.text import TextEncoder, build_text
from pvla.core.vision import VisionEncoder, build_vision
from pvla.errors import InputError


@dataclass(frozen=True)
class Encoders:
    """Vision and text encoder in evaluation mode, the tokenizer file, and one key for all three."""

    vision: VisionEncoder
    text: TextEncoder
    tokenizer_file: Path
    key: str

    def tokens(self, texts: list[str]) -> torch.Tensor:
        """Token ids (n, L) of some instructions, padded and truncated."""
        tokenizer = Tokenizer.from_file(str(self.tokenizer_file))
        length = self.text.config.tokens
        if tokenizer.padding is None:
            tokenizer.enable_padding(length=length)
        tokenizer.enable_truncation(length)
        return torch.from_numpy(np.array([e.ids for e in tokenizer.encode_batch(texts)], dtype=np.int64))


def demo_checkpoints() -> Path:
    """Folder of the checkpoints that ship with pvla."""
    return Path(str(resources.files("pvla") / "assets" / "demo" / "checkpoints"))


def load_encoders(preset: Preset) -> Encoders:
    """Build and fill the preset's frozen encoders.

    The sources `demo` are the encoders that ship with pvla; any other source of preset `tiny` is a folder with
    `vision.safetensors`, `text.safetensors` and `tokenizer.json`, that of DINOv2 and CLIP a name or a local folder.

    Raises:
        InputError: weights or tokenizer are missing or do not fit.
    """
    vision, text = build_vision(preset.vision), build_text(preset.text)
    tokenizer_file = _source(preset.text.source) / "tokenizer.json"
    if preset.vision.kind == "tiny_vit":
        load_part(_source(preset.vision.source) / "vision.safetensors", vision)
    if preset.text.kind == "tiny_text":
        load_part(_source(preset.text.source) / "text.safetensors", text)
    if not tokenizer_file.is_file():
        raise InputError(f"There is no tokenizer.json in {tokenizer_file.parent}; it belongs beside the text encoder.")
    vision.eval().requires_grad_(False)
    text.eval().requires_grad_(False)
    return Encoders(vision, text, tokenizer_file, f"{preset.vision.kind}-{weights_hash(vision)}-{weights_hash(text)}")


def _source(source: str) -> Path:
    return demo_checkpoints() if source == "demo" else Path(source)
