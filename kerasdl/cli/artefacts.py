"""Prints what a training run or an export made: its files, their figures and speeds, what to type next."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.cli.printing import open_console, print_next, print_table, print_text, total, widths_of
from kerasdl.errors import UsageError
from kerasdl.files import read_arrays
from kerasdl.report import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from kerasdl.export.bundle import Bundle
    from kerasdl.jobs.result import Result
    from kerasdl.tasks.task import Task


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
        places = (result.recipe.data.place, result.run.path)
        _print_bundle(console, result.bundle, result.recipe.task, places, logs)


def print_bundle(
    console: "Console", bundle: "Bundle", task: "Task", place: str | None = None, run: Path | None = None
) -> None:
    """Print the files of an export and the commands to type next.

    Args:
        console: where to.
        bundle: what was exported.
        task: its task.
        place: where the data lies. Defaults to None, where that is not known.
        run: the run that it was exported from. Defaults to None.
    """
    print_rows(console, bundle.rows, task)
    _print_bundle(console, bundle, task, (place, run))


def print_rows(console: "Console", rows: Sequence[Mapping[str, Any]], task: "Task") -> None:
    """Print one line for each artefact: size, the task's figures and latency, or why it failed."""
    columns = _columns(rows, task)
    titles = ("artefact", "size", *(title for title, _ in columns.values()), "latency")
    last = len(titles) - 1
    print_table(
        titles,
        [_cells(row, columns) for row in rows],
        keep=range(len(titles)),
        spare=(last, *range(last - 1, 2, -1), 1),
        right=range(1, len(titles)),
        elsewhere="the bundle's README.md",
    )
    for row in rows:
        if "error" in row:
            print_text(console, f"{row['file']}: {row['error']}", style="red")


def _columns(rows: Sequence[Mapping[str, Any]], task: "Task") -> dict[str, tuple[str, str]]:
    """Return the task's columns, by figure, but for those that nothing was measured for."""
    from kerasdl.inference.endpoint import columns_of

    return columns_of(rows, task.columns)


def _cells(row: Mapping[str, Any], columns: Mapping[str, tuple[str, str]]) -> list[str]:
    if "error" in row:
        return [row["file"], "left out" if row.get("refused") else "failed", *[""] * (len(columns) + 1)]
    figures = [_figure(row, name, form) for name, (_, form) in columns.items()]
    return [row["file"], _size(row), *figures, f"{row['latency_ms']:.3f} ms" if "latency_ms" in row else ""]


def _size(row: Mapping[str, Any]) -> str:
    return f"{row['bytes'] / 1e3:,.0f} kB"


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
    shown = {name: title for name, title in columns.items() if any(name in row for row in rows)}
    titles = ("artefact", "size", "threads", *shown.values())
    cells = []
    for row in rows:
        figures = [f"{row[name]:,.2f}" if name in row else "" for name in shown]
        failed = ["failed", *figures[1:]] if "error" in row else figures
        cells.append([row["file"], _size(row), str(row["threads"]), *failed])
    _print_numbers(titles, cells)


def print_speeds(rows: Sequence[Mapping[str, Any]], task: "Task") -> None:
    """Print one line for each artefact and number of threads; two tables where one is too wide.

    Latency is that of the smallest batch, throughput that of each batch size. A star marks a batch that was
    run example by example.

    Args:
        rows: rows of `kerasdl.jobs.benchmark.Speeds`.
        task: task whose figures are shown.
    """
    columns = _columns(rows, task)
    cells = [cell for row in rows for cell in row.get("speed", ())]
    sizes = sorted({cell["batch_size"] for cell in cells})
    latency = [f"batch {size}\n{name} ms" for size in sizes[:1] for name in ("p50", "p95")]
    titles = ["threads", *latency, *(f"batch {size}\nexamples/s" for size in sizes)]
    about = [
        [row["file"], _size(row), *(_figure(row, name, form) for name, (_, form) in columns.items())]
        for row in rows
    ]
    speeds = [_speeds(row, sizes) for row in rows]
    about_titles = ["artefact", "size", *(title for title, _ in columns.values())]
    together = [
        [*(first if number == 0 else [""] * len(first)), *cells]
        for first, lines in zip(about, speeds, strict=True)
        for number, cells in enumerate(lines)
    ]
    if total(widths_of([*about_titles, *titles], together).values()) <= open_console().width:
        _print_numbers([*about_titles, *titles], together)
    else:
        _print_numbers(about_titles, about)
        terminal.say()
        named = [
            [first[0] if number == 0 else "", *cells]
            for first, lines in zip(about, speeds, strict=True)
            for number, cells in enumerate(lines)
        ]
        _print_numbers(["artefact", *titles], named)
    if any(cell["one_by_one"] for cell in cells):
        terminal.tell(
            "* one after the other: the file takes one example (kerasdl export RUN --dynamic-batch)",
            file=sys.stdout,
        )


def _speeds(row: Mapping[str, Any], sizes: Sequence[int]) -> list[list[str]]:
    """Return the cells of a row's lines, one line for each number of threads."""
    if "error" in row:
        return [["failed", *[""] * (2 + len(sizes))]]
    lines = []
    for threads in dict.fromkeys(cell["threads"] for cell in row["speed"]):
        found = {cell["batch_size"]: cell for cell in row["speed"] if cell["threads"] == threads}
        milliseconds = [f"{found[sizes[0]][name]:.3f}" for name in ("p50_ms", "p95_ms")]
        lines.append([str(threads), *milliseconds, *(_rate(found[size]) for size in sizes)])
    return lines


def _print_numbers(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of numbers behind names; where there is no room its last columns go first."""
    numbers = range(1, len(titles))
    print_table(titles, rows, keep=range(len(titles)), spare=tuple(reversed(numbers)), right=numbers)


def _rate(cell: Mapping[str, Any]) -> str:
    return f"{cell['examples_per_second']:,.0f}{'*' if cell['one_by_one'] else ' '}"


def _print_bundle(
    console: "Console",
    bundle: "Bundle",
    task: "Task",
    places: tuple[str | None, Path | None],
    *more: Sequence[str],
) -> None:
    from kerasdl.export.identity import identity

    console.print(f"Bundle  {bundle.path}")
    console.print(f"SHA-256 {identity(bundle.path)}")
    console.print("        (whoever gets the bundle: kerasdl verify --expect SHA-256)")
    path = bundle.path
    good = [row for row in bundle.rows if "error" not in row]
    example = _example(bundle.example, *places)
    commands = []
    for row in good:
        file = str(path if row["kind"] == "saved_model" else path / row["file"])
        commands.append(task.try_command(file, tuple(row.get("endpoints") or ()), example))
    commands = list(filter(None, commands))[:1]
    if any(row["kind"] == "saved_model" for row in good):
        commands.append(["kerasdl", "serve", str(path.parent)])
    print_next(console, [*commands, ["kerasdl", "verify", str(path)], *more])


def _example(example: str, place: str | None, run: Path | None) -> str:
    """Return an argument of `kerasdl predict` that works: a file of the data or of the run.

    Args:
        example: of the endpoint.
        place: where the data lies, where that is known.
        run: the run, which may keep images of its mistakes.

    Returns:
        The argument; "" where there is none.
    """
    from kerasdl.inference import given

    if not example:
        return ""
    is_series = example.endswith(".csv")  # a series goes on behind its last rows
    if is_series or example[0].isdecimal():
        is_table = place is not None and Path(place).suffix in (".csv", ".tsv")
        return place if is_table and Path(place).expanduser().is_file() else "" if is_series else example
    if not example.endswith(given.SUFFIXES):
        return example
    if place is not None and Path(place).expanduser().is_dir():
        with contextlib.suppress(UsageError, OSError):
            return given.expand([str(Path(place).expanduser())], ())[0]
    kept = run / "mistakes.npz" if run is not None else None
    return str(kept) if kept is not None and kept.is_file() and len(read_arrays(kept)["indices"]) else ""
