"""Several datasets as one: which share each has, and which frame of which dataset a training step sees.

The named mixtures are OpenVLA's selections from Open X-Embodiment (arXiv:2406.09246; prismatic/vla/datasets/rlds/oxe/
mixtures.py). Their weights are multiplied by the number of frames, as OpenVLA trains (`balance_weights` in prismatic/
vla/datasets/datasets.py): with weight 1 everywhere every frame is as likely as any other.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pvla.errors import InputError

_MAGIC_SOUP: Final = {
    "fractal20220817_data": 0.54087122203,
    "kuka": 0.8341046294,
    "bridge_orig": 1.0,
    "taco_play": 2.0,
    "jaco_play": 1.0,
    "berkeley_cable_routing": 1.0,
    "roboturk": 2.0,
    "viola": 2.0,
    "berkeley_autolab_ur5": 2.0,
    "toto": 1.0,
    "language_table": 0.1,
    "stanford_hydra_dataset_converted_externally_to_rlds": 2.0,
    "austin_buds_dataset_converted_externally_to_rlds": 1.0,
    "nyu_franka_play_dataset_converted_externally_to_rlds": 3.0,
    "furniture_bench_dataset_converted_externally_to_rlds": 0.1,
    "ucsd_kitchen_dataset_converted_externally_to_rlds": 2.0,
    "austin_sailor_dataset_converted_externally_to_rlds": 1.0,
    "austin_sirius_dataset_converted_externally_to_rlds": 1.0,
    "dlr_edan_shared_control_converted_externally_to_rlds": 1.0,
    "iamlab_cmu_pickup_insert_converted_externally_to_rlds": 1.0,
    "utaustin_mutex": 1.0,
    "berkeley_fanuc_manipulation": 2.0,
    "cmu_stretch": 1.0,
}
_PLUS: Final = {**_MAGIC_SOUP, "bc_z": 0.2, "fmb_dataset": 1.0, "dobbe": 0.2, "droid": 0.06}
_MINUS: Final = {name: weight for name, weight in _PLUS.items() if name not in ("language_table", "droid")}
PRESETS: Final[Mapping[str, Mapping[str, float]]] = {
    "oxe_magic_soup": _MAGIC_SOUP,
    "oxe_magic_soup_plus": _PLUS,
    "oxe_magic_soup_plus_minus": {**_MINUS, "fractal20220817_data": 1.0},
}
"""Weight by dataset, before frames are counted. The last one is in OpenVLA's configuration of its larger model, where
the second stands as a comment (prismatic/conf/vla.py); without DROID and Language Table."""

_SHOWN: Final = 6


@dataclass(frozen=True)
class MixturePart:
    """One dataset of a mixture: how likely one of its frames is, relative to a frame of weight 1."""

    name: str
    weight: float

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError("A part of a mixture needs the name of a dataset.")
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise InputError(f"The weight of {self.name} is {self.weight:g}: give a number above 0.")

    @classmethod
    def parse(cls, text: str) -> MixturePart:
        """From `name=weight`, or `name` with the weight 1.

        Raises:
            InputError: it says something else.
        """
        name, equals, weight = text.strip().rpartition("=")
        if not equals:
            return cls(weight, 1.0)
        try:
            return cls(name.strip(), float(weight))
        except ValueError as error:
            raise InputError(f"{text!r} is no part of a mixture: write name=weight, as bridge_orig=1.0.") from error


@dataclass(frozen=True)
class Mixture:
    """Datasets with weights.

    Attributes:
        parts: the datasets, each once.
    """

    parts: tuple[MixturePart, ...]

    def __init__(self, parts: Iterable[MixturePart]) -> None:
        object.__setattr__(self, "parts", tuple(parts))
        names = [part.name for part in self.parts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names:
            raise InputError("A mixture needs at least one dataset.")
        if twice:
            raise InputError(f"The mixture has {_listed(twice)} more than once: give each dataset one weight.")

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Mixture:
        """From texts `name=weight`, among them the names of `PRESETS`, which stand for all their parts.

        Raises:
            InputError: one of them is neither, or a dataset is in it twice.
        """
        parts = []
        for text in texts:
            preset = PRESETS.get(text.strip())
            parts += [MixturePart(*item) for item in preset.items()] if preset else [MixturePart.parse(text)]
        return cls(parts)

    def restricted(self, names: Collection[str]) -> Mixture:
        """Without the datasets that are not among `names`; the order stays.

        Raises:
            InputError: none of them is.
        """
        parts = [part for part in self.parts if part.name in names]
        if not parts:
            raise InputError(f"None of {_listed(sorted(names))} is in the mixture: it has {_listed(self.names)}.")
        return Mixture(parts)

    @property
    def names(self) -> list[str]:
        """Of the datasets, in order."""
        return [part.name for part in self.parts]

    def probabilities(self, frames: Mapping[str, int]) -> npt.NDArray[np.float64]:
        """How likely a sample is of each dataset (N,), in the order of `parts`: in proportion to weight times frames.

        Args:
            frames: how many frames each dataset has, by name; others than the mixture's are not looked at.

        Raises:
            InputError: a dataset of the mixture has no frames, or is not among them.
        """
        counts = self._counts(frames)
        amounts = np.array([part.weight for part in self.parts]) * counts
        shares: npt.NDArray[np.float64] = amounts / amounts.sum()
        return shares

    def sample(self, frames: Mapping[str, int], seed: int, step: int, count: int) -> npt.NDArray[np.int64]:
        """Which frames a training step sees (count, 2): number of the part, number of the frame in it; drawn anew each.

        Depends on the arguments alone: on no step before, and by numpy's promise for raw bits on no version of numpy.

        Args:
            frames: as of `probabilities`.
            seed: of the run, not negative.
            step: of training, not negative.
            count: how many.

        Raises:
            InputError: as of `probabilities`.
        """
        counts = self._counts(frames)
        edges = np.cumsum(self.probabilities(frames))
        bits = np.random.Philox(np.random.SeedSequence([seed, step])).random_raw(2 * count).reshape(count, 2)
        uniform = (bits >> np.uint64(11)) * 2.0**-53  # in [0, 1)
        part = np.minimum(np.searchsorted(edges, uniform[:, 0], side="right"), len(edges) - 1)
        frame = np.minimum((uniform[:, 1] * counts[part]).astype(np.int64), counts[part] - 1)
        return np.stack([part, frame], axis=1).astype(np.int64)

    def _counts(self, frames: Mapping[str, int]) -> npt.NDArray[np.int64]:
        missing = [name for name in self.names if frames.get(name, 0) <= 0]
        if missing:
            advice = "convert them, or leave them away"
            raise InputError(f"The mixture has {_listed(missing)}, of which there are no frames: {advice}.")
        return np.array([frames[name] for name in self.names], np.int64)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
