"""Prints the results of commands: sentences, tables, figures or one JSON document."""

import json
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from kerasdl.report import terminal

if TYPE_CHECKING:
    from rich.console import Console

_UNBROKEN = 10_000  # columns of a file or a pipe, which has no width of its own


def open_console(*, soft_wrap: bool = False, file: TextIO | None = None) -> "Console":
    """Return a console without highlighting; in files and pipes lines are as long as they need to be.

    Args:
        soft_wrap: leave long lines to the terminal.
        file: where it prints. Defaults to standard output.
    """
    made = terminal.open_console(highlight=False, soft_wrap=soft_wrap, file=file)
    if not (made.is_terminal or os.environ.get("COLUMNS", "").isdecimal()):
        made.width = _UNBROKEN
    return made


def print_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    keep: Sequence[int] = (),
    spare: Sequence[int] = (),
    right: Sequence[int] = (),
    elsewhere: str = "--json",
) -> None:
    """Print a table of texts as wide as the terminal.

    Args:
        titles: of the columns; may have several lines.
        rows: a text for each column.
        keep: numbers of columns that are not broken where there is room for them.
        spare: numbers of columns that are left out where there is no room for all, in this order.
        right: numbers of columns that are set flush right.
        elsewhere: what shows the columns that were left out.
    """
    from rich.table import Table
    from rich.text import Text

    console = open_console()
    widths, left_out = widths_of(titles, rows), []
    for number in spare:
        if total(widths.values()) > console.width:
            del widths[number]
            left_out.append(titles[number])
    table = Table(box=None, header_style="bold", pad_edge=False)
    room = console.width - total(widths[number] for number in keep if number in widths)
    for number in widths:
        side = "right" if number in right else "left"
        table.add_column(titles[number], no_wrap=number in keep and room >= 0, overflow="fold", justify=side)
    for row in rows:
        table.add_row(*(Text(row[number]) for number in widths))
    console.print(table)
    if left_out:
        names = ", ".join(" ".join(title.split()) for title in left_out)
        terminal.tell(
            f"No room for: {names}. A wider terminal shows it, and so does {elsewhere}.", file=sys.stdout
        )


def widths_of(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[int, int]:
    """Return how wide each column of a table is, by its number."""
    return {
        number: max(map(terminal.cells, (*title.split("\n"), *(row[number] for row in rows))))
        for number, title in enumerate(titles)
    }


def total(widths: Iterable[int]) -> int:
    """Return how wide a table with columns of such widths is."""
    return sum(width + 2 for width in widths) - 2


def print_text(console: "Console", text: str, style: str | None = None) -> None:
    """Print sentences, broken between words where they go to a terminal."""
    shown = terminal.wrapped(text, console.width) if console.is_terminal else text
    console.print(shown, style=style, markup=False, highlight=False, soft_wrap=True)


def print_points(console: "Console", sentences: Iterable[str]) -> None:
    """Print sentences as a list."""
    for sentence in sentences:
        print_text(console, f"- {sentence}")


def print_next(console: "Console", commands: Sequence[Sequence[str]]) -> None:
    """Print commands that the user may want to type next."""
    console.print("Next:")
    for command in map(shlex.join, commands):
        console.print(f"  {command}", style="cyan", soft_wrap=True)


def print_document(document: Any, *, as_json: bool = False) -> None:
    """Print figures by name, or a document as JSON.

    Args:
        document: figures by name; may be nested. With `as_json` any JSON value.
        as_json: print one JSON document; nothing else may go to standard output then.
    """
    if as_json:
        terminal.say(json.dumps(document, indent=2))
        return
    for name, value in document.items():
        if isinstance(value, Mapping):
            terminal.say(name)
            print_document({f"  {key}": part for key, part in value.items()})
            continue
        if isinstance(value, list):
            value = ", ".join(map(str, value)) or "none"
        terminal.say(f"{name:<28} {f'{value:.4g}' if isinstance(value, float) else value}")
