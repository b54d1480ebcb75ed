"""Evaluation: figures by brute force, the temperature, and the same numbers of a run and of all its files."""

import dataclasses
import json
import shutil
import warnings

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from rich.console import Console
from sklearn import metrics

from kerasdl import cli
from kerasdl.data import passes
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.images.digits import Digits
from kerasdl.errors import RunFailedError
from kerasdl.export import bundle as bundles
from kerasdl.export.tflite import Converter
from kerasdl.inference.answers import Answers
from kerasdl.jobs import export, train, verify
from kerasdl.jobs import open as loading
from kerasdl.jobs.evaluate import evaluate, evaluate_network, features_at, fitted_of
from kerasdl.models.mlp import MLP
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.runs import folder as runs
from kerasdl.tasks.classification import figures as measures
from kerasdl.tasks.classification import temperature as calibration
from kerasdl.tasks.classification.tables import tables
from kerasdl.tasks.classification.task import Classification
from kerasdl.tasks.task import Evaluation, Task
from kerasdl.training import build, reference


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def drawn(count, num_classes, seed=0, scale=2.0):
    """Return logits, and labels drawn from their softmax: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(count, num_classes))
    chances = softmax(logits).cumsum(-1)
    labels = (rng.random((count, 1)) > chances).sum(-1).clip(max=num_classes - 1)
    return logits.astype(np.float32), labels


def figures_of(count, num_classes, **more):
    logits, labels = drawn(count, num_classes, **more)
    probabilities = softmax(logits)
    return measures.figures(probabilities, labels), probabilities, labels


@pytest.mark.parametrize("count", [1, 7, 1000])
@pytest.mark.parametrize("num_classes", [1, 2, 3, 10])
def test_figures_are_finite_json_and_warn_of_nothing(count, num_classes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, probabilities, labels = figures_of(count, num_classes)
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    right = probabilities.argmax(-1) == labels
    assert found["accuracy"] == right.mean()
    assert found["examples"] == np.sum(found["confusion_matrix"]) == count
    assert list(found["top_k_accuracy"]) == [k for k in ("2", "3", "5") if int(k) < num_classes]
    assert len(found["mistakes"]) == min(24, (~right).sum())
    low, high = found["accuracy_interval"]
    assert 0 <= low <= found["accuracy"] <= high <= 1
    assert low < high
    console = Console(width=120, record=True, quiet=True)
    for part in tables(found):
        console.print(part)


def test_figures_equal_sklearn():
    found, probabilities, labels = figures_of(500, 7, scale=1.0)
    predicted = probabilities.argmax(-1)
    for k, value in found["top_k_accuracy"].items():
        expected = metrics.top_k_accuracy_score(labels, probabilities, k=int(k))
        assert value == pytest.approx(expected, abs=1e-12)
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    expected = metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert found["roc_auc"] == pytest.approx(expected)
    assert found["crossentropy"] == pytest.approx(metrics.log_loss(labels, probabilities), rel=1e-5)
    for index, row in enumerate(found["per_class"]):
        truly, said = labels == index, predicted == index
        assert row["class"] == str(index)
        assert row["support"] == truly.sum()
        assert row["precision"] == pytest.approx((truly & said).sum() / said.sum())
        assert row["recall"] == pytest.approx((truly & said).sum() / truly.sum())
        assert row["f1"] == pytest.approx(2 * (truly & said).sum() / (truly.sum() + said.sum()))
        pairs = probabilities[truly, index][:, None] - probabilities[~truly, index]
        assert row["roc_auc"] == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    matrix = np.zeros((7, 7), int)
    np.add.at(matrix, (labels, predicted), 1)  # rows: true classes
    assert found["confusion_matrix"] == matrix.tolist()


def test_classes_without_examples_or_predictions_are_undefined_not_zero():
    probabilities = np.array([[0.8, 0.1, 0.1, 0.0], [0.6, 0.3, 0.1, 0.0], [0.7, 0.2, 0.1, 0.0]])
    found = measures.figures(probabilities, np.array([0, 0, 1]), ("a", "b", "c", "d"))
    first, missed, absent, _ = found["per_class"]
    assert first == {
        "class": "a",
        "precision": pytest.approx(2 / 3),
        "recall": 1,
        "f1": pytest.approx(0.8),
        "support": 2,
        "roc_auc": 0.5,
    }
    assert (missed["precision"], missed["recall"], missed["f1"], missed["support"]) == (None, 0, 0, 1)
    assert {key: absent[key] for key in ("precision", "recall", "f1", "support", "roc_auc")} == {
        "precision": None,
        "recall": None,
        "f1": None,
        "support": 0,
        "roc_auc": None,
    }
    assert found["macro_f1"] == pytest.approx(0.4)  # of the two classes that occur
    assert found["roc_auc"] == pytest.approx((0.5 + 0.5) / 2)
    assert found["confusion_matrix"] == [[2, 0, 0, 0], [1, 0, 0, 0], [0] * 4, [0] * 4]
    assert found["mistakes"] == [{"index": 2, "class": "b", "predicted": "a", "confidence": 0.7}]
    assert measures.figures(probabilities, np.array([0, 0, 0]))["roc_auc"] is None


def test_of_two_classes_the_area_is_the_plain_one():
    found, probabilities, labels = figures_of(200, 2)
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, probabilities[:, 1]))


def test_equal_probabilities_rank_as_argmax_does():
    probabilities, labels = np.full((4, 4), 0.25), np.arange(4)
    found = measures.figures(probabilities, labels)
    assert (found["accuracy"], found["top_k_accuracy"]) == (0.25, {"2": 0.5, "3": 0.75})


def test_named_classes_count_where_probabilities_tie():
    outputs = {"probabilities": np.array([[0.5, 0.5]]), "class_ids": np.array([1], np.int32)}
    data = DataSpec(Spec((8, 8, 1), "uint8"), Spec((), "int32", ("a", "b")))
    answers = Answers(outputs, np.array([1]))
    assert Classification().evaluate(answers, data, {}).figures["accuracy"] == 1
    (endpoint, _) = Classification().endpoints(None, data, {})
    assert endpoint.judge(answers)["accuracy"] == 1
    assert endpoint.describe(outputs) == [{"class": "b", "probability": 0.5}]


def test_calibration_error_by_a_loop():
    found, probabilities, labels = figures_of(400, 5)
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == labels
    expected, bins = 0.0, []
    for index in range(15):
        inside = [i for i in range(400) if index / 15 < confidence[i] <= (index + 1) / 15]
        if inside:
            gap = np.mean(right[inside]) - np.mean(confidence[inside])
            expected += len(inside) / 400 * abs(gap)
            bins.append(len(inside))
    assert found["ece"] == pytest.approx(expected)
    assert [row["count"] for row in found["reliability"]] == bins
    for row in found["reliability"]:
        assert row["low"] < row["confidence"] <= row["high"]


def test_calibration_error_of_known_cases():
    certain = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert measures.figures(certain, np.array([0, 0, 1, 1]))["ece"] == 0
    assert measures.figures(certain, np.array([0, 1, 1, 0]))["ece"] == 0.5
    assert measures.figures(certain, np.array([1, 1, 0, 0]))["reliability"] == [
        {"low": pytest.approx(14 / 15), "high": 1.0, "count": 4, "confidence": 1.0, "accuracy": 0.0}
    ]


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    edges = np.linspace(0, 1, 16)[1:]
    assert [row["high"] for row in measures.reliability(edges, edges > 0)] == edges.tolist()


@pytest.mark.parametrize("num_right, count", [(9862, 10_000), (350, 359), (50, 100), (7, 10)])
def test_interval_against_the_exact_binomial(num_right, count):
    """Wilson's interval holds every share under which so many right answers are not rare."""
    low, high = measures.accuracy_interval(num_right, count)
    z = scipy.stats.norm.ppf(0.975)
    for share in (low, high):
        assert abs(num_right / count - share) == pytest.approx(z * np.sqrt(share * (1 - share) / count))
    exact = scipy.stats.binomtest(num_right, count).proportion_ci(0.95)
    assert [low, high] == pytest.approx([exact.low, exact.high], abs=0.06 if count == 10 else 1.5 / count)


@pytest.mark.parametrize("count", [1, 40])
def test_interval_where_all_or_none_are_right(count):
    low, high = measures.accuracy_interval(0, count)
    z2 = scipy.stats.norm.ppf(0.975) ** 2
    assert (low, high) == (0, pytest.approx(z2 / (count + z2)))
    assert measures.accuracy_interval(count, count) == [pytest.approx(1 - high), 1]


def test_mistakes_are_the_most_confident_ones_in_order():
    found, probabilities, labels = figures_of(300, 4, scale=0.5)
    confidence = probabilities.max(-1)
    wrong = [i for i in range(300) if probabilities[i].argmax() != labels[i]]
    expected = sorted(wrong, key=lambda i: -confidence[i])[:24]
    assert len(wrong) > 24
    assert [row["index"] for row in found["mistakes"]] == expected


def test_what_is_no_number_is_a_failure():
    probabilities = np.array([[0.5, 0.5], [np.nan, 0.5]])
    with pytest.raises(RunFailedError, match="1 of 2 examples"):
        measures.figures(probabilities, np.array([0, 1]))


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_fit_finds_the_temperature_that_was_put_in(temperature):
    logits, labels = drawn(20_000, 6)
    found = calibration.fit_temperature(logits * np.float32(temperature), labels)
    assert found["temperature"] == pytest.approx(temperature, rel=0.03)
    assert found["validation_nll_after"] <= found["validation_nll_before"]
    if temperature != 1:
        assert found["validation_ece_after"] < 0.01 < found["validation_ece_before"]
    grid = [calibration._nll(logits * np.float32(temperature), labels, t) for t in np.geomspace(0.05, 20, 60)]
    assert found["validation_nll_after"] <= min(grid)
    assert calibration.fit_temperature(logits * np.float32(temperature), labels) == found


def test_nll_and_ece_of_the_fit_are_those_of_the_figures(monkeypatch):
    monkeypatch.setattr(measures, "_BLOCK", 64)  # several blocks
    logits, labels = drawn(100, 6)
    found, plain = calibration.fit_temperature(logits, labels), measures.figures(softmax(logits), labels)
    assert found["validation_nll_before"] == pytest.approx(plain["crossentropy"], rel=1e-5)
    assert found["validation_ece_before"] == pytest.approx(plain["ece"], abs=1e-6)
    after = measures.figures(softmax(logits / found["temperature"]), labels)
    assert found["validation_nll_after"] == pytest.approx(after["crossentropy"], rel=1e-5)


def test_where_all_are_right_the_temperature_stays(caplog):
    found = calibration.fit_temperature(np.eye(4, dtype=np.float32) * 9, np.arange(4))
    assert found["temperature"] == 1
    assert found["validation_nll_after"] == found["validation_nll_before"]
    assert "All 4 validation examples are right" in caplog.text


def test_huge_logits_are_no_problem():
    logits, labels = drawn(2000, 3)
    found = calibration.fit_temperature(logits * np.float32(10), labels)  # gaps beyond what exp can hold
    assert found["temperature"] == pytest.approx(10, rel=0.1)
    assert all(np.isfinite(value) for value in found.values())


def test_features_are_found_in_any_batch():
    data = np.arange(20, dtype=np.uint16).reshape(10, 2)

    def batches():
        return ((data[i : i + 4], np.zeros(len(data[i : i + 4])), None) for i in range(0, 10, 4))

    found = features_at(np.array([9, 0, 5, 4]), batches)
    np.testing.assert_array_equal(found, data[[9, 0, 5, 4]])
    assert found.dtype == np.uint16
    assert features_at(np.array([], int), batches).shape == (0, 2)


@pytest.fixture(scope="module")
def splits():
    return Digits().load()


@pytest.fixture(scope="module")
def place(tmp_path_factory, splits):
    """A trained run of digits that is far too sure of itself, exported before and after its calibration."""
    folder = tmp_path_factory.mktemp("place")
    recipe = Recipe(
        name="net",
        model=Config(MLP, hidden_units=(16,)),
        data=Digits(),
        task=Classification(),
        preprocessing=Config(ImagePreprocessing),
        epochs=10,
        batch_size=64,
        learning_rate=5e-3,
        schedule="constant",
    )
    converter = Converter()
    converter.start()  # its imports take seconds
    run = train.train(recipe, runs_dir=folder / "runs", export=False, console=Console(quiet=True)).run
    network = run.network()
    network.head.set_weights([3 * weight for weight in network.head.get_weights()])
    network.save(run.model_file)
    (run.path / reference.FILE_NAME).unlink()
    evaluate_network(run, network, recipe.task, splits)
    before = run.read_json("metrics.json")
    with converter:
        settings = export.Settings(
            exported_dir=folder / "exported", tflite_modes=("float32", "int8"), embed_samples=False
        )
        export.export_run(run, splits, converter, settings)
        export.calibrate_run(run, splits)
        export.export_run(run, splits, converter, export.Settings(exported_dir=folder / "exported"))
    return folder, run, before


def answers_of(target, splits):
    return target.predict(splits.test.features)


FILES = (
    "", "net.float32.tflite", "net.float16.tflite", "net.dynamic.tflite", "net.int8.tflite", "net.onnx",
)  # fmt: skip
EXACT = ("", "net.float32.tflite", "net.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_every_file_of_a_calibrated_run_answers_as_it_does(place, splits, file):
    folder, run, _ = place
    keras_answers = answers_of(loading.load(run.path), splits)
    fitted = answers_of(loading.load(folder / "exported/net/2" / file), splits)
    tolerance = 1e-4 if file in EXACT else 0.06
    assert np.abs(fitted["probabilities"] - keras_answers["probabilities"]).max() < tolerance
    if (folder / "exported/net/1" / file).exists():
        plain = answers_of(loading.load(folder / "exported/net/1" / file), splits)
        np.testing.assert_array_equal(fitted["class_ids"], plain["class_ids"])
        temperature = fitted_of(run)["temperature"]
        assert temperature > 1.5
        expected = softmax(np.log(np.maximum(plain["probabilities"], 1e-37).astype("f8")) / temperature)
        assert np.abs(fitted["probabilities"] - expected).max() < tolerance
        assert np.abs(fitted["probabilities"] - plain["probabilities"]).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_run_bundle_and_files_give_the_same_figures(place, capsys, file):
    folder, run, _ = place
    found = []
    for target in (run.path, folder / "exported/net/2" / file):
        assert cli.main(["evaluate", str(target), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    of_run, of_file = found
    written = run.read_json("metrics.json")["test"]
    assert of_run | written == of_run
    assert set(of_file) == set(of_run)
    exact = file in EXACT
    for name in ("accuracy", "crossentropy", "ece", "roc_auc", "macro_f1"):
        assert of_file[name] == pytest.approx(of_run[name], abs=1e-4 if exact else 0.03), name
    assert of_file["temperature"] == of_run["temperature"] == fitted_of(run)["temperature"]
    assert [row["class"] for row in of_file["per_class"]] == list(map(str, range(10)))
    if exact:
        assert of_file["confusion_matrix"] == of_run["confusion_matrix"]


@pytest.mark.slow
def test_calibration_helps_on_test_and_changes_no_class(place):
    _, run, before = place
    plain, fitted = before["test"], run.read_json("metrics.json")["test"]
    assert fitted["ece"] < plain["ece"]
    assert fitted["crossentropy"] < plain["crossentropy"]
    assert (plain["temperature"], fitted["accuracy"]) == (1, plain["accuracy"])
    assert fitted["confusion_matrix"] == plain["confusion_matrix"]
    assert run.read_json("metrics.json").keys() == before.keys() >= {"best_epoch", "epochs"}


@pytest.mark.slow
def test_the_card_tells_the_temperature_and_is_short(place):
    folder, run, _ = place
    plain, fitted = (bundles.read_card(folder / "exported/net" / version) for version in "12")
    assert "calibration" not in plain
    assert fitted["calibration"] == fitted_of(run)
    for row in fitted["artefacts"]:
        assert set(row["evaluation"]) == {"accuracy", "crossentropy", "examples", "ece"}
    assert {"accuracy", "accuracy_interval", "ece"} <= set(fitted["metrics"]["test"])
    assert not {"confusion_matrix", "per_class", "mistakes"} & set(fitted["metrics"]["test"])
    rows, _, note = verify.verify(folder / "exported/net/2")
    assert len(rows) == len(FILES)
    assert "all 359 test examples" in note


@pytest.mark.slow
def test_what_a_run_keeps(place, splits):
    _, run, _ = place
    figures = run.read_json("metrics.json")["test"]
    with np.load(run.path / "predictions.npz") as predictions:
        np.testing.assert_array_equal(predictions["labels"], splits.test.targets)
        assert (predictions["class_ids"] == predictions["labels"]).mean() == figures["accuracy"]
        assert {name: array.dtype.name for name, array in predictions.items()} == {
            "labels": "int32",
            "class_ids": "int32",
            "confidence": "float32",
        }
    with np.load(run.path / "mistakes.npz") as mistakes:
        assert set(mistakes) == {"features", "indices", "labels", "class_ids", "confidence"}
        assert mistakes["indices"].tolist() == [row["index"] for row in figures["mistakes"]]
        np.testing.assert_array_equal(mistakes["features"], splits.test.features[mistakes["indices"]])
        assert mistakes["features"].dtype == np.uint8


@pytest.mark.slow
def test_other_splits(place, splits, capsys):
    _, run, _ = place
    counts = []
    for split in ("train", "validation", "test"):
        assert cli.main(["evaluate", str(run.path), "--split", split, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        counts.append((found["split"], found["examples"]))
    assert counts == [(name, len(getattr(splits, name))) for name in ("train", "validation", "test")]
    fitted = fitted_of(run)
    target = loading.load(run.path)
    batches = passes.split_batches(splits.validation)
    found = evaluate(target.predictor, target.task, target.spec, target.fitted, batches).figures
    assert found["ece"] == pytest.approx(fitted["validation_ece_after"], abs=1e-6)
    assert found["crossentropy"] == pytest.approx(fitted["validation_nll_after"], abs=1e-5)


@pytest.mark.slow
def test_text_says_the_figures(place, capsys):
    _, run, _ = place
    assert cli.main(["evaluate", str(run.path)]) == 0
    text = capsys.readouterr().out
    figures = run.read_json("metrics.json")["test"]
    for part in (f"{figures['accuracy']:.2%}", f"{figures['ece']:.2%}", f"{figures['temperature']:.3f}"):
        assert part in text
    for title in ("Classes", "Confusion matrix", "Calibration", "Most confident mistakes"):
        assert title in text


@pytest.mark.slow
def test_training_further_settles_the_calibration_anew(tmp_path, splits):
    recipe = Recipe(name="net", model=Config(MLP, hidden_units=(5,)), data=Digits(), task=Classification())
    network = build.make_network(recipe, splits, None)
    run = runs.create(tmp_path, recipe)
    assert evaluate_network(run, network, Classification(), splits)["temperature"] == 1
    assert fitted_of(run) == {}
    figures = evaluate_network(run, network, Classification(calibrate=True), splits)
    assert figures["temperature"] == fitted_of(run)["temperature"] != 1
    assert evaluate_network(run, network, Classification(), splits)["temperature"] == 1
    assert fitted_of(run) == {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counting(Task):
    """A task of another kind: it has neither predictions nor mistakes."""

    def evaluate(self, answers, data, fitted):
        return Evaluation(figures={"examples": len(answers.targets), "outputs": sorted(answers.outputs)})


def test_a_task_without_mistakes(tmp_path, splits):
    recipe = Recipe(name="net", model=Config(MLP, hidden_units=(5,)), data=Digits(), task=Counting())
    network = recipe.model.build(num_classes=10)
    run = runs.Run(tmp_path)
    figures = {"examples": 359, "outputs": ["outputs"]}
    assert evaluate_network(run, network, Counting(), splits) == figures
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def probabilities_of(calibration, logits):
    """Return what an endpoint over a network with these logits answers."""
    network = lambda images, training: tf.constant(logits)  # noqa: E731
    data = DataSpec(Spec((8, 8, 1), "uint8"), Spec((), "int32", ("a", "b")))
    endpoint = Classification().endpoints(network, data, calibration)[0]
    return endpoint.function(None)


def test_no_rounding_changes_the_class():
    answers = probabilities_of({"temperature": 20.0}, [[0.0, 1e-7], [3.0, 1.0]])
    assert answers["probabilities"].numpy()[0].tolist() == [0.5, 0.5]
    assert answers["class_ids"].numpy().tolist() == [1, 0]
    np.testing.assert_allclose(answers["probabilities"][1], softmax(np.array([0.15, 0.05])), rtol=1e-5)


def test_without_calibration_the_graph_has_no_division():
    def operations(calibration):
        graph = tf.function(lambda: probabilities_of(calibration, [[1.0, 2.0]])).get_concrete_function().graph
        return {operation.type for operation in graph.get_operations()}

    assert operations({"temperature": 2.0}) - operations({}) == {"RealDiv"}


@pytest.mark.slow
def test_export_calibrates_a_run_that_was_trained_without(place, tmp_path, monkeypatch):
    _, run, _ = place
    copied = runs.Run(shutil.copytree(run.path, tmp_path / "run"))
    (copied.path / "calibration.json").unlink()
    arguments = [
        "export",
        str(copied.path),
        "--formats",
        "onnx",
        "--exported-dir",
        str(tmp_path),
        "--no-samples",
    ]
    assert cli.main(arguments) == 0
    assert "calibration" not in bundles.read_card(tmp_path / "net-onnx/1")
    assert cli.main([*arguments, "--calibrate"]) == 0
    assert fitted_of(copied) == fitted_of(run)
    assert bundles.read_card(tmp_path / "net-onnx/2")["calibration"] == fitted_of(run)


def test_train_has_the_flag(capsys):
    assert cli.main(["train", "mlp", "--data", "digits", "--calibrate", "--print-recipe"]) == 0
    assert json.loads(capsys.readouterr().out)["fields"]["task"]["fields"]["calibrate"] is True
