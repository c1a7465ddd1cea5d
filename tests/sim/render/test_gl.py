from __future__ import annotations

import numpy as np
import pytest
from render_scenes import build

from pvla.errors import InputError
from pvla.sim.render import GlRenderer, RayRenderer, gl, make_renderer

THINGS = """
<geom type="sphere" size="0.12" pos="-0.2 0.1 0" rgba="1 0 0 1"/>
<geom type="box" size="0.1 0.06 0.05" pos="0.2 0.1 0" euler="0 0 30" rgba="1 0 0 1"/>
<geom type="capsule" size="0.05" fromto="-0.2 -0.2 0 0.2 -0.25 0.1" rgba="1 0 0 1"/>
"""


@pytest.fixture(scope="module")
def working_gl():
    if gl.gl_backend() is None:
        pytest.skip("OpenGL does not work on this machine")


def silhouette(picture):
    picture = picture.astype(int)
    return picture[..., 0] - picture[..., 1:].max(axis=-1) > 15


@pytest.mark.usefixtures("working_gl")
def test_both_renderers_see_the_same_silhouettes():
    model, data = build(THINGS)
    ray = silhouette(RayRenderer().render(model, data, "eye", 256, 192))
    renderer = GlRenderer()
    drawn = silhouette(renderer.render(model, data, "eye", 256, 192))
    renderer.close()
    assert ray.sum() > 2000
    assert (ray & drawn).sum() / (ray | drawn).sum() > 0.97


@pytest.mark.usefixtures("working_gl")
def test_gl_is_deterministic_and_knows_its_cameras():
    model, data = build(THINGS)
    renderer = make_renderer("gl")
    first, second = (renderer.render(model, data, "eye", 32, 24) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    with pytest.raises(InputError, match="nose"):
        renderer.render(model, data, "nose", 32, 24)
    renderer.close()


def test_without_gl_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr(gl, "gl_backend", lambda: None)
    with pytest.raises(InputError, match="use the renderer 'ray'"):
        GlRenderer()


def test_a_back_end_that_dies_counts_as_absent(monkeypatch):
    monkeypatch.setattr(gl, "_TRIAL", "import os; os.abort()")
    assert not gl._works("egl")
