"""A search space as plain values, for the optimiser, the report and the state files.

Keras Tuner's `HyperParameters` are read from their configuration, so this imports no Keras.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition: the parameter is active while its parent is active and has one of these values."""

    parent: str
    values: tuple[Any, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameter:
    """One hyperparameter.

    Attributes:
        name: name, unique among parameters with the same conditions.
        kind: type; "float" and "int" have `low`, `high`, `step` and `sampling`; "choice" has `choices`.
        default: value of the recipe.
        low: lowest value, inclusive.
        high: highest value, inclusive.
        step: difference ("linear") or factor ("log") between neighbouring values; None for any value.
        sampling: spread of values between low and high: "linear", "log" or "reverse_log".
        choices: values of a choice, in order.
        ordered: whether the choices are numbers whose order has a meaning.
        conditions: conditions that all have to hold for the parameter to be active.
    """

    name: str
    kind: Literal["float", "int", "choice"]
    default: Any = None
    low: float = 0.0
    high: float = 1.0
    step: float | None = None
    sampling: Literal["linear", "log", "reverse_log"] = "linear"
    choices: tuple[Any, ...] = ()
    ordered: bool = False
    conditions: tuple[Condition, ...] = ()

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Tell whether the parameter counts, given the values of those before it in the space."""
        return all(
            condition.parent in values and values[condition.parent] in condition.values
            for condition in self.conditions
        )


def from_keras_tuner(configs: Sequence[Mapping[str, Any]]) -> tuple[Parameter, ...]:
    """Read the `space` of `HyperParameters.get_config()`; parents come before what depends on them."""
    return tuple(_parameter(part["class_name"], part["config"]) for part in configs)


def _parameter(kind: str, config: Mapping[str, Any]) -> Parameter:
    conditions = tuple(
        Condition(part["config"]["name"], tuple(part["config"]["values"]))
        for part in config.get("conditions") or ()
    )
    common = {"name": config["name"], "conditions": conditions}
    if kind == "Boolean":
        default = bool(config.get("default"))
        return Parameter(kind="choice", choices=(False, True), default=default, **common)
    if kind == "Fixed":
        return Parameter(kind="choice", choices=(config["value"],), default=config["value"], **common)
    if kind == "Choice":
        choices = tuple(config["values"])
        default = choices[0] if config.get("default") is None else config["default"]
        ordered = bool(config.get("ordered"))
        return Parameter(kind="choice", choices=choices, ordered=ordered, default=default, **common)
    default = config["min_value"] if config.get("default") is None else config["default"]
    return Parameter(
        kind={"Float": "float", "Int": "int"}[kind],
        default=default,
        low=config["min_value"],
        high=config["max_value"],
        step=config.get("step"),
        sampling=config.get("sampling") or "linear",
        **common,
    )
