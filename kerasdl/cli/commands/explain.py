"""`kerasdl explain`: explain predictions for images by heatmaps."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl import environment
from kerasdl.cli.parser import Parser, check_words
from kerasdl.errors import UsageError, did_you_mean
from kerasdl.report import terminal

if TYPE_CHECKING:
    from kerasdl.jobs.open import Target

_MOST_MISTAKES = 8
_MOST_STEPS = 2**16


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    _add_options(parser)
    values = parser.parse(arguments)
    if not 1 <= values.steps <= _MOST_STEPS:
        raise UsageError(f"--steps is {values.steps}; it takes a whole number from 1 to {_MOST_STEPS:,}.")
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.explain.page import FOLDER, about_of
    from kerasdl.jobs import explain
    from kerasdl.jobs import open as loading
    from kerasdl.jobs import report as page
    from kerasdl.runs.folder import Run
    from kerasdl.training import reference

    check_words("--methods", values.methods, explain.METHODS)
    found = loading.find(Path(values.run))
    if not isinstance(found, Run):
        raise UsageError(
            f"{values.run} is exported, and an exported file gives no gradients. Give the run that it came "
            "from, such as runs/lenet5/1."
        )
    target = loading.load(found.path)
    network, labels = reference.open_network(found), target.labels
    class_id = None if values.class_name is None else _class_id(values.class_name, labels)
    arrays = explain.explain(
        network,
        _examples(target, values.images),
        labels,
        class_id=class_id,
        methods=values.methods,
        steps=values.steps,
        temperature=target.fitted.get("temperature", 1.0),
    )
    own = found.path / FOLDER
    folder = values.out or own
    if values.out is None:
        found.check_links()
    files, about = explain.write(folder, arrays), about_of(arrays)
    report = page.write_report(found) if folder.resolve() == own.resolve() else None
    if values.json:
        about |= {"run": str(found.path), "folder": str(folder), "files": files}
        printing.print_document({**about, "report": report and str(report)}, as_json=True)
    else:
        _print(about, folder, report)
    return 0


def _add_options(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder, such as runs/lenet5/1")
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE",
                        help="image files (default: the run's most confident mistakes)")  # fmt: skip
    parser.add_argument("--class", dest="class_name", metavar="NAME|INDEX",
                        help="class to explain (default: the predicted one)")  # fmt: skip
    parser.add_words(
        "--methods", "some of grad-cam,integrated-gradients,saliency,occlusion,filters (default: all)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder of the files (default: RUN/explain)"
    )
    parser.add_argument("--steps", type=int, default=32, metavar="INT",
                        help="first number of steps of integrated gradients (default: 32)")  # fmt: skip
    parser.add_json()


def _class_id(text: str, labels: Sequence[str]) -> int:
    if text in labels:
        return labels.index(text)
    if text.isdecimal() and int(text) < len(labels):
        return int(text)
    some = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
    raise UsageError(
        f"There is no class {text!r}; this run has {len(labels)}: {some}. Give a name, or an index from 0."
        + did_you_mean(text, labels)
    )


def _examples(target: "Target", files: Sequence[Path]):
    import numpy as np

    from kerasdl.data.dataset import Spec
    from kerasdl.jobs.explain import Examples
    from kerasdl.report.pictures import is_picture
    from kerasdl.runs import record

    inputs, reads = target.spec.inputs, target.endpoints["serving_default"].reads
    if not isinstance(inputs, Spec) or len(inputs.shape) != 3 or not is_picture(inputs.shape) or not reads:
        raise UsageError(f"{target.path} takes examples of {inputs}: only images are explained.")
    if files:
        return Examples(np.stack([reads(str(file)) for file in files]), [file.name for file in files])
    mistakes = record.read(target.path).arrays("mistakes.npz")
    if mistakes is None or not len(mistakes["indices"]):
        why = "was not evaluated" if mistakes is None else "made no mistakes on its test split"
        raise UsageError(f"{target.path} {why}, so there is nothing to explain by itself. Give image files.")
    names = [f"test example {index}" for index in mistakes["indices"][:_MOST_MISTAKES]]
    return Examples(mistakes["features"][:_MOST_MISTAKES], names, mistakes["labels"][:_MOST_MISTAKES])


def _print(about: dict[str, Any], folder: Path, report: Path | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from kerasdl.cli import printing

    rows = about["images"]
    columns = {"name": "image", "true": "true", "predicted": "predicted", "probability": "confidence",
               "class": "explained", "logit": "logit", "error": "sum off by", "steps": "steps"}  # fmt: skip
    forms = {"probability": ".1%", "logit": ".3f", "error": ".2%", "steps": ",d"}
    shown = [name for name in columns if name in rows[0]]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in shown:
        table.add_column(columns[name], justify="right" if name in forms else "left")
    for row in rows:
        table.add_row(*(Text(format(row[name], forms.get(name, ""))) for name in shown))
    printing.open_console().print(table)
    if "error" in shown:
        terminal.say(
            "Sum off by: sum of integrated gradients against the difference to the logit of a black image."
        )
    if cam := about.get("grad_cam"):
        height, width = cam["extent"]
        terminal.say(
            f"Grad-CAM: {height}x{width} maps of {cam['layer']}; last convolution: {cam['convolution']}."
        )
    for note in about["notes"]:
        terminal.say(note)
    terminal.say(f"Sheet   {folder / 'sheet.png'}")
    if report is not None:
        terminal.say(f"Report  {report}")
