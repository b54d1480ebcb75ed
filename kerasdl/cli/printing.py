"""Prints the results of commands: tables, figures or one JSON document."""

import contextlib
import csv
import io
import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from kerasdl.errors import UsageError
from kerasdl.report import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from kerasdl.export.bundle import Bundle
    from kerasdl.jobs.result import Result
    from kerasdl.tasks.task import Task


def open_console(*, soft_wrap: bool = False, file: TextIO | None = None) -> "Console":
    """Return a console without highlighting; tables in files and pipes get 120 columns.

    Args:
        soft_wrap: leave long lines to the terminal.
        file: where it prints. Defaults to standard output.
    """
    made = terminal.open_console(highlight=False, soft_wrap=soft_wrap, file=file)
    if not made.is_terminal:  # a file or a pipe has no width of its own
        made.width = max(made.width, 120)
    return made


def print_result(console: "Console", result: "Result", dry_run: bool) -> None:
    """Print the files of a training run and the commands to type next."""
    if result.bundle is not None:
        print_rows(console, result.bundle.rows, result.recipe.task)
    if dry_run:
        console.print("Dry run passed: every stage works. Nothing was kept.")
        return
    console.print(f"Run     {result.run.path}")
    if (report := result.run.path / "report.html").is_file():
        console.print(f"Report  {report}")
    logs = ["tensorboard", "--logdir", str(result.run.path / "logs")]
    if result.recipe.overfit_batches is not None:
        print_next(console, [logs])
    elif result.bundle is None:
        print_next(console, [["kerasdl", "export", str(result.run.path)], logs])
    else:
        _print_bundle(console, result.bundle, result.recipe.task, result.recipe.data.place, logs)


def print_bundle(console: "Console", bundle: "Bundle", task: "Task", place: str | None = None) -> None:
    """Print the files of an export and the commands to type next; `place` is where the data lies."""
    print_rows(console, bundle.rows, task)
    _print_bundle(console, bundle, task, place)


def print_rows(console: "Console", rows: Sequence[Mapping[str, Any]], task: "Task") -> None:
    """Print one line for each artefact: size, the task's figures and latency, or why it failed."""
    from rich.table import Table

    table = Table("artefact", box=None, header_style="bold", pad_edge=False)
    for title in ("size", *(title for title, _ in task.columns.values()), "latency"):
        table.add_column(title, justify="right")
    for row in rows:
        if "error" in row:
            table.add_row(row["file"], "left out" if row.get("refused") else "failed")
            continue
        figures = [_figure(row, name, form) for name, (_, form) in task.columns.items()]
        latency = f"{row['latency_ms']:.3f} ms" if "latency_ms" in row else ""
        table.add_row(row["file"], f"{row['bytes'] / 1e3:,.0f} kB", *figures, latency)
    console.print(table)
    for row in rows:
        if "error" in row:
            console.print(f"{row['file']}: {row['error']}", style="red")


def _figure(row: Mapping[str, Any], name: str, form: str) -> str:
    from kerasdl.inference.endpoint import figure_of

    value = figure_of(row, name)
    try:
        return "" if value is None else format(value, form)
    except (TypeError, ValueError):  # of a damaged card: it is shown as it is
        return str(value)


def print_phone(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print one line for each file and number of threads that was measured on a phone.

    Args:
        rows: rows of `kerasdl.deploy.phones.adb.measure`.
        columns: title by figure.
    """
    from rich.table import Table

    shown = {name: title for name, title in columns.items() if any(name in row for row in rows)}
    table = Table("artefact", box=None, header_style="bold", pad_edge=False)
    for title in ("size", "threads", *shown.values()):
        table.add_column(title, justify="right")
    for row in rows:
        figures = [f"{row[name]:,.2f}" if name in row else "" for name in shown]
        failed = ["failed"] if "error" in row else []
        table.add_row(row["file"], f"{row['bytes'] / 1e3:,.0f} kB", str(row["threads"]), *(failed or figures))
    open_console().print(table)


def print_speeds(rows: Sequence[Mapping[str, Any]], task: "Task") -> None:
    """Print one line for each artefact and number of threads.

    Latency is that of the smallest batch, throughput that of each batch size. A star marks a batch that was
    run example by example.

    Args:
        rows: rows of `kerasdl.jobs.benchmark.Speeds`.
        task: task whose figures are shown.
    """
    from rich.table import Table

    columns = {
        name: column for name, column in task.columns.items() if any(_figure(row, name, "") for row in rows)
    }
    cells = [cell for row in rows for cell in row.get("speed", ())]
    sizes = sorted({cell["batch_size"] for cell in cells})
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("artefact", no_wrap=True)
    latency = [f"batch {size}\n{name} ms" for size in sizes[:1] for name in ("p50", "p95")]
    throughput = [f"batch {size}\nexamples/s" for size in sizes]
    for title in ("size", *(title for title, _ in columns.values()), "threads", *latency, *throughput):
        table.add_column(title, justify="right")
    for row in rows:
        figures = [_figure(row, name, form) for name, (_, form) in columns.items()]
        about = [row["file"], f"{row['bytes'] / 1e3:,.0f} kB", *figures]
        if "error" in row:
            table.add_row(*about, "failed")
            continue
        for threads in dict.fromkeys(cell["threads"] for cell in row["speed"]):
            found = {cell["batch_size"]: cell for cell in row["speed"] if cell["threads"] == threads}
            milliseconds = [f"{found[sizes[0]][name]:.3f}" for name in ("p50_ms", "p95_ms")]
            table.add_row(*about, str(threads), *milliseconds, *(_rate(found[size]) for size in sizes))
            about = [""] * len(about)
    open_console().print(table)
    if any(cell["one_by_one"] for cell in cells):
        terminal.say("* one after the other: the file takes one example (kerasdl export RUN --dynamic-batch)")


def _rate(cell: Mapping[str, Any]) -> str:
    return f"{cell['examples_per_second']:,.0f}{'*' if cell['one_by_one'] else ' '}"


def _print_bundle(
    console: "Console", bundle: "Bundle", task: "Task", place: str | None, *more: Sequence[str]
) -> None:
    from kerasdl.export.identity import identity

    console.print(f"Bundle  {bundle.path}")
    console.print(f"SHA-256 {identity(bundle.path)}")
    console.print("        (whoever gets the bundle: kerasdl verify --expect SHA-256)")
    path = bundle.path
    example = _example(bundle.example, place)
    commands = [
        task.try_command(
            str(path if row["kind"] == "saved_model" else path / row["file"]),
            tuple(row.get("endpoints") or ()),
            example,
        )
        for row in bundle.rows
        if "error" not in row
    ]
    print_next(console, [*list(filter(None, commands))[:1], ["kerasdl", "verify", str(path)], *more])


def _example(example: str, place: str | None) -> str:
    """Return an argument of `kerasdl predict` that works: of an image, one of the data; "" without one."""
    from kerasdl.inference import given

    if not example or not example.endswith(given.SUFFIXES):
        return example
    if place is None or not Path(place).expanduser().is_dir():
        return ""
    with contextlib.suppress(UsageError, OSError):
        return given.expand([str(Path(place).expanduser())], ())[0]
    return ""


def print_answers(answers: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of the answers of `predict`; texts are cut so that it fits the terminal."""
    rows = [{name: _said(name, value) for name, value in answer.items()} for answer in answers]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not any(row.get("top") for row in rows):
        names = [name for name in names if name != "top"]
    widths = {name: max(terminal.cells(row.get(name, "")) for row in rows) for name in names}
    widths = {name: max(width, len(_title(name))) for name, width in widths.items()}
    total = open_console().width if sys.stdout.isatty() else 80
    if "text" in widths:
        others = sum(width + 2 for name, width in widths.items() if name != "text")
        widths["text"] = min(widths["text"], max(20, total - others))
    for row in [{name: _title(name) for name in names}, *rows]:
        cells = {name: row.get(name, "") for name in names}
        if "text" in cells:
            cells["text"] = terminal.cut(cells["text"], widths["text"]) or ('""' if "text" in row else "")
        padded = (cell + " " * (widths[name] - terminal.cells(cell)) for name, cell in cells.items())
        terminal.say("  ".join(map(terminal.line, padded)).rstrip())


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
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def print_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    keep: Sequence[int] = (),
    spare: Sequence[int] = (),
) -> None:
    """Print a table of texts as wide as the terminal.

    Args:
        titles: of the columns.
        rows: a text for each column.
        keep: numbers of columns that are not broken.
        spare: numbers of columns that are left out where there is no room for all, in this order.
    """
    from rich.table import Table
    from rich.text import Text

    console = open_console()
    widths = {
        number: max(map(terminal.cells, (title, *(row[number] for row in rows))))
        for number, title in enumerate(titles)
    }
    left_out = []
    for number in spare:
        if sum(widths.values()) + 2 * (len(widths) - 1) > console.width:
            del widths[number]
            left_out.append(titles[number])
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number in widths:
        table.add_column(titles[number], no_wrap=number in keep, overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[number]) for number in widths))
    console.print(table)
    if left_out:
        terminal.say(f"No room for: {', '.join(left_out)}. A wider terminal shows it, and so does --json.")


def print_points(console: "Console", sentences: Iterable[str]) -> None:
    """Print sentences as a list, broken between words where they go to a terminal."""
    for sentence in sentences:
        line = f"- {sentence}"
        console.print(
            terminal.wrapped(line, console.width) if console.is_terminal else line,
            markup=False,
            soft_wrap=True,
        )


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
