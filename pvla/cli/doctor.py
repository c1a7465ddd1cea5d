"""`pvla doctor`: what is installed, what is missing, what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pvla.cli.console import JsonOption, QuietOption, Terminal, VerboseOption

if TYPE_CHECKING:
    from pvla.deploy.doctor import Check


def register(app: typer.Typer) -> None:
    """Add the command `doctor`."""
    app.command("doctor")(doctor)


def doctor(
    bundle: Annotated[Path | None, typer.Option(help="Bundle to check; the demo's unless named.")] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what is installed, what is missing, and what to do.

    Exits with 0 if `pvla run` in simulation can work here, else with 1.
    """
    from pvla.deploy.doctor import can_simulate, examine

    terminal = Terminal(as_json, verbose, quiet)
    checks = examine(bundle, Path.cwd())
    ready = can_simulate(checks)
    document = {"schema_version": 1, "simulation": ready, "checks": [vars(check) for check in checks]}
    terminal.result(document, lambda console: _render(console, checks, ready, quiet))
    raise typer.Exit(0 if ready else 1)


def _render(console: Console, checks: list[Check], ready: bool, only_verdict: bool) -> None:
    if not only_verdict:
        console.print(_table(checks))
    if ready:
        console.print("[green]ready[/]: `pvla run` works here in simulation.")
    else:
        console.print("[red]not ready[/]: `pvla run` cannot work here; do what stands beside each ✗.")


def _table(checks: list[Check]) -> Table:
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    for check in checks:
        table.add_row(_mark(check), check.name, escape(check.found), escape(check.advice))
    return table


def _mark(check: Check) -> str:
    if check.ok:
        return "[green]✓[/]"
    return "[red]✗[/]" if check.required else "[dim]–[/]"
