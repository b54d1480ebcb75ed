"""`kerasdl clean`: list what can go of the runs, ask, and remove it."""

import sys

from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code: 1 where nothing was removed although there was something."""
    parser.add_argument("--yes", action="store_true", help="remove what is listed without asking")
    parser.add_json()
    parser.add_folders("runs")
    values = parser.parse(arguments)
    from kerasdl.cli import printing
    from kerasdl.jobs import clean

    found = clean.find(values.runs_dir)
    total = f"{sum(one.bytes for one in found) / 1e6:,.1f} MB"
    if not values.json:
        rows = [(str(one.path), f"{one.bytes / 1e6:,.1f} MB", one.why) for one in found]
        if not rows:
            terminal.say(f"Nothing in {values.runs_dir} can go.")
            return 0
        printing.print_table(("folder", "size", "why it can go"), rows, keep=(0, 1))
    goes = values.yes or (not values.json and _agrees(f"Remove {len(found)} folders, {total}? [y/N] "))
    for one in found if goes else ():
        clean.remove(one)
    if values.json:
        listed = [{"path": str(one.path), "bytes": one.bytes, "why": one.why} for one in found]
        printing.print_document({"removed": goes, "found": listed}, as_json=True)
        return 0
    terminal.say(f"Removed {len(found)} folders, {total}." if goes else "Nothing was removed.")
    return 0 if goes else 1


def _agrees(question: str) -> bool:
    """Ask at the terminal; without one the answer is no."""
    if not sys.stdin.isatty():
        terminal.say("To remove them: kerasdl clean --yes")
        return False
    with terminal.without_status():
        terminal.say(question, end="", flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")
