"""Inputs to trace and to verify with: made-up pictures and sentences, and what the networks themselves make of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pvla.core.schedule import Schedule
from pvla.core.text import ClipText
from pvla.export.eager import EagerGraphs, Tensors, flat_context
from pvla.export.parts import Parts

TRACE_SEED = 0


def observation(parts: Parts, seed: int) -> Tensors:
    """Cameras' pictures, tokens, text states, patches of start and current frame, and a state.

    Features come out of the encoders, so that they have the scale that real ones have.
    """
    g = torch.Generator().manual_seed(seed)
    preset = parts.preset
    pictures = {c.name: _picture(c.size, g) for c in preset.vision.cameras}
    earlier = {c.name: _picture(c.size, g) for c in preset.vision.cameras}
    tokens = torch.randint(0, _vocabulary(parts), (1, preset.text.tokens), generator=g)
    prefix = parts.policy.latent_expert.denoiser.prefix
    state = prefix.state_mean + prefix.state_std * torch.randn(1, preset.actions.state, generator=g)
    with torch.no_grad():
        text, start, current = parts.text(tokens), parts.vision(earlier), parts.vision(pictures)
    return {**pictures, "tokens": tokens, "text": text, "start": start, "current": current, "state": state}


def sampling_inputs(graphs: EagerGraphs, seed: int, tau: int, scale: float) -> Tensors:
    """Everything that steps, score and samplers read, with noise at diffusion step `tau`.

    The action's level is that of the same index, or its noisiest where the latent is still alone.
    """
    seen = observation(graphs.parts, seed)
    g = torch.Generator().manual_seed(seed + 1)
    preset, policy = graphs.parts.preset, graphs.policy
    with torch.no_grad():
        context = flat_context(policy.context(seen["text"], seen["start"], seen["current"], seen["state"]))
    z, a = policy.latent_schedule, policy.action_schedule
    levels_z = {"alpha_bar": _level(z, tau), "alpha_bar_prev": _level(z, max(tau - 90, 0))}
    later = min(tau, a.steps)
    return {
        **context,
        **levels_z,
        **{f"alpha_bar_z{name.removeprefix('alpha_bar')}": level for name, level in levels_z.items()},
        "alpha_bar_a": _level(a, later),
        "alpha_bar_a_prev": _level(a, max(later - 10, 0)),
        "tau": torch.tensor([float(tau)]),
        "scale": torch.tensor([scale]),
        "x_z": torch.randn(1, preset.world.latent_tokens, preset.world.latent_dim, generator=g),
        "x_a": torch.randn(1, preset.actions.horizon, preset.actions.width, generator=g),
        "x_z_next": torch.randn(1, preset.world.latent_tokens, preset.world.latent_dim, generator=g),
    }


def _level(schedule: Schedule, tau: int) -> Tensor:
    return schedule.at(torch.tensor([tau]))


def _picture(size: int, generator: torch.Generator) -> Tensor:
    """Smooth coloured blots, u8 (1, size, size, 3): nearer to a photograph than white noise is."""
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    smooth = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=True)
    return (255 * smooth).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _vocabulary(parts: Parts) -> int:
    """Number of token ids that the text encoder knows."""
    text = parts.text
    return int(text.model.config.vocab_size) if isinstance(text, ClipText) else text.config.vocabulary
