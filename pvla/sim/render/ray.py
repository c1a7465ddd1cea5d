"""The default renderer: rays only, so that `pip install` alone gives pictures on any machine."""

from __future__ import annotations

import mujoco

from pvla.sim.render.base import Picture
from pvla.sim.render.plain import PlainShader
from pvla.sim.render.studio import StudioShader


class RayRenderer:
    """Pictures by ray casting, without GL.

    Args:
        supersample: samples along each side of an edge pixel of the presentation picture (`shadows=True`).
    """

    def __init__(self, supersample: int = 2) -> None:
        self._plain = PlainShader()
        self._studio = StudioShader(supersample)

    def render(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        camera: str,
        width: int,
        height: int,
        shadows: bool = False,
    ) -> Picture:
        """Draw one picture; see `Renderer.render`."""
        shader = self._studio if shadows else self._plain
        return shader.draw(model, data, camera, width, height)

    def close(self) -> None:
        """Nothing to free."""
