"""The tables that commands end with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_result(console: Console, result: Any, dry_run: bool) -> None:
    """Print what a training left behind: figures, artefacts, and what to type next."""
    test = result.metrics
    console.print(f"Test accuracy {test['accuracy']:.2%} on {test['examples']:,} examples.", highlight=False)
    if result.bundle is not None:
        print_rows(console, result.bundle.rows)
    if dry_run:
        console.print("Dry run passed: every stage works. Nothing was kept.")
        return
    run = result.run.path
    console.print(f"Run     {run}", highlight=False)
    commands = [f"kerasdl export {run}", f"tensorboard --logdir {run / 'logs'}"]
    if result.bundle is not None:
        console.print(f"Bundle  {result.bundle.path}", highlight=False)
        commands[0] = f"kerasdl predict {result.bundle.path} some.png"
        commands.insert(1, f"kerasdl verify {result.bundle.path}")
    _print_next(console, commands)


def print_bundle(console: Console, bundle: Any) -> None:
    """Print what an export left behind."""
    print_rows(console, bundle.rows)
    console.print(f"Bundle  {bundle.path}", highlight=False)
    _print_next(console, [f"kerasdl predict {bundle.path} some.png", f"kerasdl verify {bundle.path}"])


def print_rows(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each artefact: size, accuracy, difference from Keras, latency; or why it failed."""
    table = Table("artefact", box=None, header_style="bold", pad_edge=False)
    for title in ("size", "accuracy", "max difference", "latency"):
        table.add_column(title, justify="right")
    for row in rows:
        if row.get("error"):
            table.add_row(Path(row["file"]).name, "failed")
            continue
        table.add_row(
            row["file"],
            f"{row['bytes'] / 1e3:,.0f} kB",
            f"{row['accuracy']:.2%}",
            f"{row['max_difference']:.1e}",
            f"{row['latency_ms']:.3f} ms",
        )
    console.print(table)
    for row in rows:
        if row.get("error"):
            console.print(f"{row['file']} failed: {row['error']}", style="red", highlight=False)


def _print_next(console: Console, commands: Sequence[str]) -> None:
    console.print("Next:")
    for command in commands:
        console.print(f"  {command}", highlight=False, style="cyan")
