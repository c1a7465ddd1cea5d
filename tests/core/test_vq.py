from __future__ import annotations

import pytest
import torch

from pvla.core.vq import VectorQuantizer


@pytest.fixture
def quantizer() -> VectorQuantizer:
    part = VectorQuantizer(codes=8, dim=3, commitment=0.25)
    torch.nn.init.normal_(part.codebook)
    return part


def test_each_latent_becomes_its_nearest_code(quantizer: VectorQuantizer) -> None:
    z = torch.randn(5, 4, 3)
    out = quantizer(z)
    distance = (z.unsqueeze(2) - quantizer.codebook).square().sum(-1)  # (5, 4, 8)
    assert torch.equal(out.codes, distance.argmin(-1))
    torch.testing.assert_close(out.latent, quantizer.codebook[out.codes])


def test_the_gradient_passes_straight_through(quantizer: VectorQuantizer) -> None:
    z, direction = torch.randn(5, 4, 3, requires_grad=True), torch.randn(5, 4, 3)
    (quantizer(z).latent * direction).sum().backward()
    torch.testing.assert_close(z.grad, direction)
    assert quantizer.codebook.grad is None or not quantizer.codebook.grad.any()


def test_the_loss_pulls_codes_fully_and_latents_by_the_commitment(quantizer: VectorQuantizer) -> None:
    z = torch.randn(5, 4, 3, requires_grad=True)
    out = quantizer(z)
    out.loss.backward()
    apart = quantizer.codebook.detach()[out.codes] - z.detach()
    torch.testing.assert_close(out.loss.detach(), 1.25 * apart.square().mean())
    torch.testing.assert_close(z.grad, -0.25 * 2 * apart / apart.numel())
    torch.testing.assert_close(quantizer.codebook.grad.sum(0), (2 * apart / apart.numel()).flatten(0, 1).sum(0))


def test_usage_counts_the_codes_in_use(quantizer: VectorQuantizer) -> None:
    assert quantizer.usage(torch.tensor([[0, 0], [3, 3]])) == 2 / 8
