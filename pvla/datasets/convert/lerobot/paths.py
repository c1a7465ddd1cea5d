"""File names in a LeRobot dataset: they come from its metadata, and must stay in its folder."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path, PurePosixPath
from typing import Final

from pvla.errors import InputError

_FIELD: Final = re.compile(r"\{(\w+)(?::0?(\d)d)?\}")
_POINTER: Final = b"version https://git-lfs"
NOT_THERE: Final = "the metadata names this file, but it is not there"
POINTER: Final = "it is a Git LFS pointer, not the file itself: run `git lfs pull`"


def filled(template: str, **values: int | str) -> PurePosixPath:
    """A file name from a template such as `data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet`.

    Only plain fields are filled in: a template is data, and Python's own format language would let it do more.

    Raises:
        InputError: the template has another field, or the name leaves the dataset's folder.
    """
    if name := strange_field(template, values):
        raise InputError(f"The path {template!r} in meta/info.json has a field {name} that pvla does not know.")
    return confined(_FIELD.sub(lambda field: str(values[field[1]]).zfill(int(field[2] or 0)), template))


def strange_field(template: str, values: Container[str]) -> str:
    """The first field of a template that `values` do not fill; "" if they fill all."""
    return next((field[1] for field in _FIELD.finditer(template) if field[1] not in values), "")


def confined(name: str) -> PurePosixPath:
    """`name` as a path below the dataset's folder.

    Raises:
        InputError: it is absolute, or climbs out of the folder.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name or "\\" in name:
        raise InputError(f"The path {name!r} in the metadata leaves the dataset's folder: it is not followed.")
    return path


def absence(file: Path) -> str:
    """Why a file that the metadata names cannot be used, in the words of a finding; "" if it is there."""
    try:
        with file.open("rb") as handle:
            return POINTER if handle.read(len(_POINTER)) == _POINTER else ""
    except OSError:
        return NOT_THERE
