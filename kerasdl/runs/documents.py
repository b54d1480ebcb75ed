"""The declared shapes of the JSON documents in a run folder, for `files.read_json`.

Earlier versions wrote fewer keys: only what a reader cannot do without is required.
"""

from typing import Any, NotRequired, TypedDict


class Tensor(TypedDict):
    """One tensor of an example: `data.dataset.Spec.describe`."""

    shape: list[int | None]
    dtype: str
    class_names: NotRequired[list[str]]
    mean: NotRequired[list[float]]
    std: NotRequired[list[float]]
    columns: NotRequired[list[str]]
    step: NotRequired[str]


class Data(TypedDict):
    """The description of the data: `data.dataset.Dataset.describe`."""

    fingerprint: str
    features: Tensor | dict[str, Any]
    targets: NotRequired[Tensor | dict[str, Any]]
    class_names: NotRequired[list[str]]
    examples: NotRequired[dict[str, int]]


class Part(TypedDict):
    """A recipe, or a part of one: `recipe.document.encode`."""

    type: str
    fields: dict[str, Any]


class AnyPart(TypedDict, total=False):
    """A part of a recipe as a page shows it: `Part`, or what an earlier version wrote."""

    type: str
    fields: dict[str, Any]


class Fields(TypedDict, total=False):
    """The fields of a recipe that are shown."""

    name: str
    model: AnyPart | None
    data: AnyPart | None
    task: AnyPart | None
    epochs: int
    gradient_accumulation_steps: int


class RecipeDocument(TypedDict, total=False):
    """`recipe.json`; it is decoded, and checked further, by `recipe.document`."""

    type: str
    fields: Fields


class Hardware(TypedDict, total=False):
    """The machine: `machine.hardware`."""

    processor: str
    cores: int | None
    gpus: list[str]


class Resumed(TypedDict):
    """What was different when a run was resumed."""

    changes: list[str]


class Origin(TypedDict):
    """The file of a model that was imported."""

    path: str
    sha256: str


class Receipt(TypedDict, total=False):
    """`receipt.json`: `runs.receipt.make`."""

    command: list[str]
    started: str
    versions: dict[str, str]
    git_revision: str | None
    hardware: Hardware
    devices: str
    settings: dict[str, Any]
    seed: int
    deterministic: bool
    data: Data
    parameters: int
    weights_sha256: str
    imported: Origin
    artefacts: dict[str, dict[str, str]]
    resumed: list[Resumed]


class Options(TypedDict, total=False):
    """Options of a run besides training."""

    exported_dir: str
    export: bool
    embed_samples: bool
    new_signature: bool


class Status(TypedDict, total=False):
    """`status.json`: stage and position of a run."""

    stage: str
    started: str
    updated: str
    options: Options
    changed: dict[str, str | None]  # setting -> what the pipeline has in place of the run's value
    epoch: int | None
    epochs: int | None
    step: int | None
    steps_per_epoch: int | None
    elapsed_seconds: float | None
    stopped: str | None
    error: str | None


class Verdict(TypedDict):
    """What is wrong with a result, and a command to try: `jobs.verdicts`."""

    text: str
    command: str


class Metrics(TypedDict, total=False):
    """`metrics.json`: best epoch and the figures of the test split, which are the task's."""

    best_epoch: int | None
    epochs: int
    test: dict[str, Any] | None
    verdicts: list[Verdict]
    untrained: list[str]


class Identity(TypedDict):
    """`identity.json`: what a resumed run must share with its checkpoint."""

    recipe: Part
    recipe_file: str | None
    fingerprint: str
    versions: dict[str, str]


class PositionState(TypedDict):
    """The state of `training.callbacks.position.Position`."""

    steps_per_epoch: int
    epoch: int
    step: int
    num_updates: int
    seconds: float
    epoch_seconds: float
    stopped: str | None


class BestState(TypedDict):
    """The state of `training.callbacks.best.Best`."""

    best_epoch: int | None
    best_score: list[float] | None
    best_figures: NotRequired[dict[str, float]]


class PlateauState(TypedDict):
    """The state of `training.callbacks.best.Plateau`."""

    last_drop: int


class HistoryState(TypedDict):
    """The state of `training.callbacks.history.History`."""

    rows: list[dict[str, float]]


class Sample(TypedDict):
    """What a network made after an epoch: a text, or the picture `sample_picture(epoch)`, named here too."""

    epoch: int
    text: NotRequired[str]
    picture: NotRequired[str]


#: The file of `Samples`, and the folder of their pictures.
SAMPLES, SAMPLE_PICTURES = "samples.json", "samples"


def sample_picture(epoch: int) -> str:
    """Return the file in a run that shows what its network made after an epoch, counted from 1."""
    return f"{SAMPLE_PICTURES}/epoch_{epoch:04d}.png"


#: What a report shows of a network, made once after training: `Task.gallery`.
GALLERY = "gallery.npz"
#: Samples beside training images, where a task compares them.
COMPARED = "compared.npz"


class Samples(TypedDict):
    """`samples.json`: `training.callbacks.samples`."""

    samples: list[Sample]


class SamplesState(TypedDict):
    """The state of `training.callbacks.samples.Samples`."""

    rows: list[Sample]


class State(TypedDict):
    """`state.json` of a checkpoint."""

    position: PositionState
    best: BestState
    plateau: PlateauState
    history: HistoryState
    samples: NotRequired[SamplesState]
    phase: NotRequired[int]
    identity: Identity


#: Shape of each file of a run.
SHAPES: dict[str, Any] = {
    "recipe.json": RecipeDocument,
    "receipt.json": Receipt,
    "status.json": Status,
    "metrics.json": Metrics,
    SAMPLES: Samples,
    "identity.json": Identity,
}
