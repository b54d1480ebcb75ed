"""The update on two replicas equals that on one, whatever the recipe asks of it (SGD: nothing hides)."""

import dataclasses
import functools
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl import machine
from kerasdl.cli import main
from kerasdl.data.images.digits import Digits
from kerasdl.errors import UsageError
from kerasdl.layers import noise
from kerasdl.models.vae import VAE
from kerasdl.network.network import Network
from kerasdl.recipe import Config, Recipe
from kerasdl.runs.folder import Run
from kerasdl.training import devices
from kerasdl.training.callbacks.best import Best
from kerasdl.training.callbacks.checkpoint_writer import CheckpointWriter
from kerasdl.training.callbacks.position import Position
from kerasdl.training.interruption import Interruptions
from kerasdl.training.loop import Loop
from kerasdl.training.optimizers.make import make_optimizer, moving_averages
from tests.cases import ALL_CASES, EXTRA_CASES, TWO_HEADS, TWO_OPTIMIZERS, TaggerCase

NORMALIZED = EXTRA_CASES[0]
TOGETHER = dataclasses.replace(TWO_OPTIMIZERS, model=TWO_OPTIMIZERS.model.replace(together=True))
#: Batch normalisation; two optimizers with a step of their own, and with one loss; dicts.
SENTINELS = (NORMALIZED, TWO_OPTIMIZERS, TOGETHER, TWO_HEADS)


def trained(
    case,
    strategy,
    *,
    steps=3,
    batch_size=16,
    examples=48,
    steps_per_execution=1,
    precision="float32",
    **fields,
):
    """Train from fixed weights; return weights (and their averages) and the logs."""
    fields = {"optimizer": "sgd", "learning_rate": 0.1, **fields}
    keras.utils.set_random_seed(1)
    with devices.choose(strategy).scope():
        keras.config.set_dtype_policy(precision)
        network = case.compile(case.build(), steps=steps, seed=3, precision=precision, **fields)
        network.steps_per_execution = steps_per_execution
        data = tf.data.Dataset.from_tensor_slices(case.batch(examples)).batch(batch_size)
        history = network.fit(data, epochs=2, shuffle=False, verbose=0).history
    weights = [np.asarray(weight) for weight in network.get_weights()]
    return weights + [average.numpy() for _, average in moving_averages(network)], history, network


def assert_same_update(case, tolerance=1e-5, one=None, two=None, **fields):
    before, history_one, _ = trained(case, "none", **{**fields, **(one or {})})
    after, history_two, _ = trained(case, "cpu:2", **{**fields, **(two or {})})
    for left, right in zip(before, after, strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance)
    for name in history_one:
        np.testing.assert_allclose(history_one[name], history_two[name], atol=max(tolerance, 1e-5))


@pytest.mark.by_default(lambda case: case is EXTRA_CASES[1])  # the others in `test_partial_last_batch`
# Keras's `fit` adds up the first examples of all replicas, which strings refuse: test_tagging_runs.py has
# taggers.
@pytest.mark.parametrize("case", [case for case in ALL_CASES if not isinstance(case, TaggerCase)], ids=str)
def test_two_replicas_equal_one(case, caplog):
    # Larger steps of deep networks with batch normalisation multiply differences of rounding.
    assert_same_update(case, learning_rate=0.002)
    assert not caplog.text  # no layer is said to train otherwise on replicas


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "ema_momentum": 0.8},
        {"clip_norm": 0.05, "schedule": "one_cycle"},
        {"global_clip_norm": 0.05, "steps_per_execution": 3},
    ],
    ids="-".join,
)
def test_features_on_two_replicas(fields):
    assert_same_update(NORMALIZED, **fields)


@pytest.mark.slow
@pytest.mark.parametrize("case", SENTINELS, ids=str)
@pytest.mark.parametrize("examples", [41, 34])
def test_partial_last_batch(case, examples):
    """41 and 34 leave 9 and 2 for the last batch: parts of unequal and of single samples."""
    assert_same_update(case, examples=examples)


@pytest.mark.slow
@pytest.mark.parametrize("case", SENTINELS, ids=str)
def test_mixed_float16_on_two_replicas(case):
    assert_same_update(case, tolerance=5e-3, precision="mixed_float16")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [{"objective": "iwae", "num_samples": 3}, {"beta": 4.0, "warmup_steps": 3}], ids="-".join
)
def test_draws_of_latents_on_two_replicas(arguments):
    case = next(case for case in ALL_CASES if case.model.target is VAE)
    model = Config(VAE, latent_size=3, units=(7,), **arguments)
    case = dataclasses.replace(case, model=model)
    assert_same_update(case, examples=41, learning_rate=0.01, gradient_accumulation_steps=1)
    whole, parts = (
        trained(case, "none", learning_rate=0.01, gradient_accumulation_steps=steps)[0] for steps in (1, 4)
    )
    for left, right in zip(whole, parts, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


@functools.cache
def undivided(case):
    """Return the weights after training without micro-batches on one device."""
    return trained(case, "none")[0]


@pytest.mark.slow
@pytest.mark.parametrize("case", [ALL_CASES[1], *SENTINELS[1:]], ids=str)
@pytest.mark.parametrize("strategy", ["none", "cpu:2"])
def test_gradient_accumulation_is_the_same_update(case, strategy):
    """Without batch normalisation, whose statistics are those of a micro-batch."""
    whole = undivided(case)
    parts, _, _ = trained(case, strategy, gradient_accumulation_steps=4)
    for left, right in zip(whole, parts, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


@pytest.mark.slow
def test_non_finite_update_is_left_out():
    """An infinity in one sample of the last replica spoils no weight on any; one device: test_optimizers."""
    case = NORMALIZED
    with devices.choose("cpu:2").scope():
        network = case.build()
        recipe = Recipe(model=case.model, data=Digits(), task=case.task, optimizer="sgd")
        network.compile(optimizer=make_optimizer(recipe, 1), loss=case.task.loss(None))
        network.optimizer.build(network.trainable_variables)
    images, labels = case.examples(16)
    weights = np.ones(16, np.float32)
    weights[-1] = np.inf
    before = [np.array(weight) for weight in network.trainable_variables]
    data = tf.data.Dataset.from_tensors((images, labels, weights))
    network.fit(data, epochs=1, shuffle=False, verbose=0)
    assert int(network.optimizer.num_skipped.numpy()) == 1
    for left, right in zip(before, network.trainable_variables, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("shape", [(8, 5), (8, 3, 3, 2), (8, 4)])
@pytest.mark.parametrize("draw", [noise.uniform, noise.normal])
def test_noise_goes_by_place(draw, shape):
    """The later half of a batch draws what the later half of the whole would have drawn."""
    with noise.scope(1, 2, place=0):
        whole = draw(shape).numpy()
    with noise.scope(1, 2, place=4):
        half = draw((4, *shape[1:])).numpy()
    np.testing.assert_array_equal(whole[4:], half)
    assert len(np.unique(whole)) == whole.size


def test_noise_has_its_distribution():
    with noise.scope(1, 2, place=0):
        uniform, normal = noise.uniform((1000, 20)).numpy(), noise.normal((1000, 20)).numpy()
        true = noise.bernoulli((1000, 20), 0.3).numpy()
    assert uniform.min() >= 0 and uniform.max() < 1
    assert uniform.mean() == pytest.approx(0.5, abs=0.01)
    assert [normal.mean(), normal.std()] == pytest.approx([0, 1], abs=0.03)
    assert true.mean() == pytest.approx(0.3, abs=0.01)


def test_noise_differs_by_seed_step_and_draw():
    drawn = []
    for seed, step in [(1, 1), (1, 2), (2, 1)]:
        with noise.scope(seed, step, place=0):
            drawn += [noise.uniform((4, 4)).numpy(), noise.uniform((4, 4)).numpy()]
        with noise.scope(seed, step, place=0, num_draws=2):
            drawn.append(noise.uniform((4, 4)).numpy())
    assert len({array.tobytes() for array in drawn}) == len(drawn)


def test_one_strategy_object_per_process():
    assert devices.choose("cpu:2").strategy is devices.choose("cpu:2").strategy
    assert devices.choose("mirrored").strategy is devices.choose("mirrored").strategy
    assert devices.choose("auto").strategy is None


def test_layers_that_differ_by_replica_are_named(caplog):
    class Careless(Network):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = keras.layers.Dropout(0.5), keras.layers.BatchNormalization()

    with devices.choose("cpu:2").scope():
        Careless().compile(loss="mse")
        assert "dropout" in caplog.text and "batch_normalization" in caplog.text
        caplog.clear()
        NORMALIZED.build().compile(loss="mse")
    Careless().compile(loss="mse")
    assert not caplog.text


def test_batch_that_does_not_divide_names_both_numbers():
    with pytest.raises(UsageError, match=r"batch size 33 .* 2 replicas .* --batch-size 32"):
        devices.check_batch_size(33, 2, 1)
    with pytest.raises(UsageError, match="3 gradient accumulation steps"):
        devices.check_batch_size(32, 2, 3)
    devices.check_batch_size(36, 2, 3)


def test_unknown_strategy():
    with pytest.raises(UsageError, match=r"mirorred.*auto, mirrored, none or cpu:N"):
        devices.choose("mirorred")


CPUINFO = {
    "EPYC 9004": "processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f avx512_bf16 avx512_vnni\n",
    "Xeon 4th": "flags : fpu avx512f avx512_bf16 amx_bf16 avx512_fp16 amx_tile\n",
    "AMX alone": "flags : fpu amx_bf16 amx_tile\n",
    "Skylake": "processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f\nbugs\t\t: bf16 avx512_bf16\n",
    "Zen 2": "processor\t: 0\nflags\t\t: fpu sse2 avx2 f16c\n\nprocessor\t: 1\nflags\t\t: fpu sse2\n",
    "Graviton3": "processor\t: 0\nFeatures\t: fp asimd fphp asimdhp i8mm bf16\n",
    "Graviton2": "processor\t: 0\nFeatures\t: fp asimd fphp asimdhp\n",
    "macOS": "",
    "RISC-V": "processor\t: 0\nisa\t\t: rv64imafdc\n",
}


@pytest.fixture
def processor(monkeypatch):
    """Pretend to run on a processor, with GPUs of these details."""

    def use(name, details=()):
        gpus = [tf.config.PhysicalDevice(f"/physical_device:GPU:{i}", "GPU") for i in range(len(details))]
        listed = {"CPU": [tf.config.PhysicalDevice("/physical_device:CPU:0", "CPU")], "GPU": gpus}
        monkeypatch.setattr(devices.machine, "cpuinfo", lambda: CPUINFO[name])
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind="CPU": listed[kind])
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", lambda gpu: details[gpus.index(gpu)]
        )

    return use


def begin(strategy="none", **fields):
    case = ALL_CASES[1]
    return devices.begin(Recipe(model=case.model, data=Digits(), task=case.task, strategy=strategy, **fields))


@pytest.mark.parametrize("strategy", ["none", "auto", "mirrored", "cpu:2"])
@pytest.mark.parametrize("name", ["Skylake", "Zen 2", "Graviton2"])
def test_emulated_bfloat16_is_refused(processor, name, strategy):
    processor(name)
    with pytest.raises(UsageError, match=r"mixed_bfloat16.* processor .*avx512_bf16.*--precision float32"):
        begin(strategy, precision="mixed_bfloat16")
    begin(strategy, precision="float32")


@pytest.mark.parametrize("name", ["EPYC 9004", "Xeon 4th", "AMX alone", "Graviton3", "macOS", "RISC-V"])
def test_bfloat16_is_allowed_where_it_may_be_native(processor, name, caplog):
    processor(name)
    begin(precision="mixed_bfloat16")
    assert not caplog.text


def test_bfloat16_on_gpus(processor, caplog):
    """The processor does not matter, unless it stands in for GPUs."""
    processor("Zen 2", [{"compute_capability": (9, 0)}, {}])
    begin(precision="mixed_bfloat16")
    assert not caplog.text
    with pytest.raises(UsageError, match="mixed_bfloat16"):
        begin("cpu:2", precision="mixed_bfloat16")
    processor("Zen 2", [{"compute_capability": (7, 5)}])
    begin(precision="mixed_bfloat16")
    assert "GPU:0 has compute capability 7.5" in caplog.text


@pytest.mark.parametrize(
    ("name", "gpus", "precision", "warned"),
    [
        ("EPYC 9004", [], "mixed_float16", True),
        ("EPYC 9004", [], "float32", False),
        ("EPYC 9004", [{"compute_capability": (7, 0)}], "mixed_float16", False),
        ("Xeon 4th", [], "mixed_float16", False),
        ("Graviton2", [], "mixed_float16", False),
        ("macOS", [], "mixed_float16", False),
    ],
)
def test_float16_on_processors_is_warned_of(processor, caplog, name, gpus, precision, warned):
    processor(name, gpus)
    begin(precision=precision)
    assert ("mixed_float16 on a processor" in caplog.text) == warned


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="not Linux")
def test_this_processor_says_what_it_is():
    assert machine.processor_flags(machine.cpuinfo()) & {"fpu", "fp", "asimd"}


@pytest.mark.parametrize("command", ["train", "lr-find"])
def test_refusal_on_the_command_line(processor, command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    processor("Zen 2")
    assert main([command, "mlp", "--data", "digits", "--precision", "mixed_bfloat16"]) == 2
    assert "--precision float32" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["MultiWorkerMirroredStrategy", "TPUStrategy", "OneDeviceStrategy"])
def test_a_strategy_that_is_not_dealt_with_is_refused(name):
    kind = getattr(tf.distribute, name)
    strategy = object.__new__(kind)  # not begun: some need a cluster
    with pytest.raises(UsageError, match=rf"Training on a {kind.__name__} is not supported.*--strategy auto"):
        devices.Devices(strategy)


def test_a_network_on_such_a_strategy_is_not_trained_on_one_device():
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        network = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(UsageError, match="OneDeviceStrategy is not supported"):
        Loop(network, tf.data.Dataset.range(1))


@pytest.mark.slow
@pytest.mark.parametrize("is_chief", [True, False])
def test_only_the_chief_writes(tmp_path, monkeypatch, is_chief):
    monkeypatch.setattr(devices.Devices, "is_chief", is_chief)
    case = ALL_CASES[0]
    network, twin = case.build(), case.build()
    network.compile("sgd")
    run, position = Run(tmp_path), Position(1)
    best = Best(run, twin, case.task.score, None, position)
    best.set_model(network)
    best.save()
    keeper = CheckpointWriter(run, position, "1", dict, Interruptions(), lambda logs: None)
    keeper.set_model(network)
    keeper._save()
    assert (run.model_file.is_file(), run.checkpoints.is_dir()) == (is_chief, is_chief)
