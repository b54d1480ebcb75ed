"""The `kerasdl` command. Only what a command needs is imported, and TensorFlow never for `--help`."""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from kerasdl import __version__, environment
from kerasdl.arguments import Parser, check_words, value_of
from kerasdl.errors import RunFailedError, UsageError, did_you_mean


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 not understood, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("kerasdl").setLevel(logging.INFO)
    try:
        return _run(arguments)
    except (UsageError, RunFailedError) as error:
        print(f"kerasdl: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("kerasdl: interrupted", file=sys.stderr)
        return 130


def train_file(file: str) -> NoReturn:
    """Train the recipe in a Python file with the command line's flags, then exit; for its main guard."""
    sys.exit(main(["train", file, *sys.argv[1:]]))


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="kerasdl",
        description="Train subclassed Keras models and ship them, verified, to servers and phones.",
        epilog="kerasdl COMMAND --help tells more. Start with: kerasdl train lenet5 --data digits",
    )
    parser.add_argument("--version", action="version", version=f"kerasdl {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (_, help_text) in _COMMANDS.items():
        # A command's own parser is made when it is called: only then its flags are known.
        commands.add_parser(name, help=help_text, add_help=False)
    if arguments and not arguments[0].startswith("-"):
        name, *rest = arguments
        if name not in _COMMANDS:
            raise UsageError(
                f"There is no command {name!r}; there are {', '.join(_COMMANDS)}."
                + did_you_mean(name, _COMMANDS)
            )
        command, help_text = _COMMANDS[name]
        return command(Parser(prog=f"kerasdl {name}", description=help_text, allow_abbrev=False), rest)
    parser.parse_args(arguments)
    parser.print_help()
    return 0


def _train(parser: Parser, arguments: list[str]) -> int:
    from kerasdl import catalog, flags

    parser.usage = "kerasdl train PIPELINE [--data DATA] [flags]"
    parser.add_argument("pipeline", metavar="PIPELINE", help="a name of `kerasdl list`, a .py file or a run")
    parser.add_data("digits, a tensorflow-datasets name, a folder, an .npz file")
    parser.add_argument(
        "--print-recipe", action="store_true",
        help="show the recipe and stop; --min-steps may still add epochs, which a run's recipe.json tells",
    )  # fmt: skip
    parser.add_argument("--no-export", dest="export", action="store_false", help="stop after the evaluation")
    parser.add_no_samples()
    parser.add_argument("--dry-run", action="store_true", help="two batches through all stages; keep nothing")
    parser.add_folders("runs", "exported")
    if not arguments or arguments[0].startswith("-"):
        parser.epilog = "kerasdl train PIPELINE --help shows the flags of that pipeline's recipe too."
        if "--help" not in arguments and "-h" not in arguments:
            raise UsageError("The pipeline comes first, as in kerasdl train lenet5 --data digits.")
        parser.parse(arguments)
    environment.import_tensorflow()
    recipe, source = catalog.load(arguments[0])
    if (text := value_of("--data", arguments)) is not None:
        from kerasdl.data import from_text

        recipe = dataclasses.replace(recipe, data=from_text(text))
    flags.add_to(parser, recipe)
    values = vars(parser.parse(arguments))
    recipe = flags.apply(recipe, values)
    if values["print_recipe"]:
        from kerasdl.serialization import to_json

        print(to_json(recipe), end="")
        return 0
    return _train_recipe(recipe, source, values)


def _train_recipe(recipe, source: Path, values: dict) -> int:
    from rich.console import Console

    from kerasdl import tables, trainer

    console = Console(soft_wrap=True)
    result = trainer.train(
        recipe,
        runs_dir=values["runs_dir"],
        exported_dir=values["exported_dir"],
        export=values["export"],
        dry_run=values["dry_run"],
        embed_samples=values["samples"],
        recipe_source=source,
        console=console,
    )
    tables.print_result(console, result, dry_run=values["dry_run"])
    return 1 if result.bundle is not None and result.bundle.failures else 0


def _evaluate(parser: Parser, arguments: list[str]) -> int:
    parser.add_target("a run, a bundle, or one exported file")
    parser.add_data("where the data is now, or other data with the same classes")
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl import loading, shipping, tables
    from kerasdl.evaluate import evaluate

    target = loading.load(values.target)
    splits = target.load_data(values.data)
    figures = {
        "target": values.target,
        "kind": target.predictor.kind,
        **evaluate(target.predictor, target.task, shipping.test_batches(splits)),
        "data_fingerprint": splits.fingerprint,
        "same_data_as_training": splits.fingerprint == target.fingerprint,
    }
    tables.print_document(figures, as_json=values.json)
    return 0


def _predict(parser: Parser, arguments: list[str]) -> int:
    parser.add_target("a run, a bundle, or one exported file")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="image files")
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl import loading, tables

    answers = loading.load(values.target).predict_files(values.files)
    if values.json:
        tables.print_document(answers, as_json=True)
        return 0
    for answer in answers:
        words = (f"{value:.4f}" if isinstance(value, float) else value for value in answer.values())
        print("  ".join(words))
    return 0


def _export(parser: Parser, arguments: list[str]) -> int:
    parser.add_target("a run folder")
    parser.add_words("--formats", "some of saved_model,tflite,onnx (default: all)")
    parser.add_words(
        "--tflite-modes", "some of float32,float16,dynamic,int8,int16x8 (default: the first four)"
    )
    parser.add_argument("--dynamic-batch", action="store_true", help="TFLite files that take any batch size")
    parser.add_data("where the data is now, if it has moved")
    parser.add_no_samples()
    parser.add_folders("exported")
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from rich.console import Console

    from kerasdl import loading, shipping, tables
    from kerasdl.export.spec import ALL_FORMATS
    from kerasdl.export.tflite import DEFAULT_MODES, MODES, Converter
    from kerasdl.run import Run

    check_words("--formats", values.formats, ALL_FORMATS)
    check_words("--tflite-modes", values.tflite_modes, MODES)
    target = loading.load(values.target)
    if target.predictor.kind != "keras":
        raise UsageError(f"{values.target} is already exported. Give a run, such as runs/lenet5/1.")
    with Converter() as converter:
        converter.start()
        bundle = shipping.export_run(
            Run(target.path),
            target.load_data(values.data, same=True),
            exported_dir=values.exported_dir,
            converter=converter,
            formats=values.formats or ALL_FORMATS,
            tflite_modes=values.tflite_modes or DEFAULT_MODES,
            dynamic_batch=values.dynamic_batch,
            embed_samples=values.samples,
        )
    tables.print_bundle(Console(soft_wrap=True), bundle, target.task)
    return 1 if bundle.failures else 0


def _verify(parser: Parser, arguments: list[str]) -> int:
    parser.add_target("a bundle")
    parser.add_data("where the data is now, if it has moved")
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from rich.console import Console

    from kerasdl import data, shipping, tables
    from kerasdl.export.recheck import NotTheSameError

    try:
        rows, task, note = shipping.verify(Path(values.target), values.data and data.from_text(values.data))
    except NotTheSameError as error:
        if values.json:
            tables.print_document({"verified": False, "problems": error.problems}, as_json=True)
        raise
    if values.json:
        tables.print_document({"verified": True, "note": note, "artefacts": rows}, as_json=True)
    else:
        tables.print_rows(Console(soft_wrap=True), rows, task)
        print(f"Verified: {note}. Latency and difference from Keras are those of the export.")
    return 0


def _list(parser: Parser, arguments: list[str]) -> int:
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


def _check(parser: Parser, arguments: list[str]) -> int:
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl import check, tables

    report = check.check()
    tables.print_document(report, as_json=values.json)
    return 0 if report["trained"] else 1


_COMMANDS = {
    "train": (_train, "train a pipeline, evaluate, export and verify it"),
    "evaluate": (_evaluate, "figures of a run, a bundle or an exported file on the test split"),
    "predict": (_predict, "classify image files with a run, a bundle or an exported file"),
    "export": (_export, "export a run to SavedModel, TFLite and ONNX, and verify each file"),
    "verify": (_verify, "prove that a bundle is still the network that was exported"),
    "list": (_list, "list the pipelines"),
    "check": (_check, "print versions and devices, and prove the installation by a short training"),
}
