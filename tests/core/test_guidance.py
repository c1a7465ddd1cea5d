from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pvla.core.guidance import guidance_ratio, guide, guided_noise, value_and_gradient


@pytest.fixture
def score() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    ).double()


def test_gradient_equals_central_differences_in_float64(score: torch.nn.Module) -> None:
    x = torch.randn(3, 2, 3, dtype=torch.float64)

    def q(z: Tensor) -> Tensor:
        return torch.sigmoid(score(z).squeeze(-1))

    value, grad = value_and_gradient(q, x)
    torch.testing.assert_close(value, q(x).detach())
    for i in range(6):
        h = torch.zeros(6, dtype=torch.float64)
        h[i] = 1e-6
        slope = (q(x + h.view(1, 2, 3)) - q(x - h.view(1, 2, 3))) / 2e-6
        torch.testing.assert_close(grad.flatten(1)[:, i].double(), slope.detach(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seed", [1.0, 2.0**10])
def test_gradient_equals_autograd_whatever_its_seed_and_without_grad_mode(score: torch.nn.Module, seed: float) -> None:
    x = torch.randn(3, 2, 3, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(score(leaf).sum(), leaf)
    with torch.no_grad():
        _, grad = value_and_gradient(lambda z: score(z).squeeze(-1), x, seed)
    torch.testing.assert_close(grad, wanted, rtol=1e-12, atol=1e-15)
    assert not grad.requires_grad
    assert not x.requires_grad
    assert all(p.grad is None for p in score.parameters())


@pytest.mark.parametrize("given", [torch.float16, torch.bfloat16])
def test_a_gradient_in_half_precision_comes_back_in_float32(given: torch.dtype) -> None:
    x = torch.full((1, 3), 2.0, dtype=given)
    _, grad = value_and_gradient(lambda z: z.square().sum(-1), x, seed=4.0)
    assert torch.equal(grad, torch.full((1, 3), 4.0))


def test_guided_noise_is_equation_34() -> None:
    x, eps, alpha_bar = torch.randn(2, 2, 3), torch.randn(2, 2, 3), torch.tensor([0.1, 0.8])
    guided = guided_noise(eps, lambda z: -0.5 * z.square().flatten(1).sum(1), x, alpha_bar, 0.7)
    torch.testing.assert_close(guided.grad, -x)
    torch.testing.assert_close(guided.q, -0.5 * x.square().flatten(1).sum(1))
    for row, a in enumerate([0.1, 0.8]):
        torch.testing.assert_close(guided.eps[row], eps[row] + 0.7 * (1 - a) ** 0.5 * x[row])


def test_scale_may_differ_by_row_and_zero_changes_nothing() -> None:
    eps, grad, alpha_bar = torch.randn(2, 2, 3), torch.randn(2, 2, 3), torch.tensor([0.5, 0.5])
    out = guide(eps, grad, alpha_bar, torch.tensor([0.0, 1.0]).view(-1, 1, 1))
    assert torch.equal(out[0], eps[0])
    torch.testing.assert_close(out[1], eps[1] - 0.5**0.5 * grad[1])


def test_ratio_compares_the_push_with_the_noise() -> None:
    eps, grad = torch.ones(1, 2, 2), 3 * torch.ones(1, 2, 2)
    torch.testing.assert_close(guidance_ratio(eps, grad, torch.tensor([0.75]), 2.0), torch.tensor([3.0]))
