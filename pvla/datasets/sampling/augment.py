"""How pictures are changed at random for training: which part of them is shown, and in which colors.

One `Look` is drawn for a sample and camera, and all its pictures (o_0, o_t, o_{t+N}) get the same: progress is told
from their difference, and a lamp that goes on between two of them, or a camera that moves, is a difference that is not
there. For the same reason the map of the colors depends on the parameters alone and not on the picture: contrast turns
about a fixed gray, not about the picture's own mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]
ColorMatrix = tuple[float, ...]

NUMBERS: Final = 8  # random numbers that a look is made of
_MID_GRAY: Final = 127.5
_LUMA: Final = np.array([0.299, 0.587, 0.114])
_TO_YIQ: Final = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_FROM_YIQ: Final = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True)
class Augmentation:
    """Ranges from which looks are drawn, all uniform.

    The defaults are near those of Octo and OpenVLA. Pictures are never mirrored: left and right matter to an arm.

    Attributes:
        scale: share of the picture's area that is shown.
        ratio: width / height of the shown part, relative to that of the whole.
        brightness: factor within 1 ± this.
        contrast: factor within 1 ± this, about mid-gray.
        saturation: factor within 1 ± this.
        hue: turn within ± this, in full turns about the gray axis.
    """

    scale: tuple[float, float] = (0.9, 1.0)
    ratio: tuple[float, float] = (0.95, 1.05)
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.05

    def look(self, chance: npt.NDArray[np.float64]) -> Look:
        """The look that these `NUMBERS` numbers in 0..1 stand for."""
        scale, ratio = _between(self.scale, chance[0]), _between(self.ratio, chance[1])
        width, height = min(1.0, sqrt(scale * ratio)), min(1.0, sqrt(scale / ratio))
        left, top = float(chance[2]) * (1 - width), float(chance[3]) * (1 - height)
        return Look((left, top, left + width, top + height), self._colors(2 * chance[4:] - 1))

    def _colors(self, chance: npt.NDArray[np.float64]) -> ColorMatrix:
        """The map for these four numbers in -1..1."""
        ranges = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        brightness, contrast, saturation, hue = (ranges * chance).tolist()
        return color_matrix(1 + brightness, 1 + contrast, 1 + saturation, hue)


@dataclass(frozen=True)
class Look:
    """What one camera's pictures of one sample have in common.

    Attributes:
        part: the shown part (left, top, right, bottom), in shares of the whole.
        colors: the (3, 4) affine map of RGB in 0..255, row by row, or None: as they are.
    """

    part: Box = (0.0, 0.0, 1.0, 1.0)
    colors: ColorMatrix | None = None


PLAIN: Final = Look()


def color_matrix(brightness: float, contrast: float, saturation: float, hue: float) -> ColorMatrix:
    """Brightness, then contrast, saturation and hue as one affine map, so that a picture is gone through once.

    Values are clipped at the end only. Hue is a rotation about the gray axis in YIQ, which leaves luma as it is.

    Args:
        brightness: factor of RGB.
        contrast: factor of the distance from mid-gray.
        saturation: factor of the distance from the pixel's own luma.
        hue: full turns.
    """
    angle = 2 * np.pi * hue
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    gray = np.outer(np.ones(3), _LUMA)
    saturate = saturation * np.eye(3) + (1 - saturation) * gray
    linear: npt.NDArray[np.float64] = contrast * brightness * (_FROM_YIQ @ turn @ _TO_YIQ @ saturate)
    offset = np.full((3, 1), (1 - contrast) * _MID_GRAY)
    return tuple(np.hstack([linear, offset]).ravel().tolist())


def _between(ends: tuple[float, float], chance: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * float(chance)
