"""Explains forecasts of a series by what each past value adds to them."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasdl.data.dataset import Spec
from kerasdl.errors import UsageError
from kerasdl.explain import forecasts_page
from kerasdl.explain.explainer import Explainer, not_exact
from kerasdl.explain.page import about_of, page_of
from kerasdl.explain.windows import WindowNetwork, flat
from kerasdl.inference.endpoint import Example
from kerasdl.tasks.forecast import files
from kerasdl.tasks.forecast.task import Forecast

_MOST_PLACES = 2048  # windows that occlusion asks; beyond, it replaces several rows at a time


class ForecastExplainer(Explainer):
    """Explains forecasts: what each value of the past adds, in the units of the column that is forecast."""

    name = "windows of a series"
    given = "a CSV or Parquet file of recent rows"
    methods = ("integrated-gradients", "occlusion")
    first_file = ("Page", "explanation.html")
    most_examples = 100
    picks = ("ahead",)
    test_place = -1

    def takes(self, task, data):
        return isinstance(task, Forecast) and isinstance(data.inputs, Spec) and len(data.inputs.shape) == 2

    def class_names(self, data):
        return _names(data.targets)

    def read(self, given, text_column, source, data):
        if text_column is not None:
            raise UsageError("--text-column is for networks that read texts. Leave it out.")
        if not data.inputs.columns:
            return None
        return [Example({"file": file}, files.recent(source, data, file).window) for file in given]

    def explain(self, network, data, examples, asked):
        """Return `about`, whose `windows` hold the forecast of each, its values, and their scores by method.

        What is explained is `forecast`: of `column`, the row `ahead` or, where that is None, the mean over
        `horizon`. It is `flat` for the window whose columns stay at their means.
        """
        horizon, column = data.targets.shape[0], asked.class_id or 0
        if asked.ahead is not None and not 1 <= asked.ahead <= horizon:
            raise UsageError(
                f"--ahead is {asked.ahead}, but the network forecasts {horizon} rows: give 1 to {horizon}."
            )
        forecast = asked.task.endpoints(network, data, {})[0].function

        def explained(values):  # (N, horizon, K)
            values = values[:, :, column]
            return tf.reduce_mean(values, axis=1) if asked.ahead is None else values[:, asked.ahead - 1]

        asking = WindowNetwork(lambda windows: explained(forecast(windows)["values"]), data.inputs)
        rows = []
        for index, (name, window) in enumerate(zip(examples.names, examples.features, strict=True)):
            row = {
                "name": name,
                "column": asked.class_names[column],
                "ahead": asked.ahead,
                "horizon": horizon,
            }
            if examples.true is not None:
                row["came"] = float(explained(examples.true[index : index + 1])[0])
            rows.append(
                row | _scored(asking, window, _names(data.inputs), asked.methods or self.methods, asked.steps)
            )
        notes = [note for row in rows for note in not_exact(row)]
        methods = [name for name in self.methods if name in rows[0]["scores"]]
        return {"about": np.array(json.dumps({"windows": rows, "methods": methods, "notes": notes}))}

    def files(self, arrays):
        about = about_of(arrays)
        return {self.first_file[1]: page_of("Why it forecasts so", "Explanations of forecasts", about)}

    def tables(self, about):
        return [part for row in about["windows"] for part in forecasts_page.lines(row)]


def _scored(
    asking: WindowNetwork, window: np.ndarray, names: Sequence[str], methods: Sequence[str], steps: int
) -> dict[str, Any]:
    """Return the forecasts of a window and of the flat one, and the scores of its values by method."""
    low, high = asking.numbers(np.stack([flat(window), window])).tolist()
    row, scores = {"forecast": high, "flat": low, "values": _by_column(names, window)}, {}
    if "integrated-gradients" in methods:
        found, _, error, used = asking.integrated_gradients(window, steps=steps)
        scores["integrated-gradients"] = _by_column(names, found)
        row |= {"error": float(error), "steps": used}
    if "occlusion" in methods:
        row["block"] = -(-window.size // _MOST_PLACES)
        scores["occlusion"] = _by_column(names, asking.occlusion(window, row["block"]))
    return {**row, "scores": scores}


def _names(spec: Spec) -> Sequence[str]:
    return spec.columns or [f"column {number}" for number in range(spec.shape[1])]


def _by_column(names: Sequence[str], values: np.ndarray) -> dict[str, list[float]]:
    return {name: values[:, k].tolist() for k, name in enumerate(names)}
