"""A score as files: a picture of the curve, JSON with everything, CSV with a row for each observation."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pvla.documents import to_json
from pvla.score import curve
from pvla.score.examine import Score
from pvla.score.probes import Probe

if TYPE_CHECKING:
    from PIL.Image import Image

SCHEMA_VERSION = 1
PICTURE_SIZE = (1200, 640)
PALE_INK = (190, 196, 206)
COLUMNS = ("time_s", "progress", "time_ramp", "first_frame_distance", "anomaly_low_time_s")


@dataclass(frozen=True)
class ReportFiles:
    """Where the files of a report go."""

    picture: Path
    document: Path
    table: Path

    @classmethod
    def beside(cls, source: Path, folder: Path | None) -> ReportFiles:
        """In `folder`, or else beside the video or in the recording's folder, named after it."""
        place = folder or (source if source.is_dir() else source.parent)
        name = source.resolve().stem
        return cls(*(place / f"{name}.progress.{ending}" for ending in ("png", "json", "csv")))


def document_of(score: Score) -> dict[str, Any]:
    """The score as a document; its keys are described in docs/commands.md."""
    return {
        "schema_version": SCHEMA_VERSION,
        "source": str(score.footage.source),
        "instruction": score.instruction,
        "estimator": score.estimator,
        "cameras": {"given": score.footage.given, "missing": score.footage.missing},
        "verdict": score.verdict.kind,
        "reason": score.verdict.reason,
        "done_time_s": None if score.done is None else score.times[score.done],
        "stop": {"threshold": score.stop.threshold, "consecutive": score.stop.consecutive},
        "duration_s": score.times[-1],
        "observations": len(score.times),
        "progress": _summary(score, score.progress),
        "baselines": {
            "time_ramp": _summary(score, score.time_ramp),
            "first_frame_distance": _summary(score, score.first_distance),
        },
        "probes": asdict(score.probes),
        "share_of_frames_unlike_training": score.share_unlike,
        "anomalies": {"epsilon": score.epsilon, "pairs": list(_pairs(score))},
        "notes": notes_of(score),
        "curve": {"time_s": score.times, "progress": score.progress, "first_frame_distance": score.first_distance},
    }


def notes_of(score: Score) -> list[str]:
    """Sentences that the reader of the score should know."""
    notes = list(score.footage.notes)
    notes += [
        f"The {camera} view is missing: the estimator saw black in its place." for camera in score.footage.missing
    ]
    if score.share_unlike is None:
        notes.append("Whether the pictures look like training pictures was not checked: the bundle has no reference.")
    return notes


def write_report(score: Score, files: ReportFiles) -> None:
    """Write all files of the report; their folder is made."""
    files.document.parent.mkdir(parents=True, exist_ok=True)
    files.document.write_text(to_json(document_of(score)) + "\n", encoding="utf-8")
    write_table(score, files.table)
    picture_of(score).save(files.picture)


def picture_of(score: Score) -> Image:
    """The curve with its baselines, the video backwards, and the other instruction that is believed most."""
    from pvla.media import style
    from pvla.media.plot import Axes, Marks, Series, draw_curve

    backwards = score.probes.backwards
    series = [
        Series("time alone", score.times, score.time_ramp, PALE_INK),
        Series("first-frame distance", score.times, score.first_distance, style.FAINT_INK),
        Series(backwards.what, backwards.times, backwards.progress, style.LINES[1]),
        *(Series("other instruction", other.times, other.progress, style.LINES[3]) for other in _strongest(score)),
        Series("progress", score.times, score.progress, style.LINES[0]),
    ]
    done_s = None if score.done is None else float(score.times[score.done])
    marks = Marks(threshold=score.stop.threshold, done_s=done_s)
    return draw_curve(series, PICTURE_SIZE, marks, Axes(title=score.instruction, y_label="progress"))


def write_table(score: Score, file: Path) -> None:
    """Write the CSV: a row for each observation; an anomaly names the time of its t'."""
    low_time = {anomaly.index: f"{score.times[anomaly.low]:.3f}" for anomaly in score.anomalies}
    curves = zip(score.times, score.progress, score.time_ramp, score.first_distance, strict=True)
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for t, (time, progress, ramp, distance) in enumerate(curves):
            row = [f"{time:.3f}", f"{progress:.4f}", f"{ramp:.4f}", f"{distance:.4f}"]
            writer.writerow([*row, low_time.get(t, "")])


def _strongest(score: Score) -> list[Probe]:
    """The other instruction that the estimator believes most, if there is any other."""
    return sorted(score.probes.other_instructions, key=lambda probe: -probe.highest)[:1]


def _summary(score: Score, values: curve.Floats) -> dict[str, float]:
    return {
        "start": float(values[0]),
        "end": float(values[-1]),
        "highest": float(values.max()),
        "pearson_with_time": curve.pearson(values, score.times),
        "spearman_with_time": curve.spearman(values, score.times),
    }


def _pairs(score: Score) -> Iterator[dict[str, float]]:
    for anomaly in score.anomalies:
        yield {
            "index": anomaly.index,
            "low_index": anomaly.low,
            "time_s": float(score.times[anomaly.index]),
            "low_time_s": float(score.times[anomaly.low]),
            "drop": anomaly.drop,
        }
