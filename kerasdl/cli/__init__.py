"""The `kerasdl` command. It imports only the command that runs, and for `--help` no TensorFlow."""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from kerasdl import __version__, environment
from kerasdl.cli import streams
from kerasdl.cli.parser import Parser
from kerasdl.errors import RunFailedError, UsageError, did_you_mean
from kerasdl.recipe import catalog, trust
from kerasdl.report import terminal
from kerasdl.training.interruption import Interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: arguments of the command line. Defaults to those of the process.

    Returns:
        The exit code: 0 done, 1 failed, 2 not understood, 130 or 143 interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    with streams.guarded() as output:
        terminal.begin_logging()
        code, message = _answer(arguments)
        output.flush()
        if code == 0 and output.failure and not isinstance(output.failure, BrokenPipeError):
            why = output.failure.strerror
            code, message = 1, f"what was printed is not whole: standard output cannot be written to ({why})."
        if message:
            terminal.tell(f"kerasdl: {message}")
        return code


def _answer(arguments: list[str]) -> tuple[int, str]:
    """Run one command; return its exit code, and what went wrong."""
    environment.is_command = True
    try:
        return _run(arguments), ""
    except (UsageError, RunFailedError) as error:
        return (2 if isinstance(error, UsageError) else 1), str(error)
    except Interrupted as error:
        return error.exit_code, str(error)
    except KeyboardInterrupt:
        return 130, "interrupted"
    except SystemExit as error:  # --help and --version, which argparse ends so
        return (1, error.code) if isinstance(error.code, str) else (error.code or 0, "")
    except Exception as error:
        from kerasdl.training import faults

        if message := faults.of_machine(error):
            return 1, message
        raise
    finally:
        trust.accept(False)  # --trust counts for one command
        environment.is_command = False


def train_file(file: str) -> NoReturn:
    """Train the recipe of a Python file with the flags of the command line, then exit; for its main guard."""
    sys.exit(main(["train", file, *sys.argv[1:]]))


def tune_file(file: str) -> NoReturn:
    """Search the space of a Python file with the flags of the command line, then exit; for its main guard."""
    path = Path(file)
    shipped = path.resolve() == catalog.names("tuning").get(path.stem, path).resolve()
    sys.exit(main(["tune", path.stem if shipped else file, *sys.argv[1:]]))


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="kerasdl",
        description="Train subclassed Keras models and ship them, verified, to servers and phones.",
        epilog="Help on a command: kerasdl COMMAND --help. First run: kerasdl train lenet5 --data digits",
    )
    parser.add_argument("--version", action="version", version=f"kerasdl {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, help_text in _COMMANDS.items():
        # The parser of a command is made when it is called: only then are its flags known.
        commands.add_parser(name, help=help_text, add_help=False)
    if arguments and not arguments[0].startswith("-"):
        name, *rest = arguments
        if name not in _COMMANDS:
            raise UsageError(
                f"There is no command {name!r}; there are {', '.join(_COMMANDS)}."
                + did_you_mean(name, _COMMANDS)
            )
        environment.on_loading = terminal.line_of_status.draw
        if name == "completion":  # a shell asks, at its start or while something is typed
            return _command(name, Parser(prog=f"kerasdl {name}"), rest)
        with terminal.status(_doing):  # where nothing tells more
            return _command(name, Parser(prog=f"kerasdl {name}", description=_COMMANDS[name]), rest)
    parser.parse_args(arguments)
    parser.print_help()
    return 0


def _command(name: str, parser: Parser, arguments: list[str]) -> int:
    module = importlib.import_module(f"kerasdl.cli.commands.{name.replace('-', '_')}")
    return module.run(parser, arguments)


def commands_by_name() -> tuple[list[str], Callable[[str, Parser, list[str]], int]]:
    """Return the names of all commands, and what runs one of a name with a parser and arguments."""
    return list(_COMMANDS), _command


def _doing() -> str:
    return "Loading TensorFlow" if environment.loading else "Working"


#: Command -> help text. The module of a command is `commands/<name>.py`, with _ for -.
_COMMANDS = {
    "train": "train a pipeline, evaluate, export and verify it",
    "tune": "search hyperparameters of a pipeline: Bayesian, random, grid, Hyperband",
    "evaluate": "compute the metrics of a run, a bundle or an exported file on a split",
    "predict": "predict for files, such as images, with a run, a bundle or an exported file",
    "generate": "make images, or continue a text, with a run, a bundle or an exported file",
    "interpolate": "go from one image to another through the latents of a generative network",
    "encode": "describe images by their latents, in an .npz file or a table",
    "anomalies": "score images by how badly a network reconstructs them",
    "forecast": "forecast what follows a file of recent values; write a table and a picture",
    "explain": "explain answers: maps over images, scores of words, characters and past values",
    "export": "export a run, or any Keras model, to SavedModel, TFLite and ONNX, and verify each file",
    "import": "make a run of a Keras model that was not trained here, so that it can be fine-tuned",
    "deploy": "write what a server or an app needs around a bundle: TF Serving, Triton, Android, iOS",
    "demo": "write a page that runs a bundle in the browser: camera, pictures, drawing, texts",
    "verify": "check that a bundle still is the network that was exported",
    "serve": "serve exported models over HTTP and gRPC, as TensorFlow Serving does",
    "benchmark": "measure size, metrics, latency and throughput of a run or its exported files",
    "report": "write the report of a run: report.html, one file that opens anywhere",
    "compare": "compare runs: settings, curves, metrics, and whether they differ beyond chance",
    "reproduce": "train a run again from its receipt and show what agrees",
    "lr-find": "try learning rates on a few hundred batches and suggest one",
    "runs": "list runs: what, when, on which data, how good, and where the bundle is",
    "show": "show a run or a bundle: where it stands, its figures, and what belongs to it",
    "clean": "list what can go of the runs, ask, and remove it",
    "completion": "print the completion of commands, pipelines and flags for bash, zsh or fish",
    "list": "list the shipped pipelines",
    "doctor": "say what is in data, and what harms a training, before any",
    "init": "look at data and write a first recipe for it",
    "check": "print versions and devices, and test the installation by a short training run",
}
