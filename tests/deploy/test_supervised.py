from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest
from deploy_fakes import FakeArm, FakeClock

from pvla.deploy.hardware import ArmState
from pvla.deploy.supervised import ArmSilent, SupervisedArm
from pvla.errors import RunFault


class HangingArm(FakeArm):
    """Hangs in `read` until its gate opens."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.gate = threading.Event()
        self.damped = threading.Event()

    def read(self) -> ArmState:
        assert self.gate.wait(10)
        return super().read()

    def damp(self) -> None:
        super().damp()
        self.damped.set()


def test_calls_pass_through_and_errors_come_back() -> None:
    arm = FakeArm(FakeClock())
    supervised = SupervisedArm(arm, timeout=10, deadman=10)
    supervised.command(np.ones(6), 0.5)
    assert supervised.read().gripper == 0.5

    def refuse() -> None:
        raise RunFault("bus error")

    arm.hold = refuse  # type: ignore[method-assign]
    with pytest.raises(RunFault, match="bus error"):
        supervised.hold()
    supervised.close()
    assert arm.log == ["command", "close"]


def test_hanging_call_becomes_a_fault_and_damping_goes_past_it() -> None:
    arm = HangingArm()
    supervised = SupervisedArm(arm, timeout=0.01, deadman=10)
    with pytest.raises(ArmSilent, match="did not answer within"):
        supervised.read()
    with pytest.raises(ArmSilent, match="driver hangs"):
        supervised.command(np.zeros(6), 1.0)
    with contextlib.suppress(ArmSilent):  # on a loaded machine the fresh thread may itself be late, but it does damp
        supervised.damp()
    assert arm.damped.wait(10)
    arm.gate.set()


def test_deadman_holds_then_damps_when_commands_stop() -> None:
    arm = HangingArm()
    arm.gate.set()
    supervised = SupervisedArm(arm, timeout=10, deadman=0.02)
    supervised.command(np.zeros(6), 1.0)
    assert arm.damped.wait(10)
    assert supervised.tripped
    assert arm.log == ["command", "hold", "damp"]
    with pytest.raises(ArmSilent, match="got no command"):
        supervised.command(np.zeros(6), 1.0)


def test_deadman_leaves_a_held_arm_alone() -> None:
    arm = HangingArm()
    arm.gate.set()
    supervised = SupervisedArm(arm, timeout=10, deadman=0.01)
    supervised.hold()
    assert not arm.damped.wait(0.05)
    assert arm.log == ["hold"]
