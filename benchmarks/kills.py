"""Conversion, feature caching and export, each killed with SIGKILL again and again and resumed: is the result the same?

    python benchmarks/kills.py --kills 50

After every kill the function behind `pvla data validate` looks at what is there: it must not call it whole. Whenever it
comes to its end, the content is compared with that of a run that nobody disturbed. Exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pvla.datasets.features import FeatureStore
from pvla.datasets.schema import ActionSpace, Camera, DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.validate import validate
from pvla.datasets.writer import StoreWriter

LOOK_S = 0.02
PVLA = [sys.executable, "-c", "from pvla.cli.main import main; main()"]


@dataclass(frozen=True)
class Subject:
    """What is killed.

    Attributes:
        name: of the table's row.
        command: resumes what there is, or begins.
        work_s: kills come until so long after its first work.
        half: whether what lies there is half made, so that validation must say so.
        whole: whether validation calls it whole.
        content: a digest of the content, by whatever layout of files.
    """

    name: str
    command: Callable[[Path], list[str]]
    work_s: float
    half: Callable[[Path], bool]
    whole: Callable[[Path], bool]
    content: Callable[[Path], str]


def undisturbed(subject: Subject, out: Path) -> float:
    """Let it end: the seconds from its start to its first work."""
    command, began = PVLA + subject.command(out), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (out.exists() and subject.half(out)):
        time.sleep(LOOK_S)
    seconds = time.perf_counter() - began
    if process.wait():
        sys.exit(f"{subject.name}: it failed with nobody disturbing it.")
    return seconds


@dataclass
class Tally:
    """What came of the kills.

    Attributes:
        kills: how many there were.
        halves: of them, those that left it half made.
        wrong: of these, those that validation called whole.
        contents: digests of what lay there each time that it had come to its end.
    """

    kills: int = 0
    halves: int = 0
    wrong: int = 0
    contents: list[str] = field(default_factory=list)


def kill_loop(subject: Subject, out: Path, start_s: float, kills: int, rng: np.random.Generator) -> Tally:
    """Kill until it was killed often enough, then let it end; whenever it ends before a kill, begin anew."""
    tally = Tally()
    while tally.kills < kills:
        process = subprocess.Popen(
            PVLA + subject.command(out), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        time.sleep(rng.uniform(start_s / 3, start_s + subject.work_s))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            tally.kills += 1
            tally.halves += subject.half(out)
            tally.wrong += subject.half(out) and subject.whole(out)
        elif process.returncode == 0:
            process.communicate()
            tally.contents.append(subject.content(out))
            shutil.rmtree(out)
        else:
            told = process.communicate()[1].decode()[-500:]
            sys.exit(f"{subject.name}: it failed after {tally.kills} kills: {told}")
    subprocess.run(PVLA + subject.command(out), check=True, stdout=subprocess.DEVNULL)
    tally.contents.append(subject.content(out))
    return tally


def conversion(source: Path) -> Subject:
    """Converting `source`."""
    return Subject(
        "conversion",
        lambda out: ["data", "convert", str(source), str(out), "--workers", "2", "--resume"],
        2.0,
        lambda out: not (out / "dataset.json").exists() or bool(Store.open(out).info.unfinished),
        is_whole,
        lambda out: Store.open(out).content_hash(),
    )


def features(dataset: Path) -> Subject:
    """Caching the features of a copy of `dataset`."""
    return Subject(
        "features",
        lambda out: ["data", "features", str(_copied(dataset, out)), "--workers", "2"],
        3.0,
        lambda out: bool(list((out / "features").glob("*/unfinished-*"))),
        is_whole,
        _features_content,
    )


def export(dataset: Path) -> Subject:
    """Exporting `dataset` to LeRobot."""
    return Subject(
        "export",
        lambda out: ["data", "export", str(dataset), str(out), "--workers", "2", "--resume"],
        2.0,
        lambda out: not (out / "meta/info.json").exists(),
        lambda out: (out / "meta/info.json").exists(),
        _files_content,
    )


def is_whole(out: Path) -> bool:
    """Whether validation finds no error."""
    if not (out / "dataset.json").exists():
        return False
    return not any(problem.level == "error" for problem in validate(out))


def _copied(dataset: Path, out: Path) -> Path:
    if not out.exists():
        shutil.copytree(dataset, out)
    return out


def _features_content(out: Path) -> str:
    digest = hashlib.sha256()
    for folder in sorted((out / "features").iterdir()):
        store = FeatureStore(out, folder.name)
        for id in store.ids:
            digest.update(id.encode() + store.patches(id).tobytes())
        for text, states in sorted(store.instructions.items()):
            digest.update(text.encode() + states.tobytes())
    return digest.hexdigest()


def _files_content(out: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in out.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(out)).encode() + file.read_bytes())
    return digest.hexdigest()


def make_dataset(path: Path, episodes: int, frames: int, cameras: dict[str, int]) -> Path:
    """A store with moving pictures."""
    names = ["j1", "j2", "gripper"]
    info = DatasetInfo(
        name="kills",
        fps=10,
        cameras=[Camera(name=name, height=size, width=size) for name, size in cameras.items()],
        action_space=ActionSpace(kind="joint_position", names=names, units=["rad"] * 3, frame="base", rate_hz=10),
        state_names=names,
    )
    with StoreWriter(path, info) as writer:
        for number in range(episodes):
            with writer.episode(f"e{number:05d}", f"task {number % 5}") as episode:
                for t in range(frames):
                    row = np.sin(number + t / 10 + np.arange(3))
                    images = {name: _picture(number + t, size) for name, size in cameras.items()}
                    episode.add(images, row, row, t / 10)
                episode.finish(success=True)
    return path


def _picture(shift: int, size: int) -> np.ndarray:
    ramp = np.roll(np.linspace(0, 255, size).astype(np.uint8), shift)
    return np.repeat(np.tile(ramp, (size, 1))[..., None], 3, axis=2)


def main() -> None:
    """Run all three and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", choices=["conversion", "features", "export"])
    chosen = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        for subject in _subjects(work, chosen.kills, chosen.only):
            whole, out = work / f"{subject.name}-whole", work / f"{subject.name}-killed"
            start_s = undisturbed(subject, whole)
            tally = kill_loop(subject, out, start_s, chosen.kills, np.random.default_rng(0))
            same = set(tally.contents) == {subject.content(whole)}
            failed |= not same or tally.wrong > 0
            print(
                f"{subject.name}: {tally.kills} kills, {tally.halves} of them left it half made, {tally.wrong} of "
                f"these called whole; content {'equal' if same else 'DIFFERENT'} at each of {len(tally.contents)} ends",
                flush=True,
            )
    sys.exit(failed)


def _subjects(work: Path, kills: int, only: str | None) -> list[Subject]:
    """Enough work that most kills come before its end."""
    subjects = []
    if only in (None, "conversion"):
        dataset = make_dataset(work / "c", 40 * kills, 4, {"head": 32})
        subprocess.run([*PVLA, "data", "export", str(dataset), str(work / "lerobot")], check=True)
        subjects.append(conversion(work / "lerobot"))
    if only in (None, "features"):
        subjects.append(features(make_dataset(work / "f", 20 * kills, 20, {"head": 128, "wrist": 64})))
    if only in (None, "export"):
        subjects.append(export(make_dataset(work / "e", 20 * kills, 12, {"head": 128, "wrist": 64})))
    return subjects


if __name__ == "__main__":
    main()
