"""A class with arguments: how a recipe names its network and its preprocessing."""

import inspect
from typing import Any

from kerasdl.errors import UsageError, did_you_mean


class Config:
    """A class and the keyword arguments to build it with: a `functools.partial` that compares and saves.

    Args:
        target: the class (a network, a layer) that `build` makes an instance of.
        **arguments: keyword arguments of its constructor; the others keep their defaults.

    Raises:
        UsageError: for an argument that the constructor does not have.

    Example:
        >>> Config(LeNet5, dropout=0.1).build(num_classes=10)
    """

    def __init__(self, target: type, /, **arguments: Any):
        known = {
            name: parameter.default
            for name, parameter in inspect.signature(target).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }
        for name in arguments:
            if name not in known:
                raise UsageError(
                    f"{target.__name__} has no argument {name!r}; it takes {', '.join(known)}."
                    + did_you_mean(name, known)
                )
        self.target = target
        self.arguments = arguments
        self._resolved = {name: arguments.get(name, default) for name, default in known.items()}

    def build(self, **more: Any) -> Any:
        """Make the instance. `more` are the arguments that only the run knows (number of classes, ...).

        Raises:
            UsageError: when the constructor refuses a value.
        """
        try:
            return self.target(**{**self.arguments, **more})
        except (ValueError, KeyError) as error:
            raise UsageError(f"{self.target.__name__} cannot be built: {error}") from error

    def replace(self, **changes: Any) -> "Config":
        """Return the same configuration with some arguments changed."""
        return Config(self.target, **{**self.arguments, **changes})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._resolved:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return self._resolved[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.target is other.target and self._resolved == other._resolved

    def __hash__(self) -> int:
        return hash((self.target, tuple(sorted(self._resolved))))

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.arguments.items())
        return f"Config({self.target.__name__}{arguments})"


def type_of(part: Any) -> type:
    """Return the class that a part of a recipe is, or is to build."""
    return part.target if isinstance(part, Config) else type(part)
