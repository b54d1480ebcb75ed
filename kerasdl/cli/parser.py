"""The parser of every command: how mistakes are reported, and the options that several commands share."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import trust
from kerasdl.report import terminal
from kerasdl.runs import places

_MISSING = "the following arguments are required: "  # as argparse says it


class Parser(argparse.ArgumentParser):
    """Reports bad arguments as every other mistake of the user is reported.

    Attributes:
        flags: every flag that was added, as it is typed.
    """

    def __init__(self, **options: Any):
        self.flags: list[str] = []
        self._titled: dict[str, Any] = {}
        self._takes_target = False
        super().__init__(allow_abbrev=False, **options)
        self.add_argument(
            "--trust", action=_Trust, nargs=0, dest=argparse.SUPPRESS, default=argparse.SUPPRESS,
            help="run the Python code and the SavedModel of the run, bundle or search that is given, which "
            "somebody else made, and remember that",
        )  # fmt: skip

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        action = super().add_argument(*names, **options)
        self.flags += action.option_strings
        return action

    def add_to_group(self, title: str, *names: str, **options: Any) -> None:
        """Add an argument to the group of a title, which help texts show apart."""
        if title not in self._titled:
            self._titled[title] = self.add_argument_group(title)
        self.flags += self._titled[title].add_argument(*names, **options).option_strings

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError instead of ending the process."""
        message = self._without(message)
        raise UsageError(f"{message}{'' if message.endswith(('.', '?')) else '.'} See {self.prog} --help.")

    def _without(self, message: str) -> str:
        """Return a message about missing arguments with what each of them is; others as they are."""
        start, _, names = message.partition(_MISSING)
        if start or not names:
            return message
        actions = {"/".join(action.option_strings) or action.metavar: action for action in self._actions}
        told = []
        for name in names.split(", "):
            action = actions.get(name)
            if action is None or action.nargs != "*":  # of these argparse says so too, but they need not be
                about = action.help.partition(";")[0] if action is not None and action.help else ""
                told.append(f"{name} ({about})" if about else name)
        return f"{self.prog.removeprefix('kerasdl ')} needs {' and '.join(told)}"

    def _print_message(self, message: str, file: TextIO | None = None) -> None:
        terminal.say(message, end="", file=file)

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """Parse all arguments; an unknown one is an error that offers the nearest flag."""
        values, unknown = self.parse_known_args(arguments)
        if unknown:
            name = unknown[0].partition("=")[0]
            raise UsageError(f"There is no flag {name!r} here.{self._nearest(name)} See {self.prog} --help.")
        if self._takes_target:
            places.find(Path(values.target))  # before seconds of imports
        return values

    def _nearest(self, name: str) -> str:
        """Return advice with the flag that begins with `name`, else with a very similar one."""
        longer = [flag for flag in self.flags if name.strip("-") and flag.startswith(name)]
        begun = did_you_mean(name, longer, cutoff=0)
        return begun or did_you_mean(name, self.flags, cutoff=0.8)  # dashes count as similar

    def add_target(self, what: str) -> None:
        """Add the positional TARGET: a run, a bundle or an exported file, which has to be there."""
        self._takes_target = True
        self.add_argument("target", metavar="TARGET", help=what)

    def add_data(self, help_text: str) -> None:
        """Add `--data`."""
        self.add_argument("--data", metavar="DATA", help=help_text)

    def add_json(self) -> None:
        """Add `--json`."""
        self.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    def add_no_samples(self) -> None:
        """Add `--no-samples`."""
        self.add_argument(
            "--no-samples",
            dest="embed_samples",
            action="store_false",
            help="keep no test examples in the bundle",
        )

    def add_new_signature(self) -> None:
        """Add `--new-signature`."""
        self.add_argument(
            "--new-signature",
            action="store_true",
            help="make the bundle a version of exported/NAME although that answers otherwise so far",
        )

    def add_folders(self, *names: str) -> None:
        """Add `--runs-dir` for "runs", and so on."""
        for name in names:
            self.add_argument(
                f"--{name}-dir", type=Path, default=self.argument_default or Path(name), metavar="FOLDER",
                help=f"folder of all {name} (default: {name})",
            )  # fmt: skip

    def add_words(self, option: str, help_text: str) -> None:
        """Add an option that takes words separated by commas."""
        self.add_argument(option, type=_words, metavar="WORD,WORD", help=help_text)


class _Trust(argparse.Action):
    """Trusts what the command opens; it counts as soon as it is read, since help texts need recipes."""

    def __call__(self, *_: Any) -> None:
        trust.accept(True)


def check_words(option: str, words: Sequence[str] | None, known: Sequence[str]) -> None:
    """Raise a UsageError for a word that is not among the known ones of an option."""
    for word in words or ():
        if word not in known:
            raise UsageError(
                f"{option} has {word!r}; it takes {','.join(known)}." + did_you_mean(word, known)
            )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)
