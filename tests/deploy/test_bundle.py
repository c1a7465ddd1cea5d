from __future__ import annotations

import json
from pathlib import Path

import pytest
from deploy_fakes import content, graph, write_bundle
from pydantic import ValidationError

from pvla.deploy.bundle import MANIFEST, Bundle, write_manifest
from pvla.deploy.manifest import digest_of
from pvla.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle").path


def test_round_trip(folder: Path) -> None:
    manifest = Bundle.load(folder).manifest
    assert set(manifest.files) == {"a.onnx", "tokenizer.json"}
    assert manifest.guidance_modes() == ["off", "fast", "full"]
    assert manifest.graphs["joint_step_fast"].context_names() == ["goal"]


def test_no_bundle_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no bundle at"):
        Bundle.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no bundle\.json"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("name", ["a.onnx", "tokenizer.json", MANIFEST])
@pytest.mark.parametrize("where", [0.02, 0.5, 0.98])
def test_one_flipped_bit_is_found(folder: Path, name: str, where: float) -> None:
    file = folder / name
    data = bytearray(file.read_bytes())
    data[int(where * len(data))] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match=name):
        Bundle.load(folder)


@pytest.mark.parametrize("name", ["a.onnx", MANIFEST])
def test_truncated_file_is_named(folder: Path, name: str) -> None:
    file = folder / name
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(InputError, match=name):
        Bundle.load(folder)


def test_missing_file_is_named(folder: Path) -> None:
    (folder / "a.onnx").unlink()
    with pytest.raises(InputError, match=r"lacks the file a\.onnx"):
        Bundle.load(folder)


def test_newer_schema_asks_for_an_upgrade(folder: Path) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**document, "schema_version": 2, "unknown": 1}))
    with pytest.raises(InputError, match=r"schema version 2.*upgrade"):
        Bundle.load(folder)


def test_file_outside_the_folder_is_refused(folder: Path) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    document["files"]["../secret"] = {"sha256": "0" * 64, "bytes": 0}
    document["digest"] = digest_of(document)
    (folder / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(InputError, match="outside its folder"):
        Bundle.load(folder)


def test_graph_without_its_file_is_refused_at_export(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lacks a\.onnx, tokenizer\.json"):
        write_manifest(tmp_path, content())


def test_step_graph_must_find_its_inputs_in_context() -> None:
    graphs = {name: spec.model_dump() for name, spec in content().graphs.items()}
    graphs["score"] = graph("a.onnx", {"elsewhere": ("float32", (1,))}, {"q": (1,)})
    with pytest.raises(ValidationError, match="graph score needs elsewhere"):
        content(graphs=graphs)


def test_limits_must_have_the_actions_width() -> None:
    limits = content().limits.model_dump()
    limits = {key: value[:6] if len(value) == 7 else value for key, value in limits.items()}
    with pytest.raises(ValidationError, match="must have 7 dimensions"):
        content(limits=limits)
