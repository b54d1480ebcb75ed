"""`kerasdl doctor`: say what is in data, and what harms a training, before anything is trained."""

from typing import TYPE_CHECKING

from kerasdl import environment
from kerasdl.cli import data_arguments
from kerasdl.cli.parser import Parser

if TYPE_CHECKING:
    from kerasdl.jobs.doctor import Examination

_MOST_CLASSES = 20


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_json()
    values, given = data_arguments.parse(parser, arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import doctor

    found = doctor.examine(values.data, given)
    if values.json:
        printing.print_document(found.describe(), as_json=True)
    else:
        _print(arguments, found)
    return 0


def _print(arguments: list[str], found: "Examination") -> None:
    from rich.table import Table

    from kerasdl.cli import printing
    from kerasdl.jobs.doctor import SPLITS
    from kerasdl.report import terminal

    total = sum(sum(by_split.values()) for by_split in found.counts.values())
    spec = found.dataset.describe()["features"]
    shape = f" of shape {tuple(spec['shape'])}, {spec['dtype']}" if "dtype" in spec else ""
    names = found.dataset.spec.class_names
    wanted = f", {len(names)} classes" if names else ""
    terminal.say(f"{type(found.source).__name__}: {total:,} examples{shape}{wanted}")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("class" if "" not in found.counts else "")
    for split in SPLITS:
        table.add_column(split, justify="right")
    ranked = sorted(found.counts, key=lambda name: -found.counts[name]["train"])
    shown = ranked if len(ranked) <= _MOST_CLASSES else [*ranked[:10], *ranked[-10:]]
    for place, name in enumerate(shown):
        if place == 10 and len(ranked) > len(shown):
            table.add_row(f"... {len(ranked) - len(shown)} more ...")
        table.add_row(name, *(f"{found.counts[name][split]:,}" for split in SPLITS))
    console = printing.open_console()
    console.print(table)
    printing.print_points(console, found.findings)
    if not found.findings:
        console.print("Nothing that harms a training was found.")
    printing.print_next(console, [["kerasdl", "init", *arguments]])
