"""One split of CALVIN: which time steps are there, in which ranges of play, and which windows of them are annotated."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pvla.datasets.convert.calvin.npy import load_npy
from pvla.datasets.convert.source import Finding
from pvla.errors import InputError

Ids = npt.NDArray[np.int64]

RANGES: Final = "ep_start_end_ids.npy"
ANNOTATIONS: Final = "auto_lang_ann.npy"
_STEP: Final = re.compile(r"episode_(\d{1,15})\.npz", re.ASCII)
_MAX_STEP: Final = 10**15
_DIGITS: Final = 7
_SHOWN: Final = 3


@dataclass(frozen=True)
class Window:
    """Time steps of a split that make one episode.

    Attributes:
        split: name of the split's folder, "" if the folder is the split itself.
        start: number of the first step.
        end: of the last one, which belongs to it.
        digits: of a number in the names of files.
        instruction: its text, "" in play without annotation.
        task: CALVIN's name of the task, None in play without annotation.
        annotated: whether it is an annotated window.
        missing: steps without a file.
        first_missing: the first of them, or -1.
    """

    split: str
    start: int
    end: int
    digits: int
    instruction: str = ""
    task: str | None = None
    annotated: bool = False
    missing: int = 0
    first_missing: int = -1

    @property
    def length(self) -> int:
        """How many steps."""
        return self.end - self.start + 1

    def file(self, step: int) -> str:
        """The name of the file of one step."""
        return f"episode_{step:0{self.digits}d}.npz"


@dataclass(frozen=True)
class _Span:
    """What a list says of one window."""

    start: int
    end: int
    instruction: str = ""
    task: str | None = None
    annotated: bool = False

    @property
    def in_order(self) -> bool:
        return 0 <= self.start <= self.end < _MAX_STEP


@dataclass(frozen=True)
class Split:
    """What is in a split's folder.

    Attributes:
        name: the folder's.
        windows: the episodes, in the order of the annotations, or of the ranges of play.
        annotated: whether they are annotated windows.
        findings: what is missing, left out, or odd.
    """

    name: str
    windows: list[Window]
    annotated: bool
    findings: list[Finding] = field(default_factory=list)


def looks_like_split(folder: Path) -> bool:
    """Whether there are time steps, or at least their list, in `folder`; no, if it cannot be looked into."""
    try:
        return folder.is_dir() and ((folder / RANGES).is_file() or any(True for _ in _steps(folder)))
    except OSError:
        return False


def read_split(folder: Path, inner: str) -> Split:
    """Look through a split.

    Args:
        folder: the split's.
        inner: what windows have to say as their split: its name in the source, or "".

    Raises:
        InputError: its lists cannot be read.
    """
    name = folder.resolve().name
    present, digits = _present(folder)
    findings: list[Finding] = []
    ranges = _ranges(folder, name, present, findings)
    annotations = _find_annotations(folder, name, findings)
    if annotations is None:
        what = "there are no language annotations: the ranges of play are the episodes, without instruction"
        findings.append(Finding("assumed", f"{name}/lang_annotations/{ANNOTATIONS}", what))
        spans = [_Span(start, end) for start, end in ranges.tolist()]
    else:
        spans = list(_annotated(annotations))
    findings += [_disorder(name, span) for span in spans if not span.in_order]
    windows = [_window(inner, digits, present, span) for span in spans if span.in_order]
    if annotations is not None:
        findings += _about_windows(name, windows, ranges)
    findings += _about_ranges(name, ranges, present)
    return Split(name, windows, annotations is not None, findings)


def _steps(folder: Path) -> Iterator[tuple[int, int]]:
    """Number and digits of every time step in a folder, in any order."""
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _STEP.fullmatch(entry.name)
            if match:
                yield int(match[1]), len(match[1])


def _present(folder: Path) -> tuple[Ids, int]:
    """The numbers of the time steps (n,), sorted, and how many digits their files' names have at least."""
    fewest = _DIGITS

    def numbers() -> Iterator[int]:
        nonlocal fewest
        for number, digits in _steps(folder):
            fewest = min(fewest, digits)
            yield number

    return np.unique(np.fromiter(numbers(), np.int64)), fewest


def _ranges(folder: Path, name: str, present: Ids, findings: list[Finding]) -> Ids:
    """First and last step of every range of play (n, 2): as listed, or told from the gaps between files."""
    file = folder / RANGES
    if file.is_file():
        ranges = load_npy(file)
        if isinstance(ranges, np.ndarray) and ranges.dtype.kind in "iu" and ranges.ndim == 2 and ranges.shape[1] == 2:
            return ranges.astype(np.int64)
        raise InputError(f"{file} does not hold pairs of a first and a last time step: is it CALVIN's?")
    what = "the list of ranges is not there: ranges were told from the gaps between the files"
    findings.append(Finding("assumed", f"{name}/{RANGES}", what))
    breaks = np.flatnonzero(np.diff(present) > 1)
    return np.stack([present[np.r_[0, breaks + 1]], present[np.r_[breaks, -1]]], axis=1) if len(present) else _no_ids()


def _no_ids() -> Ids:
    return np.empty((0, 2), np.int64)


def _find_annotations(folder: Path, name: str, findings: list[Finding]) -> Path | None:
    """The file of annotations: that of lang_annotations, else of another folder lang_*, which has other embeddings."""
    found = sorted(folder.glob(f"lang*/{ANNOTATIONS}"), key=lambda file: (file.parent.name != "lang_annotations", file))
    for file in found[1:]:
        what = f"other annotations than those of {found[0].parent.name}"
        findings.append(Finding("left out", f"{name}/{file.parent.name}/{ANNOTATIONS}", what))
    if not found:
        return None
    what = "embeddings of the instructions: their texts are kept"
    findings.append(Finding("left out", f"{name}/{found[0].parent.name}/{ANNOTATIONS}", what))
    return found[0]


def _annotated(file: Path) -> Iterator[_Span]:
    """The annotated windows.

    Raises:
        InputError: the file does not hold them.
    """
    document = load_npy(file)
    try:
        language, indices = document["language"], document["info"]["indx"]
        texts, tasks = language["ann"], language.get("task")
        tasks = [None] * len(texts) if tasks is None else tasks
        counts = {len(indices), len(texts), len(tasks)}
        if len(counts) > 1:
            raise InputError(
                f"{file} has {len(indices)} windows, {len(texts)} texts, {len(tasks)} tasks: copy it again."
            )
        for (start, end), text, task in zip(indices, texts, tasks, strict=True):
            yield _Span(_integer(start), _integer(end), _text(text), None if task is None else _text(task), True)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{file} is no dict with language (ann, task) and info (indx), as CALVIN's is ({type(error).__name__}: "
            f"{str(error)[:80]})."
        ) from error


def _integer(value: Any) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"a time step {str(value)[:40]!r}")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text {str(value)[:40]!r}")
    text = str(value).strip()
    if b"\0" in text.encode():  # half a surrogate pair cannot be encoded at all
        raise ValueError(f"a text {text[:40]!r}")
    return text


def _disorder(name: str, span: _Span) -> Finding:
    what = "a window that ends before it begins, or is no window at all"
    return Finding("damaged", f"{name}: {span.start} to {span.end}", what)


def _window(inner: str, digits: int, present: Ids, span: _Span) -> Window:
    low, high = (int(i) for i in np.searchsorted(present, [span.start, span.end + 1]))
    missing = span.end - span.start + 1 - (high - low)
    first = _first_gap(present[low:high], span.start) if missing else -1
    return Window(inner, span.start, span.end, digits, span.instruction, span.task, span.annotated, missing, first)


def _first_gap(there: Ids, start: int) -> int:
    """The first step from `start` on that is not in `there`, of which none is below `start`."""
    in_place = there == start + np.arange(len(there))
    return start + (len(there) if in_place.all() else int(np.argmin(in_place)))


def _about_windows(name: str, windows: list[Window], ranges: Ids) -> Iterator[Finding]:
    """Windows that share steps, that go over the edge of a range, and play that is in no window."""
    spans = np.array([(window.start, window.end) for window in windows], np.int64).reshape(-1, 2)
    spans = spans[np.lexsort((spans[:, 1], spans[:, 0]))]
    yield from _overlaps(name, spans)
    for start, end in spans:
        inside = (ranges[:, 0] <= start) & (end <= ranges[:, 1])
        if not inside.any():
            what = "an annotated window is not within one range of play: time may jump in it"
            yield Finding("suspicious", f"{name}: steps {start} to {end}", what)
    union = _union(spans)
    played = _union(ranges)
    inside_play, play = sum(_shared(union, start, end) for start, end in played.tolist()), _length(played)
    if inside_play < play:
        where = f"{name}: {play - inside_play} of {play} steps"
        yield Finding("left out", where, "play that is in no annotated window")


def _overlaps(name: str, spans: Ids) -> Iterator[Finding]:
    """One finding for all windows that begin before another one, that began earlier, has ended."""
    if not len(spans):
        return
    reached = np.maximum.accumulate(spans[:, 1])
    overlapping = np.flatnonzero(spans[1:, 0] <= reached[:-1]) + 1
    if len(overlapping):
        twice = int((spans[:, 1] - spans[:, 0] + 1).sum()) - _length(_union(spans))
        shown = ", ".join(f"{start} to {end}" for start, end in spans[overlapping[:_SHOWN]])
        more = ", ..." if len(overlapping) > _SHOWN else ""
        where = f"{name}: {len(overlapping)} windows, {twice} steps ({shown}{more})"
        yield Finding("suspicious", where, "annotated windows overlap: their steps are in several episodes")


def _about_ranges(name: str, ranges: Ids, present: Ids) -> Iterator[Finding]:
    """Steps that are listed and not there, or there and not listed."""
    union = _union(ranges)
    low, high = (np.searchsorted(present, edge) for edge in (union[:, 0], union[:, 1] + 1))
    listed, there = _length(union), int((high - low).sum())
    if there < listed:
        what = f"time steps that {RANGES} lists have no file"
        yield Finding("missing", f"{name}: {listed - there} of {listed} steps", what)
    if there < len(present):
        yield Finding("left out", f"{name}: {len(present) - there} steps", f"time steps that {RANGES} does not list")


def _union(spans: Ids) -> Ids:
    """Spans (n, 2), last step included, as disjoint ones in order; those that end before they begin are left away."""
    merged: list[list[int]] = []
    for start, end in sorted(spans.tolist()):
        if merged and start <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], end)
        elif start <= end:
            merged.append([start, end])
    return np.array(merged, np.int64).reshape(-1, 2)


def _length(spans: Ids) -> int:
    return int((spans[:, 1] - spans[:, 0] + 1).sum())


def _shared(union: Ids, start: int, end: int) -> int:
    """How many steps of `start` to `end` are in the disjoint spans."""
    inner = np.minimum(union[:, 1], end) - np.maximum(union[:, 0], start) + 1
    return int(np.maximum(inner, 0).sum())
