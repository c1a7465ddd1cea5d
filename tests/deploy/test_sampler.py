from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from deploy_fakes import A, FakeEngine, H, K, Z, content

from pvla.deploy.sampler import NonFiniteSample, Sample, Sampler, SamplerSettings, ddim_step
from pvla.errors import InputError

CONTEXT = {"goal": np.full((1, A), 0.1, np.float32), "unused": np.zeros(1, np.float32)}
MANIFEST: Any = content()  # the sampler reads nothing that only a written manifest has


def run(engine: FakeEngine, seed: int = 0, **settings: Any) -> Sample:
    options = {"mode": "fast", "scale": 2.0, "whole_loop": False, **settings}
    return Sampler(engine, MANIFEST, SamplerSettings(**options)).sample(CONTEXT, np.random.default_rng(seed))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(MANIFEST.graphs)


def test_plain_sampling_reaches_what_the_denoisers_point_at(engine: FakeEngine) -> None:
    sample = run(engine, mode="off")
    np.testing.assert_allclose(sample.latent, np.full((K, Z), FakeEngine.CLEAN), atol=1e-4)
    np.testing.assert_allclose(sample.actions, np.full((H, A), 0.1 + 0.01 * FakeEngine.CLEAN), atol=2e-3)
    assert sample.ratios == []
    assert sample.q is None
    assert engine.calls == ["latent_step_plain"] * 3 + ["joint_step_plain"] * 4


def test_guidance_raises_q_and_reports_its_ratio(engine: FakeEngine) -> None:
    plain, guided = run(engine, mode="off"), run(engine, scale=0.5)
    assert guided.latent.sum() > plain.latent.sum()
    assert len(guided.ratios) == 7
    assert all(ratio > 0 for ratio in guided.ratios)


def test_scale_zero_is_plain_sampling(engine: FakeEngine) -> None:
    np.testing.assert_array_equal(run(engine, scale=0.0).latent, run(engine, mode="off").latent)


def test_every_and_window_choose_the_guided_steps(engine: FakeEngine) -> None:
    run(engine, every=2)
    assert [call.endswith("fast") for call in engine.calls] == [True, False, True, False, True, False, True]
    engine.calls.clear()
    run(engine, window=(100, 700))  # taus are 1000, 700, 400, then 100, 75, 50, 25
    assert [call.endswith("fast") for call in engine.calls] == [False, True, True, True, False, False, False]


def test_a_broken_gradient_falls_back_to_the_plain_step(engine: FakeEngine) -> None:
    engine.broken = {"latent_step_fast"}
    sample = run(engine, window=(100, 1000))
    assert sample.fallbacks == 3
    assert np.isfinite(sample.latent).all()
    engine.broken |= {"latent_step_plain"}
    with pytest.raises(NonFiniteSample):
        run(engine)


def test_random_direction_has_the_gradients_norm(engine: FakeEngine) -> None:
    guided, random = run(engine), run(engine, direction="random")
    assert random.ratios[0] == pytest.approx(guided.ratios[0])
    plain = run(engine, mode="off")
    assert not np.allclose(random.latent, plain.latent)
    assert not np.allclose(random.latent, guided.latent)


def test_random_direction_moves_the_latent_that_the_decoder_sees(engine: FakeEngine) -> None:
    sample = run(engine, direction="random")
    assert np.abs(sample.actions - (0.1 + 0.01 * sample.latent.mean())).max() < 2e-3


def test_the_gradient_as_direction_reproduces_the_graphs_update(engine: FakeEngine) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, K, Z), dtype=np.float32)
    bar, prev = np.float32([0.3]), np.float32([0.5])
    feeds = {"x_z": x, "tau": np.float32([7]), "alpha_bar": bar, "alpha_bar_prev": prev, "scale": np.float32([2])}
    out = engine.run("latent_step_fast", {**feeds, "goal": CONTEXT["goal"]})
    eps = out["eps"] - 2 * np.sqrt(1 - 0.3) * out["grad"]
    np.testing.assert_allclose(ddim_step(x, eps, 0.3, 0.5, 4.0), out["x_z_next"], atol=1e-5)


def test_ddim_step_equals_the_reference_scheduler() -> None:
    diffusers, torch = pytest.importorskip("diffusers"), pytest.importorskip("torch")
    scheduler = diffusers.DDIMScheduler(1000, clip_sample=True, clip_sample_range=1.0, set_alpha_to_one=True)
    scheduler.set_timesteps(10)
    rng = np.random.default_rng(1)
    x, eps = rng.standard_normal((2, 1, K, Z), dtype=np.float32)
    bars = scheduler.alphas_cumprod.numpy()
    reference = scheduler.step(torch.tensor(eps), 500, torch.tensor(x), use_clipped_model_output=True).prev_sample
    np.testing.assert_allclose(ddim_step(x, eps, bars[500], bars[400], 1.0), reference.numpy(), atol=1e-5)


def test_equal_noise_levels_leave_the_latent_where_it_is() -> None:
    x, eps = np.random.default_rng(0).standard_normal((2, 1, K, Z)) * 5
    np.testing.assert_allclose(ddim_step(x, eps, 0.4, 0.4, 1.0), x, atol=1e-5)


def test_best_of_keeps_the_highest_score(engine: FakeEngine) -> None:
    engine.run = lambda graph, feeds, run=engine.run: (  # type: ignore[method-assign]
        {"q": np.float32([-abs(feeds["x_z"]).sum()])} if graph == "score" else run(graph, feeds)
    )
    best = run(engine, mode="off", best_of=4)
    assert best.q == pytest.approx(-np.abs(best.latent).sum())


def test_runs_with_the_same_seed_share_their_noise(engine: FakeEngine) -> None:
    states = []
    for settings in ({"mode": "off"}, {"best_of": 3}, {"direction": "random"}):
        rng = np.random.default_rng(5)
        Sampler(engine, MANIFEST, SamplerSettings(**{"mode": "fast", "scale": 1.0, **settings})).sample(CONTEXT, rng)
        states.append(rng.standard_normal())
    assert states[0] == states[1] == states[2]


def test_whole_loop_graph_only_under_the_bundles_own_settings(engine: FakeEngine) -> None:
    run(engine, whole_loop=True)
    assert engine.calls == ["sampler_fast"]
    engine.calls.clear()
    run(engine, whole_loop=True, every=2)
    assert "sampler_fast" not in engine.calls
    engine.calls.clear()
    run(engine, whole_loop=True, mode="off")
    assert engine.calls == ["sampler_plain"]


def test_broken_whole_loop_falls_back_to_steps(engine: FakeEngine) -> None:
    engine.broken = {"sampler_fast"}
    sample = run(engine, whole_loop=True)
    assert sample.fallbacks == 1
    assert np.isfinite(sample.actions).all()


def test_settings_that_the_bundle_cannot_do(engine: FakeEngine) -> None:
    graphs = {n: g for n, g in MANIFEST.graphs.items() if not n.endswith("_full") and n != "score"}
    poorer: Any = MANIFEST.model_copy(update={"graphs": graphs})
    with pytest.raises(InputError, match="'full' is not in this bundle: it has off, fast"):
        Sampler(engine, poorer, SamplerSettings(mode="full", scale=1))
    with pytest.raises(InputError, match="score"):
        Sampler(engine, poorer, SamplerSettings(mode="off", scale=1, best_of=2))
