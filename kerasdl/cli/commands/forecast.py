"""`kerasdl forecast`: forecast what follows a file of recent values; write a table and a picture."""

from pathlib import Path

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file of a forecaster")
    parser.add_argument(
        "file", metavar="FILE", help="CSV or Parquet file with the columns of the training data"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help="table to write, with a picture (.svg) beside it (default: forecast.csv; with --json none)",
    )  # fmt: skip
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import forecast
    from kerasdl.jobs import open as loading

    outlook = forecast.forecast(loading.load(values.target), values.file)
    out = values.out or (None if values.json else Path("forecast.csv"))
    written = forecast.write(outlook, out) if out else []
    if values.json:
        files = {"files": [str(path) for path in written]} if written else {}
        printing.print_document({**outlook.describe(), **files}, as_json=True)
        return 0
    header, rows = outlook.table()
    printing.print_table(header, rows, keep=range(len(header)), right=range(1, len(header)))
    for name, path in zip(("Table  ", "Picture"), written, strict=True):
        terminal.say(f"{name} {path}")
    return 0
