"""Random numbers that are a function of their key, on every machine and with every version of NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def uniform(count: int, *key: int) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1), (count,); another key, other numbers.

    Made of raw bits, for which NumPy promises that they stay as they are; what its generators make of them may change,
    and a run that is resumed with another NumPy would go on with other batches.

    Args:
        count: how many.
        key: numbers from 0 up, of which the last is not 0: NumPy takes such a key for the one without it.
    """
    bits = np.random.Philox(np.random.SeedSequence(key)).random_raw(count)
    numbers: npt.NDArray[np.float64] = (np.asarray(bits) >> np.uint64(11)) * 2.0**-53
    return numbers
