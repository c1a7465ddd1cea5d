"""How actions enter and leave the networks: one transform, used in training and on the robot alike."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, model_validator

Array = NDArray[np.float32]
Table = Annotated[
    Array,
    BeforeValidator(lambda v: np.asarray(v, dtype=np.float32)),
    PlainSerializer(lambda v: np.asarray(v).astype(float).round(7).tolist(), return_type=list[Any]),
]


class ActionTransform(BaseModel):
    """Chunks of actions ↔ the numbers in [−1, 1] that diffusion works on.

    A relative dimension is first expressed as its difference to the state of the same index at the chunk's first step
    (radians stay radians): a policy then need not copy its own joints. Each (step, dimension) is scaled by its 1 and
    99 % quantiles, because the last step of a chunk moves much farther than the first.

    Attributes:
        low: value that maps to −1 (H, A), in the action's unit.
        high: value that maps to +1 (H, A).
        relative: which dimensions are relative to the state, one flag each.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True, extra="forbid")

    low: Table
    high: Table
    relative: tuple[bool, ...]

    @model_validator(mode="after")
    def _shapes_agree(self) -> ActionTransform:
        if self.low.ndim != 2 or self.low.shape != self.high.shape or self.low.shape[1] != len(self.relative):
            raise ValueError(
                f"action transform: low {self.low.shape}, high {self.high.shape} and {len(self.relative)} flags"
            )
        if not np.all(self.high > self.low):
            raise ValueError("action transform: high must exceed low everywhere")
        return self

    @classmethod
    def fit(cls, chunks: Array, states: Array, relative: tuple[bool, ...]) -> ActionTransform:
        """Measure the quantiles over chunks (n, H, A) that start at states (n, S).

        A dimension that hardly moves gets a small width instead of none: it then maps to the middle.
        """
        values = chunks - _offset(states, relative)
        low, high = np.quantile(values, [0.01, 0.99], axis=0)
        thin = (high - low) < 1e-3
        middle = (low + high) / 2
        return cls(low=np.where(thin, middle - 5e-4, low), high=np.where(thin, middle + 5e-4, high), relative=relative)

    def encode(self, actions: Array, state: Array) -> Array:
        """Actions (..., H, A) from state (..., S) → (..., H, A), mostly in [−1, 1]; what lies outside is clipped."""
        x = (actions - _offset(state, self.relative) - self.low) / (self.high - self.low) * 2 - 1
        clipped: Array = np.clip(x, -1, 1).astype(np.float32)
        return clipped

    def decode(self, x: Array, state: Array) -> Array:
        """Inverse of `encode` for x (..., H, A) within [−1, 1]."""
        actions: Array = (np.asarray(x, np.float32) + 1) / 2 * (self.high - self.low) + self.low
        return np.add(actions, _offset(state, self.relative), dtype=np.float32)


def _offset(state: Array, relative: tuple[bool, ...]) -> Array:
    """What relative dimensions are measured from: states (..., S) → (..., 1, A)."""
    flags = np.asarray(relative, dtype=np.float32)
    base: Array = np.asarray(state, dtype=np.float32)[..., None, : len(relative)]
    return np.multiply(base, flags, dtype=np.float32)
