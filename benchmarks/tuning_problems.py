"""Functions with known minima for benchmarks/tuning.py: two classics, two spaces of conditions, a table."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerasdl.search.space import Condition, Parameter

TABLE = Path(__file__).with_name("tuning_lenet5.json")


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is minimised: the regret of values is `function(values) - best`."""

    space: tuple[Parameter, ...]
    function: Callable[[dict[str, Any]], float]
    best: float


def number(name: str, low: float, high: float, sampling: str = "linear", **options) -> Parameter:
    return Parameter(name=name, kind="float", low=low, high=high, sampling=sampling, default=low, **options)


def integer(name: str, low: int, high: int, sampling: str = "linear", step: int | None = 1, **options):
    options = {"sampling": sampling, "step": step, "default": low, **options}
    return Parameter(name=name, kind="int", low=low, high=high, **options)


def choice(name: str, *choices, ordered: bool = False, **options) -> Parameter:
    return Parameter(
        name=name, kind="choice", choices=choices, ordered=ordered, default=choices[0], **options
    )


def when(parent: str, *values) -> tuple[Condition, ...]:
    return (Condition(parent, values),)


def branin(values: dict[str, Any]) -> float:
    x, y = values["x"], values["y"]
    bowl = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_HARTMANN = (
    (1.0, (10, 3, 17, 3.5, 1.7, 8), (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886)),
    (1.2, (0.05, 10, 17, 0.1, 8, 14), (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991)),
    (3.0, (3, 3.5, 1.7, 10, 17, 8), (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650)),
    (3.2, (17, 8, 0.05, 10, 0.1, 14), (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381)),
)


def hartmann6(values: dict[str, Any]) -> float:
    x = [values[f"x{i}"] for i in range(6)]
    return -sum(
        height * math.exp(-sum(a * (b - c) ** 2 for a, b, c in zip(steep, x, at, strict=True)))
        for height, steep, at in _HARTMANN
    )


MIXED = (
    choice("optimizer", "sgd", "adam", "rmsprop"),
    number("learning_rate", 1e-5, 1.0, "log"),
    number("momentum", 0.0, 0.99, conditions=when("optimizer", "sgd")),
    number("weight_decay", 1e-6, 1e-1, "log", conditions=when("optimizer", "adam")),
    integer("layers", 1, 6),
    integer("units", 16, 512, "log", step=2),
    choice("activation", "relu", "tanh", "elu", "sigmoid"),
    number("dropout", 0.0, 0.7),
    choice("batch_norm", False, True),
)


def mixed(values: dict[str, Any]) -> float:
    """Behave like an error rate: smooth near the best, 1 far away, worse above a learning rate."""
    optimizer, normalised = values["optimizer"], values["batch_norm"]
    loss = {"sgd": 0.0, "adam": 0.05, "rmsprop": 0.15}[optimizer]
    best_rate = {"sgd": -0.8, "adam": -2.8, "rmsprop": -3.1}[optimizer]
    if optimizer == "sgd":
        loss += 1.5 * (values["momentum"] - 0.9) ** 2
        best_rate -= 1.0 * values["momentum"]
    if optimizer == "adam":
        loss += 0.03 * (math.log10(values["weight_decay"]) + 3) ** 2
    best_rate += (0.4 if normalised else 0.0) - 0.1 * values["layers"]
    off = math.log10(values["learning_rate"]) - best_rate
    loss += (1.0 if off > 0 else 0.25) * off**2
    octaves = math.log2(values["units"]) - 7
    loss += 0.04 * (values["layers"] - 4) ** 2 + 0.04 * octaves**2
    loss += 2.0 * (values["dropout"] - 0.3 - 0.08 * octaves) ** 2
    sigmoid = 0.2 if normalised else 0.6
    loss += {"relu": 0.03, "tanh": 0.15, "elu": 0.0, "sigmoid": sigmoid}[values["activation"]]
    return 1.0 - math.exp(-loss - (0.0 if normalised else 0.1))


HELD_OUT = (
    choice("family", "linear", "trees", "network"),
    choice("penalty", "none", "l1", "l2", conditions=when("family", "linear")),
    number("strength", 1e-4, 10.0, "log", conditions=when("penalty", "l1", "l2")),
    integer("depth", 2, 12, conditions=when("family", "trees")),
    integer("rounds", 50, 500, step=50, conditions=when("family", "trees")),
    number("shrinkage", 0.01, 1.0, "log", conditions=when("family", "trees")),
    integer("depth_of_network", 1, 4, conditions=when("family", "network")),
    choice("width", 16, 32, 64, 128, 256, ordered=True, conditions=when("family", "network")),
    choice("schedule", "constant", "cosine", "step", conditions=when("family", "network")),
    number("decay", 0.05, 0.95, conditions=when("schedule", "step")),
    number("rate", 1e-4, 1e-1, "log", conditions=when("family", "network")),
    number("average", 0.5, 0.999, "reverse_log", conditions=when("family", "network")),
    integer("features", 4, 64),
    choice("scaling", "none", "standard", "rank"),
    number("label_smoothing", 0.0, 0.3, step=0.05),
)


def held_out(values: dict[str, Any]) -> float:
    family = values["family"]
    loss = 0.0004 * (values["features"] - 40) ** 2 + 4 * (values["label_smoothing"] - 0.1) ** 2
    loss += {"none": 0.0 if family == "trees" else 0.25, "standard": 0.05, "rank": 0.0}[values["scaling"]]
    if family == "linear":
        loss += 0.5 + {"none": 0.1, "l1": 0.0, "l2": 0.02}[values["penalty"]]
        loss += 0.05 * (math.log10(values.get("strength", 1e-4)) + 1) ** 2
    elif family == "trees":
        effort = math.log10(values["shrinkage"] * values["rounds"])
        loss += 0.12 + 0.02 * (values["depth"] - 6) ** 2 + 0.6 * (effort - 1.3) ** 2
    else:
        rate = math.log10(values["rate"])
        loss += 0.08 * (values["depth_of_network"] - 2) ** 2 + 0.05 * (math.log2(values["width"]) - 7) ** 2
        loss += 0.6 * (rate + 2.3 + 0.2 * values["depth_of_network"]) ** 2
        loss += 0.1 * (-math.log10(1.0 - values["average"]) - 1.5) ** 2
        loss += {"constant": 0.12, "cosine": 0.03, "step": 0.0}[values["schedule"]]
        loss += 0.8 * (values.get("decay", 0.3) - 0.3) ** 2
    return 1.0 - math.exp(-loss)


def lenet5() -> Problem:
    """Read the table that benchmarks/tuning_table.py made: LeNet-5 on digits, trained, no two rows alike."""
    table = json.loads(TABLE.read_text())
    names = [part["name"] for part in table["space"]]
    space = tuple(choice(part["name"], *part["choices"], ordered=part["ordered"]) for part in table["space"])
    errors = {tuple(row[:-1]): row[-1] for row in table["rows"]}
    return Problem(space, lambda values: errors[tuple(values[name] for name in names)], min(errors.values()))


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "branin": lambda: Problem((number("x", -5.0, 10.0), number("y", 0.0, 15.0)), branin, 0.39788735772973816),
    "hartmann6": lambda: Problem(
        tuple(number(f"x{i}", 0.0, 1.0) for i in range(6)), hartmann6, -3.322368011415515
    ),
    "mixed": lambda: Problem(MIXED, mixed, 0.0),
    "held-out": lambda: Problem(HELD_OUT, held_out, 0.0),
    "lenet5": lenet5,
}
