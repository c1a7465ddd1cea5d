"""A dataset's pictures as an encoder wants them: found by name or role, scaled to its size, black if there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pvla.datasets.sampling.cameras import choose, role
from pvla.datasets.sampling.pictures import ERRORS, picture, undecodable
from pvla.datasets.schema import Camera, DatasetInfo
from pvla.datasets.store import Episode


@dataclass(frozen=True)
class View:
    """What one camera of an encoder is shown.

    Attributes:
        name: the encoder's name for it.
        size: height and width of the pictures that it wants, in pixels.
        camera: the dataset's camera, None where it has none for it.
    """

    name: str
    size: int
    camera: Camera | None

    @property
    def note(self) -> str:
        """What a user should know of it, "" where the dataset has just what the encoder wants."""
        shown = f"The encoder's camera {self.name} is shown"
        if self.camera is None:
            return f"{shown} black pictures: the dataset has no camera for it."
        if self._fits:
            return "" if self.camera.name == self.name else f"{shown} {self.camera.name}."
        side = min(self.camera.height, self.camera.width)
        part = "" if self.camera.height == self.camera.width else f"the middle {side} x {side} of "
        return f"{shown} {part}{self.camera.name}, scaled from {side} to {self.size} pixels."

    def pictures(self, episode: Episode) -> npt.NDArray[np.uint8]:
        """An episode's pictures u8 (T, size, size, 3); if they are not square their middle, as `pvla score` has it.

        Raises:
            InputError: a frame is missing or cannot be decoded.
        """
        if self.camera is None:
            return np.zeros((episode.length, self.size, self.size, 3), np.uint8)
        if self._fits:
            return episode.images(self.camera.name)
        return np.stack([self._scaled(episode, self.camera.name, t) for t in range(episode.length)])

    @property
    def _fits(self) -> bool:
        return self.camera is not None and (self.camera.height, self.camera.width) == (self.size, self.size)

    def _scaled(self, episode: Episode, camera: str, t: int) -> npt.NDArray[np.uint8]:
        try:
            return picture(episode.jpeg(camera, t), self.size, "crop")
        except ERRORS as error:
            raise undecodable(episode, camera, t, error) from error


def views(info: DatasetInfo, sizes: Mapping[str, int]) -> list[View]:
    """What each camera of an encoder, given by name with the size that it wants, is shown.

    It is the dataset's camera of the same name; else one of the same role (`head` looks at the scene, `wrist_left` is
    on the arm: see `pvla.datasets.sampling.cameras`); else none.

    Raises:
        InputError: the dataset has no camera for any of them.
    """
    own = {camera.name: camera for camera in info.cameras}
    chosen = choose(info, [name if name in own else role(name) for name in sizes])
    return [
        View(name, size, None if camera is None else own[camera])
        for (name, size), camera in zip(sizes.items(), chosen, strict=True)
    ]
