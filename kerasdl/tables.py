"""What commands end with: tables, figures, or one JSON document."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def print_result(console: "Console", result: Any, dry_run: bool) -> None:
    """Print what a training left behind: artefacts, and what to type next."""
    if result.bundle is not None:
        print_rows(console, result.bundle.rows, result.recipe.task)
    if dry_run:
        console.print("Dry run passed: every stage works. Nothing was kept.")
        return
    console.print(f"Run     {result.run.path}", highlight=False)
    if (report := result.run.path / "report.html").is_file():
        console.print(f"Report  {report}", highlight=False)
    logs = ["tensorboard", "--logdir", str(result.run.path / "logs")]
    if result.recipe.overfit_batches is not None:
        _print_next(console, [logs])
    elif result.bundle is None:
        _print_next(console, [["kerasdl", "export", str(result.run.path)], logs])
    else:
        _print_bundle(console, result.bundle, logs)


def print_bundle(console: "Console", bundle: Any, task: Any) -> None:
    """Print what an export left behind."""
    print_rows(console, bundle.rows, task)
    _print_bundle(console, bundle)


def print_rows(console: "Console", rows: Sequence[Mapping[str, Any]], task: Any) -> None:
    """Print a line for each artefact: size, the task's figures, latency; or why it failed."""
    from rich.table import Table

    table = Table("artefact", box=None, header_style="bold", pad_edge=False)
    for title in ("size", *(title for title, _ in task.columns.values()), "latency"):
        table.add_column(title, justify="right")
    for row in rows:
        if "error" in row:
            table.add_row(row["file"], "failed")
            continue
        figures = [format(row[name], form) if name in row else "" for name, (_, form) in task.columns.items()]
        latency = f"{row['latency_ms']:.3f} ms" if "latency_ms" in row else ""
        table.add_row(row["file"], f"{row['bytes'] / 1e3:,.0f} kB", *figures, latency)
    console.print(table)
    for row in rows:
        if "error" in row:
            console.print(f"{row['file']}: {row['error']}", style="red", highlight=False)


def _print_bundle(console: "Console", bundle: Any, *more: Sequence[str]) -> None:
    console.print(f"Bundle  {bundle.path}", highlight=False)
    path = str(bundle.path)
    _print_next(console, [["kerasdl", "predict", path, "some.png"], ["kerasdl", "verify", path], *more])


def _print_next(console: "Console", commands: Sequence[Sequence[str]]) -> None:
    console.print("Next:")
    for command in map(shlex.join, commands):
        console.print(f"  {command}", highlight=False, style="cyan")


def print_document(document: Any, *, as_json: bool = False) -> None:
    """Print figures by name, or a document as JSON: then nothing else goes to standard output."""
    if as_json:
        print(json.dumps(document, indent=2))
        return
    for name, value in document.items():
        if isinstance(value, Mapping):
            print(name)
            print_document({f"  {key}": part for key, part in value.items()})
            continue
        if isinstance(value, list):
            value = ", ".join(map(str, value)) or "none"
        print(f"{name:<28} {f'{value:.4g}' if isinstance(value, float) else value}")
