"""`kerasdl check`: print versions and devices, and test the installation by a short training run."""

from kerasdl import environment
from kerasdl.cli.parser import Parser


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import check

    report = check.check()
    printing.print_document(report, as_json=values.json)
    return 0 if report["trained"] else 1
