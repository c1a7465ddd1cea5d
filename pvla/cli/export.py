"""`pvla export`: checkpoints to a verified bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pvla.cli.console import JsonOption, QuietOption, Terminal, VerboseOption
from pvla.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from pvla.core.checkpoint import Card
    from pvla.core.config import Preset, TextConfig, VisionConfig
    from pvla.deploy.manifest import BundleManifest, Limits
    from pvla.export.build import Built
    from pvla.export.parts import Parts
    from pvla.export.settings import Settings

RUNS = Path("runs")

VELOCITY = (5.0, 5.0, 5.5, 5.5, 5.0, 5.0, 10.0)
"""Of the arm's joints, rad/s, and of the gripper, openings/s."""

ACCELERATION = (60.0,) * 6 + (200.0,)
"""The same per second. The largest in 790 demonstrations are 40 rad/s² and 100: only targets that jump are cut."""

WORKSPACE_LOW, WORKSPACE_HIGH = (-0.1, -0.6, -0.18), (0.75, 0.6, 0.7)
"""Box of the tool's centre above and around the table, m, in the frame of the arm's base."""


class Target(str, Enum):
    """Machines that a bundle can be made for."""

    CPU = "cpu"


@dataclass(frozen=True)
class Source:
    """Where the networks come from, and the bundle whose settings go on, if there is one."""

    folder: Path
    bundle: Path | None


def register(app: typer.Typer) -> None:
    """Add the command `export`."""
    app.command("export")(export)


def export(
    target: Annotated[Target, typer.Option(help="Machine to export for.")] = Target.CPU,
    runs: Annotated[
        Path | None,
        typer.Option(help="Runs or bundle to take the checkpoints of; else the newest under runs/, else the demo's."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; else bundles/<name>.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the bundle; else the folder's.")] = None,
    half: Annotated[bool, typer.Option("--half/--float", help="Store weights in 16 bits, or in 32.")] = True,
    guidance: Annotated[str | None, typer.Option(help="Default guidance: full, fast or off.")] = None,
    scale: Annotated[float | None, typer.Option(min=0, help="Default scale of the guidance.")] = None,
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="Progress that counts as done.")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="JSON file that changes sampling, control, stop or limits.")
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn checkpoints into a bundle of ONNX graphs, each compared with PyTorch, gradients too.

    The bundle appears under its name only after every graph has agreed.
    """
    _require_packages()
    terminal = Terminal(as_json, verbose, quiet)
    source = _source(runs)
    options = {"guidance": {"mode": guidance, "scale": scale}, "stop": {"threshold": threshold}}
    wanted = _settings(source, options, settings)
    label = name or (out.name if out is not None else _label(source))
    place = out if out is not None else Path("bundles") / label
    terminal.note(f"[dim]from[/] {escape(str(source.folder))}")
    parts = _parts(source.folder)
    manifest, built = _run(terminal, parts, place, wanted, label, half)
    document = {"bundle": place, "bytes": _bytes(manifest), "graphs": [vars(b) for b in built]}
    document |= {"parity": manifest.parity, "target": target.value}
    terminal.result(document, lambda console: _render(console, manifest, built, place))


def _require_packages() -> None:
    missing = [package for package in ("torch", "safetensors", "onnx", "onnxscript") if find_spec(package) is None]
    if missing:
        raise InputError(
            f"Exporting needs {' and '.join(missing)}, which this installation lacks: pip install -e '.[train,export]'."
        )


def _source(runs: Path | None) -> Source:
    """What --runs names; else the newest whole set of checkpoints under runs/; else the demo's."""
    from pvla.deploy.bundle import MANIFEST, demo_bundle
    from pvla.export.parts import newest_runs

    if runs is not None and not runs.is_dir():
        raise InputError(f"There is no folder {runs}: give --runs a folder of runs or a bundle.")
    found = newest_runs(RUNS if runs is None else runs)
    folder = found or runs or demo_bundle()
    return Source(folder, folder if (folder / MANIFEST).is_file() else None)


def _label(source: Source) -> str:
    """A name for a bundle that nobody named: that of its source."""
    name = source.folder.absolute().name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "bundle"


def _settings(source: Source, options: dict[str, Any], file: Path | None) -> Settings:
    """Defaults or the source bundle's, then the file's, then the options'."""
    from pvla.deploy.bundle import Bundle
    from pvla.export.settings import Settings

    base = Settings.of(Bundle.load(source.bundle).manifest) if source.bundle else Settings(limits=_limits())
    base = base if file is None else base.changed_by_file(file)
    given = {group: {k: v for k, v in values.items() if v is not None} for group, values in options.items()}
    return base.changed(given, "The options")


def _limits() -> Limits:
    """Limits of the simulated arm."""
    from pvla.deploy.manifest import Limits
    from pvla.sim.scene import Scene

    low, high = Scene().joint_range.T.tolist()
    return Limits(
        position_low=(*low, 0.0),
        position_high=(*high, 1.0),
        velocity=VELOCITY,
        acceleration=ACCELERATION,
        workspace_low=WORKSPACE_LOW,
        workspace_high=WORKSPACE_HIGH,
    )


def _parts(folder: Path) -> Parts:
    """Networks and encoders of a folder of runs or of a bundle."""
    from pvla.export.parts import CARRIED, Parts, find_checkpoints, load_policy, require_encoders, require_stages
    from pvla.train.encoders import load_encoders

    found = find_checkpoints(folder)
    preset = _with_own_encoders(require_stages(found, folder), found["evaluator"].parent)
    encoders = load_encoders(preset)
    policy, cards = load_policy(found, preset)
    require_encoders(cards, encoders.key)
    cards |= {"vision": _encoder_card(preset, preset.vision), "text": _encoder_card(preset, preset.text)}
    carried = {stage: found[stage] for stage in CARRIED if stage in found}
    return Parts(policy, encoders.vision, encoders.text, encoders.tokenizer_file, cards, carried)


def _with_own_encoders(preset: Preset, folder: Path) -> Preset:
    """The preset with its own small encoders taken from `folder`, if they lie there beside the other checkpoints."""
    groups: dict[str, Any] = {"vision": preset.vision, "text": preset.text}
    own = {name: group for name, group in groups.items() if (folder / f"{name}.safetensors").is_file()}
    return preset.model_copy(
        update={name: group.model_copy(update={"source": str(folder)}) for name, group in own.items()}
    )


def _encoder_card(preset: Preset, group: VisionConfig | TextConfig) -> Card:
    """The card of one of our small encoders; one that came by name has none, and gets the little that is known."""
    from pvla.core.checkpoint import Card, load_card
    from pvla.train.encoders import demo_checkpoints

    what = "vision" if group is preset.vision else "text"
    if group.kind not in ("tiny_vit", "tiny_text"):
        return Card(what, preset.model_dump(mode="json"), 0, 0, "", {"source": group.source})
    folder = demo_checkpoints() if group.source == "demo" else Path(group.source)
    return load_card(folder / f"{what}.safetensors")


def _run(
    terminal: Terminal, parts: Parts, place: Path, settings: Settings, name: str, half: bool
) -> tuple[BundleManifest, list[Built]]:
    from pvla.export.build import graph_names
    from pvla.export.bundle import export_bundle

    built: list[Built] = []
    names = graph_names()
    with terminal.progress() as display:
        making = display.add_task(f"exporting {names[0]}", total=len(names))
        checking = display.add_task("comparing with PyTorch", total=len(names) - 1, visible=False)

        def made(graph: Built) -> None:
            built.append(graph)
            following = names[len(built)] if len(built) < len(names) else "done"
            display.update(making, advance=1, description=f"exporting {following}")
            display.update(checking, visible=len(built) == len(names))
            terminal.detail(f"{graph.name}: {graph.nodes} nodes, {graph.seconds:.1f} s")

        manifest = export_bundle(
            parts,
            place,
            settings,
            name=name,
            half=half,
            on_graph=made,
            on_verified=lambda _: display.advance(checking),
        )
    return manifest, built


def _bytes(manifest: BundleManifest) -> int:
    return sum(record.bytes for record in manifest.files.values())


def _render(console: Console, manifest: BundleManifest, built: list[Built], place: Path) -> None:
    from pvla.export.verify import parity_of

    parity = parity_of(manifest.parity)
    table = Table("graph", "nodes", "kB", "s", "error / max", "gradient", "its cosine", box=None, pad_edge=False)
    for graph in built:
        outputs = parity.get(graph.name)
        if outputs is None:
            continue
        worst = max(found.relative for name, found in outputs.items() if name != "grad")
        gradient = outputs.get("grad")
        slope = ("", "") if gradient is None else (f"{gradient.relative:.1e}", f"{gradient.cosine:.7f}")
        size = f"{graph.bytes / 1e3:.0f}"
        table.add_row(graph.name, str(graph.nodes), size, f"{graph.seconds:.1f}", f"{worst:.1e}", *slope)
    console.print(table)
    console.print(f"[dim]wrote[/] {escape(str(place))}, {_bytes(manifest) / 1e6:.1f} MB", soft_wrap=True)
