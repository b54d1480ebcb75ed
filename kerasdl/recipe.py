"""One run, fully described: a frozen value that can be compared, overridden, written and read again."""

import dataclasses
import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every run has. Comments above the fields are the help of the command line's flags.

    Raises:
        UsageError: for a value outside its range, or two that contradict each other.
    """

    # Name of the pipeline; the catalog fills in the file's name when it is empty.
    name: str = ""
    # The network: Config(LeNet5, dropout=0.1).
    model: Config
    # Where examples come from: Digits(), Tfds(name="mnist"), ImageFolder(path="...").
    data: Any
    # What kind of problem it is: loss, metrics, evaluation, endpoints.
    task: Any
    # From raw examples to what the network takes; None for networks that take them as they are.
    preprocessing: Config | None = None
    # Random changes to training examples, such as RandomAffine(shift=0.08).
    augmentation: Any = None
    # Passes over the training data.
    epochs: int = 10
    # Updates that a small data set gets at least, by more epochs; 0 where epochs are given by hand.
    min_steps: int = 0
    # Examples per update, over all replicas together.
    batch_size: int = 128
    # Update rule.
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adamw"
    # Highest learning rate of the schedule.
    learning_rate: float = 1e-3
    # Momentum of sgd and rmsprop, 0 to 1.
    momentum: float = 0.9
    # Nesterov's momentum (sgd only).
    nesterov: bool = False
    # Decoupled weight decay per step, as a factor on the learning rate; not on biases and scales.
    weight_decay: float = 0.0
    # How the learning rate moves over the run.
    schedule: Literal["constant", "step", "cosine", "one_cycle", "plateau"] = "cosine"
    # Epochs of linear warm-up from 0, before the schedule begins; may be a fraction.
    warmup_epochs: float = 0.0
    # Epochs between the drops of the step schedule; epochs without progress of plateau.
    schedule_epochs: int = 5
    # Factor of a drop of the step and plateau schedules, 0 to 1.
    schedule_factor: float = 0.1
    # Longest norm of the gradient of each weight; none for no limit.
    clip_norm: float | None = None
    # Longest norm of all gradients together; none for no limit.
    global_clip_norm: float | None = None
    # Parts that each batch is worked through in, to save memory; the update stays the same.
    gradient_accumulation_steps: int = 1
    # Momentum of the moving average of weights that is evaluated and shipped; none for no average.
    ema_momentum: float | None = None
    # Arithmetic of the layers; weights stay float32.
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    # Epochs without a better validation score after which training stops; none to train all epochs.
    early_stopping: int | None = None
    # Devices: auto, mirrored (all GPUs), none (one device), cpu:2 (two logical CPU devices).
    strategy: str = "auto"
    # Seed of initial weights, data order, augmentation and dropout.
    seed: int = 0
    # Bit-identical results on the same machine; slower on GPUs.
    deterministic: bool = False

    def __post_init__(self):
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"{name} is {value}, but it has to lie between {low:g} and {high:g}.")
        for field in dataclasses.fields(self):
            if get_origin(field.type) is Literal:
                check_choice(field.name, getattr(self, field.name), get_args(field.type))
        if self.clip_norm is not None and self.global_clip_norm is not None:
            raise UsageError("clip_norm and global_clip_norm are both set; keep one of them.")
        if self.nesterov and self.optimizer != "sgd":
            raise UsageError(f"nesterov is for the sgd optimizer, not for {self.optimizer}.")
        if self.schedule == "plateau" and self.warmup_epochs:
            raise UsageError("warmup_epochs is not for the plateau schedule; set one of the two.")
        if self.warmup_epochs >= self.epochs:
            raise UsageError(
                f"warmup_epochs is {self.warmup_epochs:g}, but the run has only {self.epochs} epochs."
            )


_RANGES = (
    ("epochs", 1, 10**6),
    ("min_steps", 0, 10**9),
    ("batch_size", 1, 10**7),
    ("learning_rate", 1e-12, 1e6),
    ("momentum", 0, 1),
    ("weight_decay", 0, 1e6),
    ("warmup_epochs", 0, 10**6),
    ("schedule_epochs", 1, 10**6),
    ("schedule_factor", 0, 1),
    ("clip_norm", 1e-12, 1e12),
    ("global_clip_norm", 1e-12, 1e12),
    ("gradient_accumulation_steps", 1, 10**6),
    ("ema_momentum", 0, 1),
    ("early_stopping", 1, 10**6),
    ("seed", 0, 2**31 - 1),
)


def replace(recipe: Recipe, **changes: Any) -> Recipe:
    """Return the recipe with some fields changed.

    Whoever gives `epochs` means that number: `min_steps` is then 0 unless it is given too.

    Raises:
        UsageError: for a field that recipes do not have; fields of the network or the task are changed
            with `replace` of those parts.
    """
    known = [field.name for field in dataclasses.fields(Recipe)]
    for name in changes:
        if name not in known:
            raise UsageError(f"A recipe has no field {name!r}." + did_you_mean(name, known))
    if "epochs" in changes:
        changes.setdefault("min_steps", 0)
    return dataclasses.replace(recipe, **changes)


def check_choice(name: str, value: Any, choices: tuple) -> None:
    """Raise a UsageError that names the choices unless `value` is one of them."""
    if value not in choices:
        listed = ", ".join(str(choice) for choice in choices)
        raise UsageError(
            f"{name} is {value!r}, but it has to be one of {listed}."
            + did_you_mean(str(value), map(str, choices))
        )


def to_json(recipe: Recipe) -> str:
    """Write a recipe as JSON text: type names and fields, every default resolved."""
    return json.dumps(encode(recipe), indent=2) + "\n"


def from_json(text: str, folder: Path | None = None) -> Recipe:
    """Read what `to_json` wrote.

    Args:
        text: the JSON document.
        folder: where `recipe.py` lies, for types that the recipe's own file defines.

    Raises:
        UsageError: when the text is no recipe, or names a type or field that does not exist.
    """
    try:
        recipe = decode(json.loads(text), folder)
    except json.JSONDecodeError as error:
        raise UsageError(f"This is not a recipe: {error}. Give a recipe.json that a run wrote.") from error
    if not isinstance(recipe, Recipe):
        raise UsageError("This JSON file is not a recipe. Give a recipe.json that a run wrote.")
    return recipe


def encode(value: Any) -> Any:
    """Turn a recipe or a part of one into what JSON can hold: type names and fields, defaults resolved."""
    if isinstance(value, Config):
        return {"type": _type_name(value.target), "fields": encode(value._resolved)}
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"type": _type_name(type(value)), "fields": encode(fields)}
    if isinstance(value, dict):
        return {name: encode(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(part) for part in value]
    return value


def decode(value: Any, folder: Path | None = None) -> Any:
    """Turn what `encode` gave back into an equal recipe or part."""
    if isinstance(value, list):
        return tuple(decode(part, folder) for part in value)
    if not isinstance(value, dict):
        return value
    if value.keys() != {"type", "fields"}:
        return {name: decode(part, folder) for name, part in value.items()}
    target = _find_type(value["type"], folder)
    fields = decode(value["fields"], folder)
    if not dataclasses.is_dataclass(target):
        return Config(target, **fields)
    known = [field.name for field in dataclasses.fields(target)]
    for name in fields:
        if name not in known:
            raise UsageError(f"{value['type']} has no field {name!r}." + did_you_mean(name, known))
    return target(**fields)


def _type_name(target: type) -> str:
    """Return `module.Class`, or `recipe.py:Class` for a class of a recipe file outside any package."""
    module = sys.modules[target.__module__]
    if getattr(module, "__recipe_file__", None):
        return f"recipe.py:{target.__qualname__}"
    return f"{target.__module__}.{target.__qualname__}"


def _find_type(name: str, folder: Path | None) -> type:
    if name.startswith("recipe.py:"):
        from kerasdl import catalog

        module_name, attribute = "recipe.py", name.partition(":")[2]
        module = catalog.load_module((folder or Path()) / "recipe.py")
    else:
        module_name, _, attribute = name.rpartition(".")
        try:
            module = importlib.import_module(module_name)
        except (ImportError, ValueError) as error:
            raise UsageError(
                f"The recipe names the type {name!r}, which cannot be found: {error}."
            ) from error
    found = getattr(module, attribute, None)
    if not isinstance(found, type):
        raise UsageError(f"The recipe names the type {name!r}, but {module_name} has no {attribute}.")
    return found
