"""Converters side by side: frames a second and peak memory of `pvla data convert`, forge, and LeRobot's own.

All sides get the same input in one run and take turns; what counts is the ratio of the medians. Each conversion is a
process of its own, timed from its start to its end. Its memory is the largest sum of the resident memory of it and its
children, looked at every 20 ms. The input has to be long: of a few episodes a side's start is most of its time. With
`--times 10` pvla also converts `--grow-from` episodes and ten times as many: whether its memory grows with them. It has
to be more episodes than all workers keep in memory (16 each), or what grows is their use of that.

The others live in environments of their own:

    python -m venv forge && forge/bin/pip install forge-robotics==0.2.0 h5py pyarrow pandas av
    python -m venv lerobot && lerobot/bin/pip install torch==2.13.0 lerobot-dataset==0.4.4 h5py
    python benchmarks/convert.py --forge forge/bin/forge --lerobot-python lerobot/bin/python --out convert.json

forge writes LeRobot v3.0. LeRobot's own converter knows one way only, from v2.1 to v3.0: it joins the video files and
decodes no picture, so that it finds nothing that is wrong with them. From ALOHA's HDF5 LeRobot's own writer converts
(`convert_peer.py`), in the loop that its guide has. A side that fails says so in the table, and so does one whose
result has fewer rows than the input: forge 0.2.0 with several workers lets each write the same file, so that it is run
with one as well. forge needs tensorflow for RLDS, and takes no robomimic file without pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from convert_inputs import MAKERS, ROOT

from pvla.datasets.store import Store

LOOK_S = 0.02
PAGE = os.sysconf("SC_PAGE_SIZE")
EPISODES = {"lerobot": 48, "robomimic": 200, "rlds": 250, "aloha": 16}
GROW_FROM = {"lerobot": 40, "robomimic": 200, "rlds": 250, "aloha": 40}
PVLA = """
import sys
from pathlib import Path
from pvla.datasets.convert.conversion import convert
if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), workers=int(sys.argv[3]))
"""
LEROBOT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from loader_peer import stand_in
stand_in()
from ledataset.datasets.v30.convert_dataset_v21_to_v30 import convert_dataset
source = Path(sys.argv[1])
convert_dataset(source.name, root=source.parent, push_to_hub=False)
"""


@dataclass(frozen=True)
class Run:
    """One conversion: seconds, peak memory in MiB, frames in the result, and what it said if it failed."""

    seconds: float
    peak_mib: float
    frames: int
    failure: str = ""


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def resident(pid: int) -> int:
    """Bytes of a process in memory; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def watched(command: list[str], log: Path) -> tuple[float, float, int]:
    """Run a command: its seconds, its largest memory in MiB, its exit status."""
    began, peak = time.perf_counter(), 0
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment())
        while process.poll() is None:
            peak = max(peak, sum(resident(pid) for pid in tree(process.pid)))
            time.sleep(LOOK_S)
    return time.perf_counter() - began, peak / 2**20, process.returncode


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


@dataclass(frozen=True)
class Side:
    """One converter: its name, its command on (input, output), and how its result is counted."""

    name: str
    command: Any
    count: Any
    in_place: bool = False

    def run(self, source: Path, work: Path) -> Run:
        """Convert; what it wrote is deleted again."""
        out, log = work / "out", work / "log"
        given = work / "input" if self.in_place else source
        if self.in_place:
            shutil.copytree(source, given)
        seconds, peak, status = watched(self.command(given, out), log)
        result = given if self.in_place else out
        frames = self.count(result) if status == 0 else 0
        failure = "" if frames else f"exit status {status}: {last_line(log)}"
        for folder in (out, work / "input", work / "input_old"):
            shutil.rmtree(folder, ignore_errors=True)
        return Run(seconds, peak, frames, failure)


def last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"


def frames_in_store(out: Path) -> int:
    with Store.open(out) as store:
        return store.frames


def frames_in_lerobot(out: Path) -> int:
    return sum(pq.read_metadata(file).num_rows for file in out.glob("data/**/*.parquet"))


def sides(a: argparse.Namespace, case: str) -> list[Side]:
    def ours(source: Path, out: Path) -> list[str]:
        return [sys.executable, "-c", PVLA, str(source), str(out), str(a.workers)]

    def forge(workers: int, source: Path, out: Path) -> list[str]:
        return [str(a.forge), "convert", str(source), str(out), "--workers", str(workers)]

    def lerobot(source: Path, out: Path) -> list[str]:
        return [str(a.lerobot_python), "-c", LEROBOT, str(source), str(out), str(ROOT / "benchmarks")]

    def lerobot_writer(source: Path, out: Path) -> list[str]:
        return [str(a.lerobot_python), str(ROOT / "benchmarks/convert_peer.py"), str(source), str(out)]

    found = [Side("pvla", ours, frames_in_store)]
    if a.forge:
        counts = sorted({1, a.workers})
        found += [Side(f"forge, workers: {n}", partial(forge, n), frames_in_lerobot) for n in counts]
    if a.lerobot_python and case == "lerobot":
        found.append(Side("LeRobot (joins files)", lerobot, frames_in_lerobot, in_place=True))
    if a.lerobot_python and case == "aloha":
        found.append(Side("LeRobot's writer", lerobot_writer, frames_in_lerobot))
    return found


def made(case: str, episodes: int, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{case}-{episodes}{'.hdf5' if case == 'robomimic' else ''}"
    MAKERS[case](path, episodes)
    return path


def compare(a: argparse.Namespace, case: str, folder: Path) -> dict[str, Any]:
    """All sides on one input, in turns."""
    source = made(case, a.episodes or EPISODES[case], folder)
    runs: dict[str, list[Run]] = {}
    for _ in range(a.repeats):
        for side in sides(a, case):
            if not any(run.failure for run in runs.get(side.name, [])):
                runs.setdefault(side.name, []).append(side.run(source, folder))
    given = max(run.frames for listed in runs.values() for run in listed)
    return {name: summary(listed, given) for name, listed in runs.items()}


def summary(runs: list[Run], given: int) -> dict[str, Any]:
    """Of the frames given, how many a second; one that did not end well has done none."""
    return {
        "frames_given": given,
        "frames_in_result": min(run.frames for run in runs),
        "frames_per_s": statistics.median((0 if run.failure else given) / run.seconds for run in runs),
        "peak_mib": statistics.median(run.peak_mib for run in runs),
        "seconds": [round(run.seconds, 3) for run in runs],
        "failure": next((run.failure for run in runs if run.failure), ""),
    }


def growth(a: argparse.Namespace, case: str, folder: Path) -> dict[str, float]:
    """Peak memory in MiB of pvla by the number of episodes."""
    episodes = a.grow_from or GROW_FROM[case]
    peaks = {}
    for count in (episodes, a.times * episodes):
        source = made(case, count, folder / f"grown-{count}")
        peaks[str(count)] = sides(a, case)[0].run(source, folder).peak_mib
        shutil.rmtree(folder / f"grown-{count}")
    return peaks


def print_case(case: str, result: dict[str, Any]) -> None:
    base = result["sides"]["pvla"]["frames_per_s"]
    print(f"{case}:")
    for name, side in result["sides"].items():
        ratio = f"pvla is {base / side['frames_per_s']:6.2f} x" if side["frames_per_s"] else side["failure"]
        print(f"  {name:22} {side['frames_per_s']:9.1f} frames/s {side['peak_mib']:8.0f} MiB  {ratio}")
        if not side["failure"] and side["frames_in_result"] < side["frames_given"]:
            print(f"  {'':22} but of {side['frames_given']} frames its result has {side['frames_in_result']}")
    if result["growth"]:
        print("  memory by episodes:", ", ".join(f"{n}: {mib:.0f} MiB" for n, mib in result["growth"].items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["lerobot", "robomimic"], choices=list(MAKERS))
    parser.add_argument("--episodes", type=int, help="in the input; by default some of each kind")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=int, default=10, help="how many times the episodes for memory; 0: not at all")
    parser.add_argument("--grow-from", type=int, help="episodes to begin that with; by default enough of each kind")
    parser.add_argument("--forge", type=Path, help="the command of forge-robotics")
    parser.add_argument("--lerobot-python", type=Path, help="the interpreter that has LeRobot")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    a = parser.parse_args()
    results = {}
    for case in a.cases:
        with tempfile.TemporaryDirectory(prefix="pvla-convert-") as temporary:
            folder = Path(temporary)
            results[case] = {"sides": compare(a, case, folder), "growth": growth(a, case, folder) if a.times else {}}
        print_case(case, results[case])
    if a.out:
        told = {"workers": a.workers, "repeats": a.repeats, "cores": os.cpu_count()}
        a.out.write_text(json.dumps({"cases": results, **told}, indent=1) + "\n")


if __name__ == "__main__":
    main()
