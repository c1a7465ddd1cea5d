from __future__ import annotations

import numpy as np

from pvla.datasets.sampling.chance import uniform

FIXED = [0.6452295434847027, 0.029923536987120913, 0.14642024306301737]


def test_a_key_gives_the_same_numbers_for_ever() -> None:
    """What was drawn when this was written: a change here breaks every run that is resumed."""
    assert uniform(3, 7, 11, 1).tolist() == FIXED


def test_other_keys_give_other_numbers() -> None:
    drawn = [
        tuple(uniform(2, *key)) for key in ((0, 0, 1), (0, 1, 1), (1, 0, 1), (0, 0, 2), (0, 0, 0, 2), (0, 0, 1, 2))
    ]
    assert len(set(drawn)) == len(drawn)


def test_numbers_are_even_in_0_to_1() -> None:
    numbers = uniform(20_000, 3, 1)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, 20, (0, 1))[0]
    # The 99.9th percentile of chi-square with 19 degrees of freedom.
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8
