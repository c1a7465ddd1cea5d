"""What the readers of HDF5 formats share: a look at every file, names for its episodes, and the reading of one."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar

import h5py
import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.detect import found_in
from pvla.datasets.convert.hdf5.files import (
    SUFFIXES,
    can_open,
    clean,
    files_under,
    first_line,
    has,
    number,
    open_file,
    rows,
)
from pvla.datasets.convert.hdf5.layout import Anatomy, anatomy, sample
from pvla.datasets.convert.hdf5.pictures import Pictures
from pvla.datasets.convert.source import (
    Choices,
    Damaged,
    EpisodeRef,
    Finding,
    Source,
    SourceEpisode,
    plain_name,
)
from pvla.datasets.shard import READ_ERRORS
from pvla.errors import InputError

_TRIED: Final = 16
_DIGITS: Final = re.compile(r"\d+")
_SHOWN: Final = 12
_MAX_NUMBER: Final = 10**6
_Look = TypeVar("_Look")


@dataclass(frozen=True)
class Layout:
    """Where the parts of an episode lie, as paths below its group.

    Attributes:
        action: datasets that stand side by side in `action`.
        state: datasets that stand side by side in `state`.
        cameras: the dataset of each camera.
        extras: the dataset of each extra.
        told: all paths that the source as a whole has an answer for.
        turned: whether pictures are turned by 180 degrees.
    """

    action: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    cameras: dict[str, str] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)
    told: frozenset[str] = frozenset()
    turned: bool = False


@dataclass
class Hdf5Source(Source):
    """A source whose episodes are groups of HDF5 files; the key of an episode is (file, group).

    Attributes:
        layout: where the parts of an episode lie.
    """

    layout: Layout = field(default_factory=Layout)

    def read(self, ref: EpisodeRef) -> SourceEpisode:
        """One episode.

        Raises:
            Damaged: a part of it is missing, or has the wrong shape.
        """
        name, path = ref.key
        file = self.file(name)
        with open_file(file) as opened:
            group = opened.get(path)
            if not isinstance(group, h5py.Group):
                raise Damaged("Its group cannot be read.")
            return self.finish(self._columns(group, file, ref), group, ref)

    @abstractmethod
    def finish(self, episode: SourceEpisode, group: h5py.Group, ref: EpisodeRef) -> SourceEpisode:
        """What is particular to the format: instruction, task, success, signs."""

    def file(self, name: str) -> Path:
        """The file of that name, as `scan` calls it."""
        return self.path / name if self.path.is_dir() else self.path

    def _columns(self, group: h5py.Group, file: Path, ref: EpisodeRef) -> SourceEpisode:
        layout = self.layout
        action = _side_by_side(group, layout.action)
        state = _side_by_side(group, layout.state) if layout.state else None
        extras, findings = self._extras(group, len(action), ref)
        missing = [path for path in layout.cameras.values() if not has(group, path)]
        if missing:
            raise Damaged(f"It has no pictures at {', '.join(missing)}, which most other episodes have.")
        images = {
            name: Pictures(file, f"{group.name}/{path}", layout.turned, _lengths(group, path))
            for name, path in layout.cameras.items()
        }
        return SourceEpisode("", action, dict(images), state, extras=extras, findings=findings)

    def _extras(
        self, group: h5py.Group, frames: int, ref: EpisodeRef
    ) -> tuple[dict[str, npt.NDArray[Any]], list[Finding]]:
        extras, findings = {}, []
        for name, path in self.layout.extras.items():
            if not has(group, path):
                findings.append(Finding("suspicious", ref.source_id, f"it has no {path}, which other episodes have"))
                continue
            values = _numbers(group, path)
            if values is not None and values.shape == (frames, self.info.extras[name]):
                extras[name] = values
            else:
                findings.append(Finding("left out", ref.source_id, f"its {path} has not the shape of the others"))
        found = anatomy(group, frames)
        unknown = sorted({*found.columns, *found.pictures, *found.others} - self.layout.told)
        findings += [Finding("left out", ref.source_id, f"{path}, which other episodes have not") for path in unknown]
        return extras, findings


def _numbers(group: h5py.Group, path: str) -> npt.NDArray[Any] | None:
    try:
        return rows(group, path)
    except Damaged:
        return None


def _side_by_side(group: h5py.Group, paths: tuple[str, ...]) -> npt.NDArray[Any]:
    columns = [rows(group, path) for path in paths]
    for path, column in zip(paths, columns, strict=True):
        if len(column) != len(columns[0]):
            raise Damaged(f"Its {path} has {len(column)} rows, its {paths[0]} has {len(columns[0])}.")
    return np.concatenate(columns, axis=1)


def _lengths(group: h5py.Group, path: str) -> str | None:
    """The dataset with the lengths of the encoded pictures at `path`, if there is one: head_lengths for head."""
    return f"{group.name}/{path}_lengths" if has(group, f"{path}_lengths") else None


def scan(
    path: Path, look: Callable[[h5py.File, str], _Look | None], format: str
) -> tuple[dict[str, _Look], list[Finding]]:
    """What `look` sees in each HDF5 file at `path`, by its name in the folder, and what is wrong with the others.

    Raises:
        InputError: no file has anything for `look`, or there is none.
    """
    seen: dict[str, _Look] = {}
    findings, others = [], []
    files = files_under(path)
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        try:
            with open_file(file) as opened:
                look_at = look(opened, name)
        except (Damaged, *READ_ERRORS) as error:
            findings.append(Finding("damaged", name, _clause(error, file)))
            continue
        if look_at is None:
            others.append(name)
        else:
            seen[name] = look_at
    findings += [_other(name, seen, format) for name in others] + _gaps(seen)
    if not seen:
        raise InputError(f"{path} is no dataset in the layout of {format}{_because(findings, files)}.")
    return seen, findings


def _other(name: str, seen: Iterable[str], format: str) -> Finding:
    """A file without an episode: a damaged one, if it is named as those that have one are."""
    kin = _pattern(name) in {_pattern(other) for other in seen}
    return Finding("damaged" if kin else "left out", name, f"it has no episodes in the layout of {format}")


def _gaps(seen: Iterable[str]) -> list[Finding]:
    """Numbers that are not there though a greater one is: perhaps left away on purpose, perhaps lost."""
    numbers: dict[str, list[int]] = {}
    for name in seen:
        parts = _DIGITS.findall(PurePosixPath(name).stem)
        if len(parts) == 1:
            numbers.setdefault(_pattern(name), []).append(int(parts[0]))
    what = "files are numbered, and numbers are not there"
    return [
        Finding("suspicious", f"{pattern}, # = {', '.join(map(str, absent[:_SHOWN]))}", what)
        for pattern, there in numbers.items()
        if (absent := _absent(there))
    ]


def _pattern(name: str) -> str:
    """The path with # for the numbers of its name, a pattern for each folder: day2/episode_#.hdf5."""
    path = PurePosixPath(name)
    return str(path.with_name(_DIGITS.sub("#", path.stem) + path.suffix))


def _absent(numbers: list[int]) -> list[int]:
    """Numbers from 0 or 1 on that are not there; none if they are no counting at all, but dates or the like."""
    if max(numbers) > 2 * len(numbers) + _SHOWN:
        return []
    return sorted(set(range(min([*numbers, 1]), max(numbers))) - set(numbers))


def _clause(error: Exception, file: Path) -> str:
    """What is wrong with a file, said of "it"."""
    said = str(error) if isinstance(error, Damaged) else f"It cannot be read ({first_line(error)})"
    return said.replace(f"{file.name} ", "It ", 1).replace("It ", "it ", 1).rstrip(".")


def alike(looks: dict[str, _Look], kind: Callable[[_Look], str]) -> tuple[dict[str, _Look], list[Finding]]:
    """The files whose actions are of the most common kind; of the others, that they are another dataset's.

    A file of which `kind` says "" may be of any.
    """
    kinds = {name: kind(look) for name, look in looks.items()}
    counts = Counter(said for said in kinds.values() if said)
    common = counts.most_common(1)[0][0] if counts else ""
    others = [name for name, said in kinds.items() if said not in ("", common)]
    what = "its actions are of another kind than those of most files: convert it on its own"
    kept = {name: look for name, look in looks.items() if name not in others}
    return kept, [Finding("left out", name, what) for name in others]


def common_fps(declared: list[float | None], choices: Choices, usual: float, whose: str) -> tuple[float, list[Finding]]:
    """Frames a second: the user's, those of most files, or else the usual."""
    if choices.fps:
        return choices.fps, []
    counts = Counter(rate for rate in declared if rate and rate > 0)
    if not counts:
        what = f"{usual:g} frames a second, as {whose}: nothing says it; --fps says another"
        return usual, [Finding("assumed", "", what)]
    fps = counts.most_common(1)[0][0]
    what = f"files of another rate than {fps:g} Hz, which all are taken to have"
    return fps, [Finding("suspicious", f"{rate:g} Hz: {counts[rate]}x", what) for rate in sorted(counts) if rate != fps]


def _because(findings: list[Finding], files: list[Path]) -> str:
    if not findings:
        return ": there is no .hdf5 or .h5 file in it"
    more = f", and {len(findings) - 1} more files are not either" if len(findings) > 1 else ""
    has = f"; it has {found_in(files[0])}" if findings[0].kind == "left out" else ""
    return f": {findings[0].where}: {findings[0].what}{has}{more}"


def any_file(path: Path, test: Callable[[h5py.File], bool]) -> bool:
    """Whether one of the first HDF5 files at `path` that can be opened passes the test."""
    answers = (_answer(file, test) for file in files_under(path))
    return any(islice((answer for answer in answers if answer is not None), _TRIED))


def _answer(file: Path, test: Callable[[h5py.File], bool]) -> bool | None:
    try:
        with open_file(file) as opened:
            return test(opened)
    except (Damaged, *READ_ERRORS):
        return None


def only_unreadable(path: Path) -> bool:
    """Whether there are files named as HDF5, and none can be opened."""
    files = [file for file in files_under(path) if file.suffix.lower() in SUFFIXES]
    return bool(files) and not any(can_open(file) for file in files)


def anatomies(places: list[tuple[h5py.Group, str]], action: str) -> list[Anatomy]:
    """A look at a few of the episodes, given as (group above, name); one that cannot be looked at is left away."""
    looks = (_anatomy(above, name, action) for above, name in sample(places))
    return [look for look in looks if look is not None]


def _anatomy(above: h5py.Group, name: str, action: str) -> Anatomy | None:
    try:
        return anatomy(above[name], frames_in(above, f"{name}/{action}"))
    except (Damaged, *READ_ERRORS):  # reading the episode will say so
        return None


def refs(places: list[tuple[str, str]], path: Path) -> list[EpisodeRef]:
    """References to episodes, given as (file, group), in their order.

    In a folder an episode is named by file and group, in a single file by its group, or by the file if it is all of it.
    """
    found = []
    for file, group in places:
        stem = file.rsplit(".", 1)[0]
        last = group.rsplit("/", 1)[-1]
        id = f"{stem}.{last}" if last and path.is_dir() else last or stem
        found.append(EpisodeRef(plain_name(id), clean(f"{file}/{group}").rstrip("/"), (file, group or "/")))
    counts = Counter(ref.id for ref in found)
    return [ref if counts[ref.id] == 1 else replace(ref, id=_told_apart(ref)) for ref in found]


def _told_apart(ref: EpisodeRef) -> str:
    return f"{ref.id[:180]}-{hashlib.sha256(ref.source_id.encode()).hexdigest()[:8]}"


def frames_in(group: h5py.Group, path: str) -> int:
    """The rows of the dataset at `path`, 0 if there is none."""
    try:
        item = group.get(path)
        return int(item.shape[0]) if isinstance(item, h5py.Dataset) and item.ndim else 0
    except READ_ERRORS:
        return 0


def declared_length(group: h5py.Group, frames: int, ref: EpisodeRef) -> list[Finding]:
    """Whether the episode has as many frames as its attribute `num_samples` says."""
    declared = number(group, "num_samples")
    if declared is None or declared == frames:
        return []
    return [_count_finding(f"{ref.source_id}: {frames} of {declared:g}", "num_samples", frames, declared)]


def declared_total(name: str, declared: float | None, frames: int, demos: list[str]) -> list[Finding]:
    """Whether a file has as many frames as its attribute `total` says; those of demonstrations that were cut out count.

    Isaac Lab's users delete demonstrations, and the attribute stays.
    """
    if declared is None or declared == frames:
        return []
    gone = absent(demos) if frames < declared else []
    return [_count_finding(f"{name}: {frames} of {declared:g}{listed(gone)}", "total", frames, declared)]


def absent(demos: list[str]) -> list[str]:
    """The names that are not there between demo_0 and the last demonstration."""
    numbers = {int(demo.rpartition("_")[2]) for demo in demos if demo.rpartition("_")[2].isdecimal()}
    if max(numbers, default=0) > _MAX_NUMBER:
        return []
    return [f"demo_{i}" for i in range(max(numbers, default=-1) + 1) if i not in numbers]


def listed(demos: list[str]) -> str:
    """A few of the names, for the place of a finding."""
    more = f" and {len(demos) - _SHOWN} more" if len(demos) > _SHOWN else ""
    return f", no {', '.join(demos[:_SHOWN])}{more}" if demos else ""


def _count_finding(where: str, attribute: str, frames: int, declared: float) -> Finding:
    if frames < declared:
        return Finding("missing", where, f"there are fewer frames than {attribute} declares")
    return Finding("suspicious", where, f"there are more frames than {attribute} declares")


def refuse_next_state(choices: Choices, format: str) -> None:
    """For formats whose states are no actions.

    Raises:
        InputError: the state one frame later was asked for in place of the action.
    """
    if choices.action == "next-state":
        raise InputError(
            f"--action next-state is for recordings whose action and state have the same columns; {format} is not so: "
            "leave it out."
        )
