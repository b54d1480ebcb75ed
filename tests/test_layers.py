"""Batch normalisation by the fused kernel equals Keras's layer, and steps aside where it has to."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from kerasdl import layers
from kerasdl.layers import BatchNormalization, convolution
from kerasdl.training import devices
from tests.cases import EXTRA_CASES

TRAINING, INFERENCE = "training", "inference"


@pytest.fixture(autouse=True)
def small_is_enough(monkeypatch):
    """Test on small inputs; `test_small_batches_are_kerass` has the real limit."""
    monkeypatch.setattr(layers.normalization, "_FUSED_FROM", 0)


@dataclasses.dataclass(frozen=True)
class Layer:
    """A configuration, an input shape, and where the fused kernel serves."""

    shape: tuple[int | None, ...]
    options: dict = dataclasses.field(default_factory=dict)
    fused: tuple[str, ...] = (TRAINING, INFERENCE)

    def __str__(self):
        return "x".join(map(str, self.shape)) + "".join(f"-{name}={v}" for name, v in self.options.items())

    def pair(self, dtype="float32", **more):
        """Return Keras's layer and ours, with the same distinct weights."""
        options = {"momentum": 0.8, "dtype": dtype, **self.options, **more}
        both = [kind(**options) for kind in (keras.layers.BatchNormalization, BatchNormalization)]
        for layer in both:
            rng = np.random.default_rng(0)
            layer.build((None, *self.shape[1:]))
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
        return both

    def inputs(self, step=0, dtype="float32"):
        """Draw inputs whose channels differ in mean and size."""
        rng = np.random.default_rng(step)
        channels = np.arange(1, self.shape[-1] + 1)
        return tf.cast(rng.normal(size=self.shape) * channels + 3 * channels - step, dtype)

    def weights(self, step=0, dtype="float32"):
        """Draw a factor for each output, of mean 0, so that gradients lose no digits to cancellation."""
        return tf.cast(np.random.default_rng(100 + step).normal(size=self.shape), dtype)


FUSED = (
    Layer((6, 5, 4, 3)),
    Layer((6, 5, 4, 3), {"epsilon": 0.2, "momentum": 0.3}),
    Layer((6, 5, 4, 3), {"center": False}),
    Layer((6, 5, 4, 3), {"scale": False}),
    Layer((6, 5, 4, 3), {"center": False, "scale": False}),
    Layer((6, 5, 4, 3), {"axis": 3}),
    Layer((6, 5, 4, 3), {"synchronized": True}),  # with one replica
    Layer((6, 1, 1, 2)),
    Layer((2, 1, 1, 2)),
    Layer((1, 5, 4, 3)),
    Layer((1, 1, 1, 3)),  # one value per channel
    Layer((1, 3), fused=(TRAINING,)),
    Layer((7, 3), fused=(TRAINING,)),
    Layer((4, 6, 3), fused=(TRAINING,)),
    Layer((3, 2, 4, 5, 3), fused=(TRAINING,)),
)
FALLBACKS = (
    Layer((6, 5, 4, 3), {"axis": 1}, fused=()),
    Layer((6, 5, 4, 3), {"axis": -2}, fused=()),
    Layer((6, 5, 4, 3), {"renorm": True}, fused=()),
    Layer((6, 5, 4, 3), {"dtype": "float64"}, fused=()),
    Layer((6, 5, 4, 3), {"trainable": False}, fused=(INFERENCE,)),
)
each = pytest.mark.parametrize("case", FUSED + FALLBACKS, ids=str)
each_fused = pytest.mark.parametrize("case", FUSED, ids=str)


def operators(call, *inputs):
    """Return the types of the operators that a call is traced to."""
    graph = tf.function(call).get_concrete_function(*inputs).graph
    return {operation.type for operation in graph.get_operations()}


def is_fused(layer, inputs, **arguments):
    return "FusedBatchNormV3" in operators(lambda x: layer(x, **arguments), inputs)


def step(layer, inputs, weights, **arguments):
    """Return outputs and the gradients of inputs and trainable weights."""
    variables = [variable.value for variable in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True, **arguments)
        loss = tf.reduce_sum(tf.cast(outputs, "float64") * tf.cast(weights, "float64"))
    return [outputs, *tape.gradient(loss, [inputs, *variables])]


def assert_same(theirs, ours, **tolerance):
    assert len(theirs) == len(ours)
    for left, right in zip(theirs, ours, strict=True):
        assert left.dtype == right.dtype and left.shape == right.shape
        left, right = (np.asarray(value).astype("float64") for value in (left, right))
        np.testing.assert_allclose(left, right, **{"rtol": 1e-4, "atol": 5e-5, **tolerance})


@pytest.mark.by_default(lambda case: case in SOME)
@each
def test_the_kernel_serves_where_it_should_and_only_there(case):
    theirs, ours = case.pair()
    inputs = case.inputs(dtype=ours.compute_dtype)
    assert [mode for mode in (TRAINING, INFERENCE) if is_fused(ours, inputs, training=mode == TRAINING)] == [
        *case.fused
    ]
    assert not is_fused(theirs, inputs, training=True)


#: Compiled by XLA and with unknown shapes by default: images, vectors, and Keras's own code.
SOME = (FUSED[0], FUSED[12], FALLBACKS[2])


@pytest.mark.by_default(lambda case, mode: mode == "graph" and case in SOME)
@each
@pytest.mark.parametrize("mode", ["eager", "graph", "unknown shape", "XLA"])
def test_values_gradients_and_moving_statistics(case, mode):
    """Over several steps, and inference after them."""
    results = []
    for layer in case.pair():
        inputs = case.inputs(dtype=layer.compute_dtype)
        unknown = tf.TensorSpec([None] * (inputs.shape.rank - 1) + [inputs.shape[-1]], inputs.dtype)
        call = {
            "eager": lambda function: function,
            "graph": tf.function,
            "unknown shape": lambda function, spec=unknown: tf.function(
                function, input_signature=[spec] * (2 if function is train else 1)
            ),
            "XLA": lambda function: tf.function(function, jit_compile=True),
        }[mode]

        def train(inputs, weights, layer=layer):
            return step(layer, inputs, weights)

        def infer(inputs, layer=layer):
            return layer(inputs, training=False)

        if mode == "unknown shape" and layer.axis not in (-1, len(case.shape) - 1):
            pytest.skip("Keras needs the size of the axis")
        run, kept = call(train), []
        for number in range(3):
            arguments = number, layer.compute_dtype
            kept += run(case.inputs(*arguments), case.weights(*arguments))
        results.append([*kept, *layer.weights, call(infer)(inputs)])
    assert_same(*results)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(16, 9, 8, 4), (16, 70, 4), (1, 1, 1, 4)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("policy", ["mixed_", ""])
def test_reduced_precision_is_no_worse_than_kerass(shape, dtype, policy):
    """Against float64: outputs and gradients are as near as rounding allows, statistics stay float32."""
    case = Layer(shape)
    inputs, weights = case.inputs(dtype=dtype), case.weights(dtype=dtype)
    exact, _ = case.pair("float64")
    theirs, ours = case.pair(policy + dtype)
    for layer in (theirs, ours):
        layer.set_weights(exact.get_weights())
    exact.set_weights([np.asarray(weight).astype("float64") for weight in ours.weights])
    assert is_fused(ours, inputs, training=True)
    results = []
    for layer, kind in ((exact, "float64"), (theirs, dtype), (ours, dtype)):
        made = tf.function(step)(layer, tf.cast(inputs, kind), tf.cast(weights, kind))
        results.append([*made, *layer.weights, layer(tf.cast(inputs, kind), training=False)])
    assert [value.dtype for value in results[1]] == [value.dtype for value in results[2]]
    for truth, left, right in zip(*results, strict=True):
        truth, left, right = (np.asarray(value).astype("float64") for value in (truth, left, right))
        rounding = 1e-5 * max(1, np.abs(truth).max())
        assert np.abs(right - truth).max() <= 1.05 * np.abs(left - truth).max() + rounding


@pytest.mark.by_default(lambda case: case in SOME)
@each_fused
def test_second_gradients(case):
    results = []
    for layer in case.pair():
        inputs = case.inputs()
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            _, gradient, *_ = step(layer, inputs, tf.tanh(inputs))
            loss = tf.reduce_sum(gradient**2)
        results.append(outer.gradient(loss, inputs))
    largest = max(1.0, float(np.abs(results[0]).max()))
    np.testing.assert_allclose(results[0] / largest, results[1] / largest, atol=1e-4)


def test_empty_batches_do_what_kerass_layer_makes_of_them():
    """Outputs without elements, gradients of nothing for beta, and statistics of nothing: NaN."""
    theirs, ours = Layer((0, 5, 4, 3)).pair()
    for layer in (theirs, ours):
        outputs, gradient, *_ = step(layer, tf.zeros((0, 5, 4, 3)), tf.zeros((0, 5, 4, 3)))
        assert outputs.shape == gradient.shape == (0, 5, 4, 3)
        assert np.isnan(layer.moving_mean).all() and np.isnan(layer.moving_variance).all()
        assert layer(tf.zeros((0, 5, 4, 3)), training=False).shape == (0, 5, 4, 3)


def test_masks_are_kerass():
    case = Layer((4, 6, 3))
    inputs, mask = case.inputs(), tf.sequence_mask([6, 1, 3, 2], 6)
    results = []
    for layer in case.pair():
        results.append([*step(layer, inputs, case.weights(), mask=mask), *layer.weights])
        assert not is_fused(layer, inputs, training=True, mask=mask)
    assert_same(*results)
    with pytest.raises(ValueError, match="mask"):
        layer(inputs, training=True, mask=mask[..., None])


@pytest.mark.parametrize(
    ("shape", "fused"),
    [
        ((128, 8, 8, 16), True),
        ((127, 8, 8, 16), False),
        ((None, 8, 8, 64), True),  # an unknown batch counts as 32
        ((None, 8, 8, 63), False),
        ((None, None, None, 4), True),
        ((128, 1024), True),
        ((128, 512), False),
    ],
    ids=str,
)
def test_small_batches_are_kerass(monkeypatch, shape, fused):
    monkeypatch.undo()
    layer = BatchNormalization()
    layer.build(shape)
    assert is_fused(layer, tf.TensorSpec(shape), training=True) == fused


@pytest.mark.parametrize(("strategy", "fused"), [("none", True), ("mirrored", True), ("cpu:2", False)])
def test_replicas(strategy, fused):
    """One replica takes the kernel; several share their statistics, unless told not to."""
    case = Layer((6, 5, 4, 3))
    chosen = devices.choose(strategy)
    with chosen.scope():
        shared, own = BatchNormalization(), BatchNormalization(synchronized=False)
        for layer in (shared, own):
            layer.build((None, *case.shape[1:]))

    def call(layer):
        def train(inputs):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return layer(inputs + tf.cast(replica, "float32"), training=True)

        run = train if chosen.strategy is None else lambda x: chosen.run(train, x)
        return operators(run, case.inputs())

    assert ("FusedBatchNormV3" in call(shared)) == fused
    assert "FusedBatchNormV3" in call(own)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "fields"),
    [
        ("none", {}),
        ("none", {"jit_compile": True}),
        ("none", {"gradient_accumulation_steps": 2}),
        ("mirrored", {"gradient_accumulation_steps": 2}),
    ],
    ids=str,
)
def test_networks_train_as_with_kerass_layer(monkeypatch, strategy, fields):
    """Three epochs with a partial last batch; micro-batches of both layers are the same ones."""
    weights = []
    for kernel in (False, True):
        monkeypatch.setattr(layers.normalization, "_FUSED_FROM", 0 if kernel else 2**62)
        keras.utils.set_random_seed(0)
        with devices.choose(strategy).scope():
            network = EXTRA_CASES[0].build()
            network.compile(keras.optimizers.SGD(0.1), EXTRA_CASES[0].task.loss(None), seed=1, **fields)
        data = tf.data.Dataset.from_tensor_slices(EXTRA_CASES[0].examples(40)).batch(16)
        network.fit(data, epochs=3, shuffle=False, verbose=0)
        weights.append(network.get_weights())
    assert_same(*weights, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_every_step_is_the_same_bit_for_bit():
    """`--deterministic` promises it; oneDNN and Eigen keep it without being asked."""
    case, results = Layer((64, 16, 16, 8)), set()
    for _ in range(10):
        _, layer = case.pair()
        made = [*tf.function(step)(layer, case.inputs(), case.weights()), *layer.weights]
        results.add(b"".join(np.asarray(value).tobytes() for value in made))
    assert len(results) == 1


@pytest.mark.parametrize(("deterministic", "gpus", "fused"), [(1, 1, False), (1, 0, True), (0, 1, True)])
def test_inference_is_kerass_where_the_kernel_has_no_deterministic_gradient(
    monkeypatch, deterministic, gpus, fused
):
    _, layer = Layer((6, 5, 4, 3)).pair()
    monkeypatch.setattr(layers.normalization, "is_op_determinism_enabled", lambda: bool(deterministic))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * gpus)
    assert is_fused(layer, tf.TensorSpec((6, 5, 4, 3)), training=False) == fused


@pytest.mark.parametrize("writer", [0, 1], ids=["Keras's file", "our file"])
@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
def test_files_of_either_layer_are_read_by_the_other(tmp_path, writer, ending):
    case = Layer((6, 5, 4, 3))
    kinds = (keras.layers.BatchNormalization, BatchNormalization)
    written, read = (
        keras.Sequential([keras.Input(case.shape[1:]), kind(name="norm")])
        for kind in (kinds[writer], kinds[1 - writer])
    )
    for seed, weight in enumerate(written.weights):
        weight.assign(np.random.default_rng(seed).uniform(0.5, 1.5, weight.shape))
    file = tmp_path / f"network.{ending}"
    if ending == "keras":
        written.save(file)
        loaded = keras.saving.load_model(file)
        assert type(loaded.layers[0]) is kinds[writer]
        assert_same([written(case.inputs())], [loaded(case.inputs())])
    else:
        written.save_weights(file)
    read.load_weights(file)
    for left, right in zip(written.weights, read.weights, strict=True):
        np.testing.assert_array_equal(left, right)
    assert_same([written(case.inputs())], [read(case.inputs())])


@pytest.mark.by_default(lambda case: case in SOME)
@each
def test_configuration_is_kerass(case):
    theirs, ours = case.pair(name="norm")
    config = {**theirs.get_config()}
    del config["synchronized"]  # a matter of the devices
    assert ours.get_config() == config
    assert BatchNormalization.from_config(theirs.get_config()).get_config() == config


@pytest.mark.slow
def test_tflite_folds_it_into_the_convolution(tmp_path):
    """As it does Keras's: nothing of the layer is left, and the answers are the same."""
    network = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(3, 3), BatchNormalization()])
    for seed, weight in enumerate(network.weights):
        weight.assign(np.random.default_rng(seed).uniform(0.5, 1.5, weight.shape))
    assert is_fused(network.layers[-1], tf.TensorSpec((None, 6, 6, 3)), training=False)
    network.export(tmp_path / "saved_model", verbose=False)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved_model")).convert()
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    assert [operator["op_name"] for operator in interpreter._get_ops_details()] == ["CONV_2D"]
    (asked,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 2)).astype("float32")
    interpreter.set_tensor(asked["index"], image)
    interpreter.invoke()
    assert_same([network(image).numpy()], [interpreter.get_tensor(answered["index"])])


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_local_response_normalization_is_the_papers_formula(dtype):
    """Squares are summed in float32: 300 squared is infinite in float16."""
    inputs = np.random.default_rng(0).normal(size=(2, 3, 3, 7)).astype("float32") * 300
    layer = layers.LocalResponseNormalization(radius=1, bias=3.0, alpha=1e-3, beta=0.6, dtype=dtype)
    padded = np.pad(inputs**2, ((0, 0), (0, 0), (0, 0), (1, 1)))
    sums = padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]
    expected = inputs / (3.0 + 1e-3 * sums) ** 0.6
    outputs = layer(inputs)
    assert outputs.dtype == layer.compute_dtype
    rounding = {"float32": 1e-5, "mixed_float16": 2e-3, "mixed_bfloat16": 2e-2}[dtype]
    np.testing.assert_allclose(np.asarray(outputs, "float32"), expected, rtol=rounding)
    same = layers.LocalResponseNormalization.from_config(layer.get_config())
    np.testing.assert_array_equal(same(inputs), outputs)


def test_maxout_takes_the_largest_of_its_pieces():
    inputs = np.array([[1.0, -2.0, 0.0, 5.0, 3.0, -1.0]], "float32")
    np.testing.assert_array_equal(layers.Maxout()(inputs), [[5.0, 3.0, 0.0]])
    three = layers.Maxout.from_config(layers.Maxout(pieces=3).get_config())
    np.testing.assert_array_equal(three(inputs), [[3.0, 5.0]])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 54 + 2 * 2),
        ({"use_bias": True}, 54 + 2 + 2 * 2),
        ({"batch_normalization": False}, 54 + 2),
        ({"batch_normalization": False, "use_bias": False}, 54),
        ({"activation": "maxout"}, 2 * (54 + 2 * 2)),
        ({"strides": 2, "padding": "valid", "activation": "tanh"}, 54 + 2 * 2),
    ],
    ids=str,
)
def test_convolution_blocks(options, count):
    """A bias where no normalisation follows, and the configuration that makes the same block."""
    block = layers.ConvolutionBlock(filters=2, kernel_size=3, **options)
    inputs = np.random.default_rng(0).normal(size=(4, 9, 9, 3)).astype("float32")
    outputs = block(inputs, training=True)
    size = 4 if options.get("strides") == 2 else 9
    assert outputs.shape == (4, size, size, 2)
    assert sum(int(np.prod(weight.shape)) for weight in block.trainable_variables) == count
    same = layers.ConvolutionBlock.from_config(block.get_config())
    same(inputs)
    same.set_weights(block.get_weights())
    np.testing.assert_array_equal(same(inputs, training=True), outputs)
    if options.get("batch_normalization", True):
        assert not np.allclose(block(inputs), outputs)


def kernel_gradients(kind, images, dtype, **options):
    """Return a layer's outputs and the gradients of inputs and weights, for outputs weighted by chance."""
    keras.utils.set_random_seed(0)
    layer = kind(6, use_bias=True, dtype=dtype, **{"kernel_size": 3, "padding": "same", **options})
    layer.build(images.shape)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images)
        weights = np.random.default_rng(1).normal(size=outputs.shape)
        total = tf.reduce_sum(tf.cast(outputs, "float32") * weights)
    return outputs, *tape.gradient(total, [images, *[weight.value for weight in layer.trainable_weights]])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"kernel_size": (1, 3)}, {"kernel_size": 5}], ids=str)
@pytest.mark.parametrize("size", [(4, 4), (2, 3), (1, 1)], ids=str)
def test_small_images_teach_a_kernel_what_keras_does(size, options, monkeypatch):
    images = tf.constant(np.random.default_rng(0).normal(size=(5, *size, 4)), "float32")
    called = []
    by_product = convolution._convolution_with_product
    monkeypatch.setattr(
        layers.convolution,
        "_convolution_with_product",
        lambda *tensors: called.append(0) or by_product(*tensors),
    )
    ours = kernel_gradients(layers.Conv2D, images, "mixed_bfloat16", **options)
    theirs = kernel_gradients(keras.layers.Conv2D, images, "mixed_bfloat16", **options)
    assert called
    for our, their in zip(ours, theirs, strict=True):
        our, their = (np.asarray(tf.cast(value, "float32")) for value in (our, their))
        np.testing.assert_allclose(our, their, atol=2e-2 * np.abs(their).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "size", "options"),
    [
        ("float32", (4, 4), {}),
        ("mixed_bfloat16", (5, 4), {}),
        ("mixed_bfloat16", (4, 4), {"strides": 2}),
        ("mixed_bfloat16", (4, 4), {"padding": "valid"}),
        ("mixed_bfloat16", (4, 4), {"dilation_rate": 2}),
        ("mixed_bfloat16", (4, 4), {"groups": 2}),
        ("mixed_bfloat16", (4, 4), {"kernel_size": 2}),
    ],
    ids=str,
)
def test_other_convolutions_are_left_to_keras(dtype, size, options, monkeypatch):
    monkeypatch.setattr(
        convolution, "_convolution_with_product", lambda *tensors: pytest.fail("not for this")
    )
    images = tf.constant(np.random.default_rng(0).normal(size=(5, *size, 4)), "float32")
    ours = kernel_gradients(layers.Conv2D, images, dtype, **options)
    theirs = kernel_gradients(keras.layers.Conv2D, images, dtype, **options)
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(our, their)
