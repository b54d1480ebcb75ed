"""`kerasdl explain`: explain answers by maps over images, by words, characters or rows of a series."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasdl import environment
from kerasdl.cli.parser import Parser, check_words
from kerasdl.errors import UsageError
from kerasdl.report import terminal

_MOST_STEPS = 2**16


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    _add_options(parser)
    values = parser.parse(arguments)
    if not 1 <= values.steps <= _MOST_STEPS:
        raise UsageError(f"--steps is {values.steps}; it takes a whole number from 1 to {_MOST_STEPS:,}.")
    path = _run_at(Path(values.run))
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.explain.explainer import Question
    from kerasdl.explain.page import FOLDER, about_of
    from kerasdl.jobs import explain
    from kerasdl.jobs import open as loading
    from kerasdl.jobs import report as page
    from kerasdl.runs.folder import Run
    from kerasdl.training import reference

    found = Run(path)
    target = loading.load(found.path)
    explainer = explain.explainer_of(target)
    check_words("--methods", values.methods, explainer.methods)
    for name, those in (("token", "taggers"), ("ahead", "forecasters")):
        if vars(values)[name] is not None and name not in explainer.picks:
            raise UsageError(f"--{name} is for {those}, and {found.path} is none. Leave it out.")
    named = values.class_name
    asked = Question(
        class_names=explainer.class_names(target.spec),
        class_id=None if named is None else explainer.class_number(named, target.spec),
        methods=values.methods,
        steps=values.steps,
        temperature=target.fitted.get("temperature", 1.0),
        token=values.token,
        ahead=values.ahead,
        task=target.task,
    )
    examples = explain.examples_of(target, explainer, values.examples, values.text_column)
    with terminal.status("Explaining"):
        arrays = explainer.explain(reference.open_network(found), target.spec, examples, asked)
    own = found.path / FOLDER
    folder = values.out or own
    if values.out is None:
        found.check_links()
    files, about = explain.write(folder, explainer, arrays), about_of(arrays)
    report = page.write_report(found) if folder.resolve() == own.resolve() else None
    if values.json:
        about |= {"run": str(found.path), "folder": str(folder), "files": files}
        printing.print_document({**about, "report": report and str(report)}, as_json=True)
        return 0
    title, name = explainer.first_file
    _print([*explainer.tables(about), *about["notes"], f"{title:7} {folder / name}"])
    if report is not None:
        terminal.say(f"Report  {report}")
    return 0


def _run_at(path: Path) -> Path:
    """Return the folder of a run; raise a UsageError for a bundle, before TensorFlow is imported."""
    from kerasdl.files import read_json
    from kerasdl.runs import places
    from kerasdl.runs.cards import ShownCard

    kind, folder = places.find(path)
    if kind == "bundle":
        card = read_json(folder / "card.json", "Export the bundle again.", shape=ShownCard)
        raise UsageError(
            f"{path} is exported, and an exported file gives no gradients. Give the run that it came from, "
            f"such as runs/{card.get('run', 'lenet5/1')}."
        )
    return folder


def _add_options(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder, such as runs/lenet5/1")
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE",
                        help="image files; or texts, .txt files and tables of them; or sentences; or recent "
                        "rows of a series (default: the run's worst mistakes; of a language model "
                        "or forecaster a test example)")  # fmt: skip
    parser.add_argument("--class", dest="class_name", metavar="NAME|INDEX",
                        help="class to explain, of a language model the next character (default: the "
                        "predicted one); of a regressor the number, of a forecaster the column (default: "
                        "the first one)")  # fmt: skip
    parser.add_argument("--token", metavar="WORD|INDEX",
                        help="of a tagger the token whose tag to explain (default: the wrong one that it was "
                        "most sure of, else the one that it is least sure of)")  # fmt: skip
    parser.add_argument("--ahead", type=int, metavar="INT",
                        help="of a forecaster the row ahead to explain, from 1 on (default: the mean of "
                        "all)")  # fmt: skip
    parser.add_words(
        "--methods",
        "some of grad-cam,integrated-gradients,saliency,occlusion,filters; of texts some of "
        "integrated-gradients,occlusion,attention; of others integrated-gradients,occlusion (default: all)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder of the files (default: RUN/explain)"
    )
    parser.add_argument("--steps", type=int, default=32, metavar="INT",
                        help="first number of steps of integrated gradients (default: 32)")  # fmt: skip
    parser.add_argument("--text-column", metavar="NAME", help="column of the texts in a table")
    parser.add_json()


def _print(parts: Sequence[Any]) -> None:
    from kerasdl.cli import printing

    console = printing.open_console()
    for part in parts:
        if isinstance(part, str):
            printing.print_text(console, part)
        else:
            console.print(part)
