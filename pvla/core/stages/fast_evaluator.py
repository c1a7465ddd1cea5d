"""Stage `fast-evaluator`: the student learns the evaluator's value and its gradient (Sobolev training)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pvla.core.batch import Batch
from pvla.core.config import Preset
from pvla.core.evaluator import Evaluator, FastEvaluator
from pvla.core.guidance import value_and_gradient
from pvla.core.schedule import Schedule, add_noise
from pvla.core.stages.base import Stage


class FastEvaluatorStage(Stage):
    """Distils Q_τ into Q̂ on noisy latents of the data, and on pure noise, which sampling starts from.

    The gradient's error is divided by the teacher's mean squared gradient, so that both terms are of order one whatever
    the slope of the progress is.
    """

    trained: FastEvaluator
    name = "fast-evaluator"
    healthy = "value below .04, cosine of the gradients above .7"

    def __init__(self, preset: Preset, evaluator: Evaluator, gradient_weight: float = 0.1) -> None:
        super().__init__()
        self.schedule = Schedule(preset.latent_schedule)
        self.weight = gradient_weight
        self.teacher = [evaluator.eval().requires_grad_(False)]  # in a list: not a part of this stage's own state
        self.trained = FastEvaluator(preset)

    def forward(self, batch: Batch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """L1 of the value + weighted, normalised squared error of the gradient."""
        teacher, x0 = self.teacher[0].to(batch.now.device), batch.latent
        with torch.no_grad():
            tau = torch.randint(1, self.schedule.steps + 1, (len(batch),), device=x0.device)
            x = add_noise(x0, torch.randn_like(x0), self.schedule.at(tau))
            known = teacher.context(batch.text, batch.start, batch.now)
        value, slope = value_and_gradient(lambda z: teacher(known, z, tau), x)
        with torch.enable_grad():  # validation, which otherwise keeps no graph, needs the student's gradient too
            leaf = x.detach().requires_grad_()
            guess = self.trained(self.trained.context(batch.text, batch.start, batch.now), leaf, tau)
            (tilt,) = torch.autograd.grad(guess.sum(), leaf, create_graph=True)
        value_error = (guess - value).abs().mean()
        gradient_error = (tilt - slope).square().mean() / slope.square().mean().clamp_min(1e-12)
        cosine = torch.cosine_similarity(tilt.flatten(1), slope.flatten(1)).mean().detach()
        log = {"value": value_error.detach(), "gradient": gradient_error.detach(), "cosine": cosine}
        return value_error + self.weight * gradient_error, log
