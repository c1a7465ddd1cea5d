from __future__ import annotations

import pytest
import torch
from wake import wake

from pvla.core.config import Preset
from pvla.core.denoiser import ActionDecoder, LatentActionExpert
from pvla.core.stages.diffusion import repeat_rows


def grouped(preset: Preset, group: int) -> Preset:
    parts = {
        name: getattr(preset, name).model_copy(update={"group": group}) for name in ("latent_expert", "action_decoder")
    }
    return preset.model_copy(update=parts)


@pytest.mark.parametrize("group", [1, 2])
def test_noise_has_the_shape_of_what_it_is_in(preset: Preset, make_batch, group: int) -> None:
    preset, b, tau = grouped(preset, group), make_batch(3), torch.tensor([1, 50, 100])
    expert, decoder = LatentActionExpert(preset).eval(), ActionDecoder(preset).eval()
    assert expert(b.latent, tau, expert.context(b.text, b.now, b.state)).shape == b.latent.shape
    assert decoder(b.action, b.latent, tau, decoder.context(b.text, b.now, b.state)).shape == b.action.shape


def test_rows_that_cannot_be_grouped_are_refused(preset: Preset) -> None:
    with pytest.raises(ValueError, match="grouped by 3"):
        LatentActionExpert(grouped(preset, 3))


def test_a_condition_that_is_not_read_is_refused(preset: Preset, make_batch) -> None:
    expert, b = LatentActionExpert(preset).eval(), make_batch(2)
    cache, tau = expert.context(b.text, b.now, b.state), torch.ones(2)
    with pytest.raises(ValueError, match="condition"):
        expert.denoiser.denoise(b.latent, tau, cache, b.latent)


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("compressor", ["linear", "queries"])
def test_a_denoiser_reads_all_that_it_is_shown(preset: Preset, make_batch, group: int, compressor: str) -> None:
    preset = grouped(preset, group)
    config = preset.action_decoder.model_copy(update={"compressor": compressor, "text_tokens": 2})
    decoder, b = wake(ActionDecoder(preset.model_copy(update={"action_decoder": config}))), make_batch(3)
    text, now, state, x, latent = (v.clone().requires_grad_() for v in (b.text, b.now, b.state, b.action, b.latent))
    tau = torch.tensor([3, 40, 90])
    out = decoder(x, latent, tau, decoder.context(text, now, state))
    out[:, 0].sum().backward()  # the first noisy row has the fewest tokens before it
    for shown in (text, now, state, latent):
        assert (shown.grad.abs().amax(-1) > 0).all()  # every token of every row
    assert (x.grad[:, :group] != 0).all()
    cache = decoder.context(b.text, b.now, b.state)
    assert not torch.allclose(decoder(b.action, b.latent, tau + 5, cache), out, atol=1e-5)


def test_a_noisy_row_sees_itself_and_those_before(preset: Preset, make_batch) -> None:
    decoder, b = wake(ActionDecoder(preset)), make_batch(1)
    group, tau = preset.action_decoder.group, torch.tensor([50])
    cache = decoder.context(b.text, b.now, b.state)
    x = b.action.clone().requires_grad_()
    out = decoder(x, b.latent, tau, cache)
    for row in range(preset.actions.horizon):
        (grad,) = torch.autograd.grad(out[0, row].sum(), x, retain_graph=True)
        seen = (row // group + 1) * group
        assert (grad[0, :seen] != 0).all()
        assert not grad[0, seen:].any()


def test_one_context_serves_several_noise_draws(preset: Preset, make_batch) -> None:
    expert, b = wake(LatentActionExpert(preset)), make_batch(2)
    x, tau = torch.randn(6, 2, 4), torch.randint(1, 1001, (6,))
    shared = expert(x, tau, repeat_rows(expert.context(b.text, b.now, b.state), 3))
    rows = [repeat_rows(v, 3) for v in (b.text, b.now, b.state)]
    torch.testing.assert_close(shared, expert(x, tau, expert.context(*rows)), rtol=1e-4, atol=1e-4)


def test_the_state_is_standardised_and_blurred_in_training_only(preset: Preset, make_batch) -> None:
    prefix, b = LatentActionExpert(preset).denoiser.prefix, make_batch(64)
    shifted = b.state * 7 + 3
    prefix.measure_state([b.__class__(**{**vars(b), "state": shifted})])
    torch.testing.assert_close(prefix.state_mean, shifted.mean(0))
    torch.testing.assert_close(prefix.state_std, shifted.std(0))
    assert not torch.equal(prefix(b.text, b.now, shifted), prefix(b.text, b.now, shifted))
    prefix.eval()
    assert torch.equal(prefix(b.text, b.now, shifted), prefix(b.text, b.now, shifted))
    assert prefix(b.text, b.now, shifted).shape[1] == prefix.length
