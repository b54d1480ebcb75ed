"""`kerasdl predict`: predict for files or texts with a run, a bundle or an exported file."""

import sys

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.errors import UsageError
from kerasdl.inference import given


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file")
    parser.add_argument(
        "files", nargs="+", metavar="FILE",
        help="image file, a folder or a pattern of them ('photos/*.jpg'); a text, or a .txt, .csv, .tsv or "
        ".jsonl file of texts (or of tokens, .conll too); numbers with commas, or a .csv or .tsv file of "
        "them; an .npy or .npz file of images or numbers; - for such lines on standard input",
    )  # fmt: skip
    parser.add_argument(
        "--text-column", metavar="NAME",
        help="column of the texts in a table (default: one of a usual name, such as text or review)",
    )  # fmt: skip
    parser.add_argument("--top", type=int, metavar="INT", help="classes to list for each (default: 3)")
    parser.add_argument("--csv", action="store_true", help="print a table with commas between the columns")
    parser.add_json()
    values = parser.parse(arguments)
    if values.top is not None and values.top < 1:
        raise UsageError(f"--top is {values.top}, but it has to be 1 or more.")
    files = given.expand(values.files, sys.stdin)
    environment.import_tensorflow()
    from kerasdl.cli import answers as shown
    from kerasdl.cli import printing, tagged
    from kerasdl.jobs import open as loading

    top = values.top if values.top is not None else (0 if values.json else 3)
    answers = loading.load(values.target).predict_files(files, text_column=values.text_column, top=top)
    if values.json:
        printing.print_document(answers, as_json=True)
    elif values.csv:
        shown.print_csv(tagged.rows(answers))
    elif any("tags" in answer for answer in answers):
        tagged.print_sentences(answers)
    else:
        shown.print_answers(answers)
    return 0
