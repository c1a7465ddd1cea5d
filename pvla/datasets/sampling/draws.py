"""Random training samples out of one or several stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pvla.datasets.sampling.augment import NUMBERS, PLAIN, Augmentation, Look
from pvla.datasets.sampling.batch import PICTURES, Array, Batch, Layout, layout, nbytes, views
from pvla.datasets.sampling.cameras import choose
from pvla.datasets.sampling.chance import uniform
from pvla.datasets.sampling.columns import ColumnCache, Columns
from pvla.datasets.sampling.pictures import ERRORS, Fit, picture, undecodable
from pvla.datasets.sampling.recent import Recent
from pvla.datasets.splits import Split, of_split
from pvla.datasets.store import Episode, Store
from pvla.errors import InputError

Ints = npt.NDArray[np.int64]
_Start = tuple[int, int, str]
"""Whose o_0: the place of the dataset, the place of the episode therein, the camera."""

KEPT_BYTES: Final = 128 << 20  # of first pictures: 890 of 224 px
_SAMPLES: Final = 1  # what random numbers are for: part of their key
_LOOKS: Final = 2


@dataclass(frozen=True)
class Sampling:
    """What a batch is made of.

    Attributes:
        cameras: for each picture of a moment a camera's name, or its role, `scene` or `wrist`
            (see `pvla.datasets.sampling.cameras`).
        batch: B, rows a batch.
        gap_s: N in s, from o_t to o_{t+N}; about 1 s in the paper. Each episode's time stamps say which frame that is.
        horizon: H, actions a chunk.
        size: height and width of the pictures in pixels.
        fit: how a picture that is not square becomes so.
        augmentation: None gives the pictures as they are.
        seed: together with the step it determines a batch.
    """

    cameras: tuple[str, ...]
    batch: int = 64
    gap_s: float = 1.0
    horizon: int = 10
    size: int = 224
    fit: Fit = "letterbox"
    augmentation: Augmentation | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("horizon", 1), ("size", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"There is no sampling with {name} {getattr(self, name)}: give {least} or more.")
        if not self.gap_s > 0:
            raise InputError(f"The gap between two frames is {self.gap_s:g} s: give more than 0.")


@dataclass(frozen=True)
class Sample:
    """Where a sample comes from: the place of its dataset, the place of the episode therein, the frame of o_t."""

    dataset: int
    episode: int
    t: int


class Draws:
    """Random training batches out of stores; a batch is a function of the seed and its step.

    A dataset is drawn with its probability, then a frame o_t evenly among all of its episodes' but the last of each:
    later than that there is nothing to pair it with. Where an episode ends before t + N, o_{t+N} is its last frame, and
    `gap_s` says how far that is. Without augmentation the first pictures of the episodes are kept as far as they fit.

    Args:
        stores: open datasets.
        sampling: what a batch is made of.
        probabilities: one for each dataset, brought to a sum of 1; by default each frame is as likely as any other.
        split: only episodes of that split (see `pvla.datasets.splits`), None for all.
        threads: how many decode pictures at the same time; more than 1 only where no other processes make batches.
        kept_bytes: memory for first pictures of episodes, in each process that makes batches; 0 decodes them each time.

    Raises:
        InputError: a dataset has nothing to draw, or none of the cameras; probabilities that are none.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        sampling: Sampling,
        probabilities: Sequence[float] | None = None,
        split: Split | None = "train",
        threads: int = 1,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        if not stores:
            raise InputError("There is no dataset to draw from: give one or more.")
        if threads < 1:
            raise InputError(f"Pictures cannot be decoded by {threads} threads: give 1 or more.")
        self.threads = threads
        self.sampling = sampling
        self.parts = [_Part(store, sampling.cameras, split) for store in stores]
        self.probabilities = _shares(self.parts, probabilities)
        self._starts: Recent[_Start, npt.NDArray[np.uint8]] = Recent(kept_bytes)
        infos = [store.info for store in stores]
        self._widths = max(info.action_dim for info in infos), max(info.state_dim for info in infos)

    @property
    def layout(self) -> Layout:
        """The arrays of a batch."""
        s = self.sampling
        return layout(s.batch, len(s.cameras), s.size, s.horizon, *self._widths)

    def samples(self, step: int) -> list[Sample]:
        """Which frames the batch of a step is made of."""
        chance = uniform(2 * self.sampling.batch, self.sampling.seed, step, _SAMPLES).reshape(-1, 2)
        ends = np.cumsum(self.probabilities)
        datasets = np.searchsorted(ends / ends[-1], chance[:, 0], side="right")
        return [
            Sample(int(dataset), *self.parts[dataset].frame(share))
            for dataset, share in zip(datasets, chance[:, 1], strict=True)
        ]

    def looks(self, step: int, row: int) -> list[Look]:
        """How the pictures of a row are changed, one look a camera; the three moments of the row have it in common."""
        if self.sampling.augmentation is None:
            return [PLAIN] * len(self.sampling.cameras)
        cameras = len(self.sampling.cameras)
        chance = uniform(cameras * NUMBERS, self.sampling.seed, step, row, _LOOKS).reshape(cameras, NUMBERS)
        return [self.sampling.augmentation.look(numbers) for numbers in chance]

    def __call__(self, step: int) -> Batch:
        """The batch of a step.

        Raises:
            InputError: an episode is damaged.
        """
        return self.fill(step, views(self.layout, bytearray(nbytes(self.layout))))

    def fill(self, step: int, arrays: dict[str, Array]) -> Batch:
        """The batch of a step, made in these arrays, which are all zero.

        Raises:
            InputError: an episode is damaged.
        """
        drawn = [(sample, self.parts[sample.dataset].columns(sample.episode)) for sample in self.samples(step)]
        wanted: list[_Wanted] = []
        for row, (sample, columns) in enumerate(drawn):
            self._fill_row(arrays, row, sample, columns)
            wanted += self._pictures(arrays, row, sample, columns.episode, step)
        self._decode(wanted)
        return Batch(
            step,
            [columns.episode.instruction for _, columns in drawn],
            [self.parts[sample.dataset].name for sample, _ in drawn],
            [columns.episode.id for _, columns in drawn],
            arrays,
        )

    def _fill_row(self, arrays: dict[str, Array], row: int, sample: Sample, columns: Columns) -> None:
        t, later = sample.t, columns.later(sample.t, self.sampling.gap_s)
        action, is_pad = columns.chunk(t, self.sampling.horizon)
        action_dim, state_dim = action.shape[1], columns.state.shape[1]
        arrays["action"][row, :, :action_dim] = action
        arrays["state"][row, :state_dim] = columns.state[t]
        values = {
            "action_is_pad": is_pad,
            "action_dim": action_dim,
            "state_dim": state_dim,
            "gap_s": columns.timestamp[later] - columns.timestamp[t],
            "progress_now": columns.progress[t],
            "progress_later": columns.progress[later],
            "t": t,
            "t_later": later,
            "dataset_index": sample.dataset,
        }
        for name, value in values.items():
            arrays[name][row] = value

    def _pictures(
        self, arrays: dict[str, Array], row: int, sample: Sample, episode: Episode, step: int
    ) -> Iterator[_Wanted]:
        """The pictures of a row that are to be decoded; those that are kept are put in their places."""
        moments = (0, sample.t, int(arrays["t_later"][row]))
        cameras = self.parts[sample.dataset].cameras
        for place, (camera, look) in enumerate(zip(cameras, self.looks(step, row), strict=True)):
            if camera is None:
                arrays["camera_is_missing"][row, place] = True
                continue
            for name, t in zip(PICTURES, moments, strict=True):
                start = (sample.dataset, sample.episode, camera) if t == 0 and look == PLAIN else None
                kept = None if start is None else self._starts.get(start)
                if kept is None:
                    data = episode.jpeg(camera, t)
                    yield _Wanted(arrays[name][row, place], episode, camera, t, look, data, start)
                else:
                    arrays[name][row, place] = kept

    def _decode(self, wanted: list[_Wanted]) -> None:
        if self.threads == 1:
            for one in wanted:
                one.decode(self.sampling)
        else:
            with ThreadPoolExecutor(self.threads) as pool:  # Pillow lets go of the GIL while it decodes and scales
                for done in [pool.submit(one.decode, self.sampling) for one in wanted]:
                    done.result()
        for one in wanted:
            if one.start is not None:
                self._starts.put(one.start, one.place.copy(), one.place.nbytes)


@dataclass(frozen=True)
class _Wanted:
    """One picture of a batch: where it goes, where it is from, how it is to look, its JPEG bytes, its key if kept."""

    place: npt.NDArray[np.uint8]
    episode: Episode
    camera: str
    t: int
    look: Look
    data: bytes
    start: _Start | None

    def decode(self, sampling: Sampling) -> None:
        try:
            self.place[:] = picture(self.data, sampling.size, sampling.fit, self.look)
        except ERRORS as error:
            raise undecodable(self.episode, self.camera, self.t, error) from error


class _Part:
    """One dataset's share of the draws: its episodes of a split, as a list of frames that have a later one."""

    def __init__(self, store: Store, cameras: Sequence[str], split: Split | None) -> None:
        self.name = store.info.name
        self.cameras = choose(store.info, cameras)
        self._cache = ColumnCache(store)
        entries = store.info.episodes
        kept = {id(entry) for entry in (entries if split is None else of_split(entries, split))}
        self._episodes = np.array([n for n, e in enumerate(entries) if id(e) in kept and e.length > 1], np.int64)
        self._ends: Ints = np.cumsum([entries[n].length - 1 for n in self._episodes], dtype=np.int64)
        if not len(self._episodes):
            which = "" if split is None else f" of the split {split.replace('_', '-')}"
            raise InputError(f"Dataset {store.path} has no episode{which} of two frames or more: nothing to draw.")

    @property
    def frames(self) -> int:
        """How many frames have a later one."""
        return int(self._ends[-1])

    def frame(self, share: float) -> tuple[int, int]:
        """(episode, t) of the frame at this share (0 to under 1) of them all."""
        number = min(int(share * self.frames), self.frames - 1)
        place = int(np.searchsorted(self._ends, number, side="right"))
        before = int(self._ends[place - 1]) if place else 0
        return int(self._episodes[place]), number - before

    def columns(self, episode: int) -> Columns:
        return self._cache.columns(episode)


def _shares(parts: Sequence[_Part], probabilities: Sequence[float] | None) -> npt.NDArray[np.float64]:
    given = [part.frames for part in parts] if probabilities is None else probabilities
    shares = np.asarray(given, np.float64)
    if shares.shape != (len(parts),):
        raise InputError(f"There are {len(parts)} datasets and {shares.size} probabilities: give one for each.")
    if not np.isfinite(shares).all() or (shares < 0).any() or not shares.sum() > 0:
        told = ", ".join(f"{share:g}" for share in shares)
        raise InputError(f"The probabilities {told} are none: give finite numbers from 0 up, not all 0.")
    normalized: npt.NDArray[np.float64] = shares / shares.sum()
    return normalized


def every(draws: Draws, first: int, until: int | None) -> Iterator[Batch]:
    """The batches of the steps from `first` to before `until`, made in this process."""
    step = first
    while until is None or step < until:
        yield draws(step)
        step += 1
