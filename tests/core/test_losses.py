"""The training stages: what their losses reward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from wake import wake

from pvla.core.config import Preset
from pvla.core.evaluator import Evaluator
from pvla.core.fit import validate
from pvla.core.progress import ProgressEstimator
from pvla.core.stages import (
    ActionDecoderStage,
    EvaluatorStage,
    FastEvaluatorStage,
    LatentExpertStage,
    ProgressStage,
    Stage,
    WorldStage,
)
from pvla.core.stages.progress import add_feature_noise, mismatch_text
from pvla.core.world import WorldModel

MakeStage = Callable[[], Stage]


def stages(preset: Preset) -> dict[str, MakeStage]:
    blank = torch.zeros(preset.patches, preset.vision.width)
    return {
        "progress": lambda: ProgressStage(preset, blank),
        "world-model": lambda: WorldStage(preset),
        "evaluator": lambda: EvaluatorStage(preset, WorldModel(preset), ProgressEstimator(preset)),
        "fast-evaluator": lambda: FastEvaluatorStage(preset, wake(Evaluator(preset))),
        "latent-expert": lambda: LatentExpertStage(preset),
        "action-decoder": lambda: ActionDecoderStage(preset),
    }


NAMES = ["progress", "world-model", "evaluator", "fast-evaluator", "latent-expert", "action-decoder"]


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_learns_one_batch(preset: Preset, make_batch, name: str) -> None:
    stage, batch = stages(preset)[name](), make_batch(16)
    stage.before([batch])
    optimizer = torch.optim.AdamW(stage.trained.parameters(), lr=3e-3)
    losses = []
    for step in range(60):
        torch.manual_seed(step % 4)  # few noises, so that it can be learned by heart
        loss, values = stage(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert all(not v.requires_grad and v.isfinite() for v in values.values())
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])
    assert stage.name == name
    assert stage.healthy


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_can_be_validated(preset: Preset, make_batch, name: str) -> None:
    metrics = validate(stages(preset)[name](), [make_batch(16), make_batch(16, 1)])
    assert metrics
    assert all(torch.isfinite(torch.tensor(value)) for value in metrics.values())


@pytest.mark.parametrize("name", NAMES)
def test_only_the_trained_part_has_parameters(preset: Preset, make_batch, name: str) -> None:
    stage = stages(preset)[name]()
    assert {id(p) for p in stage.parameters()} == {id(p) for p in stage.trained.parameters()}


def test_another_wording_of_the_same_task_is_no_wrong_instruction(make_batch) -> None:
    batch = replace(make_batch(6), task=torch.tensor([0, 0, 1, 1, 2, 2]))
    text, changed = mismatch_text(batch, share=1.0)
    assert changed.tolist() == [True, False, True, False, True, False]
    assert torch.equal(text[1], batch.text[1])
    assert torch.equal(text[2], batch.text[1])


def test_a_wrong_instruction_has_made_no_progress(preset: Preset, make_batch) -> None:
    batch = replace(make_batch(8), progress_now=torch.ones(8))
    stage = ProgressStage(preset, torch.zeros(8, 32), mismatch=1.0, blank_share=0.0).eval()
    loss, log = stage(batch)
    p = stage.trained(batch.text.roll(1, 0), batch.start, batch.now)
    torch.testing.assert_close(loss, p.mean())
    torch.testing.assert_close(log["l1_mismatch"], p.mean().detach())


def test_hidden_views_are_blank_in_both_frames_and_the_first_view_stays(preset: Preset, make_batch) -> None:
    b, blank = make_batch(4), torch.full((8, 32), 7.0)
    stage = ProgressStage(preset, blank, blank_share=1.0)
    for shown, frame in zip(stage._hide_views(b.start, b.now), (b.start, b.now), strict=True):
        assert torch.equal(shown[:, :4], frame[:, :4])
        assert (shown[:, 4:] == 7).all()


def test_feature_noise_is_a_share_of_each_feature_s_own_spread() -> None:
    spread = torch.tensor([0.0, 1.0, 5.0])
    frames = [3.0 + spread * torch.randn(4000, 2, 3) for _ in range(2)]
    for clean, noisy in zip(frames, add_feature_noise(0.5, *frames), strict=True):
        added = noisy - clean
        torch.testing.assert_close(added.std(dim=(0, 1)), 0.5 * spread, rtol=0.05, atol=0.0)
        assert (added.mean(dim=(0, 1)).abs() <= 0.05 * spread).all()
    assert all(same is frame for same, frame in zip(add_feature_noise(0.0, *frames), frames, strict=True))


@pytest.mark.parametrize("name", ["progress", "evaluator"])
def test_features_are_noisy_in_training_and_clean_in_validation(preset: Preset, make_batch, name: str) -> None:
    def loss(noise: float, training: bool) -> float:
        steady = preset.progress.model_copy(update={"dropout": 0.0})
        train = {name: preset.train[name].model_copy(update={"feature_noise": noise})}
        torch.manual_seed(0)
        stage = wake(stages(preset.model_copy(update={"progress": steady, "train": train}))[name]()).train(training)
        torch.manual_seed(1)
        return float(stage(make_batch(8))[0].detach())

    assert loss(0.0, training=True) != loss(2.0, training=True)
    assert loss(0.0, training=False) == loss(2.0, training=False)


def test_with_one_task_no_instruction_is_wrong(preset: Preset, make_batch) -> None:
    stage = ProgressStage(preset, torch.zeros(8, 32), mismatch=0.0)
    assert all("l1_mismatch" not in stage(make_batch(8, seed))[1] for seed in range(5))


def test_the_world_model_logs_the_codes_in_use(preset: Preset, make_batch) -> None:
    vq = preset.model_copy(update={"world": preset.world.model_copy(update={"vq": True})})
    assert 1 / 16 <= float(WorldStage(vq)(make_batch(8))[1]["codes"]) <= 1


def test_the_evaluator_starts_as_world_model_and_estimator_were(preset: Preset, make_batch) -> None:
    world, progress, b = wake(WorldModel(preset)), wake(ProgressEstimator(preset)), make_batch(3)
    world.set_latent_statistics(3 + 2 * torch.randn(50, 2, 4))
    part = EvaluatorStage(preset, world, progress).trained.eval()
    assert torch.equal(part.latent_std, world.latent_std)
    assert torch.equal(part.latent_mean, world.latent_mean)
    assert torch.equal(part.estimator(b.text, b.start, b.now), progress(b.text, b.start, b.now))
    part.dynamics.time = None  # without its τ branch it is the world model's D
    imagined = part.imagine(part.context(b.text, b.start, b.now), world.standardise(b.latent), torch.zeros(3))
    torch.testing.assert_close(imagined, world.forward_dynamics(b.now, b.latent), rtol=1e-4, atol=1e-4)


def test_the_teacher_neither_learns_nor_drops(preset: Preset, make_batch) -> None:
    teacher = wake(Evaluator(preset))
    stage = FastEvaluatorStage(preset, teacher).train()
    stage(make_batch(4))[0].backward()
    assert not teacher.training
    assert all(p.grad is None for p in teacher.parameters())
