"""`kerasdl predict`: predict for files with a run, a bundle or an exported file."""

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file")
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="image file, or other input that the network reads"
    )
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import open as loading

    answers = loading.load(values.target).predict_files(values.files)
    if values.json:
        printing.print_document(answers, as_json=True)
        return 0
    for answer in answers:
        words = (f"{value:.4f}" if isinstance(value, float) else value for value in answer.values())
        terminal.say("  ".join(words))
    return 0
