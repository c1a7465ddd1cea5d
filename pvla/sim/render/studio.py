"""The presentation picture: a key lamp and a sky with soft shadows, gloss, and smooth edges."""

from __future__ import annotations

import mujoco
import numpy as np
import numpy.typing as npt

from pvla.sim.render import lights
from pvla.sim.render.base import Picture
from pvla.sim.render.eye import Eye, Image, Seen, look
from pvla.sim.render.rays import Array, PixelRays
from pvla.sim.render.shading import Materials, shade

Pixels = npt.NDArray[np.int64]


class StudioShader:
    """Draws presentation pictures.

    Args:
        supersample: samples along each side of a pixel that lies on an edge; 1 leaves edges jagged.
    """

    def __init__(self, supersample: int = 2) -> None:
        self._supersample = supersample
        self._key = lights.key_points()
        self._dome = lights.dome_points()
        self._rays: PixelRays | None = None
        self._rays_key = (0.0, 0, 0)

    def draw(self, model: mujoco.MjModel, data: mujoco.MjData, camera: str, width: int, height: int) -> Picture:
        """One picture, u8 (height, width, 3); see `Renderer.render`."""
        eye = Eye.of(model, data, camera, width, height)
        materials = Materials.of(model)
        seen = look(model, data, eye, materials.lathed, self._grid(eye))
        guide = _Guide(materials, seen, eye)
        light = self._soft_light(model, data, seen, guide)
        picture = shade(data, materials, seen, eye, light[seen.where])
        if self._supersample > 1:
            self._smooth_edges(model, data, materials, guide, light, picture)
        picture *= _vignette(width, height)
        return np.asarray(picture * 255 + 0.5, np.uint8).reshape(height, width, 3)

    def _grid(self, eye: Eye) -> Array:
        # The presentation camera hardly ever moves: the rays of the frame before are the rays of this one.
        key = (eye.fovy_deg, eye.width, eye.height)
        if self._rays is None or self._rays_key != key:
            self._rays, self._rays_key = PixelRays(*key), key
        return self._rays.turned(eye.rotation)

    def _soft_light(self, model: mujoco.MjModel, data: mujoco.MjData, seen: Seen, guide: _Guide) -> Image:
        shape = guide.label.shape
        choice = lights.lamp_of_pixel(*shape)[seen.where]
        key = lights.interleaved_light(model, data, seen, self._key, choice)
        dome = lights.interleaved_light(model, data, seen, self._dome, choice)
        values = np.zeros((guide.label.size, 4), np.float32)
        values[seen.where] = np.stack([*key, *dome], axis=-1)
        blur = lights.SurfaceBlur(guide.label, guide.normals, guide.distance)
        # The first blur gathers all lamp points; the second rounds off the square footprint of the first.
        gathered = blur(values.reshape(*shape, 4))
        light = blur(np.asarray(gathered[..., ::2] / np.maximum(gathered[..., 1::2], 1e-4), np.float32))
        return light.reshape(-1, 2)

    def _smooth_edges(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        materials: Materials,
        guide: _Guide,
        light: Image,
        picture: Image,
    ) -> None:
        edge = guide.edges()
        rows, columns = np.divmod(edge, guide.eye.width)
        total = np.zeros((len(edge), 3), np.float32)
        steps = (np.arange(self._supersample) + 0.5) / self._supersample
        for down in steps:
            for right in steps:
                directions = guide.eye.directions(rows + down, columns + right)
                part = look(model, data, guide.eye, materials.lathed, directions)
                near = guide.alike(part, rows, columns, 1 if down > 0.5 else -1, 1 if right > 0.5 else -1)
                total += shade(data, materials, part, guide.eye, light[near])
        picture[edge] = total / self._supersample**2


class _Guide:
    """What each pixel's centre shows, as images: where surfaces end, and which pixels are alike."""

    def __init__(self, materials: Materials, seen: Seen, eye: Eye) -> None:
        self.eye = eye
        self._label_of_geom = materials.label
        shape = (eye.height, eye.width)
        self.label = np.full(shape, -1, np.int32)
        self.distance = np.zeros(shape, np.float32)
        self.normals = np.zeros((*shape, 3), np.float32)
        self.label.reshape(-1)[seen.where] = materials.label[seen.geom]
        self.distance.reshape(-1)[seen.where] = seen.distance
        self.normals.reshape(-1, 3)[seen.where] = seen.normals

    def edges(self) -> Pixels:
        """The pixels whose neighbour to a side, above or below shows another surface or faces elsewhere."""
        found = np.zeros(self.label.shape, bool)
        for near, far in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
            differs = self.label[near] != self.label[far]
            differs |= np.abs(self.distance[near] - self.distance[far]) > 0.02 * self.distance[near]
            turns = np.einsum("ijk,ijk->ij", self.normals[near], self.normals[far]) < 0.8
            differs |= turns & (self.distance[near] > 0)
            found[near] |= differs
            found[far] |= differs
        return np.flatnonzero(found)

    def alike(self, part: Seen, rows: Pixels, columns: Pixels, down: int, right: int) -> Pixels:
        """For points beside pixel centres, the nearest pixel that shows the same surface, (M,) of `part`."""
        rows, columns = rows[part.where], columns[part.where]
        chosen = rows * self.eye.width + columns
        best = np.full(len(rows), -2.0, np.float32)
        normals = self.normals.reshape(-1, 3)
        label = self._label_of_geom[part.geom]
        for row_step, column_step in ((0, 0), (0, right), (down, 0), (down, right)):
            row = np.clip(rows + row_step, 0, self.eye.height - 1)
            near = row * self.eye.width + np.clip(columns + column_step, 0, self.eye.width - 1)
            likeness = lights.dot(normals[near], part.normals)
            likeness += 2 * (self.label.reshape(-1)[near] == label)
            better = likeness > best + 1e-5
            chosen = np.where(better, near, chosen)
            best = np.where(better, likeness, best)
        return chosen


def _vignette(width: int, height: int) -> Image:
    y = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    return np.asarray(1 - 0.06 * (x[None, :] ** 2 + y[:, None] ** 2), np.float32).reshape(-1, 1)
