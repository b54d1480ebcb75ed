"""What a search aims at, as it is typed."""

import pytest

from kerasdl.errors import UsageError
from kerasdl.search.objectives import (
    Constraint,
    Objective,
    artefact_of,
    is_dominated,
    parse_constraint,
    parse_objective,
)


@pytest.mark.parametrize(
    "text, name, direction",
    [
        ("val_accuracy", "val_accuracy", "max"),
        ("accuracy", "accuracy", "max"),
        ("val_loss", "val_loss", "min"),
        ("int8_accuracy", "int8_accuracy", "max"),
        ("tflite_kb", "tflite_kb", "min"),
        ("latency_ms", "latency_ms", "min"),
        ("onnx_latency_ms", "onnx_latency_ms", "min"),
        ("weights", "weights", "min"),
        ("min:val_accuracy", "val_accuracy", "min"),
        ("max:my_figure", "my_figure", "max"),
    ],
)
def test_objectives(text, name, direction):
    assert parse_objective(text) == Objective(name, direction)


@pytest.mark.parametrize("text", ["my_figure", "up:val_loss", "max:", "", ":", "val_accurac"])
def test_objectives_that_are_none(text):
    with pytest.raises(UsageError, match=r"max:|NAME"):
        parse_objective(text)


def test_constraints():
    limit = parse_constraint("tflite_kb<=100")
    assert limit == Constraint("tflite_kb", "<=", 100.0)
    assert limit.holds({"tflite_kb": 100.0})
    assert not limit.holds({"tflite_kb": 100.1})
    assert not limit.holds({})
    assert limit.excess(130) == 30
    least = parse_constraint(" int8_accuracy >= 9.5e-1 ")
    assert least.holds({"int8_accuracy": 0.95})
    assert not least.holds({"int8_accuracy": 0.94})
    assert least.excess(0.9) == pytest.approx(0.05)


@pytest.mark.parametrize("text", ["tflite_kb<100", "tflite_kb<=", "<=100", "a<=b", "a<=nan", "a<=inf", "a=1"])
def test_constraints_that_are_none(text):
    with pytest.raises(UsageError, match="NAME<=NUMBER"):
        parse_constraint(text)


def test_artefacts():
    assert artefact_of("tflite_kb") == ("int8", "kb")
    assert artefact_of("latency_ms") == ("int8", "latency_ms")
    assert artefact_of("saved_model_latency_ms") == ("saved_model", "latency_ms")
    assert artefact_of("int16x8_accuracy") == ("int16x8", "accuracy")
    assert artefact_of("val_accuracy") is None


def test_domination():
    rows = [(1, 2), (2, 1), (2, 2), (1, 2)]
    assert [is_dominated(row, rows) for row in rows] == [False, False, True, False]
