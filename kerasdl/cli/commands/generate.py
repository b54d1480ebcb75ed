"""`kerasdl generate`: make images, or continue a text, with a run, a bundle or an exported file."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.errors import UsageError
from kerasdl.report import terminal

if TYPE_CHECKING:
    from kerasdl.jobs.target import Target

#: Group -> options of it: flag, type, word for the value, help.
_OPTIONS = {
    "images": (
        ("--count", int, "INT", "images to make, or frames of a film (default: 64, or 8 of each class)"),
        ("--class", str, "NAME|INDEX", "class that is asked for (default: all in turn)"),
        ("--truncation", float, "NUMBER", "factor on the noise: below 1 typical, less diverse (default: 1)"),
        ("--out", Path, "PLACE", "grid.png, film.gif or a folder (default: generated.png)"),
    ),
    "texts": (
        ("--prompt", str, "TEXT", "text to be continued (default: none, as after a new line)"),
        ("--length", int, "INT", "characters to write (default: 500)"),
        ("--temperature", float, "NUMBER", "below 1 keeps to the probable, 0 draws nothing (default: 0.8)"),
        ("--top-k", int, "INT", "draw among so many most probable characters (default: all)"),
        ("--top-p", float, "NUMBER", "draw among those that together are so probable, 0 to 1 (default: 1)"),
        ("--beams", int, "INT", "follow so many texts to find the most probable one (default: 1, draw)"),
    ),
}  # fmt: skip


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file, of a generative network or a language model")
    for group, options in _OPTIONS.items():
        for option, kind, shown, help_text in options:
            parser.add_to_group(group, option, type=kind, metavar=shown, help=help_text)
    parser.add_argument("--seed", type=int, metavar="INT", help="seed of what is drawn (default: 0)")
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl.inference.latents import MAKING
    from kerasdl.jobs import endpoints
    from kerasdl.jobs import open as loading

    target = loading.load(values.target)
    makes_images = endpoints.find(target, *MAKING)
    _check(values, target, "images" if makes_images else "texts")
    return _images(makes_images[0], values) if makes_images else _text(target, values)


def _check(values: Namespace, target: "Target", wanted: str) -> None:
    """Refuse options of the other kind."""
    for group, options in _OPTIONS.items():
        for option, *_ in options if group != wanted else ():
            if _given(values, option) is not None and (
                "step" in target.predictor.inputs or wanted == "images"
            ):
                raise UsageError(f"{option} is for {group}, but {target.path} makes {wanted}. Leave it out.")


def _given(values: Namespace, option: str) -> str | int | float | Path | None:
    return vars(values)[option.removeprefix("--").replace("-", "_")]


def _settings(values: Namespace, **names: str) -> dict[str, str | int | float]:
    """Return the fields of settings that were given, by the names of their options."""
    found = {field: _given(values, option) for field, option in names.items()}
    return {field: value for field, value in found.items() if value is not None}


def _images(target: "Target", values: Namespace) -> int:
    from kerasdl.cli import printing
    from kerasdl.jobs.generate_images import Settings, generate

    names = {"count": "count", "class_name": "class", "truncation": "truncation", "seed": "seed"}
    settings = Settings(**_settings(values, **names))
    found = generate(target, settings, values.out or Path("generated.png"))
    if values.json:
        printing.print_document(found, as_json=True)
    else:
        what = "frames" if found["out"].lower().endswith(".gif") else "images"
        terminal.say(f"{found['count']:,} {what} in {found['out']}")
    return 0


def _text(target: "Target", values: Namespace) -> int:
    from kerasdl.cli import printing
    from kerasdl.inference.generation import Settings
    from kerasdl.jobs.generate import generate

    names = ("length", "temperature", "top_k", "top_p", "beams", "seed")
    settings = Settings(**_settings(values, **{name: name for name in names}))
    found = generate(target, values.prompt or "", settings)
    if values.json:
        printing.print_document(found, as_json=True)
    else:
        terminal.say(found["prompt"] + found["text"])
    return 0
