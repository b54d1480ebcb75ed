"""`kerasdl list`: list the shipped pipelines."""

from kerasdl.cli.parser import Parser


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_json()
    values = parser.parse(arguments)
    from kerasdl.cli import printing
    from kerasdl.recipe import catalog

    pipelines = catalog.summaries()
    if values.json:
        listed = [{"name": name, "summary": summary} for name, summary in pipelines.items()]
        printing.print_document(listed, as_json=True)
    else:
        printing.print_table(("pipeline", ""), list(pipelines.items()), keep=(0,))
    return 0
