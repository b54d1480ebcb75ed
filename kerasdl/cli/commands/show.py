"""`kerasdl show`: show a run or a bundle: where it stands, its figures, and what belongs to it."""

import shlex
from pathlib import Path

from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run or a bundle")
    parser.add_json()
    values = parser.parse(arguments)
    from kerasdl.cli import printing
    from kerasdl.runs import places

    kind, folder = places.find(Path(values.target))
    shown, commands = (_run if kind == "run" else _bundle)(folder)
    if values.json:
        printing.print_document(shown, as_json=True)
        return 0
    for name, value in shown.items():
        for number, text in enumerate(value if isinstance(value, list) else [value]):
            _print("" if number else name, str(text))
    printing.print_next(printing.open_console(soft_wrap=True), commands)
    return 0


def _print(name: str, text: str) -> None:
    """Print a text behind its name; on a terminal broken between words, below its own beginning."""
    from kerasdl.cli import printing

    console = printing.open_console()
    lines = terminal.wrapped(text, max(console.width - 13, 20)) if console.is_terminal else text
    for number, line in enumerate(lines.split("\n")):
        terminal.say(f"{'' if number else name:<12} {line}")


def _run(folder: Path):
    """Return what is known of a run, and the commands to type next."""
    from kerasdl.jobs import runs
    from kerasdl.report.provenance import duration
    from kerasdl.runs import record, state

    read, row = record.read(folder), runs.row_of(folder)
    where = state.of(read)
    shown = {"run": str(folder), "state": " ".join(filter(None, [where.name + ".", where.text]))}
    shown |= {"started": row.started, "network": row.network, "data": row.data}
    if row.seconds is not None:
        shown["time"] = duration(row.seconds)
    if best := read.metrics.get("best_epoch"):
        shown["epoch kept"] = f"{best} of {read.num_epochs}"
    figures = [f"{name} {value:.4g}" for name, value in read.test.items() if isinstance(value, (int, float))]
    if figures:
        shown["test"] = figures
    shown["notes"] = [verdict["text"] for verdict in read.metrics.get("verdicts", ())]
    there = [name for name in row.bundles if Path(name).is_dir()]
    shown["bundles"] = [name if name in there else f"{name} (no longer there)" for name in row.bundles]
    report = folder / "report.html"
    shown["report"] = str(report) if report.is_file() else ""
    commands = [shlex.split(where.command)] if where.command else []
    if not there and where.name == "finished":
        commands.append(["kerasdl", "export", str(folder)])
    for bundle in map(Path, there[-1:]):
        commands += [*_served(bundle), ["kerasdl", "verify", str(bundle)]]
    if not shown["report"]:
        commands.append(["kerasdl", "report", str(folder)])
    return {name: value for name, value in shown.items() if value}, commands


def _bundle(folder: Path):
    """Return what is known of a bundle, and the commands to type next."""
    from kerasdl.files import read_json
    from kerasdl.runs.cards import ShownCard

    card = read_json(folder / "card.json", "Export the bundle again.", shape=ShownCard)
    files = [
        f"{row.get('file')}  {row['bytes'] / 1e3:,.0f} kB"
        if "error" not in row
        else f"{row.get('file')}  left out"
        for row in card["artefacts"]
    ]
    shown = {"bundle": str(folder), "run": card.get("run", ""), "exported": card.get("created", "")}
    shown |= {"files": files, "readme": str(folder / "README.md")}
    commands = [["kerasdl", command, str(folder)] for command in ("verify", "evaluate", "benchmark")]
    commands = [*_served(folder), *commands]
    return {name: value for name, value in shown.items() if value}, commands


def _served(bundle: Path) -> list[list[str]]:
    """Return the command that serves a bundle, where it holds what servers take."""
    return [["kerasdl", "serve", str(bundle)]] if (bundle / "saved_model.pb").is_file() else []
