"""Shell completion: the words that can stand next, from the parsers themselves."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from kerasdl.cli.parser import Parser
from kerasdl.recipe import catalog

#: Commands that begin with the name of a pipeline, and the folder of the names.
_NAMED = {"train": "pipelines", "lr-find": "pipelines", "tune": "tuning"}
_SHELLS = Path(__file__).parent / "completions"
SHELLS = ("bash", "fish", "zsh")


def script(shell: str) -> str:
    """Return the lines that a shell reads at its start."""
    return (_SHELLS / f"kerasdl.{shell}").read_text(encoding="utf-8")


def candidates(words: Sequence[str], commands: Iterable[str], run: Any) -> list[str]:
    """Return what can stand in the place of the last word.

    Args:
        words: what was typed behind `kerasdl`; the last one is the beginning of a word, or empty.
        commands: names of all commands.
        run: runs a command of a name with a parser and arguments.

    Returns:
        Words that begin so; none where a file can stand, which shells complete by themselves.
    """
    *before, begun = words or [""]
    if not before:
        return [name for name in (*commands, "--help", "--version") if name.startswith(begun)]
    command, *rest = before
    if not begun.startswith("-"):
        if command in _NAMED and not rest:
            return [name for name in catalog.names(_NAMED[command]) if name.startswith(begun)]
        begun, chosen = rest[-1] if rest and rest[-1].startswith("--") else "", begun
        values = _parser(command, rest[:-1], run).values.get(begun, ()) if begun else ()
        return [value for value in values if value.startswith(chosen)]
    return sorted({flag for flag in _parser(command, rest, run).flags if flag.startswith(begun)})


def _parser(command: str, arguments: Sequence[str], run: Any) -> "_Listening":
    """Return the parser of a command with all flags, those of the pipeline in its arguments too."""
    pipeline = [word for word in arguments[:1] if not word.startswith("-")]
    for given in (pipeline, []):  # where there is no such pipeline: the flags of the command
        parser = _Listening(prog=f"kerasdl {command}")
        try:
            run(command, parser, [*given, "--help-all" if command in _NAMED else "--help"])
        except _CompleteError as found:
            return found.args[0]
        except Exception:  # nothing is completed then, and nothing may be printed
            continue
    return parser


class _CompleteError(Exception):
    """Ends a command whose parser is complete."""


class _Listening(Parser):
    """A parser that ends the command where it would print its help."""

    def print_help(self, file: Any = None) -> NoReturn:
        raise _CompleteError(self)

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """The words that a flag takes, by flag."""
        found = {}
        for action in self._actions:
            words = action.choices or (str(action.metavar or "").split("|") if action.metavar else ())
            known = tuple(str(word) for word in words if not str(word).isupper())
            found |= dict.fromkeys(action.option_strings, known)
        return found
