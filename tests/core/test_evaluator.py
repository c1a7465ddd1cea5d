from __future__ import annotations

import torch
from wake import wake

from pvla.core.config import Preset
from pvla.core.evaluator import Evaluator, FastEvaluator
from pvla.core.guidance import value_and_gradient

TAU = torch.tensor([0.0, 10.0, 1000.0])


def test_the_score_is_the_progress_of_the_imagined_frame(preset: Preset, make_batch) -> None:
    part, b = wake(Evaluator(preset)), make_batch(3)
    part.latent_mean.normal_()
    part.latent_std.uniform_(0.5, 2.0)
    q = part(part.context(b.text, b.start, b.now), b.latent, TAU)
    imagined = part.dynamics(b.now, b.latent * part.latent_std + part.latent_mean, TAU)
    torch.testing.assert_close(q, part.estimator(b.text, b.start, imagined))
    assert q.shape == (3,)
    assert ((q >= 0) & (q <= 1)).all()


def test_the_gradient_reaches_every_number_of_the_latent(preset: Preset, make_batch) -> None:
    part, b = wake(Evaluator(preset)), make_batch(3)
    context = part.context(b.text, b.start, b.now)
    _, grad = value_and_gradient(lambda x: part(context, x, TAU), b.latent)
    assert grad.shape == b.latent.shape
    assert (grad != 0).all()


def test_before_training_no_latent_matters(preset: Preset, make_batch) -> None:
    part, b = Evaluator(preset).eval(), make_batch(3)
    context = part.context(b.text, b.start, b.now)
    assert torch.equal(part(context, b.latent, TAU), part(context, -b.latent, TAU))


def test_the_student_has_the_same_shape_and_reads_everything(preset: Preset, make_batch) -> None:
    part, b = wake(FastEvaluator(preset), 0.1), make_batch(3)
    shown = [v.clone().requires_grad_() for v in (b.text, b.start, b.now, b.latent)]
    q = part(part.context(*shown[:3]), shown[3], TAU)
    assert q.shape == (3,)
    assert ((q > 0) & (q < 1)).all()
    q.sum().backward()
    for x in shown:
        assert (x.grad.abs().amax(-1) > 0).all()
    context = part.context(b.text, b.start, b.now)
    assert not torch.allclose(part(context, b.latent, TAU), part(context, b.latent, TAU + 100))


def test_the_students_gradient_can_itself_be_learned(preset: Preset, make_batch) -> None:
    part, b = FastEvaluator(preset), make_batch(3)
    leaf = b.latent.clone().requires_grad_()
    q = part(part.context(b.text, b.start, b.now), leaf, TAU)
    (tilt,) = torch.autograd.grad(q.sum(), leaf, create_graph=True)
    tilt.square().sum().backward()
    for weight in (part.enter.weight, part.up[0].weight, part.modulation.weight, part.score.weight):
        assert weight.grad.any()
