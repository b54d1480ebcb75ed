"""`kerasdl anomalies`: score images by how badly a network reconstructs them."""

from pathlib import Path

from kerasdl import environment
from kerasdl.cli.parser import Parser


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target(
        "a run, a bundle, or one exported file, of a network that reconstructs images and was trained with "
        "--classes"
    )
    parser.add_data("where the data is now, with the classes that were left out")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="table of the score of each image, .csv (default: none)"
    )
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import anomalies
    from kerasdl.jobs import open as loading

    found = anomalies.score(loading.load(values.target), values.data)
    written = {}
    if values.out is not None:
        found.write(values.out)
        written = {"out": str(values.out)}
    printing.print_document({"target": values.target, **found.figures(), **written}, as_json=values.json)
    return 0
