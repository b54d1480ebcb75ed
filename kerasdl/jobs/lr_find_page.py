"""The page of a learning-rate range test: loss over learning rate, with the suggestion marked."""

import math
import os
from pathlib import Path

from kerasdl.errors import UsageError
from kerasdl.files import replacing, writing
from kerasdl.jobs.lr_find import RangeTest, answer
from kerasdl.recipe import Recipe, type_of
from kerasdl.report import charts
from kerasdl.report.blocks import Chart, Notice, Section, Text
from kerasdl.report.render import render

_METHOD = (
    "Each update of a new network had a higher learning rate than the one before; the loss is that of its "
    "batch before the update. The suggestion is where the smoothed loss falls most steeply over the "
    "logarithm of the learning rate (Smith, Cyclical learning rates for training neural networks, 2017). "
    "It is the recipe's --learning-rate: the highest of its schedule. Nothing of this training was kept."
)
_HOVER = "learning rate %{x:.2e}<br>loss %{y:.4f}"


def check_writable(path: Path) -> None:
    """Raise a UsageError unless a file can be written there; said before the work and not after."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"The plot cannot be written to {path}. Give a file in a writable folder with --html."
        )


def write(path: Path, recipe: Recipe, test: RangeTest, command: str | None) -> None:
    """Write the page of a range test, atomically, in the place of an older one."""
    text = page(recipe, test, command)
    with writing(path, "Give another file with --html."), replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page(recipe: Recipe, test: RangeTest, command: str | None) -> str:
    """Return the page: one HTML file with all that it needs.

    Args:
        recipe: what was trained.
        test: what was seen.
        command: what to type to train with the suggestion; None where there is none.
    """
    notice = Notice(answer(recipe, test), "note" if command else "warning", command or "")
    setting = (
        f"{type_of(recipe.model).__name__} on {type_of(recipe.data).__name__}, {recipe.optimizer}, batch "
        f"size {recipe.batch_size}, {recipe.precision}. The test stopped {test.stopped}."
    )
    return render(
        title=f"Learning rates of {recipe.name}",
        subtitle="range test",
        notices=[notice],
        sections=[
            Section("Loss over learning rate", [chart(test)]),
            Section("How it was found", [Text(setting), Text(_METHOD)]),
        ],
    )


def chart(test: RangeTest) -> Chart:
    """Return the curves, batch by batch and smoothed, with the suggestion marked."""
    rates = list(test.learning_rates)
    losses, smoothed = (
        [loss if math.isfinite(loss) else None for loss in found] for found in (test.losses, test.smoothed)
    )
    traces = [
        charts.line("batches", rates, losses, {"color": "--chart-1", "width": 1}, _HOVER, opacity=0.45),
        charts.line("smoothed", rates, smoothed, {"color": "--chart-1", "width": 3}, _HOVER),
    ]
    if test.suggestion is not None:
        traces.append(_marker("suggestion", test, test.suggestion, "circle", "--chart-2"))
        traces.append(_marker("minimum / 10", test, test.tenth_of_minimum, "diamond", "--chart-3"))
    axes = (charts.axis("learning rate", log=True, tickformat=".0e"), charts.axis("loss", range=_range(test)))
    return charts.chart("Loss of each batch, and smoothed", traces, axes, _summary(test), height=440)


def _marker(name: str, test: RangeTest, rate: float, symbol: str, color: str) -> dict:
    nearest = min(range(len(test.learning_rates)), key=lambda i: abs(math.log(test.learning_rates[i] / rate)))
    marker = {"symbol": symbol, "size": 13, "color": color}
    return charts.points(f"{name}: {rate:.2g}", [rate], [test.smoothed[nearest]], marker, _HOVER)


def _range(test: RangeTest) -> list[float]:
    """Return the losses worth seeing: a last batch of 1e6 would flatten all others."""
    finite = [loss for loss in test.smoothed if math.isfinite(loss)] or [0.0, 1.0]
    lowest, first = min(finite), finite[0]
    top = min(max(finite), max(first, lowest) + 1.2 * max(first - lowest, abs(first) / 10, 1e-6))
    margin = 0.08 * max(top - lowest, 1e-6)
    return [lowest - 2 * margin, top + margin]


def _summary(test: RangeTest) -> str:
    finite = [
        (loss, rate) for loss, rate in zip(test.smoothed, test.learning_rates, strict=True) if loss == loss
    ]
    lowest = f"lowest, {min(finite)[0]:.4g}, at {min(finite)[1]:.2g}" if finite else "not finite"
    text = (
        f"The smoothed loss begins at {test.smoothed[0]:.4g} with a learning rate of "
        f"{test.learning_rates[0]:.2g} and is {lowest}; the test stopped {test.stopped}."
    )
    return text + ("" if test.suggestion is None else f" It falls most steeply at {test.suggestion:.2g}.")
