from __future__ import annotations

import numpy as np
import pytest

from pvla.datasets.sampling.augment import NUMBERS, Augmentation, color_matrix
from pvla.datasets.sampling.chance import uniform


def apply(matrix: tuple[float, ...], rgb: list[float]) -> np.ndarray:
    table = np.array(matrix).reshape(3, 4)
    return table[:, :3] @ np.array(rgb) + table[:, 3]


def luma(rgb: np.ndarray) -> float:
    return float(rgb @ [0.299, 0.587, 0.114])


def test_no_change_is_the_identity() -> None:
    assert np.allclose(np.array(color_matrix(1, 1, 1, 0)).reshape(3, 4), np.eye(3, 4))
    assert np.allclose(np.array(color_matrix(1, 1, 1, 1)).reshape(3, 4), np.eye(3, 4), atol=1e-6)


def test_each_factor_does_what_it_is_called() -> None:
    color = [200.0, 100.0, 50.0]
    assert np.allclose(apply(color_matrix(1.1, 1, 1, 0), color), [220, 110, 55])
    assert np.allclose(apply(color_matrix(1, 0.5, 1, 0), color), [163.75, 113.75, 88.75])
    gray = apply(color_matrix(1, 1, 0, 0), color)
    assert np.allclose(gray, luma(np.array(color)))
    turned = apply(color_matrix(1, 1, 1, 0.25), color)
    assert luma(turned) == pytest.approx(luma(np.array(color)))
    assert np.abs(turned - color).max() > 30


def test_gray_has_no_hue_nor_saturation() -> None:
    assert np.allclose(apply(color_matrix(1, 1, 1.7, 0.3), [80.0] * 3), 80)


def test_looks_keep_to_their_ranges_and_lie_in_the_picture() -> None:
    augmentation = Augmentation(scale=(0.5, 0.8), ratio=(0.8, 1.25))
    parts = np.array([augmentation.look(uniform(NUMBERS, 1, i, 1)).part for i in range(300)])
    width, height = parts[:, 2] - parts[:, 0], parts[:, 3] - parts[:, 1]
    assert parts.min() >= 0
    assert parts.max() <= 1 + 1e-12
    assert (width * height).min() >= 0.5 - 1e-9
    assert (width * height).max() <= 0.8 + 1e-9
    assert (width / height).min() >= 0.8 - 1e-9
    assert (width / height).max() <= 1.25 + 1e-9
    assert (width * height).min() < 0.52
    assert (width * height).max() > 0.78


def test_the_middle_of_all_ranges_changes_no_color_and_cuts_evenly() -> None:
    look = Augmentation(scale=(0.25, 0.25), ratio=(1.0, 1.0)).look(np.full(NUMBERS, 0.5))
    assert look.part == (0.25, 0.25, 0.75, 0.75)
    assert np.allclose(np.array(look.colors).reshape(3, 4), np.eye(3, 4))


def test_extremes_of_color_are_the_ends_of_the_ranges() -> None:
    augmentation = Augmentation(brightness=0.3, contrast=0.1, saturation=0.2, hue=0.05)
    for chance, sign in ((0.0, -1), (1.0, 1)):
        look = augmentation.look(np.full(NUMBERS, chance))
        assert look.colors == pytest.approx(color_matrix(1 + sign * 0.3, 1 + sign * 0.1, 1 + sign * 0.2, sign * 0.05))
