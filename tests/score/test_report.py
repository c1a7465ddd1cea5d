from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pvla.documents import to_json
from pvla.score.estimator import Estimator
from pvla.score.examine import Score, examine
from pvla.score.footage import Footage
from pvla.score.report import PICTURE_SIZE, ReportFiles, document_of, write_report


@pytest.fixture
def score(footage: Callable[[Sequence[float]], Footage], brightness: Callable[..., Estimator]) -> Score:
    levels = [0.0, 0.2, 0.5, 0.3, 0.6, *np.linspace(0.7, 1, 7), 1.0]
    return examine(footage(levels), "stack the bowls", brightness(), 0.05)


def test_files_lie_beside_the_video_or_in_the_run_or_where_asked(tmp_path: Path) -> None:
    video, run = tmp_path / "a.b.mp4", tmp_path / "run"
    run.mkdir()
    assert ReportFiles.beside(video, None).table == tmp_path / "a.b.progress.csv"
    assert ReportFiles.beside(run, None).picture == run / "run.progress.png"
    assert ReportFiles.beside(video, tmp_path / "out").document == tmp_path / "out" / "a.b.progress.json"


def test_document_holds_everything_and_is_strict_json(score: Score) -> None:
    document = json.loads(to_json(document_of(score)))
    assert document["schema_version"] == 1
    assert document["verdict"] == "done"
    assert document["cameras"] == {"given": ["head"], "missing": ["wrist"]}
    assert document["done_time_s"] == pytest.approx(1.0)
    assert document["baselines"]["time_ramp"]["spearman_with_time"] == pytest.approx(1)
    assert document["anomalies"]["pairs"] == [
        {"index": 2, "low_index": 3, "time_s": 0.2, "low_time_s": 0.3, "drop": pytest.approx(0.2, abs=0.01)}
    ]
    assert [probe["done"] for probe in document["probes"]["other_instructions"]] == [False, False]
    assert len(document["curve"]["progress"]) == document["observations"] == 13
    assert any("wrist view is missing" in note for note in document["notes"])


def test_report_is_three_files(score: Score, tmp_path: Path) -> None:
    from PIL import Image

    files = ReportFiles.beside(Path("v.mp4"), tmp_path / "out")
    write_report(score, files)
    assert Image.open(files.picture).size == PICTURE_SIZE
    assert json.loads(files.document.read_text())["verdict"] == "done"
    with files.table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 13
    assert [row["anomaly_low_time_s"] for row in rows[1:4]] == ["", "0.300", ""]
    assert float(rows[-1]["progress"]) == pytest.approx(1, abs=1e-3)
