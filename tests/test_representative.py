"""Examples that integer files take their ranges from: what is left out, and what that is worth."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.errors import RunFailedError
from kerasdl.export import representative, tflite
from kerasdl.export.representative import without_outliers
from kerasdl.export.spec import ExportSpec
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.runtimes import open_artifact

SIZE = 6
WILD = 3.0  # first value of an example from which the network below explodes


def explode(values):
    """Return numbers as large as the examples', and a hundred times as large for wild ones."""
    hidden = tf.nn.relu(values @ tf.eye(SIZE))
    return {"sums": hidden * tf.where(values[:, :1] >= WILD, 100.0, 1.0)}


def endpoint(function):
    return Endpoint("serve", function, {"values": tf.TensorSpec((1, SIZE), tf.float32)})


def examples(count, wild=()):
    values = np.random.default_rng(0).uniform(-1, 1, (count, SIZE)).astype("f")
    values[list(wild), 0] = WILD
    return values


def test_what_explodes_within_the_network_is_left_out(caplog):
    caplog.set_level(logging.INFO)
    values = examples(100, wild=(7, 60))
    kept = without_outliers(endpoint(explode), {"values": values, "more": np.arange(100)})
    expected = np.delete(np.arange(100), (7, 60))
    np.testing.assert_array_equal(kept["more"], expected)
    np.testing.assert_array_equal(kept["values"], values[expected])
    assert "2 of 100 examples do not count" in caplog.text
    assert "numbers of serve reach up to 3" in caplog.text  # 300 against 1


@pytest.mark.parametrize(
    ("count", "wild"),
    [(100, ()), (100, range(0, 100, 10)), (9, (3,))],
    ids=["none is wild", "a tenth is: that is how they are", "too few to tell"],
)
def test_what_is_usual_stays(count, wild, caplog):
    values = examples(count, wild)
    assert len(without_outliers(endpoint(explode), {"values": values})["values"]) == count
    assert not caplog.messages


@pytest.mark.slow
@pytest.mark.parametrize(("count", "wild"), [(20, (3,)), (100, (1, 20, 40, 60, 80)), (256, range(12))])
def test_up_to_a_twentieth_is_left_out(count, wild):
    kept = without_outliers(endpoint(explode), {"values": examples(count, wild)})["values"]
    assert len(kept) == count - len(wild)
    assert kept[:, 0].max() < WILD


def test_numbers_that_are_mostly_zero_tell_nothing():
    """Of what is 0 for nearly all examples there is no usual size."""
    rare = endpoint(lambda values: {"rare": tf.nn.relu(values - 2.0)})
    assert len(without_outliers(rare, {"values": examples(100, wild=(7,))})["values"]) == 100


def test_what_is_not_finite_is_left_out():
    logarithms = endpoint(lambda values: {"logs": tf.math.log(2 - values)})  # not a number beyond 2
    kept = without_outliers(logarithms, {"values": examples(100, wild=(7,))})
    assert len(kept["values"]) == 99


def test_tensors_that_are_infinite_for_all_tell_nothing():
    """A mask of minus infinity must not hide what explodes."""

    def masked(values):
        return {**explode(values), "mask": tf.where(values > -9, -np.inf, values)}

    values = examples(100, wild=(7,))
    kept = without_outliers(endpoint(masked), {"values": values})["values"]
    np.testing.assert_array_equal(kept, np.delete(values, 7, axis=0))


def test_statistics_that_a_kernel_does_not_write_are_not_read():
    def normalised(values):
        images = tf.reshape(values, (1, 1, 1, SIZE))
        one, nothing = tf.ones(SIZE), tf.zeros(SIZE)
        return {
            "y": tf.compat.v1.nn.fused_batch_norm(images, one, nothing, nothing, one, is_training=False)[0]
        }

    values = {"values": examples(3)}
    found = representative._farthest(endpoint(normalised), values)
    expected = np.abs(values["values"]).max(axis=1, keepdims=True) / np.sqrt(1.001)
    assert {1.0, 0.0} == set(np.unique(found[:, :-1]))  # the constants above
    np.testing.assert_allclose(found[:, -1:], expected, rtol=1e-5)


def test_samples_that_cannot_be_run_cost_the_integer_file_alone(tmp_path):
    table = tf.ones((4, 2))
    lookup = Endpoint(
        "serve", lambda ids: {"rows": tf.gather(table, ids)}, {"ids": tf.TensorSpec((None, 1), tf.int32)}
    )
    spec = ExportSpec("lookup", None, (lookup,), (), {"serve": {"ids": np.full((30, 1), 9, np.int32)}})
    with tflite.Converter() as converter:
        writer = tflite.TFLiteWriter(spec, converter, tmp_path / "source", dynamic_batch=False)
        with pytest.raises(
            RunFailedError, match=r"representative samples cannot be run: indices\[0,0\] = 9 is not in"
        ):
            writer.write(tmp_path / "lookup.int8.tflite", "int8")
        writer.write(tmp_path / "lookup.float32.tflite", "float32")


def test_int8_keeps_its_steps_for_the_others(tmp_path, monkeypatch):
    values = examples(100, wild=(7,))
    many = Endpoint("serve", explode, {"values": tf.TensorSpec((None, SIZE), tf.float32)})
    spec = ExportSpec("wild", None, (many,), (), {"serve": {"values": values}})
    tame = values[:7]

    def error(name):
        with tflite.Converter() as converter:
            writer = tflite.TFLiteWriter(spec, converter, tmp_path / name, dynamic_batch=False)
            writer.write(tmp_path / f"{name}.int8.tflite", "int8")
        answers = open_artifact(tmp_path / f"{name}.int8.tflite").call("serve", {"values": tame})
        return np.abs(answers["sums"] - explode(tf.constant(tame))["sums"]).max()

    assert error("robust") < 0.02
    monkeypatch.setattr(tflite.representative, "without_outliers", lambda endpoint, samples: samples)
    assert error("as it comes") > 0.2
