"""`kerasdl init`: look at data and write a recipe for it."""

import re
from pathlib import Path

from kerasdl import environment
from kerasdl.cli import data_arguments
from kerasdl.cli.parser import Parser


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="recipe to write (default: NAME.py)")
    values, given = data_arguments.parse(parser, arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import doctor, init

    found = doctor.examine(values.data, given)
    proposal = init.propose(found.source, found.dataset)
    path = values.out or Path(f"{_name(values.data)}.py")
    init.write(proposal, path, f"A first recipe for {values.data}.")
    console = printing.open_console()
    printing.print_points(console, (*found.findings, *proposal.reasons))
    console.print(f"Recipe  {path}", markup=False)
    command = ["kerasdl", "train", str(path if path.is_absolute() else f"./{path}")]
    printing.print_next(console, [[*command, "--dry-run"], command])
    return 0


def _name(data: str) -> str:
    """Return a name for a file out of that of the data."""
    return re.sub(r"\W+", "_", Path(data).expanduser().resolve().stem).strip("_").lower() or "recipe"
