"""A class with arguments: how a recipe names its network and its preprocessing."""

import inspect
from collections.abc import Mapping
from typing import Any

from kerasdl.errors import UsageError, did_you_mean


class Config:
    """A class and the arguments to build it with: a `functools.partial` that can be compared and saved.

    Each argument is also an attribute: `Config(LeNet5).dropout` is the default of LeNet5's dropout. Where a
    name means something else here, or comes from elsewhere, `values[name]` is the way to read it.

    Args:
        target: class (a network, a layer) that `build` makes an instance of.
        **arguments: keyword arguments of its constructor; the others keep their defaults.

    Attributes:
        target: the class.
        arguments: the arguments that were given.
        values: all arguments of the constructor that have a value, given or by default.

    Raises:
        UsageError: for an argument that the constructor does not have.

    Example:
        >>> Config(LeNet5, dropout=0.1).build(num_classes=10)
    """

    def __init__(self, target: type, /, **arguments: Any):
        known = parameters(target)
        for name in arguments:
            if name not in known:
                raise UsageError(
                    f"{target.__name__} has no argument {name!r}; it takes {', '.join(known) or 'none'}."
                    + did_you_mean(name, known)
                )
        self.target = target
        self.arguments = arguments
        self.values: Mapping[str, Any] = {
            name: arguments.get(name, parameter.default)
            for name, parameter in known.items()
            if name in arguments or parameter.default is not parameter.empty
        }

    def build(self, **more: Any) -> Any:
        """Make the instance.

        Args:
            **more: arguments that only the run knows, such as the number of classes.

        Raises:
            UsageError: when the constructor refuses a value, or needs one that is not there.
        """
        arguments = {**self.arguments, **more}
        missing = [name for name in parameters(self.target) if name not in {**self.values, **arguments}]
        if missing:
            raise UsageError(f"{self.target.__name__} needs {', '.join(missing)}. Give it in the Config.")
        try:
            return self.target(**arguments)
        except (ValueError, KeyError) as error:
            raise UsageError(f"{self.target.__name__} cannot be built: {error}") from error

    def replace(self, **changes: Any) -> "Config":
        """Return the same configuration with some arguments changed."""
        return Config(self.target, **{**self.arguments, **changes})

    def __getattr__(self, name: str) -> Any:
        values = vars(self).get("values", {})  # empty in a copy that is being made
        if name not in values:
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}." + did_you_mean(name, values)
            )
        return values[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.target is other.target and self.values == other.values

    def __hash__(self) -> int:
        return hash((self.target, tuple(sorted(self.values))))

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.arguments.items())
        return f"Config({self.target.__name__}{arguments})"


def parameters(target: type) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class's constructor that can be given by name."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(target).parameters
    return {name: parameter for name, parameter in found.items() if parameter.kind in kinds}


def type_of(part: Any) -> type:
    """Return the class of a part of a recipe, or the class that it builds."""
    return part.target if isinstance(part, Config) else type(part)
