"""The fast picture: one ray a pixel, one light, no shadows. What the policy's cameras see."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
import numpy.typing as npt

from pvla.sim.render.base import Picture
from pvla.sim.render.rays import Array, Hits, PixelRays, camera_id, cast
from pvla.sim.render.still import StillLayer
from pvla.sim.render.surfaces import geom_colours

# Direction towards the light, world frame: in front of the robot, to its left, high.
TO_LIGHT = np.array([0.35, 0.45, 0.82]) / np.linalg.norm([0.35, 0.45, 0.82])
AMBIENT, KEY, SKY_LIGHT, EYE_LIGHT = 0.40, 0.42, 0.14, 0.16
HORIZON = np.array([0.90, 0.92, 0.94], np.float32)
ZENITH = np.array([0.66, 0.75, 0.86], np.float32)


@dataclass
class _View:
    """One camera at one size: its rays, and what of its picture stands still."""

    rays: PixelRays
    still: StillLayer


class PlainShader:
    """Draws flat-lit pictures and keeps the ray tables of the model it saw last."""

    def __init__(self) -> None:
        self._model: mujoco.MjModel | None = None
        self._views: dict[tuple[int, int, int], _View] = {}

    def draw(self, model: mujoco.MjModel, data: mujoco.MjData, camera: str, width: int, height: int) -> Picture:
        """One picture, u8 (height, width, 3); see `Renderer.render`."""
        number = camera_id(model, camera)
        view = self._view(model, number, width, height)
        directions = view.rays.turned(data.cam_xmat[number].reshape(3, 3))
        picture = view.still.picture
        stale = view.still.stale_pixels(model, data)
        if len(stale) == len(picture):
            picture[:] = self._shade(model, data, data.cam_xpos[number], directions, view.rays.hits)
        else:
            hits = view.rays.hits.first(len(stale))
            picture[stale] = self._shade(model, data, data.cam_xpos[number], directions[stale], hits)
        return np.array(picture).reshape(height, width, 3)

    @staticmethod
    def _shade(model: mujoco.MjModel, data: mujoco.MjData, origin: Array, directions: Array, room: Hits) -> Picture:
        hits = cast(model, data, origin, directions, out=room)
        colour = np.take(_with_background(geom_colours(model)), hits.geom, axis=0, mode="wrap")
        colour *= _light(hits, directions)[:, None]
        _fill_sky(colour, hits, directions)
        np.clip(colour, 0, 255, out=colour)
        return colour.astype(np.uint8)

    def _view(self, model: mujoco.MjModel, camera: int, width: int, height: int) -> _View:
        if self._model is not model:
            self._model, self._views = model, {}
        view = self._views.get((camera, width, height))
        fovy = float(model.cam_fovy[camera])
        if view is None or view.rays.fovy_deg != fovy:
            view = _View(PixelRays(fovy, width, height), StillLayer(model, camera, width, height))
            self._views[camera, width, height] = view
        return view


def _with_background(colours: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # The last row answers geom number -1 (nothing hit) when the lookup wraps around; 255 is folded in here.
    return np.concatenate([colours * 255, np.zeros((1, 3), np.float32)])


def _light(hits: Hits, directions: Array) -> npt.NDArray[np.float32]:
    facing = -np.einsum("ij,ij->i", hits.normal, directions)
    key = np.maximum(hits.normal @ TO_LIGHT, 0)
    total = AMBIENT + KEY * key + SKY_LIGHT * hits.normal[:, 2] + EYE_LIGHT * facing
    return np.asarray(total, np.float32)


def _fill_sky(colour: npt.NDArray[np.float32], hits: Hits, directions: Array) -> None:
    where = np.flatnonzero(hits.geom < 0)
    if len(where):
        height = np.clip(directions[where, 2], 0, 1).astype(np.float32)[:, None]
        colour[where] = 255 * (HORIZON + (ZENITH - HORIZON) * height)
