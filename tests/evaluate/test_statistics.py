from __future__ import annotations

import numpy as np
import pytest

from pvla.evaluate.statistics import mean, paired_proportions, ratio, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I: Wilson's score method without continuity correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_against_published_values(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert found.value == successes / trials
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_solves_its_defining_equation() -> None:
    found = wilson(52, 60)
    for p in (found.low, found.high):
        assert abs(52 / 60 - p) == pytest.approx(1.959963984540054 * np.sqrt(p * (1 - p) / 60))


def test_wilson_is_symmetric_and_inside_0_and_1() -> None:
    few, many = wilson(3, 20), wilson(17, 20)
    assert (1 - few.high, 1 - few.low) == pytest.approx((many.low, many.high))
    assert wilson(20, 20).high == 1.0
    assert np.isnan(wilson(0, 0).value)


def test_paired_proportions_by_hand() -> None:
    # 10 gained, 4 lost, 26 the same: (10 - 4) / 42 +- 1.96 sqrt((10 + 4 + 1 - 36 / 42) / 42^2).
    first = [True] * 10 + [False] * 4 + [True] * 20 + [False] * 6
    second = [False] * 10 + [True] * 4 + [True] * 20 + [False] * 6
    found = paired_proportions(first, second)
    half = 1.959963984540054 * np.sqrt((15 - 36 / 42) / 42**2)
    assert found.value == pytest.approx(6 / 40)
    assert (found.low, found.high) == pytest.approx((6 / 42 - half, 6 / 42 + half))


def test_paired_proportions_that_never_differ_still_have_an_interval() -> None:
    found = paired_proportions([True] * 60, [True] * 60)
    assert found.value == 0
    assert found.low == -found.high == pytest.approx(-1.96 / 62, abs=1e-4)


def test_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    values = np.random.default_rng(3).normal(10.0, 2.0, 400)
    found = mean(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    assert found == mean(values)


def test_copies_within_a_cluster_bring_no_certainty() -> None:
    values = np.random.default_rng(0).normal(size=50)
    alone, copied = mean(values), mean(np.repeat(values, 4), np.repeat(np.arange(50), 4))
    assert (copied.value, copied.low, copied.high) == pytest.approx((alone.value, alone.low, alone.high))
    assert (alone.count, copied.count) == (50, 200)


def test_ratio_of_proportional_measurements_is_certain() -> None:
    base = np.random.default_rng(0).uniform(20, 90, 30)
    found = ratio(0.75 * base, base)
    assert (found.value, found.low, found.high) == pytest.approx((0.75, 0.75, 0.75))


def test_one_scene_alone_has_no_interval() -> None:
    found = mean([3.0, 5.0], [7, 7])
    assert found.value == 4.0
    assert np.isnan(found.low)


def test_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    assert ratio([1.0, 30.0], [1.0, 10.0]).value == pytest.approx(31 / 11)


def test_what_is_not_finite_is_left_out() -> None:
    found = mean([1.0, np.nan, 3.0, np.inf])
    assert (found.value, found.count) == (2.0, 2)
    assert mean([np.nan]).count == 0
    assert np.isnan(mean([]).value)
