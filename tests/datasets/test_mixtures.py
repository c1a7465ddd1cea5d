"""Mixtures against shares worked out by hand, and draws against their shares."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvla.datasets.convert.oxe.table import row_for
from pvla.datasets.mixtures import PRESETS, Mixture, MixturePart
from pvla.errors import InputError

FRAMES = {"a": 100, "b": 300, "c": 50}
MIXTURE = Mixture([MixturePart("a", 3.0), MixturePart("b", 1.0), MixturePart("c", 8.0)])


def test_shares_are_weight_times_frames() -> None:
    # 3 * 100, 1 * 300, 8 * 50 of 1000 in all
    np.testing.assert_allclose(MIXTURE.probabilities(FRAMES), [0.3, 0.3, 0.4])


def test_equal_weights_make_every_frame_equally_likely() -> None:
    mixture = Mixture.parse(["a", "b", "c"])
    np.testing.assert_allclose(mixture.probabilities(FRAMES), np.array([100, 300, 50]) / 450)


@given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.integers(1, 10**9)), min_size=1, max_size=8))
def test_shares_add_up_and_do_not_depend_on_the_scale_of_weights(parts: list[tuple[float, int]]) -> None:
    frames = {str(n): count for n, (_, count) in enumerate(parts)}
    shares = Mixture([MixturePart(str(n), weight) for n, (weight, _) in enumerate(parts)]).probabilities(frames)
    scaled = Mixture([MixturePart(str(n), 7 * weight) for n, (weight, _) in enumerate(parts)]).probabilities(frames)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    np.testing.assert_allclose(shares, scaled)


def test_a_step_s_draw_depends_on_seed_and_step_alone() -> None:
    first = MIXTURE.sample(FRAMES, seed=1, step=7, count=64)
    MIXTURE.sample(FRAMES, seed=1, step=8, count=64)
    np.testing.assert_array_equal(MIXTURE.sample(FRAMES, seed=1, step=7, count=64), first)
    assert (MIXTURE.sample(FRAMES, seed=1, step=8, count=64) != first).any()
    assert (MIXTURE.sample(FRAMES, seed=2, step=7, count=64) != first).any()


def test_a_longer_draw_begins_with_the_shorter() -> None:
    np.testing.assert_array_equal(MIXTURE.sample(FRAMES, 0, 0, 100)[:40], MIXTURE.sample(FRAMES, 0, 0, 40))


def test_draws_follow_the_shares() -> None:
    draws = MIXTURE.sample(FRAMES, seed=0, step=0, count=20_000)
    counts = np.bincount(draws[:, 0], minlength=3) / len(draws)
    # four standard deviations of a share of 0.4 in 20000 draws are 0.014
    np.testing.assert_allclose(counts, [0.3, 0.3, 0.4], atol=0.014)
    per_frame = np.bincount(draws[draws[:, 0] == 0, 1], minlength=100)
    assert per_frame.min() > 0
    assert per_frame.max() < 3 * per_frame.mean()


@settings(max_examples=30)
@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 2**50))
def test_drawn_frames_exist(seed: int, step: int, frames: int) -> None:
    mixture = Mixture.parse(["one", "big=0.5"])
    draws = mixture.sample({"one": 1, "big": frames}, seed, step, 32)
    limits = np.array([1, frames])[draws[:, 0]]
    assert draws.shape == (32, 2)
    assert (draws >= 0).all()
    assert (draws[:, 1] < limits).all()


def test_openvla_s_selections() -> None:
    soup, plus = PRESETS["oxe_magic_soup"], PRESETS["oxe_magic_soup_plus"]
    assert len(soup) == 23
    assert set(plus) - set(soup) == {"bc_z", "fmb_dataset", "dobbe", "droid"}
    assert all(plus[name] == weight for name, weight in soup.items())
    assert plus["droid"] == 0.06
    assert soup["kuka"] == pytest.approx(0.834, abs=1e-3)
    minus = PRESETS["oxe_magic_soup_plus_minus"]
    assert set(plus) - set(minus) == {"language_table", "droid"}
    assert minus["fractal20220817_data"] == 1.0
    missing = [name for name in plus if row_for(name) is None]
    assert missing == []


def test_presets_and_own_parts_together() -> None:
    mixture = Mixture.parse(["oxe_magic_soup", " my_arm = 2.5 ", "other"])
    assert len(mixture.parts) == 25
    assert mixture.parts[-2:] == (MixturePart("my_arm", 2.5), MixturePart("other", 1.0))
    assert mixture.restricted({"viola", "other", "unknown"}).names == ["viola", "other"]


def test_a_name_may_have_an_equals_sign() -> None:
    assert MixturePart.parse("a=b=2") == MixturePart("a=b", 2.0)


@pytest.mark.parametrize("text", ["", "=1", "a=", "a=x", "a=0", "a=-1", "a=nan", "a=inf"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        MixturePart.parse(text)


@pytest.mark.parametrize("weight", [0.0, -1.0, nan, inf])
def test_weights_are_above_0(weight: float) -> None:
    with pytest.raises(InputError, match="weight of a"):
        MixturePart("a", weight)


def test_empty_mixtures_and_doubles_are_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        Mixture([])
    with pytest.raises(InputError, match="viola more than once"):
        Mixture.parse(["oxe_magic_soup", "viola=3"])
    with pytest.raises(InputError, match="None of x is in the mixture"):
        MIXTURE.restricted(["x"])


@pytest.mark.parametrize("frames", [{"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 0}])
def test_datasets_without_frames_are_named(frames: dict[str, int]) -> None:
    with pytest.raises(InputError, match="has c, of which there are no frames"):
        MIXTURE.probabilities(frames)
    with pytest.raises(InputError, match="has c, of which there are no frames"):
        MIXTURE.sample(frames, 0, 0, 1)
