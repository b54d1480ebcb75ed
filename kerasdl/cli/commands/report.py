"""`kerasdl report`: write the report of a run: report.html, one file that opens anywhere."""

from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_argument("run", metavar="RUN", help="a run folder; the run may be under way or interrupted")
    parser.add_argument("--open", action="store_true", help="also open the report in the browser")
    values = parser.parse(arguments)
    from kerasdl.jobs.report import write_report
    from kerasdl.runs.folder import open_run

    path = write_report(open_run(values.run))
    terminal.say(path)
    if values.open:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
    return 0
