"""Procedural surface patterns of the presentation picture, chosen by the name of a material's texture.

They are formulas of the hit point, so the package ships no picture files. A GL renderer shows the plain texture
that the scene declares under the same name.
"""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
import numpy.typing as npt

from pvla.sim.render.rays import Array

Shade = npt.NDArray[np.float32]
Pattern = Callable[[Array, Array], Shade]

_TURN = 2 * np.pi


def wood(points: Array, footprint: Array) -> Shade:
    """Grain along x.

    Args:
        points: (N, 3) in the geom's own frame, m.
        footprint: (N,) width of one pixel on the surface, m; finer detail fades out.

    Returns:
        (N, 3) factors around 1 on the colour.
    """
    along = points[:, 0]
    across = points[:, 1] + 0.83 * points[:, 2]
    bend = 0.006 * np.sin(_TURN * along / 0.19) + 0.002 * np.sin(_TURN * along / 0.071 + 1.0)
    rings = np.sin(_TURN * (across + bend) / 0.021 + 2.2 * np.sin(_TURN * across / 0.11))
    fine = np.sin(_TURN * (across + 0.4 * bend) / 0.0053) * np.sin(_TURN * (along / 0.043 + across / 0.017))
    fade = np.clip(0.0026 / footprint - 0.5, 0, 1)
    depth = 0.08 * rings + 0.06 * fade * fine
    return np.asarray(1 + depth[:, None] * np.array([0.8, 1.0, 1.2]), np.float32)


def grid(points: Array, footprint: Array) -> Shade:
    """A work mat: thin lines every 5 cm along x and y; arguments and result as of `wood`."""
    half_width = np.maximum(0.0009, 0.6 * footprint)
    line = np.zeros(len(points))
    for axis in (0, 1):
        offset = np.abs((points[:, axis] / 0.05 + 0.5) % 1.0 - 0.5) * 0.05
        line = np.maximum(line, np.clip(1.5 - offset / half_width, 0, 1) * (0.0009 / half_width))
    return np.asarray(np.repeat((1.7 + 0.9 * line)[:, None], 3, axis=1), np.float32)


PATTERNS: dict[str, Pattern] = {"wood": wood, "grid": grid}


# Facets around the z axis of their body, to be shaded as the round thing that they stand for.
LATHE = "lathe"


def texture_names(model: mujoco.MjModel) -> list[str]:
    """Name of the colour texture of every geom's material, "" without one, (ngeom,)."""
    role = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)
    names = []
    for material in model.geom_matid:
        texture = int(model.mat_texid[material][role]) if material >= 0 else -1
        names.append(str(model.tex(texture).name) if texture >= 0 else "")
    return names


def patterned_geoms(model: mujoco.MjModel) -> list[tuple[int, Pattern]]:
    """The geoms whose material's texture has the name of a pattern, with that pattern."""
    return [(geom, PATTERNS[name]) for geom, name in enumerate(texture_names(model)) if name in PATTERNS]


def lathed_geoms(model: mujoco.MjModel) -> npt.NDArray[np.bool_]:
    """Which geoms are facets of a body of revolution, (ngeom,)."""
    return np.array([name == LATHE for name in texture_names(model)], bool)


def rounded(normals: Shade, points: Array, origins: Array, axes: Array) -> Shade:
    """Normals of the body of revolution that facets approximate.

    Args:
        normals: (N, 3) of the facets, unit, world frame.
        points: (N, 3) world frame, m.
        origins: (N, 3) a point of each body's axis of revolution.
        axes: (N, 3) its unit direction.

    Returns:
        (N, 3) unit: without the part along the direction of turning; straight outward where little else is left,
        as on the ends of a facet.
    """
    arm = points - origins
    arm -= np.einsum("ij,ij->i", arm, axes)[:, None] * axes
    radial = arm / np.maximum(np.linalg.norm(arm, axis=1, keepdims=True), 1e-9)
    tangent = np.cross(axes, radial)
    kept = normals - np.einsum("ij,ij->i", normals, tangent)[:, None] * tangent
    length = np.linalg.norm(kept, axis=1, keepdims=True)
    return np.asarray(np.where(length > 0.5, kept / np.maximum(length, 1e-9), radial), np.float32)
