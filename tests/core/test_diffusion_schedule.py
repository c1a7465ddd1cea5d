from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from pvla.core.config import ScheduleConfig
from pvla.core.schedule import Schedule, add_noise, ddim_step

LINEAR = ScheduleConfig(steps=1000, kind="linear", clip=1.5)
COSINE = ScheduleConfig(steps=100, kind="squared_cosine", clip=1.0)
KINDS = {"linear": "linear", "squared_cosine": "squaredcos_cap_v2"}


def reference(config: ScheduleConfig, clip: bool) -> DDIMScheduler:
    return DDIMScheduler(
        num_train_timesteps=config.steps,
        beta_start=config.beta_start,
        beta_end=config.beta_end,
        beta_schedule=KINDS[config.kind],
        clip_sample=clip,
        clip_sample_range=config.clip,
        set_alpha_to_one=True,
    )


def model(x: Tensor, tau: int) -> Tensor:
    return torch.sin(3 * x) + 0.01 * tau


@pytest.mark.parametrize("config", [LINEAR, COSINE])
def test_tables_equal_the_reference_shifted_by_one(config: ScheduleConfig) -> None:
    ours = Schedule(config).alpha_bar
    assert ours.shape == (config.steps + 1,)
    assert ours[0] == 1
    torch.testing.assert_close(ours[1:], reference(config, True).alphas_cumprod, rtol=2e-4, atol=1e-7)
    assert (ours.diff() < 0).all()


@pytest.mark.parametrize("config", [LINEAR, COSINE])
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("count", [10, 50])
def test_a_whole_run_equals_the_reference(config: ScheduleConfig, clip: bool, count: int) -> None:
    scheduler, schedule = reference(config, clip), Schedule(config)
    scheduler.set_timesteps(count)
    bound = config.clip if clip else 1e9
    ours = theirs = torch.randn(4, 2, 3)
    stride = config.steps // count
    for tau in range(config.steps, 0, -stride):
        eps = model(theirs, tau)
        theirs = scheduler.step(eps, tau - 1, theirs, use_clipped_model_output=True).prev_sample
        levels = schedule.at(torch.tensor([tau] * 4)), schedule.at(torch.tensor([tau - stride] * 4))
        ours = ddim_step(ours, model(ours, tau), *levels, bound)
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("config", [LINEAR, COSINE])
def test_noising_equals_the_reference(config: ScheduleConfig) -> None:
    x0, noise, tau = torch.randn(6, 2, 3), torch.randn(6, 2, 3), torch.randint(1, config.steps + 1, (6,))
    theirs = reference(config, True).add_noise(x0, noise, tau - 1)
    torch.testing.assert_close(add_noise(x0, noise, Schedule(config).at(tau)), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", [LINEAR, COSINE])
def test_the_true_noise_leads_to_the_clean_sample_and_through_every_level(config: ScheduleConfig) -> None:
    schedule = Schedule(config)
    x0, noise = 2 * torch.rand(5, 2, 3) - 1, torch.randn(5, 2, 3)
    tau = torch.randint(config.steps // 10, config.steps - 1, (5,))
    a, b = schedule.at(tau), schedule.at(tau // 2)
    x = add_noise(x0, noise, a)
    torch.testing.assert_close(ddim_step(x, noise, a, b, 10.0), add_noise(x0, noise, b), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ddim_step(x, noise, a, torch.ones(5), 10.0), x0, rtol=1e-3, atol=1e-3)


def test_a_step_to_the_same_level_stays_even_where_it_clips() -> None:
    a = torch.tensor([0.3, 0.9])
    x, eps = 5 * torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    torch.testing.assert_close(ddim_step(x, eps, a, a, 0.5), x)


def test_the_clean_sample_never_leaves_the_clip() -> None:
    a, ones = torch.full((8,), 0.2), torch.ones(8)
    assert ddim_step(9 * torch.randn(8, 2, 3), torch.randn(8, 2, 3), a, ones, 1.5).abs().max() <= 1.5


@pytest.mark.parametrize(("start", "stop", "count"), [(1000, 100, 10), (1000, 100, 900), (100, 0, 7), (100, 0, 100)])
def test_grid_goes_down_evenly_and_leaves_the_end_out(start: int, stop: int, count: int) -> None:
    grid = Schedule(LINEAR).grid(start, stop, count)
    strides = [a - b for a, b in zip(grid, [*grid[1:], stop], strict=True)]
    assert len(grid) == count
    assert grid[0] == start
    assert min(strides) >= 1
    assert max(strides) - min(strides) <= 1


def test_drawn_steps_cover_the_schedule_but_not_zero() -> None:
    drawn = Schedule(COSINE).draw(5000, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == set(range(1, 101))
