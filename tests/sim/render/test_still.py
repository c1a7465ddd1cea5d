from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pvla.sim.render.rays import pixel_grid
from pvla.sim.render.still import touched_pixels

coordinate = st.floats(-1.5, 1.5)


@given(x=coordinate, y=coordinate, z=st.floats(-3, 0.5), radius=st.floats(0.01, 1.0))
def test_every_pixel_that_a_sphere_covers_is_touched(x, y, z, radius):
    centre = np.array([x, y, z])
    mask = touched_pixels(centre[None], np.array([radius]), 50.0, 24, 18).ravel()
    directions = pixel_grid(50.0, 24, 18)
    along = directions @ centre
    covered = (centre @ centre - along**2 <= radius**2) & ((along > 0) | (centre @ centre <= radius**2))
    assert not (covered & ~mask).any()


def test_a_small_sphere_touches_few_pixels():
    mask = touched_pixels(np.array([[0.0, 0, -1]]), np.array([0.05]), 50.0, 100, 100)
    assert 0 < mask.sum() < 200


def test_an_unbounded_geom_touches_all():
    assert touched_pixels(np.array([[0.0, 0, -1]]), np.array([0.0]), 50.0, 8, 8).all()
