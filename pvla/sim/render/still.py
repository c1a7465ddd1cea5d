"""What a camera that stands still need not look at again.

Where no moving geom can appear, the pixel shows what it showed before. The pixels that moving geoms may touch
are bounded by the geoms' bounding spheres, so the picture is the same as if every ray were cast again.
"""

from __future__ import annotations

import mujoco
import numpy as np
import numpy.typing as npt

from pvla.sim.render.rays import VISIBLE_GROUPS, Array

Mask = npt.NDArray[np.bool_]


def moving_geoms(model: mujoco.MjModel) -> npt.NDArray[np.int64]:
    """Numbers of the visible geoms whose bodies can move against the world."""
    visible = VISIBLE_GROUPS[model.geom_group] > 0
    return np.flatnonzero(visible & (model.body_weldid[model.geom_bodyid] != 0))


def touched_pixels(centres: Array, radii: Array, fovy_deg: float, width: int, height: int) -> Mask:
    """The pixels that spheres may cover.

    Args:
        centres: (G, 3) in the camera frame (looking along -z), m.
        radii: (G,) m; 0 means unbounded, as in MuJoCo.
        fovy_deg: vertical field of view, degrees.
        width: columns.
        height: rows.

    Returns:
        (height, width), true where a ray through the pixel's centre may hit one of the spheres.
    """
    depth = -centres[:, 2]
    mask = np.zeros((height, width), bool)
    ahead = depth > -1.001 * radii
    if ((radii <= 0) | (ahead & (depth <= 1.001 * radii))).any():
        mask[:] = True
        return mask
    focal = height / 2 / np.tan(np.radians(fovy_deg) / 2)
    left, right = _extent(centres[ahead, 0], depth[ahead], radii[ahead], focal, width)
    top, bottom = _extent(-centres[ahead, 1], depth[ahead], radii[ahead], focal, height)
    for row, row_end, column, column_end in zip(top, bottom, left, right, strict=True):
        mask[row:row_end, column:column_end] = True
    return mask


def _extent(offset: Array, depth: Array, radius: Array, focal: float, size: int) -> tuple[list[int], list[int]]:
    # Tangents of the two planes through the eye that touch the sphere, along one axis of the picture.
    reach = radius * np.sqrt(offset**2 + depth**2 - radius**2)
    slope = depth**2 - radius**2
    low = (offset * depth - reach) / slope * focal + size / 2
    high = (offset * depth + reach) / slope * focal + size / 2
    first = np.clip(np.floor(low), 0, size).astype(int)
    last = np.clip(np.ceil(high), 0, size).astype(int)
    return first.tolist(), last.tolist()


class StillLayer:
    """The pixels of one camera that are known not to change while nothing but moving geoms moves."""

    def __init__(self, model: mujoco.MjModel, camera: int, width: int, height: int) -> None:
        self._moving = moving_geoms(model)
        self._still = np.setdiff1d(np.arange(model.ngeom), self._moving)
        self._camera, self._width, self._height = camera, width, height
        self._key = np.empty(0)
        self._known = np.zeros(width * height, bool)
        self.picture = np.zeros((width * height, 3), np.uint8)

    def stale_pixels(self, model: mujoco.MjModel, data: mujoco.MjData) -> npt.NDArray[np.int64]:
        """Numbers of the pixels of `picture` that must be drawn again for this state; the rest are right.

        That is: where a moving geom may be now, and where one may have been at the call before.
        """
        key = self._key_of(model, data)
        if not np.array_equal(key, self._key):
            self._key = key
            self._known[:] = False
        touched = self._touched(model, data)
        stale = np.flatnonzero(touched | ~self._known)
        self._known = ~touched
        return stale

    def _key_of(self, model: mujoco.MjModel, data: mujoco.MjData) -> Array:
        parts = [
            data.cam_xpos[self._camera],
            data.cam_xmat[self._camera],
            model.cam_fovy[self._camera : self._camera + 1],
            data.geom_xpos[self._still],
            data.geom_xmat[self._still],
            model.geom_rgba,
            model.mat_rgba,
        ]
        return np.concatenate([np.ravel(part) for part in parts])

    def _touched(self, model: mujoco.MjModel, data: mujoco.MjData) -> Mask:
        rotation = data.cam_xmat[self._camera].reshape(3, 3)
        centres = (data.geom_xpos[self._moving] - data.cam_xpos[self._camera]) @ rotation
        fovy = float(model.cam_fovy[self._camera])
        radii = model.geom_rbound[self._moving]
        return touched_pixels(centres, radii, fovy, self._width, self._height).ravel()
