"""`kerasdl runs`: list runs: what, when, on which data, how good, and where the bundle is."""

import dataclasses
from pathlib import Path

from kerasdl.cli.parser import Parser
from kerasdl.report import terminal

_ORDERS = ("started", "run", "metric", "seconds")


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_argument(
        "words", nargs="*", metavar="WORD",
        help="list only runs with each of these words in their row: a pipeline, a data set, a state",
    )  # fmt: skip
    parser.add_argument(
        "--sort", choices=_ORDERS, default="started",
        help="order of the rows; the newest, best or longest come first (default: started)",
    )  # fmt: skip
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="also write a page that links the reports of all"
    )
    parser.add_json()
    parser.add_folders("runs", "searches")
    values = parser.parse(arguments)
    from kerasdl.cli import printing
    from kerasdl.files import writing
    from kerasdl.jobs import runs

    rows = runs.find(values.runs_dir, values.words, values.sort)
    if values.html is not None:
        with writing(values.html, "Give another file."):
            runs.write_index(values.html, rows, values.searches_dir)
    if values.json:
        printing.print_document([dataclasses.asdict(row) for row in rows], as_json=True)
        return 0
    if rows:
        # Where there is no room for its state, a run without a figure has it in that place.
        cells = [(*row.shown[:3], row.shown[3] or row.state, *row.shown[4:]) for row in rows]
        printing.print_table(runs.TITLES, cells, keep=(0, 1, 3, 6), spare=(4, 5, 2, 1))
    else:
        terminal.say(f"No run in {values.runs_dir}" + (" has all of these words." if values.words else "."))
    if values.html is not None:
        terminal.say(f"Page    {values.html}")
    return 0
