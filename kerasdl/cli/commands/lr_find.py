"""`kerasdl lr-find`: try learning rates on a few hundred batches and suggest one."""

import json
import shlex
from pathlib import Path

from kerasdl.cli import recipe_arguments
from kerasdl.cli.parser import Parser
from kerasdl.report import terminal

_BESIDE_BARS = 49  # columns of the plot: the numbers before the bars, and a mark behind one


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code: 1 where no learning rate can be suggested."""
    parser.add_argument("--min-learning-rate", type=float, default=1e-6, metavar="NUMBER",
                        help="learning rate of the first update (default: 1e-6)")  # fmt: skip
    parser.add_argument("--max-learning-rate", type=float, default=10.0, metavar="NUMBER",
                        help="learning rate of the last update (default: 10)")  # fmt: skip
    parser.add_argument(
        "--steps", type=int, default=200, metavar="INT", help="number of updates (default: 200)"
    )
    parser.add_argument("--html", type=Path, metavar="FILE",
                        help="file of the plot (default: RUNS/lr-find/PIPELINE.html)")  # fmt: skip
    parser.add_json()
    parser.add_folders("runs")
    recipe, _, values = recipe_arguments.parse(parser, arguments)
    from kerasdl.files import writing
    from kerasdl.jobs import lr_find
    from kerasdl.jobs import lr_find_page as page

    path = values["html"] or values["runs_dir"] / "lr-find" / f"{recipe.name}.html"
    if values["html"] is not None:
        page.check_writable(path)
    found = lr_find.range_test(
        recipe,
        min_learning_rate=values["min_learning_rate"],
        max_learning_rate=values["max_learning_rate"],
        steps=values["steps"],
    )
    command = train_command(arguments, found.suggestion)
    if values["html"] is None:  # beside the runs: a folder that a clone ignores
        with writing(path.parent, "Give a file with --html."):
            path.parent.mkdir(parents=True, exist_ok=True)
    page.write(path, recipe, found, command)
    if values["json"]:
        document = {"pipeline": recipe.name, "recipe_learning_rate": recipe.learning_rate, **found.describe()}
        terminal.say(
            json.dumps({**document, "command": command, "html": str(path)}, indent=2, allow_nan=False)
        )
    else:
        _print(recipe, found, command, path)
    return 0 if found.suggestion is not None else 1


def train_command(arguments: list[str], suggestion: float | None) -> str | None:
    """Return the command that trains with the suggestion: the same pipeline, data and flags of the recipe."""
    if suggestion is None:
        return None
    own = Parser(add_help=False)
    for option in (
        "--min-learning-rate",
        "--max-learning-rate",
        "--steps",
        "--html",
        "--learning-rate",
        "--runs-dir",
    ):
        own.add_argument(option)
    own.add_argument("--json", action="store_true")
    _, rest = own.parse_known_args(arguments)
    return shlex.join(["kerasdl", "train", *rest, "--learning-rate", f"{suggestion:.2g}"])


def _print(recipe, found, command: str | None, path: Path) -> None:
    from kerasdl.cli import printing
    from kerasdl.jobs import lr_find

    console = printing.open_console(soft_wrap=True)
    for line in lr_find.text_plot(found, max(4, min(50, console.width - _BESIDE_BARS))):
        console.print(line, markup=False)
    printing.print_text(console, f"Stopped {found.stopped}.")
    style = "bold" if found.suggestion else "red"
    printing.print_text(console, lr_find.answer(recipe, found), style=style)
    console.print(f"Plot    {path}")
    if command:
        printing.print_next(console, [shlex.split(command)])
