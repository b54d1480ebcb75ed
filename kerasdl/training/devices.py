"""The devices of a run: all GPUs, one device, or logical CPU devices that stand in for GPUs."""

import contextlib
import functools
import logging
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasdl import machine
from kerasdl.errors import UsageError
from kerasdl.recipe import Recipe

_log = logging.getLogger(__name__)

#: What a processor that computes in a type by itself has among its flags (x86) or features (ARM).
_INSTRUCTIONS = {
    "mixed_bfloat16": {"avx512_bf16", "amx_bf16", "bf16"},
    "mixed_float16": {"avx512_fp16", "amx_fp16", "asimdhp"},
}


class Devices:
    """The devices that one training run uses, with everything that depends on how many there are.

    Loop, checkpoints, callbacks, the run folder and interruptions ask here and nowhere else, so that several
    machines would change this class alone.

    Args:
        strategy: a `tf.distribute.MirroredStrategy`. Defaults to None: one device.

    Raises:
        UsageError: for any other strategy, whose data would not be divided among its replicas.
    """

    #: Whether this process writes files: of several machines only the first one would.
    is_chief = True

    def __init__(self, strategy: tf.distribute.Strategy | None = None):
        if not isinstance(strategy, tf.distribute.MirroredStrategy | None):
            raise UsageError(
                f"Training on a {type(strategy).__name__} is not supported, only on one device or on several "
                "of one machine (tf.distribute.MirroredStrategy). Use --strategy auto."
            )
        self.strategy = strategy
        self._used = _default_strategy() if strategy is None else strategy

    @classmethod
    def of(cls, network: keras.Model) -> "Devices":
        """Return the devices that a network was built on."""
        strategy = network.distribute_strategy
        return cls(None if strategy is _default_strategy() else strategy)

    @property
    def num_replicas(self) -> int:
        """Number of copies of the network, each of which gets an equal part of every batch."""
        return self._used.num_replicas_in_sync

    def scope(self):
        """Return the context in which the variables of a network are made."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def describe(self) -> str:
        """Return the devices as text, for the log and the receipt."""
        if self.strategy is None:
            gpus = tf.config.list_physical_devices("GPU")
            return f"one device ({'GPU' if gpus else 'CPU'}), no strategy"
        names = self.strategy.extended.worker_devices
        devices = ", ".join(name.rpartition("device:")[2] for name in names)
        count = self.num_replicas
        return f"MirroredStrategy on {count} replica{'s' if count > 1 else ''} ({devices})"

    def run(self, function: Callable, *arguments) -> Any:
        """Call a TensorFlow function on every replica; the result is `local_results` for all of them."""
        return self._used.run(function, arguments)

    def local_results(self, value: Any) -> tuple:
        """Return the values of this machine's replicas."""
        return self._used.experimental_local_results(value)

    def mean(self, value: Any) -> tf.Tensor:
        """Return the mean of a tensor over all replicas."""
        values = self.local_results(value)
        return tf.convert_to_tensor(values[0]) if len(values) == 1 else tf.reduce_mean(tf.stack(values), 0)

    def deal(self, blocks: tf.data.Dataset) -> Any:
        """Return an iterable of blocks, one element for each replica."""
        if self.strategy is None:
            return blocks
        return self.strategy.distribute_datasets_from_function(lambda context: blocks)

    def agree(self, signum: int | None) -> int | None:
        """Return the signal that all machines act on after this step; one machine acts on its own."""
        return signum


@functools.cache
def _default_strategy() -> tf.distribute.Strategy:
    with tf.Graph().as_default():  # outside every scope
        return tf.distribute.get_strategy()


def choose(name: str) -> Devices:
    """Choose the devices of a run.

    Args:
        name: "auto" (all GPUs where there are two or more, else one device), "mirrored" (all GPUs, or the
            CPU where there is none), "none" (one device), or "cpu:N" (N logical CPU devices).

    Raises:
        UsageError: for another name, or when TensorFlow has begun with another number of CPU devices.
    """
    if cpus := re.fullmatch(r"cpu:([1-9]\d*)", name):
        return Devices(_mirrored_cpus(int(cpus[1])))
    if name not in ("auto", "mirrored", "none"):
        raise UsageError(f"strategy is {name!r}, but it has to be auto, mirrored, none or cpu:N (cpu:2).")
    num_gpus = len(tf.config.list_physical_devices("GPU"))
    if name == "none" or (name == "auto" and num_gpus < 2):
        return Devices()  # any strategy only costs time there
    return Devices(_mirrored(tuple(f"GPU:{index}" for index in range(num_gpus)) or ("CPU:0",)))


def begin(recipe: Recipe) -> Devices:
    """Set determinism and choose the devices, before TensorFlow computes anything.

    Raises:
        UsageError: as `choose`, `check_batch_size` and `check_precision` do.
    """
    gpus = [] if recipe.strategy.startswith("cpu:") else tf.config.list_physical_devices("GPU")
    check_precision(recipe.precision, gpus, machine.processor_flags(machine.cpuinfo()))
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    devices = choose(recipe.strategy)
    check_batch_size(recipe.batch_size, devices.num_replicas, recipe.gradient_accumulation_steps)
    return devices


@functools.cache  # one strategy object a process: a second one's collectives collide with the first's
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    # Named cross-device operations: the default ones fail with several steps per execution or optimizers.
    several_gpus = len(devices) > 1 and devices[0].startswith("GPU")
    operations = tf.distribute.NcclAllReduce() if several_gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(list(devices), cross_device_ops=operations)


def check_batch_size(batch_size: int, num_replicas: int, gradient_accumulation_steps: int) -> None:
    """Raise a UsageError unless the batch divides into equal parts for all replicas and micro-batches."""
    parts = num_replicas * gradient_accumulation_steps
    if batch_size % parts == 0:
        return
    what = f"{num_replicas} replicas"
    if gradient_accumulation_steps > 1:
        what += f" x {gradient_accumulation_steps} gradient accumulation steps"
    below = max(batch_size - batch_size % parts, parts)
    raise UsageError(
        f"The batch size {batch_size} does not divide by {what} ({parts} equal parts). "
        f"Use --batch-size {below}."
    )


def check_precision(precision: str, gpus: Sequence[tf.config.PhysicalDevice], flags: set[str]) -> None:
    """Warn of mixed precision on hardware that emulates it, and refuse the worst case.

    A processor without instructions for bfloat16 emulates them: a training step of LeNet-5 or ResNet-8 takes
    1.9 to 5.7 times as long as in float32 (2 cores of an EPYC, kept from using its own). float16 takes 5 to 7
    times as long on the same machine (an MLP 2), but stays allowed: to look on a CPU into what ran on a GPU.

    Args:
        precision: the precision of the recipe.
        gpus: the GPUs that the run may use; empty where it trains on the CPU.
        flags: flags of the processor, from `processor_flags`; empty where they are unknown, as on macOS,
            without any warning then.

    Raises:
        UsageError: for mixed_bfloat16 on a processor that is known not to have it.
    """
    if precision == "mixed_bfloat16":
        for gpu in gpus:
            capability = tf.config.experimental.get_device_details(gpu).get("compute_capability", (8, 0))
            if capability < (8, 0):
                _log.warning(
                    f"{gpu.name.removeprefix('/physical_device:')} has compute capability "
                    f"{'.'.join(map(str, capability))}: it emulates bfloat16, which 8.0 and later compute. "
                    "Use --precision mixed_float16 or float32."
                )
    if gpus or not flags or flags & _INSTRUCTIONS.get(precision, flags):
        return
    if precision == "mixed_bfloat16":
        raise UsageError(
            "The precision is mixed_bfloat16, but this processor has no instructions for it (avx512_bf16 or "
            "amx_bf16, on ARM bf16, in /proc/cpuinfo): it would be emulated, slower than float32 by far. Use "
            "--precision float32."
        )
    _log.warning(
        "mixed_float16 on a processor without float16 instructions takes up to 7 times as long as float32. "
        "Use --precision float32, unless it is for the result and not for the speed."
    )


def _mirrored_cpus(count: int) -> tf.distribute.Strategy:
    physical = tf.config.list_physical_devices("CPU")[0]
    wanted = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(physical, wanted)
    except RuntimeError as error:  # TensorFlow has begun; the devices are what they are
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise UsageError(
                f"strategy cpu:{count} needs {count} logical CPU devices, but TensorFlow has already begun "
                "with fewer in this process. Start a new process with this strategy."
            ) from error
    return _mirrored(tuple(f"CPU:{index}" for index in range(count)))
