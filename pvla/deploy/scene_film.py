"""Pictures of a recorded simulation through the presentation camera, drawn after the run by all cores."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from types import TracebackType
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from pvla.cores import usable_cores
from pvla.errors import RunFault

Picture = npt.NDArray[np.uint8]

SIZE = (640, 480)
"""Columns and rows of a picture, px."""

MAX_WORKERS = 8


class SceneFilm(Sequence[Picture]):
    """The pictures of an episode; a context manager, as processes draw them ahead of being asked for.

    Args:
        qpos: (T, nq) positions of the whole scene.
        on_picture: told after each picture, for a progress display.

    Raises:
        RunFault: when a picture is asked for, and a process that draws was killed.
    """

    def __init__(self, qpos: npt.NDArray[Any], on_picture: Callable[[], None] = lambda: None) -> None:
        self._on_picture = on_picture
        # Forked processes would inherit the threads' locks of onnxruntime and of the loop.
        context = multiprocessing.get_context("spawn")
        workers = max(1, min(usable_cores(), MAX_WORKERS, len(qpos)))
        self._pool = ProcessPoolExecutor(workers, context, initializer=_ignore_interrupts)
        self._pictures = [self._pool.submit(draw_scene, row) for row in qpos]

    def __len__(self) -> int:
        return len(self._pictures)

    @overload
    def __getitem__(self, index: int) -> Picture: ...

    @overload
    def __getitem__(self, index: slice) -> list[Picture]: ...

    def __getitem__(self, index: int | slice) -> Picture | list[Picture]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        try:
            picture: Picture = self._pictures[index].result()
        except BrokenProcessPool as error:
            raise RunFault("The film could not be drawn: a process that draws was killed (out of memory?).") from error
        self._on_picture()
        return picture

    def __enter__(self) -> SceneFilm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


def draw_scene(qpos: npt.NDArray[Any]) -> Picture:
    """The presentation camera's picture, u8 (480, 640, 3), of the scene at positions (nq,)."""
    import mujoco

    scene, renderer = _studio()
    scene.data.qpos[:] = qpos
    mujoco.mj_forward(scene.model, scene.data)
    picture: Picture = renderer.render(scene.model, scene.data, "view", *SIZE, shadows=True)
    return picture


@lru_cache(maxsize=1)
def _studio() -> tuple[Any, Any]:
    from pvla.sim.render import make_renderer
    from pvla.sim.scene import Scene

    return Scene(), make_renderer("ray")


def _ignore_interrupts() -> None:
    """Ctrl-C is for the parent, which ends the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
