"""`kerasdl list`: list the pipelines."""

from kerasdl.arguments import Parser


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_json()
    values = parser.parse(arguments)
    from kerasdl import catalog, tables

    pipelines = catalog.summaries()
    if values.json:
        listed = [{"name": name, "summary": summary} for name, summary in pipelines.items()]
        tables.print_document(listed, as_json=True)
    else:
        tables.print_document(pipelines)
    return 0
