"""Random damage to datasets of every format, and the verdict on what the conversion made of it.

`python tests/datasets/convert/damage.py 500` tries that many and prints what was wrong: nothing, one hopes.
"""

from __future__ import annotations

import collections
import contextlib
import multiprocessing
import sys
import tempfile
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import h5py
import hdf5_fixtures as hdf5
import numpy as np
from calvin_fixtures import write_split
from lerobot_fixtures import make_v3, make_v21
from rlds_fixtures import make_rlds

from pvla.datasets.convert.conversion import convert
from pvla.datasets.validate import validate
from pvla.errors import PvlaError

PATIENCE_S = 60.0
Rng = np.random.Generator


def _rlds(folder: Path) -> None:
    make_rlds(folder, [4, 5, 3], per_shard=2)


def _v21(folder: Path) -> None:
    make_v21(folder)


def _v21_pictures(folder: Path) -> None:
    make_v21(folder, camera="image")


def _v3(folder: Path) -> None:
    make_v3(folder)


def _calvin(folder: Path) -> None:
    write_split(folder / "training", [(0, 5), (8, 12)], steps=14)


def _robomimic(folder: Path) -> None:
    hdf5.make_robomimic(folder / "demo.hdf5", {f"demo_{n}": hdf5.robosuite_demo(n, 4 + n) for n in range(3)})


def _libero(folder: Path) -> None:
    demos = {f"demo_{n}": hdf5.libero_demo(n, 4 + n) for n in range(3)}
    hdf5.make_libero(folder / "stack_the_bowls_demo.hdf5", demos, "stack the bowls")


def _aloha(folder: Path) -> None:
    for n in range(3):
        hdf5.make_episode(folder / f"episode_{n}.hdf5", hdf5.aloha_episode(n, 4 + n), sim=True)


def _arx(folder: Path) -> None:
    for n in range(3):
        content = hdf5.arx_episode(n, 4 + n)
        hdf5.make_episode(folder / f"episode_{n}.hdf5", content, task="stack the bowls", frame_rate=30)


MAKERS: dict[str, Callable[[Path], None]] = {
    "rlds": _rlds,
    "lerobot v2.1": _v21,
    "lerobot v2.1, pictures in Parquet": _v21_pictures,
    "lerobot v3.0": _v3,
    "calvin": _calvin,
    "robomimic": _robomimic,
    "libero": _libero,
    "aloha": _aloha,
    "arx": _arx,
}


def flip(file: Path, rng: Rng) -> str:
    """Flip up to 64 bits anywhere in the file."""
    data = bytearray(file.read_bytes())
    count = int(rng.choice([1, 1, 8, 64]))
    for at in rng.integers(0, len(data), count):
        data[at] ^= 1 << int(rng.integers(8))
    file.write_bytes(data)
    return f"{count} bits flipped in {file.name}"


def truncate(file: Path, rng: Rng) -> str:
    """Cut the file anywhere."""
    data = file.read_bytes()
    at = int(rng.integers(len(data)))
    file.write_bytes(data[:at])
    return f"{file.name} cut to {at} of {len(data)} bytes"


def blank(file: Path, rng: Rng) -> str:
    """Put zeros in place of a stretch, as a lost page of a disk does."""
    data = bytearray(file.read_bytes())
    at = int(rng.integers(len(data)))
    data[at : at + 512] = bytes(len(data[at : at + 512]))
    file.write_bytes(data)
    return f"512 zeros at {at} of {file.name}"


def remove(file: Path, rng: Rng) -> str:
    """Delete the file."""
    file.unlink()
    return f"{file.name} removed"


def alter(file: Path, rng: Rng) -> str:
    """Remove a key of an HDF5 file, or give it another type, length, or rank."""
    with h5py.File(file, "a") as opened:
        names: list[str] = []
        opened.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = names[int(rng.integers(len(names)))]
        rows = opened[name][()]
        del opened[name]
        change = str(rng.choice(["absent", "text", "shorter", "rank", "nan", "group"]))
        if change == "text":
            opened[name] = np.array([b"text"] * len(rows), "S4")
        elif change == "shorter":
            opened[name] = rows[: len(rows) // 2]
        elif change == "rank":
            opened[name] = rows[..., None]
        elif change == "nan":
            opened[name] = np.full(rows.shape, np.nan)
        elif change == "group":
            opened.create_group(name)
    return f"{name} of {file.name}: {change}"


def damage(folder: Path, rng: Rng) -> str:
    """Damage one file of the dataset; says how."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    file = files[int(rng.integers(len(files)))]
    if file.name.startswith("episode_") and file.suffix == ".hdf5" and rng.random() < 0.1:
        # Nothing declares how many files there should be: only a gap in their numbers can be told.
        return remove(files[1], rng)
    ways = [flip, truncate, blank, *([alter] * 3 if file.suffix == ".hdf5" else [remove])]
    return ways[int(rng.integers(len(ways)))](file, rng)


def attempt(name: str, seed: int) -> tuple[str, str]:
    """Damage a fresh dataset and convert it: (what was done, what is wrong with the outcome or "")."""
    rng = np.random.default_rng([seed, len(name)])
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "source", Path(scratch) / "out"
        MAKERS[name](source)
        sound = convert(source, Path(scratch) / "whole", workers=0)
        whole = sound.tally.frames_out
        done = damage(source, rng)
        try:
            report = convert(source, out, workers=0)
        except PvlaError as error:
            return done, "" if "\n" not in str(error) and len(str(error)) < 2000 else f"no one sentence: {error}"
        except Exception:
            return done, traceback.format_exc()
        frames = report.tally.frames_out
        told = {finding.kind for finding in set(report.findings) - set(sound.findings)}
        if frames < whole and not told & {"missing", "damaged", "suspicious"}:
            return done, f"{whole - frames} of {whole} frames lost in silence"
        errors = [str(problem) for problem in validate(out) if problem.level == "error"]
        return done, f"the result is not whole: {errors[0]}" if errors else ""


def attempts(count: int, name: str | None = None) -> list[tuple[str, int, str, str]]:
    """Attempts in a process of their own: (format, seed, damage, what is wrong); a dead or stuck process is wrong."""
    names = [name] if name else list(MAKERS)
    verdicts = []
    pool = _pool()
    for seed in range(count):
        chosen = names[seed % len(names)]
        try:
            done, wrong = pool.submit(attempt, chosen, seed).result(PATIENCE_S)
        except BrokenProcessPool:
            done, wrong = "?", "the process died"
        except TimeoutError:
            done, wrong = "?", f"nothing came for {PATIENCE_S:g} s"
        if done == "?":
            _end(pool)
            pool = _pool()
        verdicts.append((chosen, seed, done, wrong))
    pool.shutdown()
    return verdicts


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        with contextlib.suppress(OSError):
            process.kill()
    pool.shutdown(cancel_futures=True)


def main() -> None:
    verdicts = attempts(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
    counts = collections.Counter((name, bool(wrong)) for name, _, _, wrong in verdicts)
    for name in MAKERS:
        sys.stdout.write(f"{name}: {counts[name, False]} as it should be, {counts[name, True]} not\n")
    for name, seed, done, wrong in verdicts:
        if wrong:
            sys.stdout.write(f"\n{name}, seed {seed}: {done}\n{wrong}\n")


if __name__ == "__main__":
    main()
