from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from deploy_fakes import HEAD, WRIST, A, FakeEngine, H, write_bundle

from pvla.deploy.policy import Observation, Policy
from pvla.deploy.sampler import SamplerSettings
from pvla.errors import InputError, RunFault


def see(level: int, state: float = 0.0) -> Observation:
    images = {"head": np.full(HEAD, level, np.uint8), "wrist": np.full(WRIST, level, np.uint8)}
    return Observation(images, np.full(7, state, np.float32), 0.0)


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    return FakeEngine(write_bundle(tmp_path / "b").manifest.graphs)


@pytest.fixture
def policy(tmp_path: Path, engine: FakeEngine) -> Policy:
    bundle = write_bundle(tmp_path / "b")
    return Policy(bundle, engine, SamplerSettings(mode="fast", scale=0.1, whole_loop=False))


def test_progress_and_plan_share_one_look_at_the_observation(policy: Policy, engine: FakeEngine) -> None:
    policy.reset("stack the bowls", see(0))
    engine.calls.clear()
    now = see(51)
    assert policy.progress(now) == pytest.approx(0.2)
    policy.plan(now, np.random.default_rng(0))
    assert engine.calls.count("vision") == 1
    assert engine.calls.count("context") == 1
    assert "text" not in engine.calls


def test_plan_is_decoded_relative_to_the_state(policy: Policy) -> None:
    policy.reset("stack the bowls", see(0))
    plan = policy.plan(see(0, state=0.5), np.random.default_rng(0))
    still = policy.plan(see(0, state=0.0), np.random.default_rng(0))
    assert plan.actions.shape == (H, A)
    np.testing.assert_allclose(plan.actions[:, :6] - still.actions[:, :6], 0.5, atol=1e-6)
    np.testing.assert_allclose(plan.actions[:, 6], still.actions[:, 6])
    assert plan.ratio is not None
    assert set(plan.timings) == {"vision", "context", "sample"}


def test_same_noise_same_plan(policy: Policy) -> None:
    policy.reset("stack the bowls", see(0))
    first, second = (policy.plan(see(9), np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first.actions, second.actions)


def test_plan_that_is_not_finite_is_a_fault(policy: Policy, engine: FakeEngine) -> None:
    policy.reset("stack the bowls", see(0))
    engine.broken = {"joint_step_fast", "joint_step_plain"}
    with pytest.raises(RunFault, match="not finite"):
        policy.plan(see(0), np.random.default_rng(0))


def test_missing_camera_and_empty_instruction(policy: Policy) -> None:
    with pytest.raises(InputError, match="instruction is empty"):
        policy.reset(" ", see(0))
    blind = Observation({"head": see(0).images["head"]}, np.zeros(7, np.float32), 0.0)
    with pytest.raises(RunFault, match="needs camera 'wrist'"):
        policy.progress(blind)
