"""`kerasdl compare`: compare runs: settings, curves, metrics, and whether they differ beyond chance."""

from pathlib import Path

from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_argument("runs", metavar="RUN", nargs="*", help="two runs or more; the first is the reference")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with the curves")
    parser.add_json()
    values = parser.parse(arguments)
    from kerasdl.cli import printing
    from kerasdl.jobs.compare import compare

    comparison = compare(values.runs)
    if values.html is not None:
        _write(values.html, comparison)
    if values.json:
        printing.print_document(comparison.document(), as_json=True)
        return 0
    _print(comparison)
    if values.html is not None:
        terminal.say(f"Page    {values.html}")
    return 0


def _write(path: Path, comparison) -> None:
    from kerasdl.files import replacing, writing
    from kerasdl.jobs.compare_page import page

    with writing(path, "Give another file."), replacing(path) as temporary:
        temporary.write_text(page(comparison), encoding="utf-8")


def _print(comparison) -> None:
    from kerasdl.cli import printing
    from kerasdl.jobs import compare_page as pages
    from kerasdl.report.blocks import Table, Text

    console = printing.open_console(soft_wrap=True)
    for block in (
        pages.recipes_table(comparison),
        pages.surroundings_table(comparison),
        pages.figures_table(comparison, brief=True),
        *pages.verdicts(comparison),
    ):
        if isinstance(block, Table):
            console.print(block)
        else:
            console.print(block.text, markup=False, style=None if isinstance(block, Text) else "dim")
