"""The flags of a model that was not trained here, for `kerasdl import` and `kerasdl export`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.cli.parser import Parser
from kerasdl.errors import UsageError

if TYPE_CHECKING:
    from kerasdl.jobs.import_model import Wanted

_TITLE = "models that were not trained here"


def add_to(parser: Parser) -> None:
    """Add the flags to a parser."""

    def add(name: str, **options: Any) -> None:
        parser.add_to_group(_TITLE, name, **options)

    add(
        "--task",
        metavar="TASK",
        help="classification, regression, or outputs: all of a model, not judged (default: classification)",
    )
    add(
        "--preprocess", metavar="WORD",
        help="how pixels 0..255 are scaled before the model gets them: tf (-1..1), caffe, torch, as "
        "keras.applications does, unit (0..1), or none",
    )  # fmt: skip
    add("--custom", type=Path, metavar="FILE", help="Python file with the model's own classes and functions")
    add("--labels", type=Path, metavar="FILE", help="names of the outputs in their order, one a line")
    add("--size", metavar="HEIGHT,WIDTH", help="size of images, for a model that takes any (default: theirs)")
    add("--signature", metavar="NAME", help="signature of a SavedModel (default: serving_default)")
    add("--output", metavar="NAME", help="which output is taken, of a model or a signature that has several")
    add("--name", metavar="NAME", help="name of the run and the bundle (default: that of the file)")


def wanted(values: argparse.Namespace, file: Path) -> "Wanted":
    """Return what the flags ask for.

    Raises:
        UsageError: when the data is not given, or a word is unknown.
    """
    check(values, file)
    from kerasdl.cli.parser import check_words
    from kerasdl.jobs.import_model import TASKS, Wanted
    from kerasdl.training.foreign.inputs import SCALINGS

    check_words("--task", [values.task] if values.task else None, tuple(TASKS))
    check_words("--preprocess", [values.preprocess] if values.preprocess else None, tuple(SCALINGS))
    return Wanted(
        file=file,
        data=values.data,
        task=values.task or "classification",
        scaling=values.preprocess,
        custom=values.custom,
        labels=values.labels,
        size=_size(values.size),
        name=values.name or "",
        signature=values.signature or "",
        output=values.output or "",
    )


def check(values: argparse.Namespace, file: Path) -> None:
    """Raise a UsageError for a file that is not there, and where no data is given."""
    if not file.exists():
        raise UsageError(
            f"There is no file {file}. Give a .keras file, an .h5 file of a whole model, or a SavedModel."
        )
    if values.data is None:
        raise UsageError(
            f"{file} needs examples, for calibration and to prove that files answer as it does. Give --data "
            "with a folder of images, an .npz or a .csv file."
        )


def refuse(values: argparse.Namespace) -> None:
    """Raise a UsageError for flags that only a model of a file takes."""
    for name in ("task", "preprocess", "custom", "labels", "size", "name", "signature", "output"):
        if getattr(values, name) is not None:
            raise UsageError(f"--{name} is for a model that was not trained here, a .keras or .h5 file.")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(f"--size is {text!r}; give a height and a width in pixels: --size 224,224.")
    return int(parts[0]), int(parts[1])
