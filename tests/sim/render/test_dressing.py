from __future__ import annotations

import mujoco
import numpy as np
import pytest

from pvla.sim.render import RayRenderer
from pvla.sim.render.patterns import LATHE, PATTERNS, texture_names
from pvla.sim.scene import SCENE_XML


@pytest.fixture(scope="module")
def model():
    return mujoco.MjModel.from_xml_path(str(SCENE_XML))


def test_dressing_touches_nothing_and_weighs_nothing(model):
    dressing = model.geom_group == 4
    assert dressing.any()
    assert not model.geom_contype[dressing].any()
    assert not model.geom_conaffinity[dressing].any()
    bare = mujoco.MjSpec.from_file(str(SCENE_XML))
    for geom in [geom for geom in bare.geoms if geom.classname.name == "dressing"]:
        bare.delete(geom)
    without = bare.compile()
    assert without.ngeom == model.ngeom - dressing.sum()
    np.testing.assert_array_equal(without.body_mass, model.body_mass)
    np.testing.assert_array_equal(without.body_inertia, model.body_inertia)


def test_the_policys_cameras_do_not_see_the_dressing(model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    bare = mujoco.MjModel.from_xml_path(str(SCENE_XML))
    bare.geom_rgba[bare.geom_group == 4] = (1, 0, 1, 1)
    for camera, size in (("head", 128), ("wrist", 64)):
        pictures = [RayRenderer().render(m, data, camera, size, size) for m in (model, bare)]
        np.testing.assert_array_equal(*pictures)


def test_every_texture_of_the_scene_is_a_pattern(model):
    assert set(texture_names(model)) - {""} <= {*PATTERNS, LATHE}
