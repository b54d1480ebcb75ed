"""The private names of TensorFlow and Keras: what an upgrade of either has to be checked for."""

import ast
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.errors import RunFailedError
from kerasdl.private import keras as private_keras
from kerasdl.private import tensorflow as private_tensorflow
from kerasdl.training.optimizers.replica_safe import ReplicaSafeAdamW

PACKAGE = Path(__file__).parent.parent / "kerasdl"
PRIVATE_MODULES = ("tensorflow.python", "keras.src", "__internal__")
OF_KERAS = {
    *private_keras.OVERRIDDEN, *private_keras.OF_LAYERS, *private_keras.OF_MODELS,
    *private_keras.OF_OPTIMIZERS,
}  # fmt: skip


@pytest.mark.parametrize(("module", "name"), private_tensorflow.NAMES, ids=str)
def test_tensorflow_has_its_names(module, name):
    assert callable(private_tensorflow._find(module, name))


@pytest.mark.parametrize(
    ("module", "name"), [("tensorflow.python.nowhere", "f"), ("tensorflow", "__internal__.nothing.f")]
)
def test_a_name_that_tensorflow_has_lost_is_said_in_one_line(module, name):
    with pytest.raises(RunFailedError) as raised:
        private_tensorflow._find(module, name)
    text = str(raised.value)
    assert text.startswith(f"TensorFlow {tf.__version__} no longer has {module}.{name}. ")
    assert "\n" not in text


def averaged():
    """Return an optimizer that has all there is, after one update of one weight."""
    optimizer = ReplicaSafeAdamW(weight_decay=0.1, use_ema=True)
    weight = keras.Variable(np.ones(3, np.float32))
    optimizer.build([weight])
    optimizer.apply([tf.ones(3)], [weight])
    return optimizer


def test_keras_has_its_names():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(loss="mse")
    optimizer = averaged()
    for owner, names in (
        (model, private_keras.OF_LAYERS),
        (model, private_keras.OF_MODELS),
        (optimizer, private_keras.OF_OPTIMIZERS),
        (keras.Optimizer, private_keras.OVERRIDDEN),
    ):
        for name in names:
            private_keras.attribute(owner, name)
    private_keras.check_overridden()


def test_a_name_that_keras_has_lost_is_said_in_one_line(monkeypatch):
    with pytest.raises(RunFailedError, match=rf"Keras {keras.__version__} no longer has Dense\._nothing\. "):
        private_keras.attribute(keras.layers.Dense(1), "_nothing")
    monkeypatch.setattr(private_keras, "OVERRIDDEN", ("_nothing",))
    with pytest.raises(RunFailedError, match=r"Optimizer\._nothing") as raised:
        private_keras.check_overridden()
    assert "\n" not in str(raised.value)


def test_keras_calls_what_is_overridden(monkeypatch):
    """Under another name, gradients would be summed twice and nothing would tell."""
    called = []
    kinds = (private_keras.AlreadySummed, private_keras.DecayAtOneRate, private_keras.OneSharedValue)
    for kind in kinds:
        for name in private_keras.OVERRIDDEN:
            if name in vars(kind):
                method = vars(kind)[name]

                def spy(self, *given, name=name, method=method):
                    called.append(name)
                    return method(self, *given)

                monkeypatch.setattr(kind, name, spy)
    averaged()
    assert set(called) == set(private_keras.OVERRIDDEN)


def test_private_names_stand_in_their_files_alone():
    rooms = (PACKAGE / "private", PACKAGE / "search" / "keras_tuner")
    wrong = []
    for file in sorted(PACKAGE.rglob("*.py")):
        if any(file.is_relative_to(room) for room in rooms):
            continue
        text = file.read_text()
        wrong += [
            f"{file}: {words}"
            for words in ("tensorflow.python", "keras.src", "__internal__")
            if words in text
        ]
        wrong += [
            f"{file}:{node.lineno}: {node.attr}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Attribute) and node.attr in OF_KERAS
        ]
    assert not wrong, "\n".join(wrong)
