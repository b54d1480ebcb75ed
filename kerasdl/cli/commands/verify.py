"""`kerasdl verify`: check that a bundle still is the network that was exported."""

import sys
from pathlib import Path

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a bundle")
    parser.add_data("where the data is now, if it has moved")
    parser.add_argument(
        "--expect", metavar="SHA256",
        help="hash that export printed: proves that the card was not replaced together with the model",
    )  # fmt: skip
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl import data
    from kerasdl.cli import artefacts, printing
    from kerasdl.export.recheck import NotTheSameError
    from kerasdl.jobs import verify

    try:
        source = values.data and data.from_text(values.data)
        rows, task, note = verify.verify(Path(values.target), source, expect=values.expect)
    except NotTheSameError as error:
        if values.json:
            printing.print_document({"verified": False, "problems": error.problems}, as_json=True)
        raise
    if values.json:
        printing.print_document({"verified": True, "note": note, "artefacts": rows}, as_json=True)
    else:
        artefacts.print_rows(printing.open_console(soft_wrap=True), rows, task)
        terminal.tell(
            f"Verified: {note}. Latency and difference from Keras are those of the export.", file=sys.stdout
        )
    return 0
