from __future__ import annotations

import pytest
import torch
from torch import nn

from pvla.core.compress import LinearCompressor, QueryCompressor, ViewCompressor


@pytest.fixture(params=["linear", "queries"])
def compressor(request: pytest.FixtureRequest) -> nn.Module:
    return LinearCompressor(4, 8, 32, 3, 6) if request.param == "linear" else QueryCompressor(4, 8, 32, 3, 2)


def test_many_tokens_become_few_and_all_are_read(compressor: nn.Module) -> None:
    tokens = torch.randn(2, 4, 8, requires_grad=True)
    out = compressor(tokens)
    assert out.shape == (2, 3, 32)
    out.square().sum().backward()
    assert (tokens.grad.abs().amax(-1) > 0).all()


def test_where_a_token_stands_matters(compressor: nn.Module) -> None:
    for parameter in compressor.parameters():
        nn.init.normal_(parameter)
    tokens = torch.randn(1, 4, 8)
    assert not torch.allclose(compressor(tokens), compressor(tokens.flip(1)), atol=1e-3)


def test_each_view_is_read_by_its_own_weights() -> None:
    views = ViewCompressor([LinearCompressor(4, 8, 32, 2, 6), LinearCompressor(4, 8, 32, 2, 6)])
    patches = torch.randn(3, 8, 8, requires_grad=True)
    out = views(patches)
    assert out.shape == (3, 4, 32)
    out[:, :2].sum().backward()
    assert patches.grad[:, :4].any()
    assert not patches.grad[:, 4:].any()
