"""The regression task: figures checked by hand, targets scaled in training and raw in every answer."""

import json

import keras
import numpy as np
import pytest
import scipy.stats

from kerasdl.cli import main
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.inference.answers import Answers
from kerasdl.models.recurrent import RecurrentNetwork
from kerasdl.preprocessing.sequence import SequencePreprocessing
from kerasdl.tasks.regression import comparison, figures
from kerasdl.tasks.regression.files import compare, tolerances
from kerasdl.tasks.regression.losses import MeanAbsoluteError, ScaledError
from kerasdl.tasks.regression.task import Regression

RANDOM = np.random.default_rng(0)
TARGETS = RANDOM.normal(100, 20, (50, 2)).astype("f")
DATA = DataSpec(Spec((3,), "float32"), Spec.of_numbers(TARGETS))


def test_figures():
    values = TARGETS + np.array([1, -3], "f")
    found = figures.figures(values, TARGETS)
    assert (found["mae"], found["bias"]) == (pytest.approx(2, rel=1e-5), pytest.approx(-1, rel=1e-4))
    assert found["rmse"] == pytest.approx(np.sqrt(5), rel=1e-5)
    assert found["r2"] == pytest.approx(np.mean(1 - np.array([1, 9]) / TARGETS.var(0)), rel=1e-4)
    assert [row["mae"] for row in found["per_output"]] == pytest.approx([1, 3], rel=1e-4)
    assert found["short"] == {name: found[name] for name in ("mae", "rmse", "r2", "examples")}
    assert len(found["points"]) == 50
    with pytest.raises(RunFailedError, match="1 of 50 examples are not numbers"):
        figures.figures(np.where(np.arange(50)[:, None] == 7, np.nan, values), TARGETS)


def test_the_worst_come_first():
    values = TARGETS.copy()
    values[[4, 30, 12]] += [[5], [-90], [40]]
    assert figures.worst(values, TARGETS)[:3].tolist() == [30, 12, 4]


@pytest.mark.parametrize("error", ["mse", "mae", "huber"])
def test_loss_is_that_of_scaled_targets(error):
    outputs = RANDOM.normal(0, 2, (50, 2)).astype("f")
    scaled = (TARGETS - TARGETS.mean(0)) / TARGETS.std(0)
    kerass = {
        "mse": keras.losses.MeanSquaredError(),
        "mae": keras.losses.MeanAbsoluteError(),
        "huber": keras.losses.Huber(0.7),
    }[error]
    loss = Regression(error=error, huber_delta=0.7).loss(DATA)
    assert float(loss(TARGETS, outputs)) == pytest.approx(float(kerass(scaled, outputs)), rel=1e-4)
    again = ScaledError.from_config(loss.get_config())
    assert float(again(TARGETS, outputs)) == float(loss(TARGETS, outputs))
    plain = Regression(error=error, huber_delta=0.7, scale_targets=False).loss(DATA)
    assert float(plain(TARGETS, outputs)) == pytest.approx(float(kerass(TARGETS, outputs)), rel=1e-4)


def test_the_metric_has_the_units_of_the_targets():
    outputs = (TARGETS - TARGETS.mean(0)) / TARGETS.std(0) + 0.5
    (metric,) = Regression().metrics(DATA)
    metric.update_state(TARGETS, outputs)
    assert float(metric.result()) == pytest.approx(0.5 * TARGETS.std(0).mean(), rel=1e-4)
    weighted = MeanAbsoluteError.from_config(metric.get_config())
    weighted.update_state(TARGETS[:, :], outputs, sample_weight=np.eye(50)[0])
    assert float(weighted.result()) == pytest.approx(0.5 * TARGETS.std(0).mean(), rel=1e-4)


def test_a_target_that_never_changes_is_not_divided_by_nothing():
    spec = Spec.of_numbers(np.full(8, 3.0, "f"))
    loss = Regression().loss(DataSpec(Spec((3,), "float32"), spec))
    assert float(loss(np.full(8, 3.0, "f"), np.zeros((8, 1), "f"))) == 0


def test_files_are_compared_in_standard_deviations():
    expected, actual = {"values": TARGETS}, {"values": TARGETS + np.array([0.2, 0], "f")}
    found = compare(np.array([10, 20], "f"), expected, actual, TARGETS)
    assert found["max_difference"] == pytest.approx(0.02, rel=1e-3)
    assert found["mean_difference"] == pytest.approx(0.02, rel=1e-3)  # of the worse output
    assert found["mae"] == pytest.approx(0.1, rel=1e-3)
    sign, limit = tolerances("onnx")["max_difference"]
    assert sign == "<=" and limit < found["max_difference"]


def test_two_runs_are_compared_by_their_errors():
    first = {"targets": TARGETS, "values": TARGETS + RANDOM.normal(0, 1, TARGETS.shape)}
    second = {"targets": TARGETS, "values": TARGETS + RANDOM.normal(0, 5, TARGETS.shape)}
    found = comparison.compare(first, second)
    errors = [np.abs(run["values"] - TARGETS).mean(-1) for run in (first, second)]
    assert found.p_value == pytest.approx(scipy.stats.wilcoxon(*errors).pvalue) and found.p_value < 1e-4
    assert found.figures["mae_change"] > 0
    assert comparison.compare(first, first).p_value == 1
    with pytest.raises(ValueError, match="tested on other examples"):
        comparison.compare(first, {**second, "targets": TARGETS + 1})


def test_a_network_that_has_weights_of_attention_beside_its_numbers_answers_with_these():
    data = DataSpec(Spec((5, 3), "float32"), DATA.targets)
    layer = SequencePreprocessing()
    network = RecurrentNetwork(num_outputs=2, units=2, pooling="attention", preprocessing=layer)
    x = RANDOM.normal(size=(4, 5, 3)).astype("f")
    scaled = network(x, training=False)["logits"].numpy()
    (endpoint,) = Regression().endpoints(network, data, {})
    wanted = scaled * TARGETS.std(0) + TARGETS.mean(0)
    np.testing.assert_allclose(endpoint.function(x)["values"], wanted, rtol=1e-5)


def test_classes_are_no_numbers():
    classes = DataSpec(Spec((3,), "float32"), Spec((), "int32", ("a", "b")))
    with pytest.raises(UsageError, match=r"no numbers .* Use Classification\(\)"):
        Regression().network_arguments(classes)
    with pytest.raises(UsageError, match="huber_delta is 0"):
        Regression(huber_delta=0)


def test_evaluate_keeps_what_reports_and_comparisons_need():
    found = Regression().evaluate(Answers({"values": TARGETS + 1}, TARGETS), DATA, {})
    assert found.predictions.keys() == {"targets", "values"}
    assert len(found.mistakes["indices"]) == figures.NUM_WORST
    page = Regression().sections(found.figures, (), found.mistakes)
    assert [section.title for section in page] == [
        "Test figures", "Predictions and targets", "Largest errors",
    ]  # fmt: skip


RECIPE = """
import keras
from kerasdl import Config, Network, Npz, Recipe, Regression


@keras.saving.register_keras_serializable("mine")
class Line(Network):
    def __init__(self, *, num_outputs: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.num_outputs = num_outputs
        self.head = keras.layers.Dense(num_outputs)

    def forward(self, x, training=False):
        return self.head(x)

    def get_config(self):
        return {**super().get_config(), "num_outputs": self.num_outputs}


RECIPE = Recipe(
    model=Config(Line), data=Npz(path="house.npz"), task=Regression(), epochs=40, batch_size=32,
    learning_rate=3e-2,
)
"""


@pytest.mark.slow
def test_an_npz_of_numbers_end_to_end(tmp_path, monkeypatch, capsys):
    """Far from 0 and of another scale than 1, so that answers in the wrong units would show."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).uniform(-1, 1, (300, 3)).astype("f")
    y = 2_500 + x @ np.array([400, -200, 50], "f")
    np.savez("house.npz", x_train=x[:220], y_train=y[:220], x_test=x[220:], y_test=y[220:])
    (tmp_path / "house.py").write_text(RECIPE)
    assert main(["train", "house.py"]) == 0
    test = json.loads((tmp_path / "runs/house/1/metrics.json").read_text())["test"]
    assert test["mae"] < 5 and test["r2"] > 0.99
    capsys.readouterr()
    for target in ("runs/house/1", "exported/house/1", "exported/house/1/house.int8.tflite"):
        assert main(["predict", target, "0.5,0,0", "--json"]) == 0
        (answer,) = json.loads(capsys.readouterr().out)
        assert answer["value"] == pytest.approx(2_700, abs=30)
    assert main(["predict", "runs/house/1", "0.5,0"]) == 2
    assert "has 2 numbers, but the network takes 3" in capsys.readouterr().err
    assert main(["verify", "exported/house/1"]) == 0
    assert "MAE" in capsys.readouterr().out
    assert "Largest errors" in (tmp_path / "runs/house/1/report.html").read_text()
