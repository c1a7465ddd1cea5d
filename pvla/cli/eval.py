"""`pvla eval`: measure success, steps and progress over many trials."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from pvla.cli.console import JsonOption, QuietOption, Terminal, VerboseOption
from pvla.cli.scale import WorkersOption
from pvla.cores import usable_cores

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from pvla.evaluate.results import Results
    from pvla.evaluate.session import Evaluation
    from pvla.evaluate.tables import Table

SUITE_HELP = "main, swap, paraphrase, controls, stop or progress; else a quick look at 12 scenes a task."
CONDITIONS_HELP = "What to compare, the baseline last: guided, unguided, best-of-8, random-direction, fast, full."

WIDE = 150
"""Columns of a terminal on which whole tables fit."""

BundleOption = Annotated[Path | None, typer.Option("--bundle", help="Folder of a bundle; the demo's unless named.")]
SuiteOption = Annotated[str | None, typer.Option("--suite", help=SUITE_HELP)]
Episodes = Annotated[int | None, typer.Option(min=1, help="Scenes for each task; else as many as the suite says.")]
Tasks = Annotated[str | None, typer.Option(help="Tasks, with commas between; all five unless named.")]
Conditions = Annotated[str | None, typer.Option(help=CONDITIONS_HELP)]
SeedStart = Annotated[int | None, typer.Option(help="First scene, 1000000 or above; the suite's unless given.")]
Scale = Annotated[float | None, typer.Option(min=0, help="Guidance scale; the bundle's unless given.")]
Dataset = Annotated[Path | None, typer.Option(help="For --suite progress: score these episodes, not fresh ones.")]
Out = Annotated[Path | None, typer.Option(help="Folder; else runs/eval-..., the same for the same command.")]
Video = Annotated[int, typer.Option("--video", min=0, help="Films of so many trials.")]


def register(app: typer.Typer) -> None:
    """Add the command group `eval`."""
    group = typer.Typer(no_args_is_help=True, help="Measure success, steps and progress over many trials.")
    group.command("sim")(sim)
    group.callback()(lambda: None)
    app.add_typer(group, name="eval")


def sim(
    bundle: BundleOption = None,
    suite: SuiteOption = None,
    episodes: Episodes = None,
    tasks: Tasks = None,
    conditions: Conditions = None,
    seed_start: SeedStart = None,
    scale: Scale = None,
    dataset: Dataset = None,
    out: Out = None,
    workers: WorkersOption = 0,
    video: Video = 0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a bundle in the simulator on scenes never trained on, guided and unguided in pairs.

    Every finished trial is kept: the same command goes on where it was stopped.
    """
    from pvla.deploy.bundle import Bundle, demo_bundle
    from pvla.evaluate.protocol import Choices
    from pvla.evaluate.session import Evaluation

    terminal = Terminal(as_json=as_json, verbose=verbose, quiet=quiet)
    names = (_names(tasks), _names(conditions))
    choices = Choices(suite or "quick", episodes, *names, first_seed=seed_start, scale=scale, dataset=dataset)
    evaluation = Evaluation(Bundle.load(bundle or demo_bundle()), choices, out, workers or usable_cores())
    _introduce(evaluation, terminal, quick=suite is None)
    _work(evaluation, terminal)
    results = evaluation.results()
    document = evaluation.write(results)
    films = _film(evaluation, video, terminal)
    document = {**document, "folder": str(evaluation.folder), "films": [str(film) for film in films]}
    terminal.result(document, lambda console: _show(console, evaluation, results, films))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _introduce(evaluation: Evaluation, terminal: Terminal, quick: bool) -> None:
    protocol = evaluation.protocol
    terminal.note(f"Suite {protocol.suite}: {protocol.asks} {len(evaluation.jobs)} jobs, in {evaluation.folder}.")
    if quick:
        terminal.note("This is a quick look, with wide intervals: --suite main measures.")
    if evaluation.finished:
        terminal.note(f"{evaluation.finished} of them were done before.")


def _work(evaluation: Evaluation, terminal: Terminal) -> None:
    command = shlex.join(["pvla", *sys.argv[1:]])
    try:
        with terminal.progress() as display:
            bar = display.add_task("jobs", total=len(evaluation.jobs), completed=evaluation.finished)
            for record in evaluation.run(command):
                display.advance(bar)
                terminal.detail(f"{record.key}: {'success' if record.success else 'failure'}")
    except KeyboardInterrupt as stop:
        results = evaluation.results()
        evaluation.write(results)
        raise KeyboardInterrupt(
            f"Interrupted: {results.done} of {results.total} jobs are kept in {evaluation.folder}; "
            "the same command goes on from there."
        ) from stop


def _film(evaluation: Evaluation, count: int, terminal: Terminal) -> list[Path]:
    trials = evaluation.films(count)
    with terminal.progress() as display:
        bar = display.add_task("pictures", total=None, visible=bool(trials))
        return [evaluation.film(trial, lambda: display.advance(bar)) for trial in trials]


def _show(console: Console, evaluation: Evaluation, results: Results, films: list[Path]) -> None:
    from pvla.evaluate.session import MARKDOWN
    from pvla.evaluate.tables import provenance, tables_of

    for table in tables_of(results):
        console.print(_rich_table(table if console.width >= WIDE else table.narrowed()))
        console.print()
    console.print(escape(provenance(results)), style="dim")
    for file in [evaluation.folder / "results.json", evaluation.folder / MARKDOWN, *films]:
        console.print(f"[dim]wrote[/] {escape(str(file))}", soft_wrap=True)


def _rich_table(table: Table) -> RichTable:
    from rich.table import Table as RichTable

    drawn = RichTable(title=table.title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column, heading in enumerate(table.headings):
        drawn.add_column(heading, justify="left" if column < table.labels else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(escape(cell) for cell in row))
    return drawn
