"""The settings of a training run: a frozen value that can be compared, changed, written and read again."""

import dataclasses
import logging
import re
from typing import TYPE_CHECKING, Any, Literal

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import idle, time_spans
from kerasdl.recipe.config import Config
from kerasdl.recipe.values import check_value

if TYPE_CHECKING:
    from kerasdl.data.source import Augmentation, Source
    from kerasdl.tasks.task import Task


_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a training run. The comment above a field is the help of its flag.

    Raises:
        UsageError: for a value of the wrong type or outside its range, or two that contradict each other.
    """

    # Name of the pipeline; the name of its file where it is empty.
    name: str = ""
    # Network: Config(LeNet5, dropout=0.1).
    model: Config
    # Source of the examples: Digits(), Tfds(name="mnist"), ImageFolder(path="...").
    data: "Source"
    # Kind of problem, with its loss, metrics, evaluation and endpoints: Classification().
    task: "Task"
    # Layer between raw examples and the network: Config(ImagePreprocessing); None for a network without one.
    preprocessing: Config | None = None
    # Random changes to training examples: RandomAffine(shift=0.08).
    augmentation: "Augmentation | None" = None
    # Initial weights: a run, a .keras, .weights.h5 or published .h5 file, or imagenet (downloads them). Their
    # preprocessing is used too; a head for other classes keeps its random initialisation.
    weights: str | None = dataclasses.field(default=None, metadata={"permits": "imagenet"})
    # Layers to freeze: none, backbone (all but the head), or the first N layers with weights. Frozen batch
    # norm keeps its moving statistics; dropout stays active.
    freeze: Literal["none", "backbone"] | int = "none"
    # Passes over the training data.
    epochs: int = 10
    # Further epochs with all layers unfrozen, a new optimizer and the schedule again, without warm-up.
    fine_tune_epochs: int = 0
    # Peak learning rate of the fine-tuning epochs; none for a tenth of the learning rate.
    fine_tune_learning_rate: float | None = None
    # Minimum number of updates; small data sets get more epochs for it. 0 where epochs are given by hand.
    min_steps: int = 0
    # Minimum number of updates in an epoch; small data sets get smaller batches for it, and a lower learning
    # rate with them. 0 where a batch size or a learning rate is given by hand.
    min_steps_per_epoch: int = 0
    # Examples per update, over all replicas together.
    batch_size: int = 128
    # Optimizer.
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adamw"
    # Peak learning rate of the schedule.
    learning_rate: float = 1e-3
    # Momentum of sgd and rmsprop, 0 to 1.
    momentum: float = 0.9
    # Nesterov momentum (sgd only).
    nesterov: bool = False
    # Momentum of adam and adamw, 0 to less than 1.
    beta_1: float = 0.9
    # Momentum of the squared gradient of adam and adamw, 0 to less than 1.
    beta_2: float = 0.999
    # Decoupled weight decay per step, as a factor on the learning rate; not on biases and scales.
    weight_decay: float = 0.0
    # Learning rate schedule over the run.
    schedule: Literal["constant", "step", "cosine", "one_cycle", "plateau"] = "cosine"
    # Epochs of linear warm-up from 0 before the schedule, may be a fraction; not for one_cycle and plateau.
    warmup_epochs: float = 0.0
    # Epochs between drops of the step schedule; epochs without improvement before a drop of plateau.
    schedule_epochs: int = 5
    # Factor by which the step and plateau schedules drop the learning rate, 0 to 1.
    schedule_factor: float = 0.1
    # Maximum norm of the gradient of each weight; none for no clipping.
    clip_norm: float | None = None
    # Maximum norm of all gradients together; none for no clipping.
    global_clip_norm: float | None = None
    # Number of parts that each batch is split into to save memory; except for batch norm, the update is the
    # same.
    gradient_accumulation_steps: int = 1
    # Momentum of the moving average of weights that is evaluated and exported; none for no average.
    ema_momentum: float | None = None
    # Arithmetic of the layers; weights stay float32.
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    # Epochs without a better validation score after which training stops; none to train all epochs.
    early_stopping: int | None = None
    # Training time after which the run stops, evaluates and exports: 90s, 10m, 1h30m; none for no limit.
    max_time: str | None = None
    # Batches per epoch: a count (100) or a fraction (0.1); none for all.
    limit_train_batches: int | float | None = None
    # Train on this many batches again and again, to check that the network can learn; none for real training.
    overfit_batches: int | None = None
    # Checkpoint interval: steps (500), time (10m), none (only the last one), or auto (as often as costs under
    # 1 % of the time).
    checkpoint_every: str = "auto"
    # Devices: auto, mirrored (all GPUs), none (one device), cpu:2 (two logical CPU devices).
    strategy: str = "auto"
    # Seed of initial weights, data order, augmentation and dropout.
    seed: int = 0
    # Bit-identical results on the same machine; slower on GPUs.
    deterministic: bool = False

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_value(field.name, getattr(self, field.name), field.type)
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"{name} is {value}, but it has to lie between {low} and {high}.")
        if not re.fullmatch(r"(\w[\w.-]*)?", self.name):
            raise UsageError(f"name is {self.name!r}, but it names folders: use letters, digits, - and _.")
        if self.clip_norm is not None and self.global_clip_norm is not None:
            raise UsageError("clip_norm and global_clip_norm are both set; keep one of them.")
        if self.nesterov and self.optimizer != "sgd":
            raise UsageError(f"nesterov is for the sgd optimizer, not for {self.optimizer}.")
        if self.schedule in ("plateau", "one_cycle") and self.warmup_epochs:
            raise UsageError(f"The {self.schedule} schedule has no warm-up: use --warmup-epochs 0 with it.")
        self._check_freezing()
        if self.max_time is not None:
            time_spans.to_seconds(self.max_time)
        if self.checkpoint_every not in ("auto", "none"):
            time_spans.check_every("checkpoint_every", self.checkpoint_every)
        if isinstance(self.limit_train_batches, float) and self.limit_train_batches > 1:
            raise UsageError(
                f"limit_train_batches is {self.limit_train_batches:g}: give a whole number, or a fraction "
                "between 0 and 1."
            )
        if self.warmup_epochs >= self.epochs:
            raise UsageError(
                f"warmup_epochs is {self.warmup_epochs:g}, but the run has only {self.epochs} epochs. Give "
                "--warmup-epochs 0, or more --epochs."
            )

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={value!r}"
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        )
        return f"Recipe({', '.join(shown)})"

    def _check_freezing(self) -> None:
        if self.freeze not in ("none", "backbone") and self.freeze < 1:
            raise UsageError(
                f"freeze is {self.freeze}, but it has to be none, backbone or a number of layers from 1 on."
            )
        if self.fine_tune_epochs and self.freeze == "none":
            raise UsageError(
                f"fine_tune_epochs is {self.fine_tune_epochs}, but nothing is frozen before them. Give "
                "--freeze backbone with them, or more --epochs and --fine-tune-epochs 0."
            )
        if self.fine_tune_learning_rate is not None and not self.fine_tune_epochs:
            raise UsageError(
                "fine_tune_learning_rate is set, but there are no epochs to use it in. Give "
                "--fine-tune-epochs 5 or another number of them."
            )

    @property
    def total_epochs(self) -> int:
        """Epochs of the run, with those of fine-tuning."""
        return self.epochs + self.fine_tune_epochs


_RANGES = (
    ("epochs", 1, 10**6),
    ("fine_tune_epochs", 0, 10**6),
    ("fine_tune_learning_rate", 1e-12, 1e6),
    ("min_steps", 0, 10**9),
    ("min_steps_per_epoch", 0, 10**6),
    ("batch_size", 1, 10**7),
    ("learning_rate", 1e-12, 1e6),
    ("momentum", 0, 1),
    ("beta_1", 0, 1 - 1e-9),
    ("beta_2", 0, 1 - 1e-9),
    ("weight_decay", 0, 1e6),
    ("warmup_epochs", 0, 10**6),
    ("schedule_epochs", 1, 10**6),
    ("schedule_factor", 0, 1),
    ("clip_norm", 1e-12, 1e12),
    ("global_clip_norm", 1e-12, 1e12),
    ("gradient_accumulation_steps", 1, 10**6),
    ("ema_momentum", 0, 1),
    ("early_stopping", 1, 10**6),
    ("limit_train_batches", 1e-9, 10**9),
    ("overfit_batches", 1, 10**6),
    ("seed", 0, 2**31 - 1),
)


def replace(recipe: Recipe, **changes: Any) -> Recipe:
    """Return the recipe with some fields changed.

    What is given is kept: with `epochs`, `min_steps` becomes 0, and with `batch_size` or `learning_rate`,
    `min_steps_per_epoch` does, unless they are given too. What is not given gives way to it, with a note:
    Nesterov momentum to another optimizer, warm-up to fewer epochs or a schedule without one, one kind of
    clipping to the other.

    Raises:
        UsageError: for a field that recipes do not have; fields of the network or the task are changed
            with `replace` of those parts.
    """
    known = {field.name: field.type for field in dataclasses.fields(Recipe)}
    for name, value in changes.items():
        if name not in known:
            raise UsageError(f"A recipe has no field {name!r}." + did_you_mean(name, known))
        check_value(name, value, known[name])
    if "epochs" in changes:
        changes.setdefault("min_steps", 0)
    if "batch_size" in changes or "learning_rate" in changes:
        changes.setdefault("min_steps_per_epoch", 0)
    changed = dataclasses.replace(recipe, **_giving_way(recipe, changes), **changes)
    idle.warn(changed, changes)
    return changed


def _giving_way(recipe: Recipe, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a recipe that would contradict changes to others, as they have to be."""
    now = {name: changes.get(name, getattr(recipe, name)) for name in ("optimizer", "schedule", "epochs")}
    found: dict[str, Any] = {}
    if recipe.nesterov and now["optimizer"] != "sgd":
        found["nesterov"] = False
    if recipe.warmup_epochs and now["schedule"] in ("plateau", "one_cycle"):
        found["warmup_epochs"] = 0.0
    elif recipe.warmup_epochs >= now["epochs"]:  # the same share of the run
        found["warmup_epochs"] = round(recipe.warmup_epochs * now["epochs"] / recipe.epochs, 4)
    for name, other in (("clip_norm", "global_clip_norm"), ("global_clip_norm", "clip_norm")):
        if getattr(recipe, name) is not None and changes.get(other) is not None:
            found[name] = None
    found = {name: value for name, value in found.items() if name not in changes}
    for name, value in found.items():
        given = ", ".join(one for one in changes if one in _GIVING_WAY[name])
        _log.info(f"{name} is {value} instead of {getattr(recipe, name)}, because of the {given} given.")
    return found


#: Fields that give way -> the fields whose change they give way to.
_GIVING_WAY = {
    "nesterov": ("optimizer",),
    "warmup_epochs": ("epochs", "schedule"),
    "clip_norm": ("global_clip_norm",),
    "global_clip_norm": ("clip_norm",),
}
