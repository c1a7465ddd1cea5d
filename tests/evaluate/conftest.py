from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "deploy"))

from onnx_bundle import write_onnx_bundle

from pvla.deploy.bundle import Bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_onnx_bundle(tmp_path_factory.mktemp("evaluate") / "bundle")
