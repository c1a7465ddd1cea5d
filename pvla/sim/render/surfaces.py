"""Colours and gloss of the geoms of a model as tables that a whole picture looks up at once."""

from __future__ import annotations

import mujoco
import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float32]

# MuJoCo's own rule: a geom colour that is not this default wins over its material's colour.
_UNSET = np.array([0.5, 0.5, 0.5, 1.0], np.float32)


def geom_colours(model: mujoco.MjModel) -> Table:
    """sRGB 0..1 of every geom, (ngeom, 3): its own rgba where set, else its material's."""
    own = model.geom_rgba
    material = model.geom_matid
    if model.nmat == 0:
        return np.asarray(own[:, :3], np.float32)
    from_material = (material >= 0) & (own == _UNSET).all(axis=1)
    return np.asarray(np.where(from_material[:, None], model.mat_rgba[material], own)[:, :3], np.float32)


def geom_gloss(model: mujoco.MjModel) -> Table:
    """Gloss of every geom, (ngeom, 2): strength of its highlight 0..1 and its sharpness 0..1 (MJCF's shininess).

    A geom without a material is matt.
    """
    if model.nmat == 0:
        return np.zeros((model.ngeom, 2), np.float32)
    material = model.geom_matid
    table = np.column_stack([model.mat_specular, model.mat_shininess])[material]
    return np.asarray(np.where(material[:, None] >= 0, table, 0), np.float32)


def to_linear(srgb: Table) -> Table:
    """sRGB 0..1 to linear light, the same shape (IEC 61966-2-1)."""
    return np.asarray(np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4), np.float32)


def to_srgb(linear: Table) -> Table:
    """Linear light to sRGB, clipped to 0..1, the same shape (IEC 61966-2-1)."""
    light = np.clip(linear, 0, 1)
    curve = 1.055 * np.power(light, 1 / 2.4, dtype=np.float32) - 0.055
    return np.asarray(np.where(light <= 0.0031308, 12.92 * light, curve), np.float32)
