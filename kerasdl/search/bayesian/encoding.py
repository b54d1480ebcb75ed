"""The values of a conditional search space as points that distances can be taken between."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.search.space import Parameter

_MANY = 1000  # largest number of values that is listed; of more, positions are rounded
_OUTSIDE = 0.5  # largest distance from the unit interval of a value outside of its range


class _Axis:
    """One parameter on the unit interval; numbers out of range lie beside it, unknown choices at NaN."""

    def __init__(self, parameter: Parameter):
        self.parameter = parameter
        self.ordinal = parameter.kind != "choice" or parameter.ordered
        self.values = _finite_values(parameter)
        if parameter.kind == "choice":
            self.positions = np.linspace(0.0, 1.0, len(parameter.choices))
        elif self.values is not None:
            self.positions = np.array([self._position(value) for value in self.values])
            order = np.argsort(self.positions)
            self.positions, self.values = self.positions[order], tuple(self.values[i] for i in order)

    def _position(self, value: float) -> float:
        low, high, sampling = self.parameter.low, self.parameter.high, self.parameter.sampling
        if high <= low:
            return 0.0
        if sampling == "linear":
            position = (value - low) / (high - low)
        elif sampling == "log":
            position = math.log(max(value, 1e-300) / low) / math.log(high / low)
        else:
            position = 1.0 - math.log(max(high + low - value, 1e-300) / low) / math.log(high / low)
        return min(max(position, -_OUTSIDE), 1.0 + _OUTSIDE)

    def encode(self, value: Any) -> float:
        if self.parameter.kind != "choice":
            return self._position(value)
        if value in self.values:
            return float(self.positions[self.values.index(value)])
        return math.nan

    def decode(self, position: float) -> Any:
        if self.values is not None:
            return self.values[int(self.index(np.array(position)))]
        low, high, sampling = self.parameter.low, self.parameter.high, self.parameter.sampling
        position = min(max(float(position), 0.0), 1.0)
        if sampling == "linear":
            value = low + position * (high - low)
        elif sampling == "log":
            value = low * (high / low) ** position
        else:
            value = high + low - low * (high / low) ** (1.0 - position)
        value = min(max(value, low), high)
        return round(value) if self.parameter.kind == "int" else float(value)

    def index(self, positions: np.ndarray) -> np.ndarray:
        """Return which of the finite values is nearest; -1 for an unknown choice."""
        borders = (self.positions[1:] + self.positions[:-1]) / 2
        return np.where(np.isnan(positions), -1, np.searchsorted(borders, positions))

    def snap(self, positions: np.ndarray) -> np.ndarray:
        """Move to the nearest positions that a value has."""
        if self.values is not None:
            return self.positions[self.index(positions)]
        if self.parameter.kind == "float":
            return np.clip(positions, 0.0, 1.0)
        return np.array([self.encode(self.decode(position)) for position in positions])

    def sample(self, uniform: np.ndarray) -> np.ndarray:
        """Turn numbers of [0, 1) into positions, all values equally likely."""
        if self.values is None:
            return self.snap(uniform)
        count = len(self.values)
        return self.positions[np.minimum((uniform * count).astype(int), count - 1)]

    def matches(self, positions: np.ndarray, values: tuple[Any, ...]) -> np.ndarray:
        """Tell where the value is one of `values`."""
        if self.values is None:
            return np.array([self.decode(position) in values for position in positions], bool)
        wanted = np.array([*(value in values for value in self.values), False])  # the last for -1
        return wanted[self.index(positions)]


def _finite_values(parameter: Parameter) -> tuple[Any, ...] | None:
    """Return all values of a parameter; None where there are too many to list."""
    low, high, step = parameter.low, parameter.high, parameter.step
    if parameter.kind == "choice":
        return parameter.choices
    if high <= low:
        return (low,)
    if parameter.kind == "int" and not step and high - low < _MANY:
        return tuple(range(low, high + 1))
    if not step:
        return None
    if parameter.sampling == "linear":
        values = [low + i * step for i in range(int((high - low) / step + 1e-8) + 1)]
    else:
        values = [low * step**i for i in range(int(math.log(high / low, step) + 1e-8) + 1)]
    if parameter.sampling == "reverse_log":
        values = [high + low - value for value in values]
    if len(values) > _MANY:
        return None
    return tuple(round(value) if parameter.kind == "int" else float(value) for value in values)


class Encoding:
    """The values of a conditional space as numbers, and back.

    A *position* is a point of the unit cube with a coordinate for every parameter, active or not; conditions
    say which of them count. Its *features* are what distances are taken between, so that a model sees only
    what counts. A number is itself, an unordered choice one-hot (any two are 1 apart, Hamming). Numbers that
    may be inactive are (x - 0.5, 0.5) against (0, 0): the same constant for all that lack them, about as far
    from each that has them. Since that is an embedding, any kernel over it stays positive definite.

    Attributes:
        axes: one for each parameter.
        groups: which parameter each feature belongs to.
        columns: the feature that moves with a parameter's position; -1 for unordered choices.
    """

    def __init__(self, space: Sequence[Parameter]):
        self.axes = [_Axis(parameter) for parameter in space]
        groups, columns = [], []
        for i, axis in enumerate(self.axes):
            columns.append(len(groups) if axis.ordinal else -1)
            conditional = bool(axis.parameter.conditions)
            groups += [i] * ((1 + conditional) if axis.ordinal else len(axis.values))
        self.groups, self.columns = np.array(groups, int), np.array(columns, int)

    def encode(self, values: Mapping[str, Any]) -> np.ndarray:
        """Return the position of one trial's values; inactive parameters are in the middle."""
        position = np.full(len(self.axes), 0.5)
        for i, axis in enumerate(self.axes):
            parameter = axis.parameter
            if parameter.is_active(values):  # a trial from before a parameter was added had its default
                position[i] = axis.encode(values.get(parameter.name, parameter.default))
        return position

    def encode_all(self, trials: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the positions of several, (trials, parameters)."""
        return np.array([self.encode(values) for values in trials]).reshape(len(trials), len(self.axes))

    def decode(self, position: np.ndarray) -> dict[str, Any]:
        """Return the active values at a position."""
        values: dict[str, Any] = {}
        for axis, coordinate in zip(self.axes, position, strict=True):
            if axis.parameter.is_active(values):
                values[axis.parameter.name] = axis.decode(coordinate)
        return values

    def active(self, positions: np.ndarray) -> np.ndarray:
        """Tell which parameters count, (points, parameters)."""
        active = np.ones(positions.shape, bool)
        for i, axis in enumerate(self.axes):
            for condition in axis.parameter.conditions:
                holds = np.zeros(len(positions), bool)
                for j, parent in enumerate(self.axes[:i]):
                    if parent.parameter.name == condition.parent:
                        holds |= active[:, j] & parent.matches(positions[:, j], condition.values)
                active[:, i] &= holds
        return active

    def features(self, positions: np.ndarray, active: np.ndarray | None = None) -> np.ndarray:
        """Return what distances are taken between, (points, features)."""
        active = self.active(positions) if active is None else active
        features = np.zeros((len(positions), len(self.groups)))
        for i, axis in enumerate(self.axes):
            (where,), first = np.nonzero(active[:, i]), int(np.searchsorted(self.groups, i))
            if not axis.ordinal:
                index = axis.index(positions[where, i])
                features[where[index >= 0], first + index[index >= 0]] = math.sqrt(0.5)
            elif axis.parameter.conditions:
                features[where, first] = np.nan_to_num(positions[where, i], nan=0.5) - 0.5
                features[where, first + 1] = 0.5
            else:
                features[where, first] = np.nan_to_num(positions[where, i], nan=0.5)
        return features

    def sample(self, uniform: np.ndarray) -> np.ndarray:
        """Turn points of the unit cube (a Sobol sequence) into positions that values have."""
        columns = [axis.sample(uniform[:, i]) for i, axis in enumerate(self.axes)]
        return np.stack(columns, axis=1)

    def snap(self, positions: np.ndarray) -> np.ndarray:
        """Move points to the nearest positions that values have."""
        return np.stack([axis.snap(positions[:, i]) for i, axis in enumerate(self.axes)], axis=1)

    def all_values(self, limit: int) -> list[dict[str, Any]] | None:
        """Return every different trial of a finite space; None where there are more than `limit`."""
        found: list[dict[str, Any]] = [{}]
        for axis in self.axes:
            parameter, longer = axis.parameter, []
            for values in found:
                if not parameter.is_active(values):
                    longer.append(values)
                elif axis.values is None:
                    return None
                else:
                    longer += [{**values, parameter.name: value} for value in axis.values]
                if len(longer) > limit:
                    return None
            found = longer
        return found
