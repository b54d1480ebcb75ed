"""Where a call from Python shows its progress: standard error, or one line of a notebook."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kerasdl import environment
from kerasdl.report import terminal

if TYPE_CHECKING:
    from rich.console import Console


@dataclasses.dataclass
class Shown:
    """Where progress goes.

    Attributes:
        console: console for what is printed line by line.
        last: the line that stays in a notebook.
    """

    console: "Console"
    last: str = ""

    def leave(self, text: str) -> None:
        """Let a text stay where the line of progress was."""
        self.last = text


@contextlib.contextmanager
def progress(shows: bool, console: "Console | None" = None) -> Iterator[Shown]:
    """Show progress inside, or none.

    Args:
        shows: whether progress is shown.
        console: console to print to instead. Defaults to None.
    """
    if not shows:
        with terminal.line_of_status.hidden():
            yield Shown(terminal.open_console(quiet=True))
    elif console is not None or not terminal.in_notebook():
        with terminal.status(_doing):
            yield Shown(console or terminal.open_console(file=sys.stderr, soft_wrap=True))
    else:
        shown = Shown(terminal.open_console(quiet=True))
        with terminal.status(_doing):
            yield shown
            terminal.line_of_status.leave(shown.last)


def _doing() -> str:
    return "Loading TensorFlow" if environment.loading else "Starting"
