"""Renderers of the simulator: `ray` (no GL, the default) and `gl` (MuJoCo's own, where a driver works)."""

from __future__ import annotations

from pvla.errors import InputError
from pvla.sim.render.base import Picture, Renderer
from pvla.sim.render.gl import GlRenderer, gl_backend
from pvla.sim.render.ray import RayRenderer

__all__ = ["GlRenderer", "Picture", "RayRenderer", "Renderer", "gl_backend", "make_renderer"]


def make_renderer(name: str = "ray", supersample: int = 2) -> Renderer:
    """A new renderer.

    Args:
        name: "ray"; "gl"; or "auto", which takes "gl" where it works and "ray" elsewhere.
        supersample: samples along each side of an edge pixel of the ray renderer's presentation picture.

    Raises:
        InputError: an unknown name, or "gl" where OpenGL does not work.
    """
    if name == "auto":
        name = "gl" if gl_backend() else "ray"
    if name == "gl":
        return GlRenderer()
    if name == "ray":
        return RayRenderer(supersample)
    raise InputError(f"unknown renderer {name!r}: use ray, gl or auto")
