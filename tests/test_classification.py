"""The classification task: figures checked by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.splits import ArraySplit
from kerasdl.errors import UsageError
from kerasdl.inference.answers import Answers
from kerasdl.tasks.classification.files import compare, tolerances
from kerasdl.tasks.classification.losses import SparseCrossentropy
from kerasdl.tasks.classification.task import Classification

DATA = DataSpec(Spec((8, 8, 1), "uint8"), Spec((), "int32", ("a", "b", "c")))


def outputs(*classes, confidence=0.8):
    """Return probabilities over three classes with the given ones on top."""
    probabilities = np.full((len(classes), 3), (1 - confidence) / 2, np.float32)
    probabilities[np.arange(len(classes)), classes] = confidence
    return {"probabilities": probabilities}


def test_evaluate():
    answers = Answers(outputs(0, 1, 2, 2), np.array([0, 1, 2, 0]))
    figures = Classification().evaluate(answers, DATA, {}).figures
    assert figures["accuracy"] == 0.75
    assert figures["crossentropy"] == pytest.approx(-(3 * np.log(0.8) + np.log(0.1)) / 4, rel=1e-5)
    assert figures["examples"] == 4
    sure = Answers(outputs(0, 1, confidence=1.0), np.array([0, 1]))
    assert str(Classification().evaluate(sure, DATA, {}).figures["crossentropy"]) == "0.0"  # not -0.0


def test_compare():
    expected, actual = outputs(0, 1, 2, 2), outputs(0, 1, 2, 1)
    figures = compare(expected, actual, np.array([0, 1, 2, 2]))
    assert figures["max_difference"] == pytest.approx(0.7)
    assert figures["mean_difference"] == pytest.approx(1.4 / 12)
    assert (figures["agreement"], figures["accuracy"], figures["accuracy_change"]) == (0.75, 0.75, -0.25)
    assert figures["accuracy_drop"] == 0  # one change of four may be chance


def test_a_drop_beyond_chance_shows():
    labels = np.zeros(1000, np.int64)
    worse = outputs(*[1] * 40, *[0] * 960)
    drop = compare(outputs(*labels), worse, labels)["accuracy_drop"]
    assert drop == pytest.approx(0.040 - 2 * np.sqrt(40) / 1000)
    sign, limit = tolerances("int8")["accuracy_drop"]
    assert sign == "<=" and drop > limit


def test_loss_equals_keras_with_and_without_smoothing():
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    labels = np.array([0, 1, 2, 1, 0])
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert float(SparseCrossentropy()(labels, logits)) == pytest.approx(float(plain), rel=1e-5)
    smooth = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    expected = float(smooth(np.eye(3)[labels], logits))
    assert float(SparseCrossentropy(label_smoothing=0.2)(labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_class_weights():
    labels = np.array([0, 0, 0, 1])
    assert weighed(None, labels, 2) is None
    assert weighed("balanced", labels, 2) == pytest.approx([4 / 6, 4 / 6, 4 / 6, 2])
    assert weighed((1.0, 3.0), labels, 2) == [1, 1, 1, 3]
    mixed = np.array([[0, 1, 0.75], [1, 1, 0.5], [1, 0, 1]], np.float32)
    assert weighed((1.0, 3.0), labels, 2, mixed) == [1.5, 3, 3]
    with pytest.raises(UsageError, match="2 numbers, the data 3 classes"):
        weighed((1.0, 3.0), labels, 3)


def weighed(class_weights, labels, num_classes, batch=None):
    """Return the sample weights of a batch of labels; of the training labels by default."""
    split = ArraySplit(np.zeros((len(labels), 1)), labels)
    spec = DataSpec(Spec((1,), "float32"), Spec((), "int32", tuple(map(str, range(num_classes)))))
    data = Dataset(split, split, split, spec, "")
    weights = Classification(class_weights=class_weights).sample_weights(data)
    return weights and weights(tf.constant(labels if batch is None else batch)).numpy().tolist()


def test_label_smoothing_range():
    with pytest.raises(UsageError, match="label_smoothing is 1"):
        Classification(label_smoothing=1.0)


def test_numbers_are_no_classes():
    numbers = DataSpec(Spec((3,), "float32"), Spec((), "float32"))
    with pytest.raises(UsageError, match=r"no classes .* Use Regression\(\)"):
        Classification().network_arguments(numbers)


@pytest.mark.parametrize("judge_by", ["auto", "accuracy"])
@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.float32([2, 1, 0]), r"shape \(3,\) and the dtype float32, but .*0 to 2.*astype\(np.int32\)"),
        (np.int32([[2], [1], [0]]), r"shape \(3, 1\)"),
        (np.int32([1, 2, 3]), "validation targets go from 1 to 3"),
        (np.int32([-1, 2, 0]), "go from -1 to 2"),
    ],
)
def test_targets_that_are_no_class_numbers(targets, words, judge_by):
    good, bad = (ArraySplit(np.zeros((3, 8, 8, 1), np.uint8), labels) for labels in (np.arange(3), targets))
    with pytest.raises(UsageError, match=words):
        Classification(judge_by=judge_by).resolve(Dataset(good, bad, good, DATA, ""))
    assert Classification().resolve(Dataset(good, good, good, DATA, "")).judge_by == "accuracy"


@pytest.mark.parametrize("num_classes", [10, 1000])
def test_the_limit_of_int8_is_as_strict_for_many_classes(num_classes):
    """The mean over classes of a difference can be 2 / num_classes at most, whatever a file answers."""
    expected, actual = np.zeros((2, 4, num_classes))
    expected[:, 0] = 1
    actual[:, 0], actual[:, 1] = 0.85, 0.15  # the same class, but another certainty
    found = compare({"probabilities": expected}, {"probabilities": actual}, np.zeros(4, int))
    assert found["total_variation"] == pytest.approx(0.15)
    assert found["total_variation"] > tolerances("int8")["total_variation"][1]


def test_weights_of_attention_are_compared_as_probabilities_are():
    answer = {"probabilities": np.array([[0.9, 0.1]], "f"), "attention": np.array([[0.25, 0.75]], "f")}
    longer = {**answer, "attention": np.array([[0.25, 0.75, 0.0]], "f")}  # padded as another batch was
    other = {**answer, "attention": np.array([[0.75, 0.25]], "f")}
    without = {"probabilities": answer["probabilities"]}  # as TFLite files are
    found = [compare(answer, one, np.array([0]))["max_difference"] for one in (longer, other, without)]
    assert found == [0.0, 0.5, 0.0]
    failing = {**answer, "attention": np.array([[0.25, np.nan]], "f")}
    assert np.isnan(compare(answer, failing, np.array([0]))["max_difference"])


def kept_texts(indices, wrong):
    """Return what a run keeps of texts with attention."""
    labels, count = np.array(indices) % 3, len(indices)
    class_ids = np.where(np.isin(indices, wrong), (labels + 1) % 3, labels)
    words = np.array([[f"word{index}", "<b>", ""] for index in indices])
    weights = np.tile(np.array([0.25, 0.75, 0], "f"), (count, 1))
    found = {"indices": np.array(indices), "labels": labels, "class_ids": class_ids}
    return {**found, "confidence": np.full(count, 0.75, "f"), "words": words, "attention": weights}


@pytest.mark.parametrize(
    ("wrong", "said", "shown"),
    [
        ((), "No answer is wrong; shown are the first 8 test texts.", range(8)),
        ((20, 1, 3), "most sure of, then the first 5 test texts answered right.", (20, 1, 3, 0, 2, 4, 5, 6)),
        (range(20, 29), "Shown are the wrong answers that the network was most sure of.", range(20, 28)),
        ((*range(20, 26), 1), "then the first test text answered right.", (*range(20, 26), 1, 0)),
    ],
    ids=["none", "few", "many", "seven"],
)
def test_a_page_shows_attention_over_right_answers_where_few_are_wrong(wrong, said, shown):
    first = {f"first_{name}": values for name, values in kept_texts(range(8), wrong).items()}
    mistakes = {"features": np.array([b"x <b>"] * len(wrong), "S5"), "indices": np.array(wrong, int)}
    mistakes |= kept_texts(wrong, wrong) if wrong else {}  # of no text there is no attention
    sections = Classification().sections({"accuracy": 1.0}, ("a", "b", "c"), {**mistakes, **first})
    assert [part.title for part in sections][1:] == ["Worst mistakes"] * bool(wrong) + [
        "Attention over words"
    ]
    text, *blocks = sections[-1].blocks
    assert text.text.endswith(said)
    assert [block.title.split(":")[0] for block in blocks] == [f"Example {index}" for index in shown]
    true, other = ("a", "b", "c")[shown[0] % 3], ("a", "b", "c")[(shown[0] + bool(wrong)) % 3]
    assert blocks[0].title.endswith(f": true {true}, predicted {other}, 75 % sure")
    assert blocks[0].words == [(f"word{shown[0]}", 0.25), ("<b>", 0.75)] and not blocks[0].signed
    without = Classification().sections({"accuracy": 1.0}, ("a", "b", "c"), {"indices": np.array([], int)})
    assert len(without) == 1
