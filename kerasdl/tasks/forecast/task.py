"""Forecasts: the next rows of one column or several, from the rows before them."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec, Tree
from kerasdl.data.splits import Split
from kerasdl.errors import UsageError
from kerasdl.inference.answers import Answers
from kerasdl.inference.endpoint import Endpoint
from kerasdl.report.blocks import Section
from kerasdl.tasks.forecast import baselines, comparison, figures, seasons
from kerasdl.tasks.forecast.files import compare, describe, reader, tolerances
from kerasdl.tasks.task import Evaluation, Task, Verdict

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forecast(Task):
    """Forecasts of several rows at once: targets (N, horizon, K), float.

    The network gives (batch_size, horizon, K), or (batch_size, horizon, K, Q) with quantiles, in standard
    deviations around the mean of the training part; every exported file gives the targets' own units.
    """

    # What is minimised: mse (mean squared error), mae (mean absolute error) or huber (between the two).
    error: Literal["mse", "mae", "huber"] = "mse"
    # Quantiles to forecast of each value, such as 0.1,0.5,0.9, instead of the value alone; by pinball loss.
    quantiles: tuple[float, ...] = ()
    # Rows of a season, for the seasonal naive forecast and MASE; none for what the times say (24 for hours).
    season: int | None = None

    columns: ClassVar = {
        "mse": ("MSE", ".4f"),
        "mae": ("MAE", ".4f"),
        "max_difference": ("max difference", ".1e"),
    }
    from_data: ClassVar = ("horizon", "num_targets", "num_quantiles")

    def __post_init__(self):
        levels = self.quantiles
        if levels and not (
            levels[0] > 0 and levels[-1] < 1 and 0.5 in levels and list(levels) == sorted(set(levels))
        ):
            raise UsageError(
                f"quantiles are {', '.join(map(str, levels))}, but they have to ascend between 0 and 1, with "
                "0.5 among them: 0.1,0.5,0.9."
            )
        if self.season is not None and self.season < 1:
            raise UsageError(f"season is {self.season}, but it has to be 1 or more rows.")

    def network_arguments(self, data: DataSpec) -> dict[str, Any]:
        """Return the rows ahead, the number of targets and, where there are some, of quantiles.

        Raises:
            UsageError: when the data has no rows to forecast.
        """
        targets = data.targets
        if not isinstance(targets, Spec) or len(targets.shape) != 2 or len(targets.mean) != targets.shape[1]:
            raise UsageError(
                "The data has no rows to forecast. Give a series: --data demand, or a .csv or .parquet file "
                "with a column of times; a source of your own tells targets (horizon, columns) with mean and "
                "std in its Spec."
            )
        found = {"horizon": targets.shape[0], "num_targets": targets.shape[1]}
        return {**found, "num_quantiles": len(self.quantiles)} if self.quantiles else found

    def resolve(self, data: Dataset) -> "Forecast":
        """Return the task with the season that the times of the data say."""
        self.network_arguments(data.spec)
        if self.season is not None:
            context = data.spec.inputs.shape[0]
            if self.season > context:
                raise UsageError(
                    f"season is {self.season} rows, but the network sees {context}: no window holds the "
                    f"value of a season before. Give --context {self.season} or more, or a shorter --season."
                )
            return self
        return dataclasses.replace(self, season=seasons.of_step(data.spec.targets.step))

    # Training

    def loss(self, data: DataSpec) -> "keras.Loss":
        from kerasdl.tasks.forecast.losses import ForecastLoss

        targets = data.targets
        return ForecastLoss(
            error=self.error, quantiles=self.quantiles, mean=targets.mean, std=self._std(data).tolist()
        )

    def metrics(self, data: DataSpec) -> "list[keras.Metric]":
        from kerasdl.tasks.forecast.losses import ForecastError

        fields = {"middle": self._middle, "mean": data.targets.mean, "std": self._std(data).tolist()}
        return [ForecastError(name=name, error=name, **fields) for name in ("mse", "mae")]

    def check_outputs(self, outputs: Tree, data: DataSpec, main_output: str) -> None:
        wanted = (*data.targets.shape, *([len(self.quantiles)] if self.quantiles else []))
        if isinstance(outputs, Mapping) or outputs.shape[1:] != wanted:
            given = "several outputs" if isinstance(outputs, Mapping) else f"outputs {outputs.shape[1:]}"
            names = "(horizon, targets, quantiles)" if self.quantiles else "(horizon, targets)"
            raise UsageError(
                f"The network gives {given} for each window, but it has to give one of {wanted}: {names}. "
                "Its constructor is given horizon, num_targets and, with quantiles, num_quantiles."
            )

    @property
    def _middle(self) -> int | None:
        return self.quantiles.index(0.5) if self.quantiles else None

    def _std(self, data: DataSpec) -> np.ndarray:
        """Return the standard deviation of each target over the training part, (K,) float32."""
        std = np.array(data.targets.std, np.float32)
        return np.where(std > 0, std, 1).astype(np.float32)

    # Judging

    def evaluate(self, answers: Answers, data: DataSpec, fitted: Mapping[str, Any]) -> Evaluation:
        """Return the figures of a split; see `figures.figures` and `figures.coverage`.

        Args:
            answers: output `values` (N, horizon, K), and `quantiles` (N, horizon, K, Q) where there are some.
            data: what is in each example.
            fitted: not used.
        """
        values, targets = answers.outputs["values"], np.asarray(answers.targets)
        std = self._std(data).astype(np.float64)
        found = figures.figures(values, targets, std, data.targets.columns or _numbered(len(std)))
        kept = {"targets": targets.astype(np.float32), "values": values.astype(np.float32)}
        if self.quantiles:
            kept["quantiles"] = answers.outputs["quantiles"].astype(np.float32)
            found["coverage"] = figures.coverage(kept["quantiles"], targets, std, self.quantiles)
        some = figures.shown(values, targets, std)
        return Evaluation(
            figures=found,
            predictions={**kept, "std": std.astype(np.float32)},
            mistakes={**some, **{name: array[some["indices"]] for name, array in kept.items()}},
        )

    def beside_baselines(self, figures: dict[str, Any], data: Dataset, split: Split) -> dict[str, Any]:
        return baselines.beside(figures, data, split, self.season or seasons.of_step(data.spec.targets.step))

    def compare_runs(self, first, second):
        return comparison.compare(first, second)

    # Shipping

    def endpoints(
        self, network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any]
    ) -> tuple[Endpoint, ...]:
        """Return the endpoint that takes raw rows, `recent`, and gives `values` in the targets' own units."""
        import tensorflow as tf

        std, mean = self._std(data), np.array(data.targets.mean, np.float32)

        def forecast(recent):
            outputs = tf.cast(network.infer(recent), tf.float32)
            if not self.quantiles:
                return {"values": outputs * std + mean}
            ordered = tf.stack(_ascending(tf.unstack(outputs, axis=-1), self._middle), axis=-1)
            raw = ordered * std[:, None] + mean[:, None]
            return {"values": raw[..., self._middle], "quantiles": raw}

        return (
            Endpoint(
                "serving_default",
                forecast,
                {"recent": tf.TensorSpec((None, *data.inputs.shape), data.inputs.dtype, "recent")},
                inputs_of=lambda features, seed: {"recent": features},
                compare=functools.partial(compare, std),
                tolerances=tolerances,
                judge=lambda answers: self.evaluate(answers, data, fitted).figures["short"],
                describe=functools.partial(describe, data.targets.columns),
                **reader(data),
            ),
        )

    # Showing

    def summary(self, figures: Mapping[str, Any]) -> str:
        text = (
            f"Test MSE {figures['mse']:.4f}, MAE {figures['mae']:.4f} (in standard deviations); MAE "
            f"{figures['mae_raw']:.4g} in the targets' units, on {figures['examples']:,} windows."
        )
        rows = figures.get("baselines", {})
        if rows:
            told = ", ".join(f"{name} {row['mse']:.4f}" for name, row in rows.items())
            text += f" MASE {figures['mase']:.3f}. MSE of simple forecasts: {told}."
        for row in figures.get("coverage", {}).get("intervals", ()):
            text += f" The {row['level']:.0%} band holds {row['covered']:.1%}."
        return text

    def try_command(self, path: str, endpoints: Sequence[str], example: str) -> list[str]:
        return ["kerasdl", "forecast", path, example] if example else []

    def verdicts(self, figures: Mapping[str, Any]) -> list[Verdict]:
        for name, what in _BASELINES.items():
            row = figures.get("baselines", {}).get(name)
            if row is not None and figures["mse"] > row["mse"] * _TIE:
                return [
                    Verdict(
                        text=f"Worse than {what}: MSE {figures['mse']:.4f} against {row['mse']:.4f}.",
                        flags="--epochs 30" if name == "linear" else "--overfit-batches 1",
                    )
                ]
        return []

    def tables(self, figures: Mapping[str, Any]) -> Sequence[Any]:
        from kerasdl.tasks.forecast.page import tables

        return tables(figures)

    def sections(self, figures, class_names, mistakes) -> Sequence[Section]:
        from kerasdl.tasks.forecast.page import sections

        return sections(figures, mistakes, self.quantiles)


#: Simple forecasts that should not be better, the simplest first.
_BASELINES = {
    "persistence": "the last value repeated (persistence)",
    "seasonal naive": "the last season repeated (seasonal naive)",
    "linear": "a linear map fitted in closed form",
}
_TIE = 1.03  # times its error


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"target {number}" for number in range(count))


def _ascending(levels: list, middle: int) -> list:
    """Return quantiles that do not cross: from the middle on, none lies beyond its neighbour outwards."""
    import tensorflow as tf

    found = list(levels)
    for place in range(middle + 1, len(found)):
        found[place] = tf.maximum(found[place], found[place - 1])
    for place in reversed(range(middle)):
        found[place] = tf.minimum(found[place], found[place + 1])
    return found
