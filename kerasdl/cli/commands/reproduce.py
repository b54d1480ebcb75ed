"""`kerasdl reproduce`: train a run again from its receipt and show what agrees."""

import dataclasses
import json
import sys

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code: 1 where the run was not reproduced."""
    parser.add_target("a finished run, such as runs/lenet5/3")
    parser.add_data("where the data is now, if it has moved")
    parser.add_json()
    parser.add_folders("runs")
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import reproduce
    from kerasdl.runs.folder import open_run

    console = printing.open_console(soft_wrap=True, file=sys.stderr if values.json else None)
    first = open_run(values.target)
    found = reproduce.reproduce(first, runs_dir=values.runs_dir, data=values.data, console=console)
    receipt = first.read_json("receipt.json")
    pinned = receipt.get("pinned") or {name: receipt.get(name) for name in ("seed", "deterministic")}
    if values.json:
        terminal.say(json.dumps({**dataclasses.asdict(found), "pinned": pinned}, indent=2))
    else:
        _print(console, found, pinned)
    return 0 if found.agrees else 1


def _print(console, found, pinned) -> None:
    from rich.markup import escape
    from rich.table import Table

    from kerasdl.cli import printing

    titles = ("what", escape(found.first), escape(found.second), "agrees")
    table = Table(*titles, box=None, header_style="bold", pad_edge=False)
    words = {True: "yes", False: "no", None: ""}
    for row in found.rows:
        agrees = words[row.agrees] if row.agrees is not None else words[row.first == row.second]
        table.add_row(*map(escape, (row.what, row.first, row.second)), agrees)
    console.print(table)
    shown = ", ".join(f"{name} {value}" for name, value in pinned.items())
    printing.print_text(console, f"Pinned: {shown}")
    printing.print_text(console, found.verdict, style="bold" if found.agrees else "red")
