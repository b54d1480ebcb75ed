"""`kerasdl init`: look at data and write a recipe for it."""

import re
from pathlib import Path

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_argument("data", metavar="DATA", help="what --data takes: a folder, a file, a name")
    parser.add_argument("--out", type=Path, metavar="FILE", help="recipe to write (default: NAME.py)")
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import doctor, init

    found = doctor.examine(values.data)
    proposal = init.propose(found.source, found.dataset)
    path = values.out or Path(f"{_name(values.data)}.py")
    init.write(proposal, path, f"A first recipe for {values.data}.")
    for sentence in (*found.findings, *proposal.reasons):
        terminal.say(f"- {sentence}")
    terminal.say(f"Recipe  {path}")
    command = ["kerasdl", "train", str(path if path.is_absolute() else f"./{path}")]
    printing.print_next(printing.open_console(), [[*command, "--dry-run"], command])
    return 0


def _name(data: str) -> str:
    """Return a name for a file out of that of the data."""
    return re.sub(r"\W+", "_", Path(data).expanduser().resolve().stem).strip("_").lower() or "recipe"
