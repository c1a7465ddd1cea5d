"""`pvla data convert`: foreign datasets into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.markup import escape

from pvla.cli.console import JsonOption, QuietOption, Terminal, VerboseOption
from pvla.cli.scale import RayOption, ShardOption, WorkersOption, scale
from pvla.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from pvla.datasets.convert.report import Report

_COLOURS: Final = {"missing": "red", "damaged": "red", "suspicious": "yellow", "dropped": "yellow"}


def convert(
    source: Annotated[Path, typer.Argument(help="File or folder of any format that pvla reads.")],
    out: Annotated[Path, typer.Argument(help="Folder for the dataset; new or empty.")],
    format: Annotated[
        str, typer.Option(help="lerobot, rlds, calvin, libero, robomimic or aloha; told from the content unless given.")
    ] = "auto",
    workers: WorkersOption = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a conversion that did not end.")] = False,
    shard: ShardOption = None,
    ray: RayOption = None,
    instruction: Annotated[str | None, typer.Option(help="What the arm was told, if the source is silent.")] = None,
    fps: Annotated[float | None, typer.Option(min=0.1, help="Frames a second, if the source is silent.")] = None,
    action: Annotated[
        str, typer.Option(help="as-recorded, or next-state: the state that was reached one frame later.")
    ] = "as-recorded",
    drop_noops: Annotated[
        bool, typer.Option("--drop-noops", help="Leave away frames in which nothing is commanded, as OpenVLA does.")
    ] = False,
    assume_success: Annotated[
        bool, typer.Option("--assume-success", help="Take the task for done in episodes that do not say it.")
    ] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Convert a dataset of another format: RLDS (Open X), LIBERO, CALVIN, LeRobot, ALOHA/ARX, robomimic.

    Exits with 0 if all that the source should have was converted, with 1 if something is missing or damaged there (the
    report lists it, and what is whole was converted), with 2 if nothing could be.
    """
    from pvla.datasets.convert.conversion import convert as run
    from pvla.datasets.convert.source import Choices

    terminal = Terminal(as_json, verbose, quiet)
    choices = Choices(instruction, fps, _action(action), drop_noops, assume_success)
    with terminal.progress() as display:
        task = display.add_task("episodes", total=None)
        try:
            report = run(
                source,
                out,
                format=format,
                choices=choices,
                resume=resume,
                on_progress=lambda done, total: display.update(task, completed=done, total=total),
                **scale(workers, shard, ray),
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Interrupted: what was sealed is in {out}; the same command with --resume goes on from there."
            ) from None
    terminal.result({"path": out, **report.document()}, lambda console: _render(console, out, report, terminal))
    raise typer.Exit(1 if report.lost else 0)


def _action(text: str) -> Literal["as-recorded", "next-state"]:
    if text not in ("as-recorded", "next-state"):
        raise InputError(f"--action is as-recorded or next-state, not {text!r}.")
    return "next-state" if text == "next-state" else "as-recorded"


def _render(console: Console, out: Path, report: Report, terminal: Terminal) -> None:
    document = report.document()
    if not terminal.quiet:
        _render_content(console, report, terminal.most(16))
        _render_findings(console, report, terminal.most(3))
    episodes, frames = document["episodes"], document["frames"]
    declared = f" of {episodes['declared']} declared" if episodes["declared"] is not None else ""
    counted = f"{frames['out']} of {frames['in']} frames"
    if frames["declared"] not in (None, frames["in"]):
        counted += f" ({frames['declared']} declared)"
    if frames["noops_dropped"]:
        counted += f" ({frames['noops_dropped']} without a command dropped)"
    speed = (
        f"{frames['out'] / report.seconds:.0f} frames a second" if report.added and report.seconds else "nothing new"
    )
    verdict = "[yellow]converted with losses[/]" if report.lost else "[green]converted[/]"
    console.print(
        f"{verdict}: {episodes['converted']} episodes{declared}, {counted} in "
        f"{escape(str(out))}, {report.seconds:.1f} s, {speed}.",
        soft_wrap=True,
    )
    console.print(f"[dim]wrote[/] {escape(str(out / report.file))}", soft_wrap=True)


def _render_content(console: Console, report: Report, most: int | None) -> None:
    info, document = report.info, report.document()
    space = info.action_space
    console.print(f"[bold]{escape(info.name)}[/] ({escape(info.source)}), {info.fps:g} Hz")
    for camera in info.cameras:
        console.print(f"  camera {escape(camera.name)}: {camera.width} x {camera.height}")
    console.print(f"  actions: {space.kind}, frame {escape(space.frame)}, gripper {space.gripper}")
    if ranges := info.statistics.get("action"):
        columns = list(zip(space.names, space.units, ranges.min, ranges.max, strict=True))
        for name, unit, low, high in columns[:most]:
            console.print(escape(f"    {name} [{unit}]: {low:.4g} to {high:.4g}"))
        if hidden := len(columns) - len(columns[:most]):
            console.print(f"    and {hidden} more: --verbose and the report list them")
    texts = document["instructions"]
    shown = ", ".join(f"'{text}' ({count}x)" for text, count in list(texts.items())[:5])
    more = f" and {len(texts) - 5} more" if len(texts) > 5 else ""
    console.print(f"  instructions: {escape(shown)}{more}", soft_wrap=True)


def _render_findings(console: Console, report: Report, examples: int | None) -> None:
    from pvla.datasets.convert.report import grouped

    for group in grouped(report.findings, examples):
        colour = _COLOURS.get(group.kind, "cyan")
        places = ", ".join(where for where in group.wheres if where)
        more = f" and {group.count - len(group.wheres)} more" if group.count > len(group.wheres) else ""
        where = f" ({places}{more})" if places else ""
        times = f"{group.count}x " if group.count > 1 else ""
        console.print(f"[{colour}]{group.kind}[/] {times}{escape(group.what + where)}", soft_wrap=True)
