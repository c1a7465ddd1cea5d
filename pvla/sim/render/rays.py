"""Rays through the pixels of a camera, and what they hit (mujoco.mj_multiRay: no GL, no driver)."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
import numpy.typing as npt

from pvla.errors import InputError

Array = npt.NDArray[np.float64]

# Group 3 is MuJoCo's convention for collision-only geoms. Group 4 is dressing: trim that only the presentation
# picture shows, so that it costs the policy's cameras nothing.
VISIBLE_GROUPS = np.array([1, 1, 1, 0, 0, 0], np.uint8)
PRESENTATION_GROUPS = np.array([1, 1, 1, 0, 1, 0], np.uint8)
FAR = 1e3


@dataclass
class Hits:
    """What N rays met: `geom` (N,) i32, -1 for nothing; `distance` (N,) m; `normal` (N, 3), outward, unit."""

    geom: npt.NDArray[np.int32]
    distance: Array
    normal: Array

    @classmethod
    def empty(cls, count: int) -> Hits:
        """Room for the answers of `count` rays."""
        return cls(np.full(count, -1, np.int32), np.full(count, -1.0), np.zeros((count, 3)))

    def first(self, count: int) -> Hits:
        """The first `count` answers, sharing this room."""
        return Hits(self.geom[:count], self.distance[:count], self.normal[:count])


def cast(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    origin: Array,
    directions: Array,
    groups: npt.NDArray[np.uint8] = VISIBLE_GROUPS,
    out: Hits | None = None,
) -> Hits:
    """Follow rays from one point to the first visible surface.

    Args:
        model: the scene.
        data: its state.
        origin: (3,) world frame, m.
        directions: (N, 3) world frame; distances are multiples of their lengths.
        groups: which of the six geom groups are there.
        out: room of N answers to reuse; None makes new room.

    Returns:
        The hits; `out` itself where it was given. Rows of `normal` are undefined where `geom` is -1.
    """
    hits = Hits.empty(len(directions)) if out is None else out
    if len(directions):
        mujoco.mj_multiRay(
            model,
            data,
            origin,
            directions.reshape(-1),
            groups,
            True,
            -1,
            hits.geom,
            hits.distance,
            hits.normal.reshape(-1),
            len(directions),
            FAR,
        )
    return hits


def camera_id(model: mujoco.MjModel, name: str) -> int:
    """Number of the camera called `name`; InputError names the cameras there are."""
    number: int = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
    if number < 0:
        known = ", ".join(model.camera(i).name for i in range(model.ncam)) or "none"
        raise InputError(f"the scene has no camera {name!r}; its cameras are: {known}")
    return number


def pixel_directions(fovy_deg: float, width: int, height: int, rows: Array, columns: Array) -> Array:
    """Unit directions, camera frame (x right, y up, looking along -z), through points of the picture.

    Args:
        fovy_deg: vertical field of view, degrees.
        width: columns of the picture.
        height: rows of the picture.
        rows: any shape, in pixels from the top edge (a pixel's centre is at +0.5).
        columns: the same shape, in pixels from the left edge.

    Returns:
        (..., 3), the shape of `rows` with a last axis.
    """
    half = np.tan(np.radians(fovy_deg) / 2)
    x = (2 * columns / width - 1) * half * width / height
    y = (1 - 2 * rows / height) * half
    directions = np.stack(np.broadcast_arrays(x, y, -1.0), axis=-1)
    return np.asarray(directions / np.linalg.norm(directions, axis=-1, keepdims=True))


def pixel_grid(fovy_deg: float, width: int, height: int) -> Array:
    """Unit directions through every pixel's centre, camera frame, (height * width, 3), row by row."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    return pixel_directions(fovy_deg, width, height, rows.ravel(), columns.ravel())


class PixelRays:
    """The rays of one camera at one size; turned into the world frame again only when the camera turned."""

    def __init__(self, fovy_deg: float, width: int, height: int) -> None:
        self.fovy_deg = fovy_deg
        self.local = pixel_grid(fovy_deg, width, height)
        self.world = np.empty_like(self.local)
        self.hits = Hits.empty(len(self.local))
        self._rotation = np.full((3, 3), np.nan)

    def turned(self, rotation: Array) -> Array:
        """Directions in the world frame for the camera's `rotation` (3, 3); the array is reused."""
        if not np.array_equal(rotation, self._rotation):
            np.matmul(self.local, rotation.T, out=self.world)
            self._rotation = rotation.copy()
        return self.world
