"""`kerasdl doctor`: say what is in data, and what harms a training, before anything is trained."""

from kerasdl import environment
from kerasdl.cli.parser import Parser

_MOST_CLASSES = 20


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_argument("data", metavar="DATA", help="what --data takes: a folder, a file, a name")
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import doctor

    found = doctor.examine(values.data)
    if values.json:
        printing.print_document(found.describe(), as_json=True)
    else:
        _print(values.data, found)
    return 0


def _print(data: str, found) -> None:
    from rich.table import Table

    from kerasdl.cli import printing
    from kerasdl.jobs.doctor import SPLITS
    from kerasdl.report import terminal

    total = sum(sum(by_split.values()) for by_split in found.counts.values())
    spec = found.dataset.describe()["features"]
    shape = f" of shape {tuple(spec['shape'])}, {spec['dtype']}" if "dtype" in spec else ""
    terminal.say(f"{type(found.source).__name__}: {total:,} examples{shape}")
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
    for finding in found.findings:
        console.print(f"- {finding}", markup=False)
    if not found.findings:
        console.print("Nothing that harms a training was found.")
    printing.print_next(console, [["kerasdl", "init", data]])
