"""What every renderer of the simulator offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import mujoco

Picture = npt.NDArray[np.uint8]


class Renderer(Protocol):
    """Turns the state of a MuJoCo model into pictures of its named cameras.

    A renderer belongs to one thread. It may keep tables of the model that it saw last, so one renderer per
    model is fastest, but any sequence of models is correct.
    """

    def render(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        camera: str,
        width: int,
        height: int,
        shadows: bool = False,
    ) -> Picture:
        """Draw one picture.

        Args:
            model: the scene.
            data: its state; positions must be up to date (`mj_forward` or `mj_step` was called).
            camera: name of a camera of the model.
            width: columns, pixels.
            height: rows, pixels.
            shadows: the presentation picture (shadows, soft light, smooth edges) instead of the fast one.

        Returns:
            A new array, u8 (height, width, 3), sRGB.

        Raises:
            InputError: the model has no camera of that name.
        """
        ...

    def close(self) -> None:
        """Free what the renderer holds; it cannot be used afterwards."""
        ...
