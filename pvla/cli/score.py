"""`pvla score`: how far a video has come with its task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pvla.cli.console import JsonOption, QuietOption, Terminal, VerboseOption

if TYPE_CHECKING:
    from pvla.score.estimator import Estimator
    from pvla.score.examine import Score
    from pvla.score.report import ReportFiles

COLOURS = {"done": "green", "not done": "red", "unknown": "yellow"}
VERDICTS = {
    "done": "done",
    "not done": "not done",
    "unknown": "does not look like a task that this estimator knows",
}
MOST_FALLS = 5


def register(app: typer.Typer) -> None:
    """Add the command `score`."""
    app.command("score")(score)


def score(
    source: Annotated[
        Path | None, typer.Argument(help="Video (taken for the head camera's), run folder or dataset.")
    ] = None,
    instruction: Annotated[
        str | None, typer.Option(help="What it should show; else the recording or the file name says it.")
    ] = None,
    head: Annotated[Path | None, typer.Option(help="Video of the head camera, instead of SOURCE.")] = None,
    wrist: Annotated[Path | None, typer.Option(help="Video of the wrist camera, begun at the same time.")] = None,
    episode: Annotated[str | None, typer.Option(help="Which episode, if SOURCE has several.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Bundle to ask; the demo's unless named.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report; else beside the video.")] = None,
    epsilon: Annotated[float, typer.Option(min=0, max=1, help="Fall of progress taken for noise.")] = 0.05,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show how far a video has come with its task, second by second.

    Writes a picture of the curve (PNG), JSON and CSV. Exits with 0 if the task was done, with 1 if it was not or
    if the estimator cannot tell.
    """
    from pvla.score.examine import examine
    from pvla.score.report import ReportFiles, document_of, write_report
    from pvla.score.sources import Request

    terminal = Terminal(as_json, verbose, quiet)
    request = Request.of(source, head, wrist, episode, instruction)
    estimator = _estimator(bundle)
    footage = request.footage(estimator.cameras, estimator.rate_hz)
    with terminal.progress() as display:
        task = display.add_task("looking", total=None)
        scored = examine(footage, request.instruction_for(footage), estimator, epsilon, lambda: display.advance(task))
    files = ReportFiles.beside(footage.source, out)
    write_report(scored, files)
    document = {**document_of(scored), "files": vars(files)}
    terminal.result(document, lambda console: _render(console, scored, files, quiet))
    raise typer.Exit(0 if scored.verdict.kind == "done" else 1)


def _estimator(bundle: Path | None) -> Estimator:
    from pvla.deploy.bundle import Bundle, demo_bundle
    from pvla.deploy.engine import OnnxEngine
    from pvla.score.estimator import BundleEstimator

    loaded = Bundle.load(bundle or demo_bundle())
    return BundleEstimator(loaded, OnnxEngine(loaded))


def _render(console: Console, score: Score, files: ReportFiles, only_verdict: bool) -> None:
    from pvla.score.report import notes_of

    colour = COLOURS[score.verdict.kind]
    console.print(f"[bold {colour}]{VERDICTS[score.verdict.kind]}[/]: {escape(score.verdict.reason)}")
    if only_verdict:
        return
    console.print(f"instruction '{escape(score.instruction)}', estimator {escape(score.estimator)}")
    console.print(_curves(score))
    console.print(_probes(score))
    _print_falls(console, score)
    for note in notes_of(score):
        console.print(f"[dim]note[/] {escape(note)}")
    for file in vars(files).values():
        console.print(f"[dim]wrote[/] {escape(str(file))}", soft_wrap=True)


def _curves(score: Score) -> Table:
    from pvla.score.curve import spearman

    table = Table("curve", "start", "half", "end", "rank correlation with time", box=None, pad_edge=False)
    rows = {
        "progress": score.progress,
        "baseline: time alone": score.time_ramp,
        "baseline: distance from first frame": score.first_distance,
    }
    for name, values in rows.items():
        numbers = [values[0], values[len(values) // 2], values[-1], spearman(values, score.times)]
        table.add_row(name, *(f"{number:.2f}" for number in numbers))
    return table


def _probes(score: Score) -> Table:
    table = Table("probe: should stay low", "end", "highest", "says done", box=None, pad_edge=False)
    for probe in (score.probes.backwards, *score.probes.other_instructions):
        table.add_row(
            escape(probe.what), f"{probe.end:.2f}", f"{probe.highest:.2f}", "[red]yes[/]" if probe.done else "no"
        )
    return table


def _print_falls(console: Console, score: Score) -> None:
    from pvla.score.curve import spans

    falls = [max(span, key=lambda anomaly: anomaly.drop) for span in spans(list(score.anomalies))]
    for fall in sorted(falls, key=lambda anomaly: -anomaly.drop)[:MOST_FALLS]:
        start, low = score.times[fall.index], score.times[fall.low]
        console.print(f"[yellow]anomaly[/] progress falls by {fall.drop:.2f} from {start:.1f} s to {low:.1f} s")
    if len(falls) > MOST_FALLS:
        console.print(f"[yellow]anomaly[/] {len(falls) - MOST_FALLS} smaller falls: see the JSON")
