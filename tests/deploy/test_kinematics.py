from __future__ import annotations

import numpy as np

from pvla.deploy.kinematics import SerialChain
from pvla.deploy.manifest import ChainSpec
from pvla.deploy.sim_arm import SimKinematics
from pvla.sim.scene import HOME, Scene


def test_planar_arm_in_closed_form() -> None:
    links = [{"offset": (0, 0, 0), "axis": (0, 0, 1)}, {"offset": (0.3, 0, 0), "axis": (0, 0, 2)}]
    chain = SerialChain(ChainSpec.model_validate({"joints": links, "tool": (0.2, 0, 0.1)}))
    rng = np.random.default_rng(0)
    for a, b in rng.uniform(-3, 3, (20, 2)):
        expected = [0.3 * np.cos(a) + 0.2 * np.cos(a + b), 0.3 * np.sin(a) + 0.2 * np.sin(a + b), 0.1]
        np.testing.assert_allclose(chain.tcp(np.array([a, b])), expected, atol=1e-12)


def test_simulated_arm_agrees_with_the_simulator() -> None:
    import mujoco

    scene, rng = Scene(), np.random.default_rng(0)
    for _ in range(5):
        q = HOME + rng.uniform(-0.3, 0.3, 6)
        scene.data.qpos[scene._arm_qpos] = q
        mujoco.mj_forward(scene.model, scene.data)
        np.testing.assert_allclose(SimKinematics().tcp(q), scene.tcp(), atol=1e-6)
