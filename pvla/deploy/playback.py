"""A recorded episode in place of an arm and its cameras: what was seen comes again, whatever is commanded."""

from __future__ import annotations

import numpy as np

from pvla.datasets.store import Episode
from pvla.deploy.clock import Clock
from pvla.deploy.hardware import ArmState, Array, Frame


class Playback:
    """Plays an episode back, one frame per command; the last frame stays.

    Args:
        episode: a recorded episode whose state is joint angles in rad, then the gripper.
        clock: the loop's clock.
    """

    def __init__(self, episode: Episode, clock: Clock) -> None:
        self._episode = episode
        self._clock = clock
        self._state = episode.state  # (T, S)
        self.frame = 0
        self.commands: list[Array] = []

    @property
    def finished(self) -> bool:
        """Whether the last frame has been reached."""
        return self.frame >= self._episode.length - 1

    def read(self) -> ArmState:
        """The state that was recorded at this frame, as if it were measured now."""
        state = self._state[self.frame].astype(np.float64)
        return ArmState(state[:-1], float(state[-1]), self._clock.now())

    def command(self, q: Array, gripper: float) -> None:
        """Keep the command for comparison, and go on to the next frame."""
        self.commands.append(np.append(q, gripper))
        self.frame = min(self.frame + 1, self._episode.length - 1)

    def hold(self) -> None:
        """Stay at this frame."""

    def damp(self) -> None:
        """Stay at this frame."""

    def close(self) -> None:
        """Nothing: the store belongs to the caller."""

    def camera(self, name: str) -> PlaybackCamera:
        """The camera of that name, in step with the arm."""
        return PlaybackCamera(self, self._episode, name, self._clock)


class PlaybackCamera:
    """Pictures of a recorded camera at the frame where its `Playback` stands."""

    def __init__(self, playback: Playback, episode: Episode, name: str, clock: Clock) -> None:
        self._playback, self._episode, self._name, self._clock = playback, episode, name, clock

    def read(self) -> Frame:
        """The recorded picture, as if it were taken now."""
        return Frame(self._episode.image(self._name, self._playback.frame), self._clock.now())

    def close(self) -> None:
        """Nothing: the store belongs to the caller."""
