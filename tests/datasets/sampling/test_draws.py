from __future__ import annotations

import shutil
from dataclasses import dataclass

import h5py
import numpy as np
import pytest

from pvla.datasets.sampling.augment import Augmentation
from pvla.datasets.sampling.draws import Draws, Sampling
from pvla.datasets.schema import EpisodeEntry
from pvla.datasets.splits import split_episodes
from pvla.datasets.store import Episode, Store
from pvla.errors import InputError

CAMERAS = ("head", "wrist")
SMALL = Sampling(cameras=CAMERAS, batch=32, gap_s=0.4, horizon=5, size=32)


@dataclass
class Columns:
    """An episode's columns as h5py reads them."""

    action: np.ndarray
    state: np.ndarray
    timestamp: np.ndarray


def read_columns(store: Store, entry: EpisodeEntry) -> Columns:
    with h5py.File(store.path / "shards" / entry.shard, "r") as file:
        return Columns(*(file[entry.id][name][()] for name in ("action", "state", "timestamp")))


def test_a_batch_depends_on_seed_and_step_alone(make) -> None:
    store = make()
    first, again = (Draws([Store.open(store.path)], SMALL) for _ in range(2))
    for step in (7, 0, 3):
        one, other = first(step), again(step)
        assert (one.instruction, one.episode) == (other.instruction, other.episode)
        assert all((one[name] == other[name]).all() for name in one.arrays if not name.startswith("progress"))
    assert (first(1)["t"] != first(2)["t"]).any()
    assert (first(1)["t"] != Draws([store], Sampling(cameras=CAMERAS, batch=32, seed=1))(1)["t"]).any()


def test_threads_change_nothing(make) -> None:
    store = make()
    augmented = Sampling(**{**vars(SMALL), "augmentation": Augmentation()})
    one, other = Draws([store], augmented)(3), Draws([store], augmented, threads=3)(3)
    assert all((one[name] == other[name]).all() for name in one.arrays)


def test_first_pictures_are_decoded_once_and_the_same(make, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = [make("one", (3, 3)), make("other", (3, 3))]
    anew, kept = Draws(stores, SMALL, kept_bytes=0), Draws(stores, SMALL)
    read: list[int] = []
    jpeg = Episode.jpeg
    monkeypatch.setattr(Episode, "jpeg", lambda self, camera, t: read.append(t) or jpeg(self, camera, t))
    for step in range(3):
        batch = kept(step)
        assert read.count(0) > 0 if step == 0 else read.count(0) == 0
        read.clear()
        assert all((batch[name] == anew(step)[name]).all() for name in ("start", "now", "later"))
        read.clear()


def test_who_writes_into_a_batch_changes_no_later_one(make) -> None:
    draws, anew = Draws([make(lengths=(5,))], SMALL), Draws([make("again", (5,))], SMALL)
    draws(0)["start"][:] = 0
    assert (draws(1)["start"] == anew(1)["start"]).all()


def test_augmented_first_pictures_are_each_their_own(make) -> None:
    augmented = Sampling(**{**vars(SMALL), "augmentation": Augmentation()})
    draws = Draws([make(lengths=(5,))], augmented)
    draws(0)
    starts = draws(1)["start"][:, 0]
    assert len({start.tobytes() for start in starts}) == len(starts)


@pytest.mark.parametrize("uneven", [False, True])
def test_rows_are_those_of_the_store(make, uneven: bool) -> None:
    store = make(uneven=uneven)
    draws = Draws([store], SMALL)
    episodes = {entry.id: read_columns(store, entry) for entry in store.info.episodes}
    for step in range(4):
        batch = draws(step)
        for row, id in enumerate(batch.episode):
            episode = episodes[id]
            t, later = int(batch["t"][row]), int(batch["t_later"][row])
            times = episode.timestamp
            assert 0 <= t < later < len(times)
            assert batch["gap_s"][row] == np.float32(times[later] - times[t])
            off = np.abs(times[t + 1 :] - times[t] - SMALL.gap_s)
            assert off[later - t - 1] == pytest.approx(off.min())
            assert batch.instruction[row] == f"do the thing {int(id[1:])}"
            assert (batch["state"][row] == episode.state[t]).all()
            real = episode.action[t : t + SMALL.horizon]
            assert (batch["action"][row, : len(real)] == real).all()
            assert (batch["action"][row, len(real) :] == episode.action[-1]).all()
            assert (batch["action_is_pad"][row] == (np.arange(SMALL.horizon) >= len(real))).all()
            labels = np.linspace(0, 1, len(times), dtype=np.float32)
            assert (batch["progress_now"][row], batch["progress_later"][row]) == (labels[t], labels[later])


def test_every_frame_but_the_last_is_drawn_equally_often(make) -> None:
    store = make(lengths=(6, 4, 11))
    draws = Draws([store], Sampling(cameras=(), batch=600, gap_s=10))
    drawn = [(sample.episode, sample.t) for step in range(10) for sample in draws.samples(step)]
    frames = [(number, t) for number, episode in enumerate(store) for t in range(episode.length - 1)]
    counts = np.array([drawn.count(frame) for frame in frames])
    assert counts.sum() == len(drawn) == 6000
    expected = len(drawn) / len(frames)
    # The 99.9th percentile of chi-square with 17 degrees of freedom.
    assert ((counts - expected) ** 2 / expected).sum() < 40.8


def test_a_mixture_has_its_frequencies_and_each_dataset_its_own_frames(make) -> None:
    stores = [make("fast", fps=30.0), make("slow", fps=5.0, width=5), make("other", (20, 20))]
    shares = (0.5, 0.2, 0.3)
    draws = Draws(stores, Sampling(cameras=("wrist",), batch=500, gap_s=0.4, size=8), shares)
    batch = draws(0)
    drawn = np.concatenate([[s.dataset for s in draws.samples(step)] for step in range(20)])
    counts = np.bincount(drawn, minlength=3)
    expected = np.array(shares) * len(drawn)
    # The 99.9th percentile of chi-square with 2 degrees of freedom.
    assert ((counts - expected) ** 2 / expected).sum() < 13.8
    fast = batch["dataset_index"] == 0
    slow = batch["dataset_index"] == 1
    assert (batch["t_later"] - batch["t"])[slow].max() == 2
    assert (batch["t_later"] - batch["t"])[fast].max() == 12
    assert set(np.array(batch.dataset)[slow]) == {"slow"}
    assert batch["action"].shape == (500, 10, 5)
    assert (batch["action_dim"] == np.where(slow, 5, 3)).all()
    assert (batch["action"][~slow][..., 3:] == 0).all()


def test_equal_frames_are_the_default_mixture(make) -> None:
    draws = Draws([make("short", (3, 3)), make("long", (21, 21))], SMALL)
    assert draws.probabilities.tolist() == [4 / 44, 40 / 44]


def test_pictures_are_those_of_their_moments(make) -> None:
    store = make()
    batch = Draws([store], Sampling(cameras=("wrist", "head"), batch=6, gap_s=0.3, size=64))(0)
    for row, id in enumerate(batch.episode):
        episode, now = store.episode(id), int(batch["t"][row])
        for name, t in (("start", 0), ("now", now), ("later", int(batch["t_later"][row]))):
            for place, camera in enumerate(("wrist", "head")):
                assert (batch[name][row, place, 8:56] == episode.image(camera, t)).all()  # 64 x 48 between black bars
                assert not batch[name][row, place, :8].any()


def test_a_role_that_a_dataset_lacks_is_black_and_said(make) -> None:
    stores = [make("both", cameras=("front", "cam_left_wrist")), make("one", cameras=("image",))]
    batch = Draws(stores, Sampling(cameras=("scene", "wrist"), batch=40, size=16))(0)
    one = batch["dataset_index"] == 1
    assert 0 < one.sum() < 40
    assert (batch["camera_is_missing"] == np.stack([np.zeros(40, bool), one], axis=1)).all()
    assert not batch["now"][one, 1].any()
    assert batch["now"][~one, 1].any(axis=(1, 2, 3)).all()


def test_three_moments_of_a_sample_and_camera_look_alike(make) -> None:
    """Where all pictures of an episode are the same, o_0, o_t and o_{t+N} stay the same, rows and cameras do not."""
    store = make(lengths=(20,))
    with h5py.File(next((store.path / "shards").glob("*.h5")), "r+") as file:
        for camera in CAMERAS:
            frames = file[f"e000/images/{camera}"]
            for t in range(1, 20):
                frames[t] = np.asarray(file["e000/images/head"][0])
            frames[0] = np.asarray(file["e000/images/head"][0])
    batch = Draws([store], Sampling(cameras=CAMERAS, batch=8, size=48, augmentation=Augmentation()))(5)
    assert (batch["start"] == batch["now"]).all()
    assert (batch["now"] == batch["later"]).all()
    looks = batch["now"].reshape(16, -1)
    assert len(np.unique(looks, axis=0)) == 16


def test_looks_are_independent_of_the_samples_and_of_each_other(make) -> None:
    draws = Draws([make()], Sampling(cameras=CAMERAS, batch=3, augmentation=Augmentation(), seed=2))
    looks = [look for step in range(50) for row in range(3) for look in draws.looks(step, row)]
    assert len(set(looks)) == len(looks)
    first = np.array([draws.looks(step, 0)[0].part[0] for step in range(400)])
    drawn = np.array([draws.samples(step)[0].t + 100 * draws.samples(step)[0].episode for step in range(400)])
    assert abs(np.corrcoef(first, drawn)[0, 1]) < 0.17  # 3.4 standard deviations


def test_augmentation_changes_no_draw(make) -> None:
    store = make()
    plain = Draws([store], SMALL)
    augmented = Draws([store], Sampling(**{**vars(SMALL), "augmentation": Augmentation()}))
    one, other = plain(4), augmented(4)
    assert (one["t"] == other["t"]).all()
    assert (one["action"] == other["action"]).all()
    assert (one["now"] != other["now"]).any()


def test_only_the_split_is_drawn_from(make) -> None:
    store = make(lengths=[4] * 20)
    held_out = {episode.id for episode in split_episodes(store, "held_out")}
    assert len(held_out) == 2
    drawn = {split: {i for s in range(8) for i in Draws([store], SMALL, split=split)(s).episode} for split in SPLITS}
    assert drawn["held_out"] == held_out
    assert not drawn["train"] & held_out
    assert drawn[None] >= held_out


SPLITS = ("train", "held_out", None)


def test_unknown_progress_is_nan(make) -> None:
    batch = Draws([make(success=None)], SMALL)(0)
    assert np.isnan(batch["progress_now"]).all()
    assert np.isnan(batch["progress_later"]).all()


def test_torch_takes_the_arrays_without_a_copy(make) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    batch = Draws([make()], SMALL)(0)
    for name, array in batch.arrays.items():
        tensor = torch.from_numpy(array)
        assert tensor.data_ptr() == array.ctypes.data, name


@pytest.mark.parametrize("threads", [1, 2])
def test_a_damaged_picture_is_named(make, threads: int) -> None:
    store = make(lengths=(5,))
    with h5py.File(next((store.path / "shards").glob("*.h5")), "r+") as file:
        frames = file["e000/images/head"]
        frames[0] = np.asarray(frames[0])[:400]
    with pytest.raises(InputError, match=r"^Episode e000: frame 0 of camera head cannot be decoded \(.*data validate"):
        Draws([store], SMALL, threads=threads)(0)


def test_time_that_does_not_increase_is_refused(make) -> None:
    store = make(lengths=(5,))
    with h5py.File(next((store.path / "shards").glob("*.h5")), "r+") as file:
        file["e000/timestamp"][3] = 0.0
    with pytest.raises(InputError, match="Episode e000 cannot be trained on: time does not increase"):
        Draws([store], SMALL)(0)


def test_a_shard_that_went_away_is_named(make) -> None:
    store = make()
    draws = Draws([store], SMALL)
    shutil.rmtree(store.path / "shards")
    with pytest.raises(InputError, match=r"Shard .* is missing"):
        draws(0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch": 0}, "batch 0: give 1 or more"),
        ({"horizon": 0}, "horizon 0"),
        ({"gap_s": 0.0}, "more than 0"),
        ({"gap_s": float("nan")}, "more than 0"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Sampling(**{"cameras": CAMERAS, **change})


@pytest.mark.parametrize("shares", [(1.0,), (0.0, 0.0), (1.0, -1.0), (1.0, float("nan"))])
def test_probabilities_that_are_none_are_refused(make, shares: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="probabilities"):
        Draws([make("a"), make("b")], SMALL, shares)


def test_nothing_to_draw_from_is_refused(make) -> None:
    with pytest.raises(InputError, match="no dataset"):
        Draws([], SMALL)
    with pytest.raises(InputError, match="no episode of the split held-out"):
        Draws([make()], SMALL, split="held_out")
    with pytest.raises(InputError, match=r"no camera top: it has head \(scene\), wrist \(wrist\)"):
        Draws([make("again")], Sampling(cameras=("top",)))
