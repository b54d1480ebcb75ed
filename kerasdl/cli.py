"""The `kerasdl` command. Only what a command needs is imported, and TensorFlow never for `--help`."""

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from kerasdl import __version__, environment
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
        return command(_Parser(prog=f"kerasdl {name}", description=help_text, allow_abbrev=False), rest)
    parser.parse_args(arguments)
    parser.print_help()
    return 0


class _Parser(argparse.ArgumentParser):
    """Reports bad arguments as every other mistake of the user is reported."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.rstrip('.')}. See {self.prog} --help.")

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """Parse all arguments; unknown ones are an error that offers the nearest flag."""
        from kerasdl.flags import reject_unknown

        values, unknown = self.parse_known_args(arguments)
        reject_unknown(unknown, self)
        return values


def _train(parser: _Parser, arguments: list[str]) -> int:
    from kerasdl import catalog, flags

    parser.usage = "kerasdl train PIPELINE [--data DATA] [flags]"
    parser.add_argument(
        "pipeline", metavar="PIPELINE", help="a name of `kerasdl list`, a .py file or a recipe.json"
    )
    parser.add_argument(
        "--data", metavar="DATA", help="digits, a tensorflow-datasets name, a folder, an .npz file"
    )
    parser.add_argument("--print-recipe", action="store_true", help="show the resolved recipe and stop")
    parser.add_argument("--no-export", dest="export", action="store_false", help="stop after the evaluation")
    parser.add_argument(
        "--no-samples", dest="samples", action="store_false", help="keep no examples in the bundle"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="two batches through every stage; nothing is kept"
    )
    _add_folders(parser, "runs", "exported")
    if not arguments or arguments[0].startswith("-"):
        parser.epilog = "kerasdl train PIPELINE --help shows the flags of that pipeline's recipe too."
        if "--help" not in arguments and "-h" not in arguments:
            raise UsageError(
                "kerasdl train: the pipeline comes first, as in kerasdl train lenet5 --data digits."
            )
        parser.parse(arguments)
    environment.import_tensorflow()
    recipe, source = catalog.load(arguments[0])
    recipe = _with_data(recipe, _value_of("--data", arguments))
    flags.add_to(parser, recipe)
    values = vars(parser.parse(arguments))
    recipe = flags.apply(recipe, values)
    if values["print_recipe"]:
        from kerasdl.recipe import to_json

        print(to_json(recipe), end="")
        return 0
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


def _evaluate(parser: _Parser, arguments: list[str]) -> int:
    _add_target(parser, "a run, a bundle, or one exported file")
    parser.add_argument("--data", metavar="DATA", help="other data than it was trained on")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl import loading, shipping
    from kerasdl.evaluate import evaluate

    target = loading.load(values.target)
    splits = _load_splits(target, values.data)
    figures = {
        "target": values.target,
        "kind": target.predictor.kind,
        **evaluate(target.predictor, target.task, shipping.test_batches(splits)),
        "data_fingerprint": splits.fingerprint,
    }
    _print(figures, values.json)
    return 0


def _predict(parser: _Parser, arguments: list[str]) -> int:
    _add_target(parser, "a run, a bundle, or one exported file")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="image files")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl import loading

    answers = loading.load(values.target).predict_files(values.files)
    if values.json:
        _print(answers, as_json=True)
    for answer in [] if values.json else answers:
        print("  ".join(f"{value:.4f}" if isinstance(value, float) else value for value in answer.values()))
    return 0


def _export(parser: _Parser, arguments: list[str]) -> int:
    _add_target(parser, "a run folder")
    parser.add_argument("--formats", type=_words, default=None, metavar="F,F", help="saved_model,tflite,onnx")
    parser.add_argument(
        "--tflite-modes",
        type=_words,
        default=None,
        metavar="M,M",
        help="float32,float16,dynamic,int8,int16x8",
    )
    parser.add_argument("--dynamic-batch", action="store_true", help="TFLite files that take any batch size")
    parser.add_argument("--data", metavar="DATA", help="where the data is now, if it has moved")
    parser.add_argument(
        "--no-samples", dest="samples", action="store_false", help="keep no examples in the bundle"
    )
    _add_folders(parser, "exported")
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from rich.console import Console

    from kerasdl import loading, shipping, tables
    from kerasdl.export.spec import ALL_FORMATS
    from kerasdl.export.tflite import MODES, Converter
    from kerasdl.run import Run

    _check_words("--formats", values.formats, ALL_FORMATS)
    _check_words("--tflite-modes", values.tflite_modes, MODES)
    target = loading.load(values.target)
    if target.predictor.kind != "keras":
        raise UsageError(f"{values.target} is already exported. Give a run, such as runs/lenet5/1.")
    with Converter() as converter:
        converter.start()
        bundle = shipping.export_run(
            Run(target.path),
            _load_splits(target, values.data),
            exported_dir=values.exported_dir,
            converter=converter,
            formats=values.formats or ALL_FORMATS,
            tflite_modes=values.tflite_modes or shipping.TFLITE_MODES,
            dynamic_batch=values.dynamic_batch,
            embed_samples=values.samples,
        )
    console = Console(soft_wrap=True)
    tables.print_bundle(console, bundle, target.task)
    return 1 if bundle.failures else 0


def _verify(parser: _Parser, arguments: list[str]) -> int:
    _add_target(parser, "a bundle")
    parser.add_argument("--data", metavar="DATA", help="where the data is now, if it has moved")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from rich.console import Console

    from kerasdl import data, shipping, tables

    rows, task, note = shipping.verify(Path(values.target), values.data and data.from_text(values.data))
    if values.json:
        _print({"verified": True, "note": note, "artefacts": rows}, as_json=True)
    else:
        tables.print_rows(Console(soft_wrap=True), rows, task)
        print(f"Verified: {note}")
    return 0


def _list(parser: _Parser, arguments: list[str]) -> int:
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    values = parser.parse(arguments)
    from kerasdl import catalog

    pipelines = catalog.summaries()
    if values.json:
        _print([{"name": name, "summary": summary} for name, summary in pipelines.items()], as_json=True)
    else:
        for name, summary in pipelines.items():
            print(f"{name:<12} {summary}")
    return 0


def _check(parser: _Parser, arguments: list[str]) -> int:
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl import check

    report = check.check()
    _print(report, values.json)
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


def _add_target(parser: _Parser, what: str) -> None:
    parser.add_argument("target", metavar="TARGET", help=what)


def _add_folders(parser: _Parser, *names: str) -> None:
    for name in names:
        parser.add_argument(
            f"--{name}-dir", type=Path, default=Path(name), help=f"where {name} go (default: {name})"
        )


def _value_of(option: str, arguments: list[str]) -> str | None:
    """Read one option ahead of the others: it decides which flags there are."""
    ahead = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    ahead.add_argument(option, dest="value")
    with contextlib.suppress(argparse.ArgumentError):  # reported when all arguments are parsed
        return ahead.parse_known_args(arguments)[0].value
    return None


def _with_data(recipe, text: str | None):
    if text is None:
        return recipe
    import dataclasses

    from kerasdl import data

    return dataclasses.replace(recipe, data=data.from_text(text))


def _load_splits(target, text: str | None):
    """Load the data a target was trained on, or other data of the same kind."""
    from kerasdl import data

    splits = (target.data if text is None else data.from_text(text)).load()
    target.check_splits(splits)
    return splits


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _check_words(option: str, words: tuple[str, ...] | None, known: Sequence[str]) -> None:
    for word in words or ():
        if word not in known:
            raise UsageError(
                f"{option} has {word!r}; it takes {','.join(known)}." + did_you_mean(word, known)
            )


def _print(document: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(document, indent=2))
        return
    for name, value in document.items():
        if isinstance(value, dict):
            print(name)
            _print({f"  {key}": part for key, part in value.items()}, as_json=False)
            continue
        if isinstance(value, list):
            value = ", ".join(map(str, value)) or "none"
        print(f"{name:<28} {f'{value:.4f}' if isinstance(value, float) else value}")
