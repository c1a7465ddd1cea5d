from __future__ import annotations

import numpy as np
from render_scenes import FLOOR, SPHERE, build

from pvla.sim.render.rays import PixelRays, cast, pixel_grid

EYE = np.array([0.0, 0.0, 1.0])


def test_distances_to_a_sphere_and_a_plane_are_those_of_geometry():
    model, data = build(FLOOR + SPHERE)
    directions = pixel_grid(60.0, 33, 33)
    hits = cast(model, data, EYE, directions)
    along = -(directions @ EYE)
    discriminant = along**2 - (1 - 0.2**2)
    sphere = discriminant >= 0
    expected = np.where(sphere, along - np.sqrt(np.maximum(discriminant, 0)), -1.3 / directions[:, 2])
    np.testing.assert_allclose(hits.distance, expected, atol=1e-9)
    np.testing.assert_array_equal(hits.geom, np.where(sphere, 1, 0))


def test_normals_point_out_of_a_sphere():
    model, data = build(SPHERE)
    directions = pixel_grid(20.0, 9, 9)
    hits = cast(model, data, EYE, directions)
    points = EYE + directions * hits.distance[:, None]
    assert (hits.geom == 0).any()
    np.testing.assert_allclose(hits.normal[hits.geom == 0], points[hits.geom == 0] / 0.2, atol=1e-9)


def test_the_edge_of_the_picture_is_the_field_of_view():
    directions = pixel_grid(50.0, 4, 2000)
    angle = np.degrees(np.arctan2(directions[0, 1], -directions[0, 2]))
    assert abs(angle - 25.0) < 0.03
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)


def test_rays_turn_with_the_camera():
    rays = PixelRays(60.0, 4, 4)
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(rays.turned(turn), rays.local @ turn.T)
    np.testing.assert_allclose(rays.turned(np.eye(3)), rays.local)
