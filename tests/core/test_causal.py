from __future__ import annotations

import pytest
import torch

from pvla.core.causal import CausalTransformer, rotary_tables, rotate


@pytest.fixture
def transformer() -> CausalTransformer:
    return CausalTransformer(width=32, depth=2, heads=2, mlp=64, positions=12).eval()


@pytest.mark.parametrize("prefix", [1, 5, 8])
def test_prefill_and_extend_equal_one_pass(transformer: CausalTransformer, prefix: int) -> None:
    x = torch.randn(3, 9, 32)
    cache = transformer.prefill(x[:, :prefix])
    assert cache.shape == (3, 2, 2, 2, prefix, 16)
    torch.testing.assert_close(
        transformer.extend(x[:, prefix:], cache), transformer(x)[:, prefix:], rtol=1e-5, atol=1e-5
    )


def test_one_prefix_serves_many_continuations(transformer: CausalTransformer) -> None:
    prefix, ends = torch.randn(1, 5, 32), torch.randn(4, 3, 32)
    shared = transformer.extend(ends, transformer.prefill(prefix).repeat_interleave(4, dim=0))
    for end, out in zip(ends, shared, strict=True):
        alone = transformer(torch.cat([prefix[0], end]).unsqueeze(0))[0, 5:]
        torch.testing.assert_close(out, alone, rtol=1e-5, atol=1e-5)


def test_no_token_sees_a_later_one_and_each_sees_all_earlier(transformer: CausalTransformer) -> None:
    x = torch.randn(1, 6, 32)
    before = transformer(x)
    for j in range(6):
        moved = x.clone()
        moved[0, j] += 1.0
        difference = (transformer(moved) - before)[0].abs().amax(-1)
        assert (difference[:j] == 0).all()
        assert (difference[j:] > 1e-6).all()


def test_rotary_attention_depends_on_the_distance_alone() -> None:
    tables = rotary_tables(40, 16)
    q, k = torch.randn(16), torch.randn(16)

    def dot(i: int, j: int) -> float:
        return float(rotate(q.view(1, 16), tables[:, i : i + 1]) @ rotate(k.view(1, 16), tables[:, j : j + 1]).T)

    for distance in (0, 1, 7):
        dots = [dot(j + distance, j) for j in (0, 3, 20, 30)]
        assert max(dots) - min(dots) < 1e-4
    assert abs(dot(5, 0) - dot(6, 0)) > 1e-3


def test_rotation_keeps_lengths_and_place_zero_is_untouched() -> None:
    x = torch.randn(2, 10, 16)
    turned = rotate(x, rotary_tables(10, 16))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[:, 0], x[:, 0])
