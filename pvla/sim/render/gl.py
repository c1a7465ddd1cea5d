"""MuJoCo's own OpenGL renderer, tried out in a process of its own before it is trusted."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from functools import lru_cache

import mujoco
import numpy as np

from pvla.errors import InputError
from pvla.sim.render.base import Picture
from pvla.sim.render.rays import PRESENTATION_GROUPS, VISIBLE_GROUPS, camera_id

# A broken driver may abort the whole process or hang, so the trial runs in a process that may die.
_TRIAL = """
import importlib, sys, mujoco
context = importlib.import_module("mujoco." + sys.argv[1]).GLContext(8, 8)
context.make_current()
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='.1'/></worldbody></mujoco>")
mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
"""
_TRIAL_SECONDS = 30
_SHADOW_MAP = 512
_BACKENDS = ("egl", "osmesa", "glfw")


@lru_cache(maxsize=1)
def gl_backend() -> str | None:
    """The back-end with which OpenGL works here: "egl", "osmesa" or "glfw"; None if none does.

    If the variable MUJOCO_GL names one of them, only that one is tried. A trial takes about half a second.
    """
    asked = os.environ.get("MUJOCO_GL", "").strip().lower()
    candidates = (asked,) if asked in _BACKENDS else _BACKENDS
    return next((name for name in candidates if _works(name)), None)


def _works(backend: str) -> bool:
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL, backend],
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return trial.returncode == 0


class GlRenderer:
    """Pictures by OpenGL: shadow map of at most 512 texels, no multisampling (15 times the default's speed).

    Raises:
        InputError: OpenGL does not work on this machine.
    """

    def __init__(self) -> None:
        backend = gl_backend()
        if backend is None:
            raise InputError(
                "the renderer 'gl' needs a working OpenGL (EGL or OSMesa), and none was found here; "
                "use the renderer 'ray', or install libegl1 and libgl1"
            )
        self._backend = backend
        self._drawing: _Drawing | None = None

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
        number = camera_id(model, camera)
        if self._drawing is None or not self._drawing.fits(model, width, height):
            self.close()
            self._drawing = _Drawing(self._backend, model, width, height)
        return self._drawing.picture(data, number, width, height, shadows)

    def close(self) -> None:
        """Free the OpenGL context."""
        if self._drawing is not None:
            self._drawing.close()
            self._drawing = None


class _Drawing:
    """An OpenGL context with one model's shapes in it.

    It is made here and not by `mujoco.Renderer`, which fixes the back-end when mujoco is first imported.
    """

    def __init__(self, backend: str, model: mujoco.MjModel, width: int, height: int) -> None:
        _lower_quality(model, width, height)
        self._model = model
        self._room = (model.vis.global_.offwidth, model.vis.global_.offheight)
        self._window = importlib.import_module(f"mujoco.{backend}").GLContext(*self._room)
        self._window.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 100)
        self._options = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def fits(self, model: mujoco.MjModel, width: int, height: int) -> bool:
        return self._model is model and width <= self._room[0] and height <= self._room[1]

    def picture(self, data: mujoco.MjData, camera: int, width: int, height: int, shadows: bool) -> Picture:
        self._camera.fixedcamid = camera
        self._options.geomgroup[:] = PRESENTATION_GROUPS if shadows else VISIBLE_GROUPS
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, data, self._options, None, self._camera, everything, self._scene)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        area = mujoco.MjrRect(0, 0, width, height)
        picture = np.empty((height, width, 3), np.uint8)
        self._window.make_current()
        mujoco.mjr_render(area, self._scene, self._context)
        mujoco.mjr_readPixels(picture, None, area, self._context)
        return np.ascontiguousarray(picture[::-1])

    def close(self) -> None:
        self._window.make_current()
        self._context.free()
        self._window.free()


def _lower_quality(model: mujoco.MjModel, width: int, height: int) -> None:
    quality, screen = model.vis.quality, model.vis.global_
    quality.shadowsize = min(quality.shadowsize, _SHADOW_MAP)
    quality.offsamples = 0
    screen.offwidth = max(screen.offwidth, width)
    screen.offheight = max(screen.offheight, height)
