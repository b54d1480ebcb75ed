"""Hyperparameters by name, for axes and columns, whatever branches they are drawn in."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

from kerasdl.search.space import Parameter


def by_name(space: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return one parameter for each name, with the union of their ranges, in the order of the space.

    The same name may stand under several conditions ("units" of two kinds of block). Conditions are dropped:
    a parameter is active in a trial where the trial has a value for it.
    """
    found: dict[str, Parameter] = {}
    for parameter in space:
        known = found.get(parameter.name)
        found[parameter.name] = dataclasses.replace(
            parameter if known is None else _union(known, parameter), conditions=()
        )
    return tuple(found.values())


def _union(a: Parameter, b: Parameter) -> Parameter:
    if "choice" in (a.kind, b.kind):
        choices = tuple(dict.fromkeys((*a.choices, *b.choices)))
        return dataclasses.replace(a, kind="choice", choices=choices, ordered=a.ordered and b.ordered)
    return dataclasses.replace(
        a,
        kind="float" if "float" in (a.kind, b.kind) else "int",
        low=min(a.low, b.low),
        high=max(a.high, b.high),
        sampling=a.sampling if a.sampling == b.sampling else "linear",
    )


def is_log(parameter: Parameter) -> bool:
    """Tell whether values are compared by their ratio rather than by their difference."""
    return parameter.kind != "choice" and parameter.sampling == "log" and parameter.low > 0


def categories(parameter: Parameter, values: Iterable[Any]) -> list[Any]:
    """Return the choices, then other values: the space may have changed since."""
    return list(dict.fromkeys((*parameter.choices, *values)))


def number(parameter: Parameter, value: Any) -> float:
    """Return the position of a number on its axis: itself or its decimal logarithm."""
    value = float(positive(parameter, value))
    return math.log10(value) if is_log(parameter) else value


def positive(parameter: Parameter, value: Any) -> Any:
    """Return a value; the lower end for one without a logarithm where values are compared by ratios.

    The recipe's own value may be such a one: no weight decay, where a search tries 1e-4 to 1e-1.
    """
    return parameter.low if is_log(parameter) and value <= 0 else value


def spelled(value: Any) -> str:
    """Return a value as text."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
