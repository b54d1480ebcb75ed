"""The declared shapes of a bundle's `card.json`, for those who read different parts of it."""

from typing import Any, NotRequired, TypedDict

from kerasdl.runs.documents import Data, Part


class File(TypedDict):
    """One file of a bundle."""

    sha256: str


class Made(TypedDict):
    """The row of an exported file: `export.bundle`; its figures are the endpoint's."""

    file: str
    kind: str
    endpoint: str
    endpoints: dict[str, dict[str, Any]]
    bytes: int
    sha256: str
    latency_ms: NotRequired[float]
    evaluation: NotRequired[dict[str, Any]]
    compiled_model: NotRequired[dict[str, dict[str, Any]]]


class Failed(TypedDict):
    """The row of a file that could not be exported."""

    file: str
    kind: str
    error: str
    refused: NotRequired[bool]


class Shown(TypedDict, total=False):
    """The row of an exported file, as far as a run's page shows it."""

    file: str
    kind: str
    bytes: int
    sha256: str
    latency_ms: float
    evaluation: dict[str, Any]
    error: str
    refused: bool


class ShownCard(TypedDict):
    """`card.json` of a bundle, as far as a run's page shows it."""

    artefacts: list[Shown]
    files: dict[str, File]
    examples: int
    run: NotRequired[str]
    created: NotRequired[str]


class Array(TypedDict):
    """An array as JSON: `export.card.encode_array`."""

    dtype: str
    shape: list[int]
    base64: str | list[str]


class SampledEndpoint(TypedDict):
    """The embedded samples of an endpoint: its inputs, and the outputs of each file."""

    inputs: dict[str, Array]
    outputs: dict[str, dict[str, Array]]


class Samples(TypedDict):
    """The examples that a bundle holds, and the answers to them at export."""

    labels: dict[str, Any]
    endpoints: dict[str, SampledEndpoint]


class Input(TypedDict):
    """Shape and dtype of an input; None where an axis is open."""

    shape: list[int | None]
    dtype: str


class Described(TypedDict):
    """An endpoint as it was exported: `export.card.describe`."""

    name: str
    inputs: dict[str, Input]


class Card(TypedDict):
    """`card.json` of a bundle, as far as it says what its files are."""

    name: str
    artefacts: list[Made | Failed]
    files: dict[str, File]
    samples: Samples | None
    calibration: NotRequired[dict[str, Any]]
    endpoints: NotRequired[list[Described]]
    assets: NotRequired[list[str]]


class Callable(TypedDict):
    """An endpoint as it was exported, all of it; earlier versions wrote less."""

    name: str
    formats: NotRequired[list[str]]
    inputs: dict[str, Input]
    outputs: NotRequired[dict[str, Input]]
    derived: NotRequired[list[str]]
    phone_length: NotRequired[int]


class DeployedCard(TypedDict):
    """`card.json` of a bundle, as far as what is generated from it needs it."""

    name: str
    artefacts: list[Made | Failed]
    files: dict[str, File]
    labels: NotRequired[list[str] | None]
    endpoints: NotRequired[list[Callable]]
    batch_sizes: NotRequired[list[int]]
    data: NotRequired[dict[str, Any]]
    samples: NotRequired[Samples | None]
    dynamic_batch: NotRequired[bool]
    tflite_io: NotRequired[str]


class Judged(TypedDict):
    """The fields of a recipe that tell how answers are judged."""

    task: Part
    data: Part


class JudgedRecipe(TypedDict):
    """A recipe in a card."""

    fields: Judged


class JudgedCard(TypedDict):
    """`card.json` of a bundle of a run, as far as it says how answers are judged."""

    recipe: JudgedRecipe
    data: Data
