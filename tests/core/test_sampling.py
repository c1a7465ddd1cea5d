from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from wake import wake

from pvla.core.config import Preset
from pvla.core.denoiser import ActionDecoder, LatentActionExpert
from pvla.core.evaluator import Evaluator, FastEvaluator
from pvla.core.sampling import Guidance, Policy, SamplingContext, sample, steps_of
from pvla.core.schedule import Schedule, ddim_step

MEAN, STD = 0.5, 0.6  # of the prior over latents
GOAL, SHARPNESS = -1.0, 2.0  # Q(x) = −½ k (x − c)²


class GaussianNoise(nn.Module):
    """The exact ε of a Gaussian prior: E[ε | x_τ] = √(1−ᾱ) (x − √ᾱ m) / (ᾱ s² + 1 − ᾱ)."""

    def __init__(self, schedule: Schedule, mean: float, std: float) -> None:
        super().__init__()
        self.schedule, self.mean, self.std = schedule, mean, std

    def forward(self, x: Tensor, tau: Tensor, *_: Any) -> Tensor:
        a = self.schedule.at(tau.long()).view(-1, 1, 1)
        return (1 - a).sqrt() * (x - a.sqrt() * self.mean) / (a * self.std**2 + 1 - a)


class QuadraticScore(nn.Module):
    """Q_τ of a quadratic Q: w Q_τ(x_τ) = log E[exp(w Q(x_0)) | x_τ], the score that tilts the prior exactly."""

    def __init__(self, schedule: Schedule, scale: float) -> None:
        super().__init__()
        self.schedule, self.scale = schedule, scale

    def forward(self, _: Any, x: Tensor, tau: Tensor) -> Tensor:
        a = self.schedule.at(tau.long()).view(-1, 1, 1)
        total = a * STD**2 + 1 - a
        guess = MEAN + a.sqrt() * STD**2 * (x - a.sqrt() * MEAN) / total
        variance = STD**2 * (1 - a) / total
        return (-0.5 * SHARPNESS * (guess - GOAL).square() / (1 + self.scale * SHARPNESS * variance)).flatten(1).sum(1)


class NoNoise(nn.Module):
    def forward(self, x: Tensor, *_: Any) -> Tensor:
        return torch.zeros_like(x)


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
def test_guided_sampling_of_a_gaussian_ends_in_the_tilted_gaussian(preset: Preset, scale: float) -> None:
    wide = preset.model_copy(update={"latent_schedule": preset.latent_schedule.model_copy(update={"clip": 100.0})})
    schedule = Schedule(wide.latent_schedule)
    score = QuadraticScore(schedule, scale)
    policy = Policy(wide, GaussianNoise(schedule, MEAN, STD), NoNoise(), score, score)
    quantiles = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).view(5, 1, 1)
    nothing = torch.zeros(5, 0)
    context = SamplingContext(nothing, nothing, nothing, nothing)
    out = sample(policy, context, quantiles.expand(5, 2, 4), torch.zeros(5, 4, 3), Guidance("full", scale), 900, 100)
    precision = 1 / STD**2 + scale * SHARPNESS
    mean = (MEAN / STD**2 + scale * SHARPNESS * GOAL) / precision
    wanted = mean + quantiles * precision**-0.5  # the sampler maps quantiles of the noise to those of the result
    torch.testing.assert_close(out.latent, wanted.expand(5, 2, 4), atol=0.02, rtol=0)


@pytest.fixture
def policy(preset: Preset) -> Policy:
    short = preset.model_copy(
        update={
            "latent_schedule": preset.latent_schedule.model_copy(update={"steps": 30}),
            "action_schedule": preset.action_schedule.model_copy(update={"steps": 10}),
        }
    )
    parts = LatentActionExpert(short), ActionDecoder(short), Evaluator(short), FastEvaluator(short)
    policy = wake(Policy(short, *parts))
    wake(policy.fast, 0.1)  # larger ones saturate it, and leave no gradient
    return policy


@pytest.fixture
def context(policy: Policy, make_batch) -> SamplingContext:
    b = make_batch(3)
    with torch.no_grad():
        return policy.context(b.text, b.start, b.now, b.state)


@pytest.fixture
def noise() -> tuple[Tensor, Tensor]:
    return torch.randn(3, 2, 4), torch.randn(3, 4, 3)


@pytest.mark.parametrize("mode", ["off", "full", "fast"])
def test_sampling_is_deterministic_and_stays_in_range(policy, context, noise, mode) -> None:
    one = sample(policy, context, *noise, Guidance(mode, 2.0), 4, 3)
    two = sample(policy, context, *noise, Guidance(mode, 2.0), 4, 3)
    assert torch.equal(one.latent, two.latent)
    assert torch.equal(one.action, two.action)
    assert one.latent.abs().max() <= policy.latent_schedule.clip
    assert one.action.abs().max() <= policy.action_schedule.clip
    assert one.q.shape == (3,)


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_scale_zero_equals_no_guidance_and_a_scale_changes_the_result(policy, context, noise, mode) -> None:
    off = sample(policy, context, *noise, Guidance("off"), 4, 3)
    zero = sample(policy, context, *noise, Guidance(mode, 0.0), 4, 3)
    on = sample(policy, context, *noise, Guidance(mode, 5.0), 4, 3)
    assert torch.equal(off.latent, zero.latent)
    assert torch.equal(off.action, zero.action)
    assert not torch.allclose(off.latent, on.latent)
    assert not torch.allclose(off.action, on.action)


@pytest.mark.parametrize("mode", ["off", "full", "fast"])
def test_the_literal_run_equals_its_steps_one_after_the_other(policy, context, noise, mode) -> None:
    z, a = noise
    scale, schedules = torch.full((3,), 2.0), (policy.latent_schedule, policy.action_schedule)
    for tau in range(30, 0, -1):
        t = torch.full((3,), tau)
        levels = [(s.at(t.clamp(max=s.steps)), s.at((t - 1).clamp(max=s.steps))) for s in schedules]
        eps = policy.latent_expert(z, t.float(), context.latent_cache)
        if mode != "off":
            part, known = (policy.fast, context.fast) if mode == "fast" else (policy.evaluator, context.evaluator)
            leaf = z.detach().clone().requires_grad_()
            (grad,) = torch.autograd.grad(part(known, leaf, t.float()).sum(), leaf)
            eps = eps - 2.0 * (1 - levels[0][0]).sqrt().view(3, 1, 1) * grad
        z = ddim_step(z, eps, *levels[0], policy.latent_schedule.clip).detach()
        if tau <= 10:
            eps = policy.action_decoder(a, z, t.float(), context.action_cache)
            a = ddim_step(a, eps, *levels[1], policy.action_schedule.clip).detach()
    out = sample(policy, context, *noise, Guidance(mode, float(scale[0])), 20, 10)
    torch.testing.assert_close(out.latent, z, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(out.action, a, rtol=1e-4, atol=1e-4)


def test_the_papers_run_visits_every_step(preset: Preset) -> None:
    latent, action = Schedule(preset.latent_schedule), Schedule(preset.action_schedule)
    pairs = steps_of(1000, 100, 900, latent) + steps_of(100, 0, 100, action)
    assert pairs == [(tau, tau - 1) for tau in range(1000, 0, -1)]


def test_the_last_score_that_guidance_saw_is_returned(policy, context, noise) -> None:
    only_first = Guidance("full", 1.0, window=(30, 30))
    out = sample(policy, context, *noise, only_first, 4, 3)
    torch.testing.assert_close(out.q, policy.score("full", context, noise[0], torch.full((3,), 30.0)).detach())
    assert not sample(policy, context, *noise, Guidance("off"), 4, 3).q.any()


@pytest.mark.parametrize(
    ("guidance", "guided"),
    [
        (Guidance("full", 1.0), [0, 1, 2, 3, 4]),
        (Guidance("fast", 1.0, every=2), [0, 2, 4]),
        (Guidance("full", 1.0, window=(200, 800)), [1, 2, 3]),
        (Guidance("full", 1.0, every=2, window=(0, 800)), [2, 4]),
        (Guidance("off", 1.0), []),
    ],
)
def test_guidance_is_on_where_it_was_asked_for(guidance: Guidance, guided: list[int]) -> None:
    taus = [1000, 800, 500, 200, 1]
    modes = [guidance.at(i, tau) for i, tau in enumerate(taus)]
    assert [i for i, mode in enumerate(modes) if mode != "off"] == guided
    assert set(modes) <= {guidance.mode, "off"}
