"""Recurrent layers and networks: padding means nothing, and all loops are one and the same."""

import contextlib

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.errors import UsageError
from kerasdl.export.onnx import write_onnx
from kerasdl.export.saved_model import write_saved_model
from kerasdl.export.spec import ExportSpec
from kerasdl.inference.endpoint import Endpoint
from kerasdl.layers import AttentionPooling, Recurrent, block_scan, export_mode, noise
from kerasdl.models.recurrent import RecurrentNetwork
from kerasdl.preprocessing.sequence import SequencePreprocessing
from kerasdl.tasks.regression.task import Regression

LENGTHS = np.array([7, 3, 0, 1, 5])
MASK = np.arange(7) < LENGTHS[:, None]
CELLS = ("lstm", "gru", "simple_rnn")


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)


def arrays(found):
    outputs, states = found
    return [np.asarray(part) for part in (outputs, *states)]


@pytest.mark.by_default(lambda cell, backwards: cell == "lstm")
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_and_other_examples_change_nothing(x, cell, backwards):
    layer = Recurrent(cell=cell, units=4, backwards=backwards)
    outputs, *states = arrays(layer(x, mask=MASK))
    assert len(states) == len(layer.state_shapes)
    for row, length in enumerate(LENGTHS):
        assert not outputs[row, length:].any()
        if length:
            alone = arrays(layer(x[row : row + 1, :length]))
            np.testing.assert_allclose(alone[0][0], outputs[row, :length], atol=1e-6)
            for one, all_of_them in zip(alone[1:], states, strict=True):
                np.testing.assert_allclose(one[0], all_of_them[row], atol=1e-6)
        else:
            assert not any(state[row].any() for state in states)


@pytest.mark.by_default(
    lambda cell, backwards, recurrent_dropout: cell == "lstm" and backwards and recurrent_dropout
)
@pytest.mark.parametrize("recurrent_dropout", [0.0, 0.4])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_the_loop_of_tflite_files_is_that_of_keras(x, cell, backwards, recurrent_dropout, monkeypatch):
    layer = Recurrent(cell=cell, units=4, backwards=backwards, recurrent_dropout=recurrent_dropout)
    started = [tf.ones((5, 4)) for _ in layer.state_shapes]
    shorter = MASK & (np.arange(7) < 5)  # whose last steps are padding alone
    for given in ({}, {"mask": MASK}, {"mask": shorter, "states": started}):
        expected = arrays(layer(x, **given))
        for unroll, block in ((False, 16), (False, 3), (True, 16)):  # 7 steps: less than a block, 3 + 3 + 1
            monkeypatch.setattr(block_scan, "BLOCK", block)
            with export_mode.exporting("tflite", unroll):
                found = arrays(layer(x, **given))
            for left, right in zip(expected, found, strict=True):
                np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_steps_with_states_are_the_whole_sequence(x, cell):
    layer = Recurrent(cell=cell, units=4)
    outputs, *states = arrays(layer(x))
    after = [tf.zeros((5, *shape)) for shape in layer.state_shapes]
    for step in range(7):
        output, after = layer.step(x[:, step], after)
        np.testing.assert_allclose(output, outputs[:, step], atol=1e-6)
    for left, right in zip(states, after, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.by_default(lambda cell: cell == "lstm")
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_dropout_goes_by_the_place_in_the_batch(x, cell):
    layer = Recurrent(cell=cell, units=4, recurrent_dropout=0.5)

    def outputs(rows, place):
        with noise.scope(1, 2, place):
            return layer(x[rows], training=True)[0].numpy()

    together = outputs(slice(None), 0)
    parts = np.concatenate([outputs(slice(2), 0), outputs(slice(2, None), 2)])
    np.testing.assert_allclose(parts, together, atol=1e-6)
    assert np.abs(together - layer(x)[0]).max() > 0.01
    np.testing.assert_array_equal(layer(x, training=True)[0], layer(x)[0])  # without a key nothing is drawn


@pytest.mark.slow
@pytest.mark.parametrize("unroll", [False, True])
def test_a_file_is_traced_for_its_kind(tmp_path, unroll):
    """Keras traces endpoints when it writes them, not when it is told of them."""
    layer = Recurrent(cell="simple_rnn", units=2)
    layer.build((1, 3, 2))
    endpoint = Endpoint("run", lambda x: {"y": layer(x)[0]}, {"x": tf.TensorSpec((1, 3, 2), tf.float32)})
    write_saved_model([endpoint], tmp_path / "saved", "tflite", unroll=unroll)
    graph = tf.saved_model.load(tmp_path / "saved").signatures["run"].graph.as_graph_def()
    kinds = {node.op for function in graph.library.function for node in function.node_def}
    assert ("StatelessWhile" in kinds or "While" in kinds) != unroll
    assert not {kind for kind in kinds if kind.startswith("TensorList")}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_no_gpu_operator_gets_into_a_file(cell, monkeypatch):
    """Though a GPU is there, with which Keras takes cuDNN's operator otherwise."""
    layer = Recurrent(cell=cell, units=4)
    layer.build((None, 7, 3))
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["/device:GPU:0"])

    def with_cudnn(mode):
        with mode:
            call = tf.function(lambda x: layer(x)[0])
            graph = call.get_concrete_function(tf.TensorSpec((None, 7, 3))).graph
        functions = graph.as_graph_def().library.function
        kinds = [node.type for node in graph.get_operations()]
        kinds += [node.op for function in functions for node in function.node_def]
        return any("Cudnn" in kind for kind in kinds)

    assert with_cudnn(contextlib.nullcontext()) and not with_cudnn(export_mode.exporting("saved_model"))
    assert layer.rnn.use_cudnn == "auto"


@pytest.mark.parametrize("kind", ["additive", "dot", "multi_head"])
def test_attention_looks_at_real_steps_alone(x, kind):
    layer = AttentionPooling(kind=kind, units=5, num_heads=3)
    pooled, weights = (np.asarray(part) for part in layer(x, mask=MASK))
    np.testing.assert_allclose(weights.sum(1), LENGTHS > 0, atol=1e-6)
    assert not weights[~MASK].any() and not pooled[2].any()
    for row in (0, 1, 4):
        alone, _ = layer(x[row : row + 1, : LENGTHS[row]])
        np.testing.assert_allclose(alone[0], pooled[row], atol=1e-6)
    if kind != "multi_head":
        np.testing.assert_allclose(np.einsum("bt,btd->bd", weights, x), pooled, atol=1e-6)


def test_heads_that_do_not_divide_are_refused(x):
    with pytest.raises(UsageError, match="divide the 3 features"):
        AttentionPooling(kind="multi_head", num_heads=2)(x)


@pytest.mark.slow
@pytest.mark.parametrize("ids", [[0, 0, 3, 4], [3, 0, 4, 0]])
def test_a_zero_before_a_word_is_read_alike_by_every_runtime(ids):
    words = SequencePreprocessing(vocabulary=("good", "bad", "film"))
    network = RecurrentNetwork(num_classes=2, units=3, bidirectional=True, preprocessing=words)
    expected = network.infer(tf.constant([ids]))
    for unroll in (False, True):
        with export_mode.exporting("tflite", unroll):
            np.testing.assert_allclose(network(tf.constant([ids])), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean_max", "attention"])
def test_padding_is_a_number_in_float16(pooling):
    words = SequencePreprocessing(vocabulary=("good", "bad", "film"))
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = RecurrentNetwork(num_classes=2, units=3, pooling=pooling, preprocessing=words)
        found = network.infer(np.array([b"a good film", b"", b"bad"], object))
    finally:
        keras.config.set_dtype_policy(policy)
    assert np.isfinite(found["logits"] if pooling == "attention" else found).all()


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "mean_max", "attention"])
def test_an_answer_to_a_text_does_not_depend_on_the_others(pooling):
    words = SequencePreprocessing(vocabulary=("good", "bad", "film"))
    network = RecurrentNetwork(
        num_classes=2, units=3, num_layers=2, bidirectional=True, pooling=pooling, num_pairs=50,
        embedding_mean=True, preprocessing=words,
    )  # fmt: skip
    texts = np.array([b"a good film", b"", b"bad bad bad film that is long", b"film"], object)
    together = network.infer(texts)
    together = together["logits"] if pooling == "attention" else together
    assert np.isfinite(together).all()
    for row, text in enumerate(texts):
        alone = network.infer(np.array([text], object))
        alone = alone["logits"] if pooling == "attention" else alone
        np.testing.assert_allclose(alone[0], together[row], atol=1e-6)
    ids = words(tf.constant(texts))
    of_ids = network.infer(tf.pad(ids, ((0, 0), (0, 4))))
    np.testing.assert_allclose(of_ids["logits"] if pooling == "attention" else of_ids, together, atol=1e-6)


@pytest.mark.slow
def test_hidden_words_and_vectors_are_those_of_a_training_step():
    network = RecurrentNetwork(
        num_classes=2, units=3, hide_words=0.5, embedding_dropout=0.5, dropout=0.5,
        preprocessing=SequencePreprocessing(vocabulary=("good", "bad", "film")),
    )  # fmt: skip
    ids = tf.constant([[2, 3, 4, 0], [3, 3, 0, 0]])
    network(ids)  # makes the weights

    def logits(rows, place):
        with noise.scope(0, 0, place):
            return network(ids[rows], training=True).numpy()

    together = logits(slice(None), 0)
    np.testing.assert_allclose(logits(slice(1, 2), 1), together[1:], atol=1e-6)
    assert np.abs(together - network(ids)).max() > 1e-3


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_counts_and_answers_are_those_of_pytorch(x, cell):
    torch = pytest.importorskip("torch")
    layer = Recurrent(cell=cell, units=4)
    outputs = layer(x)[0].numpy()
    other = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](3, 4, batch_first=True)
    order = [0, 1, 2, 3] if cell == "lstm" else [1, 0, 2]  # of the gates: Keras's GRU begins with z
    kernel, recurrent, bias = (np.asarray(weight) for weight in layer.weights)

    def rows(weight):
        gates = np.split(weight, len(order), axis=-1)
        return torch.tensor(np.concatenate([gates[gate] for gate in order], axis=-1).T.copy())

    with torch.no_grad():
        other.weight_ih_l0.copy_(rows(kernel))
        other.weight_hh_l0.copy_(rows(recurrent))
        biases = (bias, np.zeros_like(bias)) if cell == "lstm" else bias
        other.bias_ih_l0.copy_(rows(biases[0]))
        other.bias_hh_l0.copy_(rows(biases[1]))
        np.testing.assert_allclose(other(torch.tensor(x))[0].numpy(), outputs, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_an_onnx_file_has_one_operator_for_all_steps(tmp_path, x, cell, backwards, masked):
    layer = Recurrent(cell=cell, units=4, backwards=backwards)
    network = keras.Sequential([layer])
    network(x)

    def call(x, mask):
        outputs, states = layer(x, mask=mask if masked else None)
        return {"outputs": outputs, **{f"state_{n}": state for n, state in enumerate(states)}}

    inputs = {"x": tf.TensorSpec((None, None, 3)), "mask": tf.TensorSpec((None, None), tf.bool)}
    endpoint = Endpoint("serving_default", call, inputs)
    write_onnx(ExportSpec("x", network, (endpoint,), (), {}), endpoint, tmp_path / "x.onnx")
    kinds = [node.op_type for node in onnx.load(tmp_path / "x.onnx").graph.node]
    assert {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}[cell] in kinds and "Loop" not in kinds
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    for rows in (slice(None), slice(1, 3)):  # the latter has an empty row
        given = {"x": x[rows], "mask": MASK[rows]}
        found = session.run(None, {value.name: given[value.name] for value in session.get_inputs()})
        named = dict(zip([value.name for value in session.get_outputs()], found, strict=True))
        for name, value in call(x[rows], MASK[rows]).items():
            np.testing.assert_allclose(named[name], value, atol=1e-6)


def test_numbers_are_an_answer_too(x):
    task, words = Regression(), SequencePreprocessing()
    data = DataSpec(Spec((7, 3), "float32"), Spec.of_numbers(np.ones((5, 2), np.float32)))
    words.check(data.inputs)
    network = RecurrentNetwork(units=3, pooling="last", preprocessing=words, **task.network_arguments(data))
    assert network.infer(x).shape == (5, 2)
    task.check_outputs(network.infer(x).numpy(), data, "logits")
