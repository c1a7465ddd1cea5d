"""A scripted expert: a closed-loop state machine over waypoints that reads the simulator's state."""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from pvla.sim.env import TabletopEnv
from pvla.sim.kinematics import inverse
from pvla.sim.scene import HOME, TABLE_Z, Scene
from pvla.sim.skills import HOVER, SKILLS, Goal, Skill, turned
from pvla.sim.tasks import CONDITIONS

Array = npt.NDArray[np.float64]

SPEEDS = (0.010, 0.022)
"""Range of speeds of the tool point in demonstrations, m per control step of 0.1 s."""

TURN_PER_METRE = 9.0
"""How far the hand may turn about the vertical while the tool point moves by a metre, rad/m."""

CLEAR_Z = TABLE_Z + 0.09
"""Under this height the empty hand goes up before it goes sideways, m."""

STUCK_AFTER = 16
"""Steps that no way down needs unless something is in the way."""

JOINT_STEP = 0.08
"""Largest step of a joint on the way back from a pose out of reach, rad."""

HOLDING_DISTANCE = 0.03
"""What is farther than this from the tool point is not in the hand, m."""


MOVED = 0.01
"""How far a target may be pushed by the hand that comes down on it, m."""

OPEN_FINGERS = 0.85
"""Opening from which the fingers hold nothing, whatever they touch, 0..1."""


class Phase(Enum):
    """What the expert is doing; the order is the order of events."""

    APPROACH = 0
    DESCEND = 1
    CLOSE = 2
    LIFT = 3
    CARRY = 4
    LOWER = 5
    RELEASE = 6
    RETREAT = 7
    REST = 8


HOLDING = (Phase.LIFT, Phase.CARRY, Phase.LOWER)
"""Phases in which the target has to be in the hand."""

BEFORE_HOLDING = (Phase.APPROACH, Phase.DESCEND, Phase.CLOSE)
"""Phases in which the target is still to be taken."""

WAYS_DOWN = (Phase.DESCEND, Phase.LOWER)


class Expert:
    """Does the task of an environment.

    It goes back to the approach when it has lost what it held, and when the task is not done after letting go.

    Args:
        env: whose state is read; the task is the environment's.
        rng: draws the speed where none is given.
        speed: of the tool point, m per control step.
        grasp_error: added to every grasp, (3,), m; for experts that fail on purpose.
        place_error: added to where the target is let go, (3,), m.
        watchful: False makes it go on as if nothing had happened when it has lost the target.
        task: done instead of the environment's.
    """

    def __init__(
        self,
        env: TabletopEnv,
        rng: np.random.Generator,
        speed: float | None = None,
        grasp_error: Array | None = None,
        place_error: Array | None = None,
        watchful: bool = True,
        task: str | None = None,
    ) -> None:
        self.speed = float(rng.uniform(*SPEEDS)) if speed is None else speed
        self.phase = Phase.APPROACH
        self.steps_in_phase = 0
        self._scene: Scene = env.scene
        self._skill: Skill = SKILLS[task or env.task]
        self._task_is_done = CONDITIONS[task or env.task]
        self._grasp_error = np.zeros(3) if grasp_error is None else grasp_error
        self._place_error = np.zeros(3) if place_error is None else place_error
        self._watchful = watchful
        self._grasp = self._skill.grasp(env.scene)
        self._last_finish = self._grasp
        self._hanging = np.zeros(3)
        self._opening = 1.0

    def act(self) -> npt.NDArray[np.float32]:
        """The action, (7,), for the state of the scene now."""
        if self._watchful and self._has_failed():
            self._enter(Phase.APPROACH)
        elif self._watchful and self._is_needless():
            self._enter(Phase.RETREAT)
        elif self._watchful and self._is_stuck():
            self._enter(Phase.CARRY)
        elif self._is_done():
            self._enter(self._next_phase())
        self.steps_in_phase += 1
        self._opening = float(self._scene.state()[6])
        return self.toward(self.goal())

    def goal(self) -> Goal:
        """Where the hand should be at the end of the phase."""
        return _GOALS[self.phase](self)

    def holds_target(self) -> bool:
        """Whether the target is between the fingers now, and they are not open."""
        return is_holding(self._scene, self._skill) and self._scene.state()[6] < OPEN_FINGERS

    def _approach(self) -> Goal:
        grasp = self._live_grasp()
        return grasp.raised_to(grasp.position[2] + HOVER)

    def _live_grasp(self) -> Goal:
        grasp = self._skill.grasp(self._scene)
        return Goal(grasp.position + self._grasp_error, grasp.yaw, grasp.gripper)

    def _descend(self) -> Goal:
        return self._grasp

    def _close(self) -> Goal:
        return self._grasp.with_gripper(0.0)

    def _lift(self) -> Goal:
        return self._grasp.raised_to(self._carry_goal().position[2]).with_gripper(0.0)

    def _carry(self) -> Goal:
        return self._carry_goal().with_gripper(0.0)

    def _carry_goal(self) -> Goal:
        finish = self._finish()
        return self._skill.via(finish) or finish

    def _lower(self) -> Goal:
        return self._finish().with_gripper(0.0)

    def _finish(self) -> Goal:
        """Where the target is to be let go; it is settled when the fingers open."""
        if self.phase in HOLDING and self.holds_target():
            self._hanging = turned(self._scene.tcp() - self._target_position(), -self._scene.hand_yaw())
        if self.phase in (Phase.RELEASE, Phase.RETREAT, Phase.REST):
            return self._last_finish
        finish = self._skill.finish(self._scene, self._grasp, self._hanging)
        self._last_finish = Goal(finish.position + self._place_error, finish.yaw, finish.gripper)
        return self._last_finish

    def _target_position(self) -> Array:
        return self._scene.position(self._skill.target)

    def _release(self) -> Goal:
        return self._finish()

    def _retreat(self) -> Goal:
        finish = self._finish()
        return finish.raised_to(finish.position[2] + 0.07)

    def _rest(self) -> Goal:
        return self._finish() if self._keeps_hold() else self._retreat()

    def _keeps_hold(self) -> bool:
        """Whether the task ends with the target in the hand."""
        return self._finish().gripper == 0.0

    def _next_phase(self) -> Phase:
        following = Phase(self.phase.value + 1)
        if following is Phase.LIFT and self._goes_straight():
            return Phase.LOWER
        if following is Phase.RELEASE and self._keeps_hold():
            return Phase.REST
        return following

    def _goes_straight(self) -> bool:
        """Whether the way from the grasp to the finish has no lift and no carry."""
        return self._skill.via(self._finish()) is None

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.steps_in_phase = 0
        if phase is Phase.DESCEND:
            self._grasp = self._live_grasp()
            self._hanging = turned(self._grasp.position - self._target_position(), -self._grasp.yaw)

    def _has_failed(self) -> bool:
        if self.phase is Phase.DESCEND:
            return self.steps_in_phase > STUCK_AFTER or self._distance() > 0.02 or self._target_has_moved()
        if self.phase in HOLDING or (self.phase is Phase.REST and self._keeps_hold()):
            return not self.holds_target()
        return self.phase is Phase.REST and self.steps_in_phase > 3 and not self._task_is_done(self._scene)

    def _target_has_moved(self) -> bool:
        """Too far for the grasp on which the hand is going down."""
        return float(np.linalg.norm(self._live_grasp().position - self._grasp.position)) > MOVED

    def _is_needless(self) -> bool:
        """What slipped out of the hand fell where it belongs."""
        return self.phase in BEFORE_HOLDING and self._task_is_done(self._scene)

    def _is_stuck(self) -> bool:
        """The target has caught on something on its way down: lift it and come again."""
        if self.phase is not Phase.LOWER or self._goes_straight():
            return False
        return self.steps_in_phase > STUCK_AFTER or self._distance() > 0.025

    def _distance(self) -> float:
        """Horizontal distance to the goal, m."""
        return float(np.hypot(*(self.goal().position - self._scene.tcp())[:2]))

    def _is_done(self) -> bool:
        if not self._watchful and self.phase in WAYS_DOWN and self.steps_in_phase > STUCK_AFTER:
            return True
        goal, away = self.goal(), self._distance()
        height = abs(goal.position[2] - self._scene.tcp()[2])
        turn = abs(goal.yaw - self._scene.hand_yaw())
        if self.phase is Phase.APPROACH:
            return bool(away < 0.008 and height < 0.015 and turn < 0.10)
        if self.phase is Phase.DESCEND:
            return bool(away < 0.005 and height < 0.004)
        if self.phase is Phase.CLOSE:
            return self.steps_in_phase >= 2 and abs(self._scene.state()[6] - self._opening) < 0.02
        if self.phase is Phase.LIFT:
            return bool(height < 0.02)
        if self.phase is Phase.CARRY:
            return bool(away < 0.006 and turn < 0.10)
        if self.phase is Phase.LOWER:
            return bool(away < 0.006 and height < 0.005)
        if self.phase is Phase.RELEASE:
            return self.steps_in_phase >= 2 and self._scene.state()[6] > goal.gripper - 0.1
        return self.phase is Phase.RETREAT and bool(height < 0.01)

    def toward(self, goal: Goal) -> npt.NDArray[np.float32]:
        """One step along the straight way to the goal, from where the hand truly is."""
        tcp, yaw = self._scene.tcp(), self._scene.hand_yaw()
        way = self._clear_of_objects(goal.position, tcp) - tcp
        share = min(1.0, self.speed / max(float(np.linalg.norm(way)), 1e-9))
        most = TURN_PER_METRE * self.speed
        turn = float(np.clip(goal.yaw - yaw, -most, most))
        joints = inverse(tcp + share * way, yaw + turn)
        if joints is None or not self._scene.can_reach(joints):
            joints = self._joints_toward(goal)
        return np.append(joints, goal.gripper).astype(np.float32)

    def _joints_toward(self, goal: Goal) -> Array:
        """One step in joint space: the way back from where the hand cannot point down."""
        here = self._scene.state()[:6]
        there = inverse(goal.position, goal.yaw)
        there = HOME if there is None else there
        return here + np.clip(there - here, -JOINT_STEP, JOINT_STEP)

    def _clear_of_objects(self, goal: Array, tcp: Array) -> Array:
        """Straight up first where the way to the goal is too low."""
        far = np.hypot(*(goal - tcp)[:2]) > 0.03
        if self.phase is Phase.APPROACH and far and tcp[2] < CLEAR_Z:
            return np.array([tcp[0], tcp[1], CLEAR_Z + 0.01])
        if self.phase is Phase.CARRY and tcp[2] < goal[2] - 0.025:
            return np.array([tcp[0], tcp[1], goal[2]])
        return goal


def is_holding(scene: Scene, skill: Skill) -> bool:
    """Whether a skill's target is in contact with the hand and near the tool point."""
    near = np.linalg.norm(skill.grip_point(scene) - scene.tcp()) < HOLDING_DISTANCE
    return bool(near) and scene.touches_hand(skill.target)


_GOALS = {
    Phase.APPROACH: Expert._approach,
    Phase.DESCEND: Expert._descend,
    Phase.CLOSE: Expert._close,
    Phase.LIFT: Expert._lift,
    Phase.CARRY: Expert._carry,
    Phase.LOWER: Expert._lower,
    Phase.RELEASE: Expert._release,
    Phase.RETREAT: Expert._retreat,
    Phase.REST: Expert._rest,
}
