"""`kerasdl export`: export a run or any Keras model to SavedModel, TFLite and ONNX, verifying each file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl import environment
from kerasdl.cli import import_arguments
from kerasdl.cli.parser import Parser, check_words
from kerasdl.errors import UsageError
from kerasdl.export.modes import ALIASES, IO_TYPES, MODES
from kerasdl.recipe import keras_file
from kerasdl.runs import places

if TYPE_CHECKING:
    from rich.console import Console

    from kerasdl.data.dataset import Dataset
    from kerasdl.export.tflite import Converter
    from kerasdl.network.network import Network
    from kerasdl.runs.folder import Run
    from kerasdl.tasks.task import Task


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    _add_options(parser)
    values = parser.parse(arguments)
    if keras_file.is_model(Path(values.target)):
        import_arguments.check(values, Path(values.target))
    else:
        import_arguments.refuse(values)
        places.find(Path(values.target))
    modes = _checked_modes(values)
    environment.give_back()
    environment.import_tensorflow()
    from kerasdl.cli import artefacts, printing
    from kerasdl.export.tflite import Converter
    from kerasdl.jobs import export

    console = printing.open_console(soft_wrap=True)
    with Converter() as converter:
        run, splits, task, network, place = _opened(values, console, converter)
        with run.locked():
            if values.calibrate:
                printing.print_text(console, task.summary(export.calibrate_run(run, splits)))
            settings = export.Settings(
                exported_dir=values.exported_dir,
                formats=values.formats,
                tflite_modes=modes,
                dynamic_batch=values.dynamic_batch,
                tflite_io=values.tflite_io,
                tflite_unroll=values.tflite_unroll,
                embed_samples=values.embed_samples,
                new_signature=values.new_signature,
            )
            bundle = export.export_run(run, splits, converter, settings, network)
    artefacts.print_bundle(console, bundle, task, place, run.path)
    return 1 if bundle.failures else 0


def _add_options(parser: Parser) -> None:
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="a run folder; or with --data a .keras or .h5 file of a Keras model, or a SavedModel",
    )
    parser.add_words("--formats", "some of saved_model,tflite,onnx (default: all)")
    parser.add_words(
        "--tflite-modes",
        "some of float32,float16,dynamic,int8,int16x8 (default: the first four); w8a32 is dynamic",
    )
    parser.add_argument(
        "--tflite-io",
        choices=IO_TYPES,
        default="float32",
        help="numbers that int8 files take and give: real ones, or the whole ones that microcontrollers and "
        "NPUs want (default: float32)",
    )
    parser.add_argument(
        "--dynamic-batch", action="store_true", help="write TFLite files that take any batch size"
    )
    parser.add_argument(
        "--tflite-unroll", action="store_true",
        help="write each step of recurrent layers out, without a loop: larger and slower TFLite files, which "
        "MediaPipe Tasks takes",
    )  # fmt: skip
    parser.add_argument(
        "--calibrate", action="store_true",
        help="first calibrate the run's probabilities on the validation split, for a run trained without "
        "--calibrate; the run keeps the result",
    )  # fmt: skip
    parser.add_data("where the data is now, if it has moved; for a model of a file: examples")
    import_arguments.add_to(parser)
    parser.add_no_samples()
    parser.add_new_signature()
    parser.add_folders("runs", "exported")


def _checked_modes(values: argparse.Namespace) -> list[str] | None:
    """Return the modes of TFLite files by their own names; refuse words that are none."""
    from kerasdl.inference.endpoint import ALL_FORMATS

    check_words("--formats", values.formats, ALL_FORMATS)
    check_words("--tflite-modes", values.tflite_modes, (*MODES, *ALIASES))
    modes = values.tflite_modes and [ALIASES.get(mode, mode) for mode in values.tflite_modes]
    if values.tflite_io != "float32" and modes and "int8" not in modes:
        raise UsageError(f"--tflite-io {values.tflite_io} is about int8 files. Add int8 to --tflite-modes.")
    return modes


def _opened(
    values: argparse.Namespace, console: "Console", converter: "Converter"
) -> tuple["Run", "Dataset", "Task", "Network | None", str | None]:
    """Return the run to export, its data and task, its network if new, and where the data lies."""
    from kerasdl.cli import printing
    from kerasdl.jobs import import_model
    from kerasdl.jobs import open as loading
    from kerasdl.runs.folder import Run

    file = Path(values.target)
    if keras_file.is_model(file):
        wanted = import_arguments.wanted(values, file)
        converter.start()
        made = import_model.import_model(wanted, runs_dir=values.runs_dir)
        printing.print_text(console, made.recipe.task.summary(made.metrics))
        console.print(f"Run     {made.run.path}", highlight=False)
        return made.run, made.dataset, made.recipe.task, made.network, made.recipe.data.place
    target = loading.load(values.target)
    if target.kind != "keras":
        raise UsageError(f"{values.target} is already exported. Give a run, such as runs/lenet5/1.")
    splits = target.load_data(values.data, same=True)
    converter.start()
    return Run(target.path), splits, target.task, None, target.source(values.data).place
