"""Progress guidance: the gradient of the predicted progress moves the noise that a denoiser predicts (Eq. 34)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pvla.core.layers import at_least_float32


class Guided(NamedTuple):
    """What guidance did in one step: ε̃ and ∇Q (B, …), Q (B,)."""

    eps: Tensor
    grad: Tensor
    q: Tensor


def value_and_gradient(q_fn: Callable[[Tensor], Tensor], x: Tensor, seed: float = 1.0) -> tuple[Tensor, Tensor]:
    """Q(x) (B,) and ∇_x Q (B, …) of a per-sample score.

    `seed` scales the backward pass and is divided out in float32 or better: half precision needs it, because gradients
    of a progress are near its smallest numbers.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        q = q_fn(leaf)
        (grad,) = torch.autograd.grad((q * seed).sum(), leaf)
    return q.detach(), at_least_float32(grad) / seed


def guide(eps: Tensor, grad: Tensor, alpha_bar: Tensor, scale: Tensor | float) -> Tensor:
    """ε̃ = ε − w √(1−ᾱ_τ) ∇Q_τ (Eq. 34, with w = 1/α); alpha_bar (B,), ε and ∇Q (B, …)."""
    sigma = (1 - alpha_bar).sqrt().view(-1, *([1] * (eps.dim() - 1)))
    return eps - scale * sigma * grad


def guided_noise(
    eps: Tensor, q_fn: Callable[[Tensor], Tensor], x: Tensor, alpha_bar: Tensor, scale: Tensor | float
) -> Guided:
    """Guided noise at x_τ (B, …): the score Q, its gradient, and ε̃ (see `guide`)."""
    q, grad = value_and_gradient(q_fn, x)
    return Guided(guide(eps, grad, alpha_bar, scale), grad, q)


def guidance_ratio(eps: Tensor, grad: Tensor, alpha_bar: Tensor, scale: float) -> Tensor:
    """|w √(1−ᾱ) ∇Q| / |ε| per sample (B,): .1 to .3 at high noise is a healthy strength."""
    push = (guide(torch.zeros_like(eps), grad, alpha_bar, scale)).flatten(1).norm(dim=1)
    return push / eps.flatten(1).norm(dim=1).clamp_min(1e-12)
