"""What is said of a user's network before its first step, and that what is saved is what was trained."""

import contextlib
import itertools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from rich.console import Console

import kerasdl
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.images.digits import Digits
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export import operators
from kerasdl.inference.answers import depends_on_batch
from kerasdl.inference.endpoint import close, differences
from kerasdl.jobs import train as trainer
from kerasdl.jobs import verdicts
from kerasdl.jobs.export import export_run
from kerasdl.layers import noise
from kerasdl.models.mlp import MLP
from kerasdl.network.generative import GenerativeNetwork
from kerasdl.network.network import Network
from kerasdl.recipe import Config, Recipe
from kerasdl.tasks.classification.task import Classification
from kerasdl.tasks.regression.task import Regression
from kerasdl.tasks.task import Task
from kerasdl.training import build, contract, devices, reference, saved_network
from kerasdl.training.devices import Devices
from kerasdl.training.making import check_making
from kerasdl.training.plan import plan_run
from tests.test_verdicts import GOOD as FIGURES


class Tiny(Network):
    """A network of one layer, whose faults are its subclasses."""

    units: int | None = None
    activation: str | None = None

    def __init__(self, *, num_classes=10, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.flatten = keras.layers.Flatten()
        self.head = keras.layers.Dense(self.units or num_classes, activation=self.activation)

    def forward(self, x, training=False):
        return self.head(self.flatten(x) / 16)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


class Softmax(Tiny):
    activation = "softmax"


class Sigmoid(Tiny):
    activation = "sigmoid"


class Five(Tiny):
    units = 5


class One(Tiny):
    units = 1


class Maps(Tiny):
    def forward(self, x, training=False):
        return ops.expand_dims(super().forward(x), 1)


class Dict(Tiny):
    def forward(self, x, training=False):
        return {"scores": super().forward(x), "embedding": self.flatten(x)}


class Further(Tiny):
    def forward(self, x, training=False):
        return {"logits": super().forward(x), "embedding": self.flatten(x)}


class TwoInputs(Tiny):
    def forward(self, x, training=False):
        return super().forward(x["image"])


class Gain(Tiny):
    """Forgets an argument in its config."""

    def __init__(self, *, gain=1.0, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain

    def forward(self, x, training=False):
        return self.gain * super().forward(x)


class Fixed(Gain):
    """Gives back the argument, but always the same."""

    def get_config(self):
        return {**super().get_config(), "gain": 1.0}


class Renamed(Gain):
    """Makes another network of the argument that it gives back."""

    def __init__(self, *, gain=1.0, loaded=False, **kwargs):
        super().__init__(gain=gain, **kwargs)
        self.loaded = loaded

    def forward(self, x, training=False):
        return super().forward(x) * (2 if self.loaded else 1)

    def get_config(self):
        return {**super().get_config(), "gain": self.gain, "loaded": True}


class Hidden(Tiny):
    """Has weights that Keras does not know."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.mix = {"inner": [tf.Variable(tf.eye(64))]}

    def forward(self, x, training=False):
        return self.head(self.flatten(x) / 16 @ self.mix["inner"][0])


class HiddenPlainly(Tiny):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.mix = tf.Variable(tf.eye(64))

    def forward(self, x, training=False):
        return self.head(self.flatten(x) / 16 @ self.mix)


class BatchMean(Tiny):
    def forward(self, x, training=False):
        x = ops.cast(x, "float32")
        return super().forward(x - ops.mean(x, axis=0, keepdims=True))


class Stretched(Tiny):
    """Uses the largest pixel of the batch, which is the same in all digits."""

    def forward(self, x, training=False):
        x = ops.cast(x, "float32")
        return super().forward(x / ops.maximum(ops.max(x), 16))


SHARED = keras.layers.Dense(64, activation="relu", name="shared")


class Borrowed(Tiny):
    """Uses a layer at module level, which both the network and its reloaded copy would use."""

    def forward(self, x, training=False):
        return self.head(SHARED(self.flatten(x) / 16))


class Nested(Tiny):
    """Holds a layer in an object that Keras does not look into."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        initializer = keras.initializers.GlorotUniform(seed=0)
        self.block = types.SimpleNamespace(inner=keras.layers.Dense(64, kernel_initializer=initializer))

    def forward(self, x, training=False):
        return self.head(self.block.inner(self.flatten(x) / 16))


class Adapted(Tiny):
    """Has a layer of Keras that computes with constants made of its weights."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale = keras.layers.Normalization(axis=None)
        self.scale.adapt(np.arange(16, dtype="float32"))

    def forward(self, x, training=False):
        return super().forward(self.scale(x))


class Blocked(Tiny):
    """Has a layer that no gradient reaches."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(64, name="inner")

    def forward(self, x, training=False):
        return self.head(ops.sign(self.inner(self.flatten(x) / 16)))


class AlwaysDropout(Tiny):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dropout = keras.layers.Dropout(0.5)

    def forward(self, x, training=False):
        return self.head(self.dropout(self.flatten(x) / 16, training=True))


class Numpy(Tiny):
    def forward(self, x, training=False):
        logits = super().forward(x)
        return tf.ensure_shape(tf.numpy_function(np.tanh, [logits], tf.float32), logits.shape)


class Fourier(Tiny):
    def forward(self, x, training=False):
        return super().forward(tf.math.real(tf.signal.fft2d(tf.cast(x[..., 0], tf.complex64))))


class Zeros(Tiny):
    """Begins with logits of zero, which all lie between 0 and 1."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = keras.layers.Dense(self.num_classes, kernel_initializer="zeros")


class Forgetful(Tiny):
    """Learns something that is not among its weights: a list of Python numbers, by which it multiplies."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scale = [1.0]

    def train_step(self, data):
        self.scale[0] = 3.0  # when the step is traced
        return super().train_step(data)

    def forward(self, x, training=False):
        return super().forward(x) * self.scale[0]


for one in (Tiny, Gain):
    for kind in one.__subclasses__():
        keras.saving.register_keras_serializable("contract")(kind)
keras.saving.register_keras_serializable("contract")(Tiny)


class Unregistered(Tiny):
    """Is in no recipe file, nor known to Keras."""


class Maker(GenerativeNetwork):
    """Makes images by one layer, whose faults are its subclasses."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(64, activation="sigmoid")

    @property
    def noise_shape(self):
        return (3,)

    def generate(self, noise, labels=None):
        return tf.reshape(self.dense(noise), (-1, *self.image_shape))

    def forward(self, x, training=False):
        return self.generate(tf.zeros((tf.shape(x)[0], 3)))

    def drawn(self, count):
        return noise.normal((count, 3))

    def training_loss(self, x, y, sample_weight):
        made = self.generate(self.drawn(tf.shape(x)[0]))
        return self.mean_of(tf.reduce_mean(tf.square(made - self.pixels(x)), [1, 2, 3])), None


class Wide(Maker):
    def generate(self, noise, labels=None):
        return 2 * super().generate(noise) - 1


class Lucky(Maker):
    def drawn(self, count):
        return tf.random.normal((count, 3))


class Blended(Maker):
    def generate(self, noise, labels=None):
        return super().generate(noise - tf.reduce_mean(noise, 0))


class Dicing(Maker):
    def generate(self, noise, labels=None):
        return super().generate(noise + tf.random.normal(tf.shape(noise)))

    def forward(self, x, training=False):
        return super().generate(tf.zeros((tf.shape(x)[0], 3)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Maker, None),
        (Wide, r"Wide\.generate makes pixels from -.* between 0 and 1"),
        (Lucky, "The loss of Lucky is otherwise each time"),
        (Blended, r"Blended\.generate makes another image .* beside others"),
        (Dicing, r"Dicing\.generate makes other images of the same noise"),
    ],
)
def test_images_are_made_of_noise_alone_between_0_and_1(kind, words):
    keras.utils.set_random_seed(0)
    network = kind(image_shape=(8, 8, 1))
    images = np.arange(5 * 64).reshape(5, 8, 8, 1).astype(np.uint8)
    network(images)
    with pytest.raises(UsageError, match=words) if words else contextlib.nullcontext():
        check_making(network, images, np.zeros(5, np.int32))


def check(kind, *, exports=True, streaming=False, **arguments):
    recipe = Recipe(
        name="tiny", model=Config(kind, **arguments), data=Digits(images_per_class=20),
        task=Classification(streaming=streaming), epochs=1, batch_size=20,
    )  # fmt: skip
    plan = plan_run(recipe, recipe.data.load(), Devices())
    network = build.make_network(recipe, plan.data, None)
    before = [np.copy(value) for value in network.get_weights()]
    try:
        contract.check_network(plan, network, exports=exports)
    finally:
        for left, right in zip(before, network.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (Softmax, {}, "probabilities, no logits.* softmax"),
        (Sigmoid, {}, "probabilities, no logits.* sigmoid"),
        (Five, {}, "gives 5 outputs for each example, but the data has 10 classes"),
        (One, {}, "gives 1 outputs for each example, but the data has 10 classes"),
        (Maps, {}, r"gives outputs of shape \(1, 10\)"),
        (Dict, {}, "returns scores, embedding, but none of them is called 'logits'"),
        (TwoInputs, {}, r"cannot be called on the examples of this data \(uint8 of shape \(8, 8, 1\)"),
        (Gain, {"gain": 5.0}, "get_config does not give back gain"),
        (Fixed, {"gain": 5.0}, "get_config does not give back gain"),
        (Renamed, {"gain": 5.0}, "answers otherwise once it is saved and loaded"),
        (HiddenPlainly, {}, "^HiddenPlainly.mix holds a tf.Variable"),
        (Hidden, {}, "^Hidden.mix holds a tf.Variable"),
        (BatchMean, {}, "BatchMean gives an example another answer beside others than alone"),
        (Stretched, {}, "Stretched gives an example another answer beside others than alone"),
        (Borrowed, {}, "Borrowed computes with weights that are not its own.*kernel"),
        (Nested, {}, "Nested computes with weights that are not its own"),
        (AlwaysDropout, {}, "answers otherwise each time"),
        (Numpy, {}, "calls back into Python"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_network_that_breaks_the_contract_is_refused_in_a_sentence(kind, arguments, words):
    with pytest.raises(UsageError, match=words):
        check(kind, **arguments)


@pytest.mark.parametrize("kind", [Tiny, Zeros, Adapted, Unregistered])
def test_a_sound_network_passes(kind, caplog):
    check(kind)
    assert not caplog.records


def test_endpoints_that_a_network_cannot_answer_are_refused_without_exports_too():
    with pytest.raises(UsageError, match="Tiny cannot answer step by step"):
        check(Tiny, exports=False, streaming=True)


def test_python_functions_matter_to_exports_alone():
    check(Numpy, exports=False)


def test_what_files_will_lack_is_said(caplog):
    check(Further)
    assert "returns embedding, which no exported file will hold" in caplog.text
    check(Fourier)
    assert "Fourier uses FFT2D, which TFLite files cannot have" in caplog.text
    assert "Fourier uses FFT2D, which ONNX files cannot have" in caplog.text


def test_operators_in_functions_and_loops_are_seen():
    from kerasdl.inference.endpoint import Endpoint

    def loop(x):
        return {"y": tf.while_loop(lambda y: tf.reduce_sum(y) < 0, lambda y: (tf.math.erfinv(y),), (x,))[0]}

    endpoint = Endpoint("serving_default", loop, {"x": tf.TensorSpec((None, 2))})
    assert "Erfinv" in operators.operators_of([endpoint])


@pytest.mark.parametrize("weights", [(1.0, -1.0), (1.0, float("nan")), (0.0, 0.0), (1.0, float("inf"))])
def test_class_weights_are_numbers_from_0_on(weights):
    with pytest.raises(UsageError, match="each weight has to be a number from 0 on"):
        Classification(class_weights=weights)


def run(folder, model, **fields):
    recipe = Recipe(
        name="tiny", model=Config(model), data=Digits(images_per_class=40),
        **{"task": Classification(), "epochs": 2, "batch_size": 20, **fields},
    )  # fmt: skip
    return trainer.train(recipe, runs_dir=folder, export=False, console=Console(quiet=True)).run


def test_a_saved_network_that_is_not_the_trained_one_fails_the_run(tmp_path):
    with pytest.raises(RunFailedError, match=r"is not the network that was trained.*add_weight"):
        run(tmp_path, Forgetful)


@pytest.mark.slow
def test_validation_figures_of_the_saved_network_are_those_of_its_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "check", lambda *given: None)
    with pytest.raises(RunFailedError, match=r"it gives a val_\w+ of .* at epoch \d"):
        run(tmp_path, Forgetful)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "strategy"), [("float32", "cpu:2"), ("mixed_float16", "none"), ("mixed_bfloat16", "none")]
)
def test_answers_from_memory_are_kept_on_replicas_and_in_16_bits(tmp_path, monkeypatch, precision, strategy):
    monkeypatch.setattr(devices, "check_precision", lambda *given: None)  # bfloat16 on any processor
    made = run(tmp_path, MLP, precision=precision, strategy=strategy, ema_momentum=0.9)
    with np.load(made.path / reference.FILE_NAME) as saved:
        kept = saved["outputs/outputs"]
    data = made.recipe().data.load()
    assert kept.shape == (len(data.validation.targets[:64]), 10)
    actual = np.asarray(made.network().infer(data.validation.features[: len(kept)]))
    np.testing.assert_allclose(kept, actual, atol=(1e-6 if precision == "float32" else 0.03) * actual.std())


@pytest.mark.slow
def test_weights_that_no_gradient_reaches_are_named(tmp_path):
    made = run(tmp_path, Blocked)
    texts = [one["text"] for one in verdicts.judge(made, made.recipe(), FIGURES)]
    (said,) = [text for text in texts if "never changed" in text]
    assert "inner/kernel" in said and "head" not in said


def test_weights_without_effect_by_design_are_not_named(monkeypatch):
    network = Blocked()
    network.create_weights(keras.KerasTensor((None, 8, 8, 1), "uint8"))
    made = types.SimpleNamespace(best_epoch=9), types.SimpleNamespace(steps_per_epoch=9)
    assembly = types.SimpleNamespace(best=made[0], plan=made[1])

    def unchanged():
        return saved_network.unchanged(assembly, network, saved_network.hashes(network), network)

    named = unchanged()
    assert len(named) == len(network.trainable_variables) and network.inner.kernel.path in named
    monkeypatch.setattr(Blocked, "without_effect", property(lambda self: [self.inner.kernel]))
    assert unchanged() == [path for path in named if path != network.inner.kernel.path]


def test_differences_of_files_are_seen_behind_offsets_other_units_and_nan():
    draw = np.random.default_rng(0)
    years = 2000 + 3 * draw.normal(size=(100, 1))
    constant = np.full_like(years, years.mean())
    limits = close("int8")
    assert differences({"y": years}, {"y": constant}, None)["mean_difference"] < limits["mean_difference"][1]
    assert (
        differences({"y": years}, {"y": constant}, None)["spread_difference"] > limits["spread_difference"][1]
    )
    units = np.concatenate([3e5 * draw.normal(size=(100, 1)), draw.uniform(size=(100, 1))], 1)
    wrecked = units.copy()
    wrecked[:, 1] = 0.5
    assert differences({"y": units}, {"y": wrecked}, None)["spread_difference"] > 0.5
    rounded = units.astype(np.float32)
    assert differences({"y": units}, {"y": rounded}, None)["spread_difference"] < 1e-6
    holes, zeros = np.full((4, 1), np.nan), np.zeros((4, 1))
    for expected, actual in (
        ({"a": zeros, "b": holes}, {"a": zeros, "b": zeros}),
        ({"a": zeros}, {"a": holes}),
    ):
        assert differences(expected, actual, None)["max_difference"] == np.inf
    assert differences({"a": holes}, {"a": holes}, None)["max_difference"] == 0
    assert differences({"a": np.array(["x"])}, {"a": np.array(["y"])}, None)["max_difference"] == np.inf


@pytest.mark.slow
def test_a_score_that_is_not_a_number_is_not_the_best(tmp_path, monkeypatch, caplog):
    losses = itertools.chain([9.0], itertools.repeat(1.0))
    task = Classification()
    monkeypatch.setattr(Classification, "score", lambda self, logs: np.log(next(losses) - 5.0))
    with np.errstate(invalid="ignore"):
        made = run(tmp_path, MLP, task=task, epochs=3)
    assert made.read_json("metrics.json")["best_epoch"] == 1
    assert "score of this epoch is not a number" in caplog.text


def test_what_depends_on_the_batch_is_told_and_one_example_is_enough():
    rows = {"a": np.arange(10.0).reshape(5, 2)}
    assert depends_on_batch(lambda inputs: inputs, rows) is None
    assert depends_on_batch(lambda inputs: inputs, {"a": rows["a"][:1]}) is None
    assert (
        depends_on_batch(lambda inputs: {"a": inputs["a"].sum(0, keepdims=True)}, rows)
        == "alone than among 5"
    )
    places = {"a": np.zeros((5, 1))}
    odd = depends_on_batch(lambda inputs: {"a": np.arange(len(inputs["a"]))[:, None]}, places)
    assert odd == "in a batch of 2 than among 5"


def test_outputs_and_targets_that_broadcast_are_refused():
    data = DataSpec(Spec((4,), "float32"), Spec((), "float32"))
    with pytest.raises(UsageError, match=r"outputs of shape \(1,\) for targets of shape \(\)"):
        Task().check_outputs(np.zeros((5, 1)), data, "logits")
    Task().check_outputs(np.zeros((5,)), data, "logits")
    with pytest.raises(UsageError, match="does not tell mean and standard deviation"):
        Regression().resolve(Dataset(None, None, None, data, "x"))


def test_an_export_begins_at_the_answers_from_memory(tmp_path):
    made = run(tmp_path, MLP)
    network = made.network()
    network.set_weights([value + 0.1 for value in network.get_weights()])
    network.save(made.model_file)  # as a fault of the disk or of a later epoch would
    with pytest.raises(RunFailedError, match="is not the network that was trained"):
        export_run(made, made.recipe().data.load(), None, None)
    with pytest.raises(RunFailedError, match="is not the network that was trained"):
        kerasdl.load(made.path).predict(np.zeros((1, 8, 8, 1), np.uint8))
