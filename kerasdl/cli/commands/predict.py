"""`kerasdl predict`: predict for files or texts with a run, a bundle or an exported file."""

from kerasdl import environment
from kerasdl.cli.parser import Parser


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file")
    parser.add_argument(
        "files", nargs="+", metavar="FILE",
        help="image file; or a text, a .txt file, or a .csv, .tsv or .jsonl file with a text in each row; or "
        "other input that the network reads",
    )  # fmt: skip
    parser.add_argument(
        "--text-column", metavar="NAME",
        help="column of the texts in a table (default: one of a usual name, such as text or review)",
    )  # fmt: skip
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import open as loading

    answers = loading.load(values.target).predict_files(values.files, text_column=values.text_column)
    if values.json:
        printing.print_document(answers, as_json=True)
    else:
        printing.print_answers(answers)
    return 0
