"""Prints the answers of `predict`: a table for people, or one with commas."""

import csv
import io
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kerasdl.cli.printing import open_console
from kerasdl.report import terminal


def print_answers(answers: Sequence[Mapping[str, Any]]) -> None:
    """Print the answers of `predict` as a table, in which texts are cut; where it is too wide, as lists."""
    rows = [{name: _said(name, value) for name, value in answer.items()} for answer in answers]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not any(row.get("top") for row in rows):
        names = [name for name in names if name != "top"]
    widths = {name: max(terminal.cells(row.get(name, "")) for row in rows) for name in names}
    widths = {name: max(width, len(_title(name))) for name, width in widths.items()}
    total = shutil.get_terminal_size().columns
    if "text" in widths:
        others = sum(width + 2 for name, width in widths.items() if name != "text")
        widths["text"] = min(widths["text"], max(20, total - others))
    if sys.stdout.isatty() and sum(width + 2 for width in widths.values()) - 2 > total:
        _print_below(names, rows)
        return
    for row in [{name: _title(name) for name in names}, *rows]:
        cells = {name: row.get(name, "") for name in names}
        if "text" in cells:
            cells["text"] = terminal.cut(cells["text"], widths["text"]) or ('""' if "text" in row else "")
        padded = (cell + " " * (widths[name] - terminal.cells(cell)) for name, cell in cells.items())
        terminal.say("  ".join(map(terminal.line, padded)).rstrip())


def _print_below(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    """Print the parts of each answer below each other, where they have no room side by side."""
    width = max(map(len, map(_title, names)))
    room = max(open_console().width - width - 2, 20)
    for number, row in enumerate(rows):
        if number:
            terminal.say()
        for name in names:
            lines = terminal.wrapped(terminal.line(row.get(name, "")), room).split("\n")
            for line_number, line in enumerate(lines):
                terminal.say(f"{'' if line_number else _title(name):<{width}}  {line}".rstrip())


def print_csv(answers: Sequence[Mapping[str, Any]]) -> None:
    """Print answers of `predict` as a table with commas; further classes have columns of their own."""
    rows = []
    for answer in answers:
        row = {name: value for name, value in answer.items() if name != "top"}
        for place, one in enumerate(answer.get("top", ())[1:], 2):
            row |= {f"{name}_{place}": value for name, value in one.items()}
        rows.append(row)
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    terminal.say(text.getvalue(), end="")


def _title(name: str) -> str:
    return "then" if name == "top" else name


def _said(name: str, value: Any) -> str:
    if name == "top":  # the first one has columns of its own
        return ", ".join(f"{one['class']} {_percent(one['probability'])}" for one in value[1:])
    if name == "probability":
        return _percent(value)
    if isinstance(value, list):  # of an output with several numbers
        return f"[{', '.join(_said('', one) for one in value)}]"
    if isinstance(value, float):
        return f"{value:.4g}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"
    return str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
