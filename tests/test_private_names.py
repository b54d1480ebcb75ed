"""The private names of other libraries that kerasdl stands on, so that an upgrade is one look.

Where one of these tests fails after an upgrade, the file that it names has to be adapted.
"""

import ast
import importlib
import inspect
import re
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from keras_tuner import oracles as stock
from keras_tuner.engine import base_tuner

from kerasdl.errors import RunFailedError
from kerasdl.private import keras as private_keras
from kerasdl.private import tensorflow as private_tensorflow
from kerasdl.training.optimizers.replica_safe import REPLICA_SAFE

PACKAGE = Path(__file__).parent.parent / "kerasdl"
PRIVATE_MODULES = ("tensorflow.python", "keras.src", "__internal__")
OF_KERAS = {
    *private_keras.OVERRIDDEN, *private_keras.OF_LAYERS, *private_keras.OF_MODELS,
    *private_keras.OF_OPTIMIZERS,
}  # fmt: skip


@pytest.mark.parametrize(("module", "name"), private_tensorflow.NAMES, ids=str)
def test_tensorflow_has_its_names(module, name):
    assert callable(private_tensorflow._find(module, name))


def test_the_converter_has_the_quantizer_that_int16x8_files_go_around():
    """`kerasdl/inference/worker/script.py` hands it a model whose signatures share no buffer."""
    assert list(inspect.signature(tf.lite.TFLiteConverter._quantize).parameters)[:2] == ["self", "result"]


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
    optimizer = REPLICA_SAFE["adamw"](weight_decay=0.1, use_ema=True)
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


# Keras Tuner and TensorBoard.


def users_of(pattern):
    """Return the files of kerasdl whose code matches a pattern."""
    files = [file for file in PACKAGE.rglob("*.py") if re.search(pattern, file.read_text())]
    return {file.relative_to(PACKAGE).as_posix() for file in files}


#: What kerasdl/search/keras_tuner/private.py uses: where it is -> its private names.
KERAS_TUNER = {
    "keras_tuner.src.engine.oracle": ("LOCKS", "THREADS"),
    "keras_tuner.src.protos": ("get_proto", "get_service", "get_service_grpc"),
}
ORACLE = (
    "_get_oracle_fname", "_get_trial_dir", "_project_dir", "_random_values", "_retry_queue", "_save_trial",
)  # fmt: skip
GRID = ("_compare", "_ordered_ids", "_populate_next")
TUNER = ("_get_tuner_fname",)


def test_keras_tuner_has_the_private_names_and_one_file_uses_them():
    from kerasdl.search.keras_tuner import private

    for module, names in KERAS_TUNER.items():
        for name in names:
            assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"
    objective = keras_tuner.Objective("val_loss", "min")
    for made, names in (
        (stock.RandomSearchOracle(objective=objective), ORACLE),
        (stock.GridSearchOracle(objective=objective), GRID),
    ):
        assert [name for name in names if name not in {*vars(made), *dir(type(made))}] == []
    assert all(hasattr(base_tuner.BaseTuner, name) for name in TUNER)
    assert (private.ORACLE, private.GRID, private.TUNER) == (ORACLE, GRID, TUNER)
    for name in (r"keras_tuner\.src", *(rf"\.{name}\b" for name in (*ORACLE, *GRID, *TUNER))):
        assert users_of(name) <= {"search/keras_tuner/private.py"}, name


@pytest.mark.parametrize("name", [*ORACLE, *GRID, *TUNER])
def test_a_private_name_that_keras_tuner_lost_is_said(name):
    from kerasdl.search.keras_tuner import private

    own = type("Oracle", (), {"__module__": "keras_tuner.src", **dict.fromkeys((*ORACLE, *GRID, *TUNER))})
    private.check(own(), (name,))
    delattr(own, name)
    with pytest.raises(RunFailedError, match=rf"keras-tuner 1\.\d.* no longer has .*Oracle\.{name}"):
        private.check(own(), (name,))


def test_keras_tuners_messages_are_those_that_are_known():
    """Fails when Keras Tuner changes the messages that `kerasdl.search.remote.client` sends."""
    from kerasdl.search.keras_tuner import private

    service = private.REQUESTS.DESCRIPTOR.services_by_name["Oracle"]
    methods = {method.name: method for method in service.methods}
    assert {"UpdateSpace", "CreateTrial", "UpdateTrial", "EndTrial", "GetTrial"} <= set(methods)

    def fields(message):
        return {field.name: field.type for field in message.fields}

    double, text, integer = 1, 9, 3
    assert fields(private.MESSAGES.Value.DESCRIPTOR) == {
        "int_value": 18, "float_value": double, "string_value": text, "boolean_value": 8,
    }, "values would lose digits on the wire"  # fmt: skip
    update = methods["UpdateTrial"].input_type
    assert fields(update)["step"] == integer
    entry = update.fields_by_name["metrics"].message_type
    assert fields(entry)["value"] == double, "metrics would lose digits on the wire"
    trial = private.MESSAGES.Trial
    assert {"hyperparameters", "trial_id", "status", "score"} <= set(fields(trial.DESCRIPTOR))
    assert set(fields(trial.Score.DESCRIPTOR)) == {"value", "step"}


#: What kerasdl/search/show/tensorboard.py uses: where it is -> its names.
TENSORBOARD = {
    "compat.proto.event_pb2": ("Event",),
    "compat.proto.summary_pb2": ("Summary", "SummaryMetadata"),
    "plugins.hparams.api_pb2": (
        "DATA_TYPE_BOOL", "DATA_TYPE_FLOAT64", "DATA_TYPE_STRING", "Experiment", "HParamInfo", "MetricInfo",
        "MetricName", "STATUS_FAILURE", "STATUS_SUCCESS",
    ),
    "plugins.hparams.metadata": (
        "EXPERIMENT_TAG", "NULL_TENSOR", "PLUGIN_DATA_VERSION", "PLUGIN_NAME", "SESSION_END_INFO_TAG",
        "SESSION_START_INFO_TAG",
    ),
    "plugins.hparams.plugin_data_pb2": ("HParamsPluginData", "SessionEndInfo", "SessionStartInfo"),
    "plugins.scalar.summary_v2": ("scalar_pb",),
    "summary.writer.record_writer": ("RecordWriter",),
}  # fmt: skip


def test_tensorboard_has_the_private_names_and_one_file_uses_them():
    from kerasdl.search.show import tensorboard

    text = Path(tensorboard.__file__).read_text()
    for module, names in TENSORBOARD.items():
        found = importlib.import_module(f"tensorboard.{module}")
        for name in names:
            assert hasattr(found, name), f"tensorboard.{module} has no {name}"
            assert re.search(rf"\b{name}\b", text), f"{name} is no longer used"
    used = set(re.findall(r"\b(?:event_pb2|summary_pb2|api_pb2|metadata|plugin_data_pb2)\.(\w+)", text))
    assert used <= {name for names in TENSORBOARD.values() for name in names}
    assert users_of(r"(?m)^ *(from|import) tensorboard\b") == {"search/show/tensorboard.py"}


@pytest.mark.parametrize(
    "module, lost",
    [
        ("kerasdl.search.show.tensorboard", "tensorboard.plugins.hparams.metadata"),
        ("kerasdl.search.keras_tuner.private", "keras_tuner.src.engine.oracle"),
    ],
)
def test_a_module_that_a_library_lost_is_said(module, lost, monkeypatch):
    spec = importlib.util.find_spec(module)
    monkeypatch.setitem(importlib.sys.modules, lost, None)  # as if it could not be imported
    parent, _, name = lost.rpartition(".")
    monkeypatch.delattr(importlib.import_module(parent), name, raising=False)
    with pytest.raises(RunFailedError, match=r"no longer has what kerasdl uses of it: .*pip install"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
