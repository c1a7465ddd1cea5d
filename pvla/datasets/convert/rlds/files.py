"""The files of an RLDS dataset: its folder, its shards, and what `dataset_info.json` says should be there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pvla.datasets.convert.rlds import tfrecord
from pvla.datasets.convert.source import EpisodeRef, Finding, plain_name
from pvla.errors import InputError

INFO: Final = "dataset_info.json"
_SHARD: Final = re.compile(r"^(?P<name>.+)-(?P<split>[A-Za-z0-9_+]+)\.tfrecord-(?P<number>\d+)-of-(?P<of>\d+)$")
_VERSION: Final = re.compile(r"^\d+\.\d+\.\d+$")


@dataclass
class Files:
    """What is there, and what should be.

    Attributes:
        folder: where the shards are.
        name: the dataset's name, as far as it is known.
        episodes: every record that was found.
        findings: missing shards, cut ones, wrong counts, other versions beside this one.
        declared: episodes that `dataset_info.json` promises, None without it.
    """

    folder: Path
    name: str
    episodes: list[EpisodeRef] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    declared: int | None = None


def is_shard(file: Path) -> bool:
    """Whether a file is named as TFRecord files are."""
    return file.suffix == ".tfrecord" or bool(_SHARD.match(file.name))


def find_folder(path: Path) -> Path | None:
    """The folder with the shards: `path`, the parent of a single one, or the newest version below; None if none is."""
    if path.is_file():
        return path.parent if is_shard(path) else None
    if not path.is_dir():
        return None
    if any(is_shard(file) for file in path.iterdir()):
        return path
    versions = _versions(path)
    return versions[-1] if versions else None


def list_files(path: Path) -> Files:
    """Scan the shards at `path` for records.

    Raises:
        InputError: there are none, or `dataset_info.json` cannot be read.
    """
    folder = find_folder(path)
    if folder is None:
        raise InputError(f"{path} has no TFRecord files, neither itself nor in a folder named as a version (1.0.0).")
    shards = [path] if path.is_file() else sorted(file for file in folder.iterdir() if is_shard(file))
    info = _info(folder)
    files = Files(folder, str(info.get("name") or _name_of(shards[0])))
    for shard in shards:
        _scan(files, shard)
    if info and not path.is_file():
        _compare(files, info, {shard.name for shard in shards})
    elif not info:
        files.findings.append(Finding("missing", INFO, f"{INFO} is not there: missing shards cannot be told"))
    _other_versions(files, path)
    return files


def _scan(files: Files, shard: Path) -> None:
    try:
        records, trouble = tfrecord.scan(shard)
    except OSError as error:
        records, trouble = [], f"it cannot be read ({error.strerror})"
    if trouble:
        files.findings.append(Finding("damaged", shard.name, trouble))
    match = _SHARD.match(shard.name)
    prefix = f"{match['split']}-{match['number']}" if match else plain_name(shard.name)
    files.episodes.extend(
        EpisodeRef(f"{prefix}-{number:05d}", f"{shard.name}[{number}]", (shard.name, record))
        for number, record in enumerate(records)
    )


def _info(folder: Path) -> dict[str, Any]:
    file = folder / INFO
    if not file.is_file():
        return {}
    try:
        info = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read as JSON ({error}): restore it, or move it away.") from error
    if not isinstance(info, dict):
        raise InputError(f"{file} is no description of a dataset: restore it, or move it away.")
    return info


def _compare(files: Files, info: dict[str, Any], there: set[str]) -> None:
    """What `dataset_info.json` promises against what is there."""
    counts: dict[str, int] = {}
    for ref in files.episodes:
        counts[ref.key[0]] = counts.get(ref.key[0], 0) + 1
    try:
        promised = {name: count for split in info["splits"] for name, count in _promised(files.name, split)}
    except (KeyError, TypeError, ValueError, AttributeError):
        what = "its list of splits cannot be read: missing shards cannot be told"
        files.findings.append(Finding("suspicious", INFO, what))
        return
    files.declared = sum(promised.values())
    for name, count in promised.items():
        if name not in there:
            files.findings.append(Finding("missing", name, "a shard is not there, and its episodes with it"))
        elif counts.get(name, 0) != count:
            found = f"{counts.get(name, 0)} of {count} episodes"
            what = "a shard has another number of episodes than declared"
            files.findings.append(Finding("missing", f"{name}: {found}", what))


def _promised(name: str, split: dict[str, Any]) -> list[tuple[str, int]]:
    lengths = [int(length) for length in split.get("shardLengths", [])]
    return [
        (f"{name}-{split['name']}.tfrecord-{number:05d}-of-{len(lengths):05d}", length)
        for number, length in enumerate(lengths)
        if length
    ]


def _other_versions(files: Files, path: Path) -> None:
    others = [folder.name for folder in _versions(path) if folder != files.folder] if path.is_dir() else []
    if others and files.folder != path:
        what = f"version {files.folder.name} was taken, the newest; others are there too"
        files.findings.append(Finding("left out", ", ".join(others), what))


def _versions(path: Path) -> list[Path]:
    folders = [folder for folder in path.iterdir() if folder.is_dir() and _VERSION.match(folder.name)]
    folders = [folder for folder in folders if any(is_shard(file) for file in folder.iterdir())]
    return sorted(folders, key=lambda folder: [int(number) for number in folder.name.split(".")])


def _name_of(shard: Path) -> str:
    match = _SHARD.match(shard.name)
    return match["name"] if match else shard.name.removesuffix(".tfrecord")
