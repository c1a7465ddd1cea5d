from __future__ import annotations

import mujoco
import numpy as np
import pytest
from render_scenes import FLOOR, FREE_SPHERE, SPHERE, build

from pvla.errors import InputError
from pvla.sim.render import RayRenderer, make_renderer


def is_red(picture):
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return (red > 60) & (green < 30) & (blue < 30)


@pytest.mark.parametrize("shadows", [False, True])
def test_a_sphere_covers_the_disc_that_geometry_says(shadows):
    model, data = build(SPHERE)
    picture = RayRenderer().render(model, data, "eye", 160, 160, shadows)
    focal = 80 / np.tan(np.radians(30))
    expected = np.pi * (focal * np.tan(np.arcsin(0.2))) ** 2
    rows, columns = np.nonzero(is_red(picture))
    assert len(rows) == pytest.approx(expected, rel=0.05)
    assert rows.mean() == pytest.approx(79.5, abs=0.6)
    assert columns.mean() == pytest.approx(79.5, abs=0.6)


@pytest.mark.parametrize("shadows", [False, True])
def test_a_picture_is_the_same_every_time(shadows):
    model, data = build(FLOOR + FREE_SPHERE)
    first, second = (RayRenderer().render(model, data, "eye", 48, 32, shadows) for _ in range(2))
    assert first.shape == (32, 48, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)


def test_moving_things_leave_no_trace():
    model, data = build(FLOOR + FREE_SPHERE)
    renderer, rng = RayRenderer(), np.random.default_rng(0)
    for _ in range(30):
        data.qpos[:3] = rng.uniform(-1, 1, 3) * (0.9, 0.9, 1.3)
        mujoco.mj_forward(model, data)
        fresh = RayRenderer().render(model, data, "eye", 40, 40)
        np.testing.assert_array_equal(renderer.render(model, data, "eye", 40, 40), fresh)


def test_a_changed_colour_of_a_still_geom_shows():
    model, data = build(FLOOR)
    renderer = RayRenderer()
    before = renderer.render(model, data, "eye", 8, 8)
    model.geom_rgba[0] = (0, 0, 1, 1)
    after = renderer.render(model, data, "eye", 8, 8)
    assert before[4, 4, 0] > 100
    assert after[4, 4, 0] == 0


def test_pictures_do_not_share_memory():
    model, data = build(FLOOR)
    renderer = RayRenderer()
    first = renderer.render(model, data, "eye", 8, 8)
    kept = first.copy()
    first[:] = 7
    np.testing.assert_array_equal(renderer.render(model, data, "eye", 8, 8), kept)


@pytest.mark.parametrize(
    ("group", "shadows", "shown"),
    [(2, False, True), (3, False, False), (3, True, False), (4, False, False), (4, True, True), (5, True, False)],
)
def test_groups_are_shown_where_they_belong(group, shadows, shown):
    model, data = build(SPHERE.replace("<geom", f'<geom group="{group}"'))
    assert is_red(RayRenderer().render(model, data, "eye", 16, 16, shadows)).any() == shown


def test_a_geoms_own_colour_wins_over_its_material():
    assets = '<material name="green" rgba="0 1 0 1"/>'
    plain = '<geom type="sphere" size="0.2" material="green"/>'
    own = '<geom type="sphere" size="0.2" material="green" rgba="1 0 0 1"/>'
    pictures = [RayRenderer().render(*build(geom, assets), "eye", 9, 9) for geom in (plain, own)]
    assert pictures[0][4, 4].argmax() == 1
    assert pictures[1][4, 4].argmax() == 0


def test_one_renderer_serves_two_models():
    one, two = build(SPHERE), build(FLOOR)
    renderer = RayRenderer()
    first = renderer.render(*one, "eye", 16, 16)
    renderer.render(*two, "eye", 16, 16)
    np.testing.assert_array_equal(renderer.render(*one, "eye", 16, 16), first)


def test_an_unknown_camera_is_the_users_error():
    with pytest.raises(InputError, match="its cameras are: eye"):
        RayRenderer().render(*build(SPHERE), "nose", 8, 8)


def test_an_unknown_renderer_is_the_users_error():
    with pytest.raises(InputError, match="use ray, gl or auto"):
        make_renderer("vulkan")
