"""Names from metadata stay in the dataset's folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvla.datasets.convert.lerobot.paths import NOT_THERE, POINTER, absence, confined, filled
from pvla.errors import InputError


def test_fields_are_filled_in() -> None:
    template = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:3d}-{n}.mp4"
    path = filled(template, video_key="observation.images.a", chunk_index=2, file_index=1234, n=5)
    assert path == PurePosixPath("videos/observation.images.a/chunk-002/file-1234-5.mp4")


@pytest.mark.parametrize("key", ["../..", "/etc", "a/../../b", "a\\..\\b", "a\0b"])
def test_a_field_cannot_lead_out(key: str) -> None:
    with pytest.raises(InputError, match="leaves the dataset's folder"):
        filled("{video_key}/a.mp4", video_key=key)


@given(st.text(max_size=20))
def test_no_name_leads_out(name: str) -> None:
    root = Path("/the/dataset")
    try:
        path = confined(name)
    except InputError:
        return
    assert (root / path).is_relative_to(root)
    assert ".." not in path.parts


def test_what_cannot_be_used_is_told_apart(tmp_path: Path) -> None:
    assert absence(tmp_path / "none") == NOT_THERE
    (tmp_path / "pointer").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert absence(tmp_path / "pointer") == POINTER
    (tmp_path / "file").write_bytes(b"")
    assert absence(tmp_path / "file") == ""
    assert absence(tmp_path) == NOT_THERE
