"""Recorded episodes as footage of the suite `progress`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_bundle import write_onnx_bundle

from pvla.datasets.schema import Camera, DatasetInfo
from pvla.datasets.store import Store
from pvla.datasets.writer import StoreWriter
from pvla.deploy.bundle import Bundle
from pvla.evaluate.protocol import Choices, Footage, make_protocol, plan
from pvla.sim.demos import dataset_info

TASK = "open_drawer"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("recorded") / "data"
    info: DatasetInfo = dataset_info().model_copy(
        update={"cameras": [Camera(name="head", height=8, width=8)], "extras": {}}
    )
    with StoreWriter(path, info) as writer:
        for number in range(20):
            with writer.episode(f"e{number:02d}", "open the drawer", TASK) as episode:
                for t in range(2):
                    episode.add({"head": np.zeros((8, 8, 3), np.uint8)}, np.zeros(7), np.zeros(7), t / 10)
                episode.finish(success=True)
    return Store.open(path)


def episodes(bundle: Bundle, dataset: Store) -> list[str]:
    jobs = plan(make_protocol(bundle, Choices("progress", dataset=dataset.path)))
    return [job.episode for job in jobs if isinstance(job, Footage)]


def test_of_a_strange_dataset_every_episode_is_scored(bundle: Bundle, dataset: Store) -> None:
    assert len(episodes(bundle, dataset)) == 20


def test_of_the_dataset_that_it_was_trained_on_a_bundle_is_shown_held_out_episodes_only(
    tmp_path: Path, dataset: Store
) -> None:
    provenance: dict[str, Any] = {"checkpoints": {"evaluator": {"data": dataset.content_hash()}}}
    trained_here = write_onnx_bundle(tmp_path / "b", provenance=provenance)
    assert episodes(trained_here, dataset) == ["e09", "e19"]
