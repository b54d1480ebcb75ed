"""Explanations of language models and forecasters: what each character, or past value, adds to an answer."""

import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from rich.console import Console

from kerasdl.cli import main
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.series.source import Series
from kerasdl.data.text.corpus import Corpus
from kerasdl.errors import UsageError
from kerasdl.explain import forecasts_page
from kerasdl.explain.characters import CharacterExplainer, shown
from kerasdl.explain.explainer import Examples, Question
from kerasdl.explain.forecasts import ForecastExplainer
from kerasdl.explain.page import section
from kerasdl.explain.windows import WindowNetwork, flat
from kerasdl.jobs import train
from kerasdl.jobs.explain import explainer_of
from kerasdl.models.char_lm import CharLM
from kerasdl.models.dlinear import DLinear
from kerasdl.models.forecaster import Forecaster
from kerasdl.models.nlinear import NLinear
from kerasdl.network.network import Network
from kerasdl.preprocessing.series import SeriesPreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.tasks.forecast.task import Forecast
from kerasdl.tasks.generation.task import Generation
from kerasdl.tasks.language.task import LanguageModel
from kerasdl.tasks.regression.task import Regression

VOCABULARY = ("<unknown>", "\n", " ", "<", "b", "c", "d", "e")
TEXT = DataSpec(Spec((None,), "int32", VOCABULARY), Spec((None,), "int32"))
CHARACTERS, FORECASTS = CharacterExplainer(), ForecastExplainer()


def of_texts(network, *texts, true=None, **asked):
    examples = Examples(np.array(texts, object), [f"text {n}" for n in range(len(texts))], true)
    question = Question(class_names=CHARACTERS.class_names(TEXT), **asked)
    return json.loads(str(CHARACTERS.explain(network, TEXT, examples, question)["about"]))


@pytest.fixture(scope="module")
def writer():
    """A language model with weights that are large enough for its answers to be far from linear."""
    keras.utils.set_random_seed(3)
    network = CharLM(vocabulary_size=len(VOCABULARY), embedding_dim=5, cell="gru", units=6, num_layers=1)
    network(tf.zeros((1, 3), tf.int32))
    waves = [np.sin(np.arange(weight.size)).reshape(weight.shape) for weight in network.get_weights()]
    pairs = zip(network.get_weights(), waves, strict=True)
    network.set_weights([2 * weight + wave for weight, wave in pairs])
    return network


@pytest.mark.slow
def test_characters_sum_to_the_difference_of_the_logits(writer):
    about = of_texts(writer, "be <d>\r\ncQ", class_id=5)
    (row,) = about["texts"]
    ids = np.array([[4, 7, 2, 3, 6, 0, 1, 5, 0]], np.int32)  # neither > nor Q is known
    whole, unknown = (writer.infer(tf.constant(given)).numpy()[0, -1] for given in (ids, 0 * ids))
    assert row["text"] == "be <d>\ncQ" and row["logit"] == pytest.approx(whole[5], abs=1e-5)
    assert row["class"] == "c" and row["predicted"] == shown(VOCABULARY[whole.argmax()])
    assert [word["word"] for word in row["words"]] == ["b", "e", "\u2423", "<", "d", ">", "\\n", "c", "Q"]
    assert [word["place"] for word in row["words"]] == list(range(-9, 0))
    scores = [word["integrated-gradients"] for word in row["words"]]
    assert abs(whole[5] - unknown[5]) > 0.1 and sum(np.abs(scores) > 1e-3) >= 4
    assert sum(scores) == pytest.approx(whole[5] - unknown[5], rel=0.011)
    assert scores[5] == scores[8] == 0 and not row["words"][8]["known"]
    for place, word in enumerate(row["words"]):
        without = ids * (np.arange(9) != place)
        fall = whole[5] - writer.infer(tf.constant(without)).numpy()[0, -1, 5]
        assert word["occlusion"] == pytest.approx(fall, abs=1e-5)
    assert "does not know > Q" in about["notes"][0]


@keras.saving.register_keras_serializable("tests")
class CopiesBack(Network):
    """A language model whose answer is the character that stands `back` places before the next one."""

    def __init__(self, *, back, **kwargs):
        super().__init__(**kwargs)
        self.back = back
        self.embedding = keras.layers.Embedding(len(VOCABULARY), len(VOCABULARY))

    def forward(self, x, training=False):
        x = self.embedding(x)
        return ops.pad(x, ((0, 0), (self.back - 1, 0), (0, 0)))[:, : x.shape[1] or ops.shape(x)[1]]


def copier(back):
    network = CopiesBack(back=back)
    network(tf.zeros((1, 9), tf.int32))
    network.set_weights([5 * np.eye(len(VOCABULARY))])
    return network


@pytest.mark.slow
@pytest.mark.parametrize("back", [1, 4])
def test_a_network_that_copies_a_character_is_explained_by_its_place(back):
    (row,) = of_texts(copier(back), "be\ncd b d")["texts"]
    copied = "be\ncd b d"[-back]
    assert row["predicted"] == row["class"] == shown(copied) and row["logit"] == 5
    for method in CHARACTERS.methods:
        assert {w["place"]: w[method] for w in row["words"] if w[method]} == {-back: pytest.approx(5)}
    (line,) = CHARACTERS.tables({"texts": [row], "methods": ["occlusion"]})[-1:]
    assert f"Occlusion:  {shown(copied)}(-{back}) +5.00" in line.renderable.plain


def test_long_and_empty_texts_and_names_of_characters():
    about = of_texts(copier(1), "d" * 300 + "e", methods=["occlusion"])
    (row,) = about["texts"]
    assert row["text"] == "d" * 255 + "e" and len(row["words"]) == 256
    assert about["notes"] == ["text 0: the last 256 of 301 characters are read and explained."]
    with pytest.raises(UsageError, match="text 0 is empty"):
        of_texts(copier(1), "")
    assert [CHARACTERS.class_number(name, TEXT) for name in (" ", "\n", "\\n", "\u2423", "e", "5")] == [
        2, 1, 1, 2, 7, 5
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"no class 'x'.*<unknown>, \\n, "):
        CHARACTERS.class_number("x", TEXT)


def test_windows_of_ids_are_explained_with_what_came():
    ids = np.array([[4, 0, 6]], np.int32)
    (row,) = of_texts(copier(1), *ids, true=np.array([[0, 6, 1]]), methods=["occlusion"])["texts"]
    assert row["true"] == "\\n" and row["text"] == "b\ufffdd"


def test_characters_are_drawn_close_to_each_other(tmp_path):
    about = of_texts(copier(1), "<b> e\nd", methods=["occlusion"])
    arrays = {"about": np.array(json.dumps(about))}
    CHARACTERS.files(arrays)["explanation.html"](tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    shaded = page[page.index('<p dir="auto" class="close">') :].split("</p>")[0]
    assert shaded.count("<span") == 7 and "</span><span" in shaded and "\u2423</span><wbr><span" in shaded
    assert ">\\n</span><br><span" in shaded and ">&lt;</span><span" in shaded
    assert "Each character is shaded" in page and "d(-1)" in page and section(arrays).title == "Explanations"


# Forecasters.

RANDOM = np.random.default_rng(0)
MEAN, STD = (10.0, -300.0), (2.0, 50.0)
KNOWN = {"mean": MEAN, "std": STD, "columns": ("<i>load</i>", "heat")}
CONTEXT, HORIZON = 9, 3
SERIES = DataSpec(Spec((CONTEXT, 2), "float32", **KNOWN), Spec((HORIZON, 2), "float32", **KNOWN))
WINDOWS = RANDOM.normal(MEAN, STD, (2, CONTEXT, 2)).astype("f")


def forecaster(kind, **arguments):
    """Return a network with random weights."""
    draw = np.random.default_rng(5)
    layer = SeriesPreprocessing(mean=MEAN, std=STD)
    network = kind(horizon=HORIZON, num_targets=2, preprocessing=layer, **arguments)
    network(WINDOWS)
    network.set_weights([draw.normal(0, 1, weight.shape) for weight in network.get_weights()])
    return network


def of_windows(network, task=None, windows=WINDOWS, true=None, data=SERIES, **asked):
    examples = Examples(windows, [f"window {n}" for n in range(len(windows))], true)
    names = FORECASTS.class_names(data)
    question = Question(class_names=names, task=task or Forecast(), **asked)
    return json.loads(str(FORECASTS.explain(network, data, examples, question)["about"]))


def linear_map(network, middle=None):
    """Return what a row ahead gains by one more of each past value, (context, horizon), from the weights."""
    quantiles = max(1, network.num_quantiles)

    def weights(layer):
        return np.array(layer.kernel).reshape(CONTEXT, HORIZON, quantiles)[..., middle or 0]

    if isinstance(network, NLinear):
        found = weights(network.head).copy()
        found[-1] += 1 - found.sum(axis=0)  # the last value is subtracted from all, and added again
        return found
    beyond = network.kernel_size // 2
    average = np.zeros((CONTEXT, CONTEXT))
    for row in range(CONTEXT):
        for place in range(row - beyond, row + beyond + 1):
            average[row, np.clip(place, 0, CONTEXT - 1)] += 1 / network.kernel_size
    return average.T @ weights(network.trend) + (np.eye(CONTEXT) - average).T @ weights(network.head)


@pytest.mark.parametrize(
    ("kind", "arguments", "quantiles", "asked"),
    [
        (NLinear, {"num_quantiles": 3}, (0.1, 0.2, 0.5), {"class_id": 1, "ahead": 3}),
        (DLinear, {"kernel_size": 5}, (), {}),
        pytest.param(NLinear, {}, (), {"class_id": 1}, marks=pytest.mark.slow),
        pytest.param(
            DLinear,
            {"kernel_size": 3, "num_quantiles": 3},
            (0.1, 0.5, 0.9),
            {"ahead": 1},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_scores_of_linear_networks_are_weight_times_distance(kind, arguments, quantiles, asked):
    network, task = forecaster(kind, **arguments), Forecast(quantiles=quantiles)
    effects = linear_map(network, quantiles.index(0.5) if quantiles else None)
    ahead = asked.get("ahead")
    effect = effects.mean(axis=1) if ahead is None else effects[:, ahead - 1]
    column = asked.get("class_id", 0)
    about = of_windows(network, task, true=np.arange(12.0).reshape(2, HORIZON, 2), **asked)
    for index, row in enumerate(about["windows"]):
        window = WINDOWS[index, :, column].astype(np.float64)
        expected = effect * (window - window.mean())
        for method in FORECASTS.methods:
            scores = row["scores"][method]
            np.testing.assert_allclose(scores[KNOWN["columns"][column]], expected, rtol=1e-3, atol=2e-3)
            other = scores[KNOWN["columns"][1 - column]]  # each column is forecast from its own past
            np.testing.assert_allclose(other, 0, atol=1e-3)
        assert row["forecast"] - row["flat"] == pytest.approx(expected.sum(), rel=1e-3, abs=1e-3)
        assert row["column"] == KNOWN["columns"][column] and row["error"] < 0.01
        came = 6 * index + column + 2 * np.arange(HORIZON)
        assert row["came"] == (came.mean() if ahead is None else came[ahead - 1])


@pytest.mark.slow
def test_scores_of_a_recurrent_network_sum_to_what_the_window_adds():
    network = forecaster(Forecaster, units=4, cell="gru")
    std, mean = np.array(STD, "f"), np.array(MEAN, "f")
    about = of_windows(network, class_id=1)
    for window, row in zip(WINDOWS, about["windows"], strict=True):
        both = np.stack([window, flat(window)])
        values = (network.infer(tf.constant(both)).numpy() * std + mean)[..., 1].mean(axis=1)
        assert [row["forecast"], row["flat"]] == pytest.approx(values.tolist(), rel=1e-5)
        scores = row["scores"]["integrated-gradients"]["heat"]
        assert sum(scores) == pytest.approx(values[0] - values[1], rel=0.011) and row["error"] <= 0.01
        assert abs(values[0] - values[1]) > 0.1


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_occlusion_replaces_blocks_by_the_mean(rows):
    asking = WindowNetwork(lambda windows: tf.reduce_sum(windows**2, axis=(1, 2)), SERIES.inputs)
    window = RANDOM.normal(0, 1, (CONTEXT, 2)).astype("f")
    found, mean = asking.occlusion(window, rows), window.mean(axis=0)
    for last in range(CONTEXT, 0, -rows):
        block = slice(max(0, last - rows), last)
        fall = (window[block] ** 2 - mean**2).sum(axis=0)
        np.testing.assert_allclose(found[block], np.broadcast_to(fall, found[block].shape), atol=1e-4)


def test_explained_forecasts_are_drawn_and_printed(tmp_path):
    network = forecaster(NLinear)
    about = of_windows(network)
    arrays = {"about": np.array(json.dumps(about))}
    FORECASTS.files(arrays)["explanation.html"](tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("Columns that add nothing: heat.") == 2
    assert "<i>load" not in page and "at its mean over this window" in page
    assert len(section(arrays).blocks) == 1 + 2 * 3
    console = Console(width=80, record=True, file=(tmp_path / "out").open("w"))
    for part in FORECASTS.tables(about):
        console.print(part)
    text = console.export_text()
    row = about["windows"][0]
    scores = row["scores"]["occlusion"]["<i>load</i>"]
    most = int(np.abs(scores).argmax())
    assert f"window 0: <i>load</i>, mean of the next 3 rows: {row['forecast']:,.6g}; " in text.replace(
        "\n", " "
    )
    line = next(line for line in text.splitlines() if line.split()[:1] == [str(most - CONTEXT + 1)])
    assert line.split()[1] == "<i>load</i>" and f"{scores[most]:+.4g}" in line
    assert max(map(len, text.splitlines())) <= 80


def test_rows_that_are_not_forecast_and_values_without_gradients_are_said():
    with pytest.raises(UsageError, match="--ahead is 4, but the network forecasts 3 rows: give 1 to 3"):
        of_windows(forecaster(NLinear), ahead=4)

    rounded = WindowNetwork(
        lambda windows: tf.reduce_sum(tf.cast(tf.cast(windows, tf.int32), tf.float32), axis=(1, 2)),
        SERIES.inputs,
    )
    with pytest.raises(UsageError, match="No gradient reaches the values"):
        rounded.integrated_gradients(WINDOWS[0])
    assert rounded.occlusion(WINDOWS[0]).any()


# What a command is given.


def test_what_cannot_be_explained_says_what_can_be_asked():
    images = DataSpec(Spec((8, 8, 1), "uint8"), Spec((), "int32", ("a", "b")))
    numbers = DataSpec(Spec((4,), "float32"), Spec((), "float32", mean=(0.0,), std=(1.0,)))

    def refused(task, data):
        named = {endpoint.name: endpoint for endpoint in task.endpoints(None, data, {})}
        target = types.SimpleNamespace(path="runs/x/1", task=task, spec=data, endpoints=named)
        with pytest.raises(UsageError) as caught:
            explainer_of(target)
        return str(caught.value)

    said = refused(Generation(), images)
    assert "makes images" in said and "kerasdl interpolate runs/x/1" in said and "\n" not in said
    said = refused(Regression(), numbers)
    assert "those of Regression" in said and "kerasdl report runs/x/1" in said


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of one epoch: a language model of a text, a forecaster of a file."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text("the quick brown fox\njumps over the lazy dog\n" * 60)
    hours = np.arange(600)
    rows = 20 + 5 * np.sin(hours * np.pi / 12) + RANDOM.normal(0, 0.3, 600)
    lines = [f"2024-01-{1 + hour // 24:02} {hour % 24:02}:00,{value:.3f}" for hour, value in enumerate(rows)]
    (folder / "hours.csv").write_text("\n".join(["time,load", *lines]) + "\n")
    recipes = {
        "text": (
            Config(CharLM, embedding_dim=4, units=8, num_layers=1),
            Corpus(path=str(folder / "text.txt"), window=16, evaluation_window=32),
            LanguageModel(sample_length=0),
            None,
        ),
        "hours": (
            Config(NLinear),
            Series(path=str(folder / "hours.csv"), context=24, horizon=6),
            Forecast(),
            Config(SeriesPreprocessing),
        ),
    }
    for name, (model, data, task, preprocessing) in recipes.items():
        recipe = Recipe(
            name=name, model=model, data=data, task=task, preprocessing=preprocessing, epochs=1, batch_size=16
        )
        train.train(recipe, runs_dir=folder, export=False)
    return folder


def explain(capsys, *arguments):
    code = main(["explain", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.slow
def test_command_explains_the_next_character(runs, capsys):
    run = runs / "text/1"
    code, out, _ = explain(capsys, run, "the quick", "--class", " ")
    assert code == 0 and "text 1: predicted " in out and 'logit of "\u2423"' in out
    assert f"Page    {run / 'explain/explanation.html'}" in out and "Report" in out
    assert "Each character is shaded" in (run / "report.html").read_text()
    code, out, _ = explain(capsys, run, "--json", "--methods", "occlusion")  # of the test split
    (row,) = json.loads(out)["texts"]
    assert code == 0 and row["name"] == "test example 0" and len(row["text"]) == 32 and "true" in row
    code, _, error = explain(capsys, run, "the", "--ahead", "1")
    assert code == 2 and f"--ahead is for forecasters, and {run} is none" in error


@pytest.mark.parametrize(
    ("ahead", "said"), [(1, "1 row ahead"), (2, "2 rows ahead"), (None, "mean of the next 3")]
)
def test_the_forecast_that_is_explained_is_named(ahead, said):
    row = {"column": "load", "ahead": ahead, "horizon": 3, "forecast": 2.0, "flat": 1.5}
    assert forecasts_page.described(row).startswith(f"load, {said}")
    assert forecasts_page.described(row).endswith("1.5 for a flat window, +0.5 by the shape of this one")


@pytest.mark.slow
def test_command_explains_a_forecast(runs, capsys):
    run = runs / "hours/1"
    code, out, _ = explain(capsys, run, runs / "hours.csv", "--ahead", "2")
    assert code == 0 and "hours.csv: load, 2 rows ahead: " in out and "row 0 is the last one seen" in out
    assert "What load adds" in (run / "report.html").read_text()
    code, out, _ = explain(capsys, run, "--json")  # of the test split
    (row,) = json.loads(out)["windows"]
    assert code == 0 and row["name"] == "test example 114" and abs(row["came"] - row["forecast"]) < 5
    total = sum(row["scores"]["integrated-gradients"]["load"])
    assert total == pytest.approx(row["forecast"] - row["flat"], rel=0.011)
    for arguments, said in (
        (["nowhere.csv"], "nowhere.csv does not exist"),
        ([runs / "hours.csv", "--class", "heat"], "There is no class 'heat'; there are 1: load"),
        ([runs / "hours.csv", "--token", "1"], "--token is for taggers"),
        ([runs / "hours.csv", "--text-column", "x"], "--text-column is for networks that read texts"),
    ):
        code, out, error = explain(capsys, run, *arguments)
        assert code == 2 and said in error and not out and "Traceback" not in error
