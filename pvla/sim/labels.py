"""How far along a task is, judged from the state of the scene: the progress label of runs that fail.

In a demonstration that succeeds the label is t/(T-1), time passed. Where things go wrong time passes without
progress, so the label is the share of the work that is no longer to be done: 1 - s_t/s_0, s_t being the number of
steps that the expert would need from here to the end of a demonstration, the waiting after success among them. A
missed grasp followed by an empty-handed lift falls back, a dropped object falls back further, hovering over the goal
stays near the end but below it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pvla.sim.expert import TURN_PER_METRE, is_holding
from pvla.sim.kinematics import inverse
from pvla.sim.scene import TABLE_Z, Scene
from pvla.sim.skills import HOVER, SKILLS, Goal, Skill, turned
from pvla.sim.tasks import CONDITIONS

Array = npt.NDArray[np.float64]

AFTER_SUCCESS = 4
"""Steps for which a demonstration goes on after its success.

Time passes in them and no picture can tell them apart, so they keep P of what is done below 1: no more than it takes to
say done for a few observations in a row.
"""

CLOSING, OPENING, ARRIVING = 3.0, 4.0, 1.5
"""Steps that the fingers take to close; to open until success is seen; that each leg takes beyond its length."""

PACE = 1.2
"""By how much pauses and disturbances lengthen a demonstration."""

ABOVE = 0.025
"""Horizontal distance within which the hand is above its target, m."""


class ProgressLabel:
    """Judges the frames of one run, one after the other.

    Args:
        scene: at the start of the run.
        task: that should be done.
        speed: of the expert, m per step.
    """

    def __init__(self, scene: Scene, task: str, speed: float) -> None:
        self._task, self._speed = task, speed
        self._at_start = steps_to_go(scene, task, speed)
        self._done_for = 0

    def of(self, scene: Scene) -> float:
        """The label, 0..1, of the scene as it is now; to be asked once a step, as it counts the steps since success."""
        self._done_for = self._done_for + 1 if CONDITIONS[self._task](scene) else 0
        waited = max(0, self._done_for - 1)
        left = steps_to_go(scene, self._task, self._speed) - waited
        return float(np.clip(1.0 - left / self._at_start, 0.0, 1.0))


def steps_to_go(scene: Scene, task: str, speed: float) -> float:
    """Control steps until a demonstration that went on from this state would end; infinite if it never could.

    Args:
        scene: its state.
        task: that should be done.
        speed: of the tool point, m per step.
    """
    skill = SKILLS[task]
    if CONDITIONS[task](scene):
        return AFTER_SUCCESS
    if is_holding(scene, skill):
        here = Goal(scene.tcp(), scene.hand_yaw(), 0.0)
        hanging = turned(scene.tcp() - scene.position(skill.target), -scene.hand_yaw())
        return _steps([here, *_way_home(scene, skill, here, hanging)], speed) + _ending(skill, scene) + AFTER_SUCCESS
    grasp = skill.grasp(scene)
    if not _within_reach(grasp):
        return float("inf")
    hanging = turned(grasp.position - scene.position(skill.target), -grasp.yaw)
    reaching = _steps(_way_there(scene, grasp), speed)
    moving = _steps([grasp, *_way_home(scene, skill, grasp, hanging)], speed)
    return reaching + CLOSING + moving + _ending(skill, scene) + AFTER_SUCCESS


def _way_there(scene: Scene, grasp: Goal) -> list[Goal]:
    """Over the target and down to it; straight down where the hand is above it already."""
    here = Goal(scene.tcp(), scene.hand_yaw(), 1.0)
    over = grasp.raised_to(grasp.position[2] + HOVER)
    away = np.linalg.norm(grasp.position[:2] - here.position[:2])
    if away < ABOVE and here.position[2] < over.position[2]:
        return [here, grasp]
    return [here, over, grasp]


def _way_home(scene: Scene, skill: Skill, grasp: Goal, hanging: Array) -> list[Goal]:
    finish = skill.finish(scene, grasp, hanging)
    via = skill.via(finish)
    return [finish] if via is None else [grasp.raised_to(via.position[2]), via, finish]


def _ending(skill: Skill, scene: Scene) -> float:
    """The time for letting go; a task whose goal is passed on the way ends a little before the end of the way."""
    if skill.target == "drawer":
        return -1.0
    return 0.0 if skill.target == "peach" else OPENING


def _steps(goals: list[Goal], speed: float) -> float:
    return sum(_leg(a, b, speed) for a, b in pairwise(goals))


def _leg(start: Goal, end: Goal, speed: float) -> float:
    way = float(np.linalg.norm(end.position - start.position))
    turn = abs(end.yaw - start.yaw) / TURN_PER_METRE
    return PACE * (max(way, turn) / speed + ARRIVING)


def _within_reach(grasp: Goal) -> bool:
    return grasp.position[2] > TABLE_Z and inverse(grasp.position, grasp.yaw) is not None
