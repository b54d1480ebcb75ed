"""Forecasts: figures by hand, baselines, bands, comparison, and one run from a file to its bundle."""

import csv
import dataclasses
import json
import re

import keras
import numpy as np
import pytest

from kerasdl.cli import main
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.series.source import Series
from kerasdl.data.series.windows import WindowSplit
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.inference.answers import Answers
from kerasdl.models.nlinear import NLinear
from kerasdl.recipe import Config, Recipe
from kerasdl.tasks.forecast import baselines, comparison, figures, seasons
from kerasdl.tasks.forecast.files import compare
from kerasdl.tasks.forecast.losses import ForecastError, ForecastLoss
from kerasdl.tasks.forecast.task import Forecast
from kerasdl.tasks.forecast.task import _ascending as ascending
from kerasdl.training.build import make_network
from tests.test_report import Page

RANDOM = np.random.default_rng(0)
MEAN, STD = (10.0, -3.0), (2.0, 0.5)
TARGETS = RANDOM.normal(MEAN, STD, (40, 3, 2)).astype("f")
KNOWN = {"mean": MEAN, "std": STD, "columns": ("a", "b"), "step": "1 hour"}
DATA = DataSpec(Spec((6, 2), "float32", **KNOWN), Spec((3, 2), "float32", **KNOWN))


def test_figures():
    values = TARGETS + np.array([1, -1], "f")
    found = figures.figures(values, TARGETS, np.array(STD), ("a", "b"))
    assert found["mse"] == pytest.approx((0.25 + 4) / 2, rel=1e-4)
    assert found["mae"] == pytest.approx((0.5 + 2) / 2, rel=1e-4)
    assert (found["mae_raw"], found["rmse_raw"]) == (pytest.approx(1, rel=1e-4), pytest.approx(1, rel=1e-4))
    assert [row["mse"] for row in found["per_target"]] == pytest.approx([0.25, 4], rel=1e-4)
    assert found["by_horizon"]["mae"] == pytest.approx([1.25] * 3, rel=1e-4)
    later = TARGETS + np.arange(3, dtype="f")[:, None]
    assert figures.figures(later, TARGETS, np.ones(2), ("a", "b"))["by_horizon"]["mse"] == pytest.approx(
        [0, 1, 4], abs=1e-4
    )
    with pytest.raises(RunFailedError, match="1 of 40 windows"):
        figures.figures(
            np.where(np.arange(40)[:, None, None] == 7, np.nan, values), TARGETS, np.ones(2), "ab"
        )


def test_coverage():
    levels = (0.1, 0.5, 0.9)
    exact = np.stack([TARGETS * 0 - 1, TARGETS * 0, TARGETS * 0 + 1], -1)
    targets = np.where(np.arange(40)[:, None, None] < 10, 2.0, 0.5) * np.ones_like(TARGETS)
    found = figures.coverage(exact, targets, np.ones(2), levels)
    assert [row["below"] for row in found["quantiles"]] == [0, 0, 0.75]
    assert found["intervals"] == [{"level": 0.8, "covered": 0.75, "width": 2.0}]
    far = 0.25 * np.mean([0.1 * 3, 0.5 * 2, 0.9 * 1]) + 0.75 * np.mean([0.1 * 1.5, 0.5 * 0.5, 0.1 * 0.5])
    assert found["pinball"] == pytest.approx(far)


def test_some_windows_are_shown():
    values = TARGETS.copy()
    values += np.linspace(0, 1, 40, dtype="f")[:, None, None]
    found = figures.shown(values, TARGETS, np.ones(2))
    assert found["indices"].tolist() == [19, 3, 35, 39, 38, 37]
    assert found["mse"][3] == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("error", ["mse", "mae", "huber"])
def test_loss_is_that_of_scaled_targets(error):
    outputs = RANDOM.normal(0, 2, TARGETS.shape).astype("f")
    scaled = (TARGETS - MEAN) / STD
    kerass = {"mse": keras.losses.MeanSquaredError(), "mae": keras.losses.MeanAbsoluteError(),
              "huber": keras.losses.Huber(1.0)}[error]  # fmt: skip
    loss = Forecast(error=error).loss(DATA)
    assert float(loss(TARGETS, outputs)) == pytest.approx(float(kerass(scaled, outputs)), rel=1e-4)
    again = ForecastLoss.from_config(loss.get_config())
    assert float(again(TARGETS, outputs)) == float(loss(TARGETS, outputs))


def test_pinball_loss_and_metrics():
    task = Forecast(quantiles=(0.2, 0.5, 0.9))
    outputs = RANDOM.normal(0, 1, (*TARGETS.shape, 3)).astype("f")
    apart = ((TARGETS - MEAN) / STD)[..., None] - outputs
    levels = np.array([0.2, 0.5, 0.9])
    wanted = np.where(apart > 0, levels * apart, (levels - 1) * apart).mean()
    assert float(task.loss(DATA)(TARGETS, outputs)) == pytest.approx(wanted, rel=1e-4)
    for metric, size in zip(task.metrics(DATA), (np.square, np.abs), strict=True):
        again = ForecastError.from_config(metric.get_config())
        again.update_state(TARGETS, outputs)
        assert float(again.result()) == pytest.approx(size(apart[..., 1]).mean(), rel=1e-4)


def test_quantiles_do_not_cross():
    levels = [keras.ops.convert_to_tensor([value]) for value in (0.5, -1.0, 0.0, -0.5, 2.0)]
    assert [float(level[0]) for level in ascending(levels, 2)] == [-1.0, -1.0, 0.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("step", "season"),
    [("1 hour", 24), ("15 minutes", 96), ("1 day", 7), ("1 month", 12), ("3 months", 4), ("1 week", 52),
     ("1 row", 1), ("", 1), ("7 hours", 1), ("2 days", 1)],
)  # fmt: skip
def test_seasons(step, season):
    assert seasons.of_step(step) == season


def waves(count=400, noise=0.0):
    """Return a data set of a wave of 6 rows with a trend, and its windows."""
    steps = np.arange(count)
    rows = np.stack([np.sin(steps * np.pi / 3), np.cos(steps * np.pi / 3)], -1) + 0.01 * steps[:, None]
    rows = (rows + noise * np.random.default_rng(0).normal(size=rows.shape)).astype("f")
    parts = [np.arange(0, 200), np.arange(200, 290), np.arange(300, count - 9)]
    known = {**KNOWN, "mean": (0.0, 0.0), "std": (2.0, 1.0)}
    spec = DataSpec(Spec((6, 2), "float32", **known), Spec((3, 2), "float32", **known))
    return Dataset(*(WindowSplit(rows, part, 6, 3, 2) for part in parts), spec, "waves")


def test_baselines():
    data = waves()
    found = baselines.beside(
        figures.figures(data.test.targets + 0.5, data.test.targets, np.array([2.0, 1.0]), ("a", "b")),
        data, data.test, season=6,
    )  # fmt: skip
    rows = found["baselines"]
    assert list(rows) == ["persistence", "seasonal naive", "linear"]
    past, targets = data.test.features, data.test.targets
    last = np.square((past[:, -1:] - targets) / [2, 1]).mean()
    assert rows["persistence"]["mse"] == pytest.approx(last, rel=1e-4)
    assert rows["seasonal naive"]["mae_raw"] == pytest.approx(0.06, rel=1e-3)  # the trend of six rows
    assert rows["seasonal naive"]["mase"] == pytest.approx(1, rel=1e-3)
    assert found["mase"] == pytest.approx(0.5 / 0.06, rel=1e-3)
    assert rows["linear"]["mse"] < 1e-3 < 0.1 * rows["persistence"]["mse"]
    assert len(rows["linear"]["mse_by_horizon"]) == 3
    short = baselines.beside(found, data, data.test, season=24)  # longer than what is seen
    assert list(short["baselines"]) == ["persistence", "linear"] and short["season"] == 1


def test_a_band_that_is_no_number_is_far_away():
    values, bands = np.zeros((4, 3, 1), np.float32), np.zeros((4, 3, 1, 3), np.float32)
    failing = bands.copy()
    failing[2, 1, 0, 2] = np.nan
    std = np.ones(1, np.float32)
    answers = [{"values": values, "quantiles": part} for part in (bands, failing)]
    assert compare(std, answers[0], answers[0], values)["max_difference"] == 0
    found = compare(std, *answers, values)
    assert np.isnan([found["max_difference"], found["mean_difference"]]).all()


def test_the_linear_map_is_ridge_regression():
    from sklearn.linear_model import Ridge

    data = waves(noise=0.3)
    split = data.train
    changes = [
        ((part - split.features[:, -1:]) / [2.0, 1.0]).transpose(0, 2, 1).reshape(-1, part.shape[1])
        for part in (split.features, split.targets)
    ]
    past = data.test.features.astype(float)
    forecast = baselines.linear(data)(past)
    errors = []
    for penalty in (0.1, 1.0, 10.0, 100.0, 1e3, 1e4):
        ridge = Ridge(penalty).fit(*changes)
        inputs = ((past - past[:, -1:]) / [2.0, 1.0]).transpose(0, 2, 1).reshape(-1, 6)
        values = ridge.predict(inputs).reshape(-1, 2, 3).transpose(0, 2, 1) * [2.0, 1.0] + past[:, -1:]
        errors.append(np.abs(values - forecast).max())
    assert min(errors) < 1e-4


def test_runs_are_compared_by_the_test_of_diebold_and_mariano():
    truth = RANDOM.normal(size=(600, 3, 1))
    noise = RANDOM.normal(size=(602, 1))
    overlapping = np.stack([noise[k : k + 600] for k in range(3)], 1)
    run = {"targets": truth, "std": np.ones(1)}
    one, other = ({**run, "values": truth + size * overlapping} for size in (1.0, 1.2))
    found = comparison.compare(one, other)
    assert found.p_value < 0.01 and found.figures["mse_change"] > 0.3
    independent = {**run, "values": truth + np.stack([np.roll(noise, 300)[k : k + 600] for k in range(3)], 1)}
    assert comparison.compare(one, independent).p_value > 0.2
    assert comparison.compare(one, one).p_value == 1
    with pytest.raises(ValueError, match="other windows"):
        comparison.compare(one, {**other, "targets": truth[::-1]})


def test_verdicts():
    rows = {"persistence": {"mse": 1.0}, "seasonal naive": {"mse": 0.5}, "linear": {"mse": 0.2}}
    said = [
        [verdict.text for verdict in Forecast().verdicts({"mse": mse, "baselines": rows})]
        for mse in (1.2, 0.6, 0.3, 0.201)
    ]
    assert "Worse than the last value repeated (persistence): MSE 1.2000 against 1.0000." in said[0]
    assert "seasonal naive" in said[1][0] and "closed form" in said[2][0] and not said[3]
    assert not Forecast().verdicts({"mse": 1.0})


def test_what_does_not_fit_is_said():
    for quantiles in ((0.1, 0.9), (0.5, 0.1), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0)):
        with pytest.raises(UsageError, match=r"0\.5 among them"):
            Forecast(quantiles=quantiles)
    with pytest.raises(UsageError, match="no rows to forecast"):
        Forecast().network_arguments(DataSpec(Spec((3,), "float32"), Spec((2,), "float32")))
    with pytest.raises(UsageError, match=r"it has to give one of \(3, 2\)"):
        Forecast().check_outputs(np.zeros((4, 3, 1), "f"), DATA, "main")
    with pytest.raises(UsageError, match="season is 24 rows, but the network sees 6"):
        Forecast(season=24).resolve(waves())
    known = {name: value[:1] if isinstance(value, tuple) else value for name, value in KNOWN.items()}
    one = DataSpec(waves().spec.inputs, Spec((3, 1), "float32", **known))
    recipe = Recipe(name="n", model=Config(NLinear), data=Series(), task=Forecast())
    with pytest.raises(UsageError, match=r"^NLinear sees the past of the targets alone\..*`forecast`\.$"):
        make_network(recipe, dataclasses.replace(waves(), spec=one), None)  # without Keras's words around it


def test_evaluation_judges_the_median():
    quantiles = np.stack([TARGETS - 1, TARGETS, TARGETS + 1], -1)
    answers = Answers({"values": TARGETS, "quantiles": quantiles}, TARGETS)
    found = Forecast(quantiles=(0.1, 0.5, 0.9)).evaluate(answers, DATA, {})
    assert found.figures["mse"] == 0 and found.figures["coverage"]["intervals"][0]["covered"] == 1
    assert found.mistakes["quantiles"].shape[1:] == (3, 2, 3)


# ------------------------------------------------------------------------------------------ from file to file


def table(path, count, first=0):
    """Write hours of two columns with a daily wave to a file; return its path."""
    hours = np.datetime64("2024-01-01T00:00") + np.arange(first, first + count).astype("timedelta64[h]")
    steps = np.arange(first, first + count)
    noise = np.random.default_rng(first).normal(0, 0.3, (2, count))
    load = 50 + 8 * np.sin(steps * np.pi / 12) + noise[0]
    heat = 10 - 3 * np.cos(steps * np.pi / 12) + noise[1]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("time", "load", "heat"), *zip(np.datetime_as_string(hours, "m"), load, heat, strict=True)]
        )
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run of quantiles over a file, and its bundle."""
    folder = tmp_path_factory.mktemp("forecast")
    table(folder / "past.csv", 600)
    command = ["train", "nlinear", "--data", str(folder / "past.csv"), "--target", "load,heat",
               "--context", "30", "--horizon", "6", "--quantiles", "0.1,0.5,0.9",
               "--epochs", "8", "--learning-rate", "2e-2",
               "--runs-dir", str(folder / "runs"), "--exported-dir", str(folder / "exported")]  # fmt: skip
    assert main(command) == 0
    return folder


def said(capsys, *arguments):
    """Run a command that has to work; return the JSON that it prints."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_run_learns_and_all_its_files_take_raw_values(place):
    test = json.loads((place / "runs/nlinear/1/metrics.json").read_text())["test"]
    assert test["mse"] < 0.2 < test["baselines"]["persistence"]["mse"] and test["season"] == 24
    assert 0.4 < test["coverage"]["intervals"][0]["covered"] <= 1
    card = json.loads((place / "exported/nlinear/1/card.json").read_text())
    kinds = [row["kind"] for row in card["artefacts"] if "error" not in row]
    assert kinds == ["saved_model", "float32", "float16", "dynamic", "int8", "onnx"]
    scaling = json.loads((place / "exported/nlinear/1/scaling.json").read_text())
    assert scaling["mean"] == pytest.approx([50, 10], abs=1)
    assert card["data"]["features"]["columns"] == ["load", "heat"]


@pytest.mark.slow
def test_what_follows_is_forecast_by_every_file(place, capsys, tmp_path):
    recent = table(tmp_path / "recent.csv", 40, first=900)
    run = said(capsys, "forecast", place / "runs/nlinear/1", recent)
    assert (run["last"], run["times"][0]) == ("2024-02-09T03:00", "2024-02-09T04:00")
    steps = np.arange(940, 946)
    np.testing.assert_allclose(run["values"]["load"], 50 + 8 * np.sin(steps * np.pi / 12), atol=2.0)
    for file in ("", "nlinear.float32.tflite", "nlinear.int8.tflite", "nlinear.onnx"):
        other = said(capsys, "forecast", place / "exported/nlinear/1" / file, recent)
        limit = 0.5 if "int8" in file else 1e-3
        np.testing.assert_allclose(other["values"]["heat"], run["values"]["heat"], atol=limit)
        low, high = (np.array(other["quantiles"]["load"][level]) for level in ("0.1", "0.9"))
        assert (low <= other["values"]["load"]).all() and (high >= other["values"]["load"]).all()


@pytest.mark.slow
def test_a_table_and_a_picture_are_written(place, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recent = table(tmp_path / "recent.csv", 40, first=900)
    assert main(["forecast", str(place / "runs/nlinear/1"), str(recent)]) == 0
    rows = list(csv.reader((tmp_path / "forecast.csv").open()))
    assert rows[0] == [
        "time",
        "load",
        "heat",
        "load 0.1",
        "load 0.5",
        "load 0.9",
        "heat 0.1",
        "heat 0.5",
        "heat 0.9",
    ]
    assert len(rows) == 7 and rows[6][0] == "2024-02-09T09:00"
    picture = (tmp_path / "forecast.svg").read_text()
    assert (
        picture.count("<polyline") == 4 and picture.count("<polygon") == 2 and "2024-02-09T09:00" in picture
    )
    assert "Table   forecast.csv" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "change", "words"),
    [
        (20, None, "sees the last 30 rows before it forecasts, but"),
        (40, ("heat", "warmth"), "has no column 'heat'"),
        (40, (r"2024-02-08T01:00.*\n", ""), "has a gap before 2024-02-08T02:00"),
        (40, ("2024-02-08T01:00,", "2024-02-08T01:00,,"), "columns in its header"),
    ],
)
def test_recent_values_that_do_not_do_are_said(place, capsys, tmp_path, rows, change, words):
    recent = table(tmp_path / "recent.csv", rows, first=900)
    if change:
        recent.write_text(re.sub(*change, recent.read_text()))
    assert main(["forecast", str(place / "exported/nlinear/1"), str(recent)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_evaluate_and_report_show_baselines_and_bands(place, capsys):
    written = json.loads((place / "runs/nlinear/1/metrics.json").read_text())["test"]
    of_run = said(capsys, "evaluate", place / "runs/nlinear/1")
    assert of_run | written == of_run
    larger = place / "larger.csv"
    larger.write_text(re.sub(r"(?<=,)[\d.-]+", lambda cell: f"{10 * float(cell[0]):.3f}",
                             (place / "past.csv").read_text()))  # fmt: skip
    of_other = said(capsys, "evaluate", place / "runs/nlinear/1", "--data", larger)
    before, after = (found["baselines"]["persistence"]["mse"] for found in (of_run, of_other))
    assert after == pytest.approx(100 * before, rel=1e-2)  # in standard deviations of the training
    main(["evaluate", str(place / "exported/nlinear/1"), "--data", str(place / "past.csv")])
    out = capsys.readouterr().out
    assert "persistence" in out and "80 %" in out
    page = Page(place / "runs/nlinear/1/report.html")
    page = page.text + page.unpacked("plotly-figures")
    for words in ("Error by horizon", "seasonal naive", "80 % band", "Test window", "values within it"):
        assert words in page or words.replace(" %", "%") in page, words
