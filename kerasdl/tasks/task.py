"""What a family of runs has in common: the interface that trainer, exporter, verifier and search ask."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Tree
from kerasdl.data.splits import Split
from kerasdl.errors import UsageError
from kerasdl.inference.answers import Answers, Batches
from kerasdl.inference.endpoint import ALL_FORMATS, Endpoint
from kerasdl.inference.predictor import Predictor
from kerasdl.report.blocks import Section

if TYPE_CHECKING:
    import keras

    from kerasdl.data.source import Source
    from kerasdl.network.network import Network
    from kerasdl.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What the outputs over a whole split say.

    Attributes:
        figures: everything that is kept in `metrics.json`, as JSON values.
        predictions: the answer to each example, arrays (N, ...) by name; kept as `predictions.npz`.
        mistakes: the worst examples, arrays (K, ...) by name, with their `indices` (K,) in the split; kept as
            `mistakes.npz`, with the raw features.
    """

    figures: dict[str, Any]
    predictions: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    mistakes: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """Something about a result that a user should know before shipping it.

    Attributes:
        text: what was seen: "No better than guessing: ...".
        flags: flags of `kerasdl train` to try: "--epochs 20".
    """

    text: str
    flags: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunDifference:
    """How far a run differs from another on the same test examples.

    Attributes:
        p_value: probability of so large a difference if both were equally good, 0 to 1.
        amount: the difference in words: "0.28 points (12 against 11 test examples)".
        gain: how much better the second run is; below 0 where it is worse, None where that is not said.
        figures: what the test was made from, by name.
    """

    p_value: float
    amount: str
    gain: float | None = None
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One kind of problem: loss, metrics, evaluation, endpoints, and how all of these are shown.

    A task of your own inherits this and overrides what differs; only `loss` has no default. Its fields are
    flags of the command line. Trees are single tensors or arrays, or dicts of them by name.
    """

    #: Figures that tables show: name -> (title, format).
    columns: ClassVar[Mapping[str, tuple[str, str]]] = {"max_difference": ("max difference", ".1e")}
    #: Whether `evaluate` looks at answers to the examples of a split; otherwise none are asked for.
    judges_answers: ClassVar[bool] = True
    #: Endpoints that `against_data` asks, the first that there is: of an ONNX file, beside it too.
    figures_of: ClassVar[tuple[str, ...]] = ()
    #: Constructor arguments of the network that the data decides (`network_arguments`).
    from_data: ClassVar[tuple[str, ...]] = ()

    #: Whether examples need classes; without, a folder of images need have no class folders.
    needs_classes: ClassVar[bool] = True

    @property
    def objectives(self) -> tuple[str, ...]:
        """What a search aims at where nothing else is asked for."""
        return ("val_loss",)

    def objectives_of(self, network: "type[Network]") -> tuple[str, ...]:
        """Return the objectives of a search over networks of a class; none where it has no such figure."""
        return self.objectives

    def resolve(self, data: Dataset) -> "Task":
        """Return the task with the fields settled that depend on the data; of a settled task itself."""
        return self

    def network_arguments(self, data: DataSpec) -> dict[str, Any]:
        """Return the constructor arguments of the network that the data decides."""
        return {}

    # Training

    def loss(self, data: DataSpec) -> Any:
        """Return what `compile(loss=...)` takes: a `keras.Loss`, or a dict of them by output."""
        raise NotImplementedError(f"{type(self).__name__} defines no loss().")

    def loss_weights(self) -> Mapping[str, float] | None:
        """Return the weight of each output's loss; None where all count the same."""
        return None

    def metrics(self, data: DataSpec) -> Any:
        """Return what `compile(metrics=...)` takes: metrics that training shows, or a dict by output."""
        return []

    def check_outputs(self, outputs: Tree, data: DataSpec, main_output: str) -> None:
        """Refuse a network before training whose outputs are not those that the task works with.

        By default outputs and targets that are numbers have to be of one shape.

        Args:
            outputs: what the deployed network gave for some examples, with random weights: float32 arrays
                (N, ...), one or several by name.
            data: what is in each example.
            main_output: name of the output that predictions come from, where there are several.

        Raises:
            UsageError: says what the outputs are, and what they have to be.
        """
        targets = data.targets if isinstance(data.targets, Mapping) else {main_output: data.targets}
        named = outputs if isinstance(outputs, Mapping) else {main_output: outputs}
        for name in named.keys() & targets.keys():
            given, wanted = named[name].shape[1:], targets[name].shape
            if {given, wanted} == {(), (1,)}:
                raise UsageError(
                    f"The network gives outputs of shape {given} for targets of shape {wanted}, so that "
                    "losses and figures would compare each output with each target. Let both be (1,)."
                )

    def sample_weights(self, data: Dataset) -> Callable[[Tree], Tree] | None:
        """Return a TensorFlow function from a batch's targets to its sample weights; None for none."""
        return None

    def score(self, logs: Mapping[str, float]) -> tuple[float, ...]:
        """Rank an epoch by its validation figures; larger is better.

        By default it is the validation loss that ranks. Without one, as where two players have a loss each,
        no epoch is better than another (an empty rank): the last one is kept.
        """
        return (-logs["val_loss"],) if "val_loss" in logs else ()

    def has_learned(self, logs: Mapping[str, float], first: Mapping[str, float]) -> bool:
        """Tell whether a network knows the few examples that it is trained and validated on.

        Args:
            logs: figures of this epoch.
            first: figures of the first epoch.
        """
        return "val_loss" in logs and logs["val_loss"] <= 0.01 * first["val_loss"]

    @property
    def wants_judge(self) -> bool:
        """Whether results are judged with another run that is not named yet."""
        return False

    def judge_recipe(self, source: "Source", data: Dataset) -> "Recipe | None":
        """Return the recipe of the run that results are judged with, settled; None where there can be none.

        Args:
            source: the source of the data.
            data: what was loaded from it.
        """
        return None

    def judged_by(self, run: str) -> "Task":
        """Return the task with the run that it judges results with, or "none".

        Raises:
            UsageError: when this kind of problem needs none.
        """
        raise UsageError(f"{type(self).__name__} is judged without another run. Leave --judge out.")

    def validator(self, network: "keras.Model", data: Dataset) -> Callable[[], dict[str, float]] | None:
        """Return a function that works out further validation figures (`val_...`); None where there are none.

        Args:
            network: the network that trains; the function judges it as it is at the time of the call.
            data: the data of the run.
        """
        return None

    def sampler(self, network: "keras.Model", data: DataSpec) -> Callable[[], str | np.ndarray] | None:
        """Return a function that lets a network make a sample, kept of each epoch; None where none makes any.

        A sample is a text, or a picture (height, width, 1 or 3), uint8. Draw the same noise at each call, so
        that the epochs can be compared.

        Args:
            network: the network that trains; the function gives what it makes with the weights that it
                has at the time of the call.
            data: what is in each example.
        """
        return None

    def without_machine(self) -> "Task":
        """Return the task without what belongs to one machine, such as the folders of a path."""
        return self

    # After training

    def fit_after_training(self, network: "keras.Model", data: DataSpec, batches: Batches) -> dict[str, Any]:
        """Fit what `endpoints` takes as `fitted` (such as a temperature), where the task's fields ask for it.

        Args:
            network: float32 network over raw examples.
            data: what is in each example.
            batches: returns the batches of the validation split.
        """
        return {}

    def calibrated(self) -> "Task":
        """Return the task with its calibration after training switched on.

        Raises:
            UsageError: when this kind of problem has none.
        """
        raise UsageError(f"{type(self).__name__} has nothing to calibrate. Leave --calibrate out.")

    # Judging

    def evaluate(self, answers: Answers, data: DataSpec, fitted: Mapping[str, Any]) -> Evaluation:
        """Judge the outputs over a whole split. By default only the number of examples is known."""
        return Evaluation(figures={"examples": answers.num_examples})

    def evaluate_further(self, predictor: Predictor, batches: Batches) -> dict[str, Any]:
        """Return figures of a split that answers to single examples do not give; none by default.

        Args:
            predictor: a network or an exported file.
            batches: returns the batches of the split.
        """
        return {}

    def beside_baselines(self, figures: dict[str, Any], data: Dataset, split: Split) -> dict[str, Any]:
        """Return figures with those of simple methods on the same examples. By default nothing is added.

        Args:
            figures: those of `evaluate`.
            data: the data of the run; what a simple method learns, it learns from its training examples.
            split: the examples that were judged.
        """
        return figures

    def against_data(
        self, predictor: Predictor, data: Dataset, split: Split, *, dry_run: bool = False
    ) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        """Compare what a network makes with the data as a whole. By default there is nothing to compare.

        Args:
            predictor: a network or an exported file.
            data: the data of the run.
            split: the examples of it that are judged on.
            dry_run: whether it is enough to see that it works.

        Returns:
            Figures by name, and arrays by name, which a run keeps as `compared.npz`.
        """
        return {}, {}

    def details(self, network: "keras.Model", data: DataSpec, features: Tree) -> Mapping[str, np.ndarray]:
        """Return more about the worst examples, arrays (K, ...) by name, to be kept beside them.

        Args:
            network: float32 network over raw examples.
            data: what is in each example.
            features: raw features (K, ...), an array or arrays by name; texts as bytes.
        """
        return {}

    def gallery(self, predictor: Predictor, data: Dataset) -> Mapping[str, np.ndarray]:
        """Return arrays that the report draws, made once after training and kept as `gallery.npz`.

        Args:
            predictor: the best network.
            data: the data of the run.
        """
        return {}

    def compare_runs(
        self, first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]
    ) -> "RunDifference | None":
        """Tell how far two runs differ on the same test examples; None where the task cannot tell.

        Args:
            first: `predictions` of one run.
            second: those of another run.

        Raises:
            ValueError: when they cannot be compared; the message completes "it was ... than the first".
        """
        return None

    # Shipping

    def endpoints(
        self, network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any]
    ) -> tuple[Endpoint, ...]:
        """Return how an exported network is called; the first is the default.

        Args:
            network: float32 network over raw examples; None where nothing will be called, to know only how
                answers are compared and shown.
            data: what is in each example.
            fitted: what `fit_after_training` found.
        """
        return (network_endpoint(self, network, data, fitted),)

    # Showing

    def summary(self, figures: Mapping[str, Any]) -> str:
        """Say in a sentence what `evaluate` found."""
        shown = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in numbers(figures).items())
        return f"Test: {shown}."

    def verdicts(self, figures: Mapping[str, Any]) -> list[Verdict]:
        """Return what should be known of these figures before anything is shipped."""
        return []

    def verdicts_of_training(self, history: Sequence[Mapping[str, float]]) -> list[Verdict]:
        """Return what should be known of the figures of each epoch; the last ones come last."""
        return []

    def try_command(self, path: str, endpoints: Sequence[str], example: str) -> list[str]:
        """Return the command that shows what an exported file answers; empty where there is none.

        Args:
            path: the bundle or file.
            endpoints: names of its endpoints.
            example: an argument of `kerasdl predict`; "" where the first endpoint reads none.
        """
        return ["kerasdl", "predict", path, example] if example else []

    def tables(self, figures: Mapping[str, Any]) -> Sequence[Any]:
        """Return what `kerasdl evaluate` prints, as renderables of rich; empty for plain figures."""
        return ()

    def sections(
        self,
        figures: Mapping[str, Any],
        class_names: Sequence[str],
        mistakes: Mapping[str, np.ndarray] | None,
    ) -> Sequence[Section]:
        """Return the sections of a run's report; empty for a table of plain figures.

        Args:
            figures: those of the test split.
            class_names: in the order of the targets.
            mistakes: content of `mistakes.npz`, `compared.npz` and `gallery.npz`; None where there is none.
        """
        return ()


def network_endpoint(
    task: Task, network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any]
) -> Endpoint:
    """Return the endpoint that gives raw examples to a network and returns its outputs as they are.

    Inputs and outputs have the names that the data and the network give them, or `inputs` and `outputs`.
    """
    import tensorflow as tf

    single = not isinstance(data.inputs, Mapping)
    specs = {"inputs": data.inputs} if single else data.inputs

    def answer(*tensors):
        features = tensors[0] if single else dict(zip(specs, tensors, strict=True))
        outputs = network.infer(features)
        return outputs if isinstance(outputs, Mapping) else {"outputs": outputs}

    return Endpoint(
        "serving_default",
        answer,
        {name: tf.TensorSpec((None, *spec.shape), spec.dtype, name) for name, spec in specs.items()},
        formats=("saved_model",) if any(spec.dtype == "string" for spec in specs.values()) else ALL_FORMATS,
        judge=lambda answers: numbers(task.evaluate(answers, data, fitted).figures),
    )


def numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among some figures."""
    return {
        name: value
        for name, value in figures.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
