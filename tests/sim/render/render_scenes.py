"""Small scenes whose pictures are known in closed form."""

from __future__ import annotations

import mujoco

CAMERA = '<camera name="eye" pos="0 0 1" xyaxes="1 0 0 0 1 0" fovy="60"/>'


def build(body: str, assets: str = ""):
    """A model and its data from the inside of a worldbody; the camera `eye` at z = 1 looks straight down."""
    model = mujoco.MjModel.from_xml_string(
        f"<mujoco><asset>{assets}</asset><worldbody>{CAMERA}{body}</worldbody></mujoco>"
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


SPHERE = '<geom type="sphere" size="0.2" rgba="1 0 0 1"/>'
FREE_SPHERE = f'<body name="ball"><freejoint/>{SPHERE}</body>'
FLOOR = '<geom name="floor" type="plane" size="5 5 .1" pos="0 0 -0.3" rgba="0.7 0.7 0.7 1"/>'
