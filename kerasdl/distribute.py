"""Which devices a run uses: all GPUs, one device, or logical CPU devices that stand in for GPUs."""

import contextlib
import functools
import re

import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.recipe import Recipe


def choose(name: str) -> tf.distribute.Strategy | None:
    """Make the strategy of a run.

    Args:
        name: "auto" (all GPUs where there are two or more, else one device), "mirrored" (all GPUs, or the
            CPU where there is none), "none" (one device), or "cpu:N" (N logical CPU devices).

    Returns:
        A `tf.distribute.MirroredStrategy`, or None for one device, where any strategy only costs time.

    Raises:
        UsageError: for another name, or when TensorFlow has begun with another number of CPU devices.
    """
    if cpus := re.fullmatch(r"cpu:([1-9]\d*)", name):
        return _mirrored_cpus(int(cpus[1]))
    if name not in ("auto", "mirrored", "none"):
        raise UsageError(f"strategy is {name!r}, but it has to be auto, mirrored, none or cpu:N (cpu:2).")
    num_gpus = len(tf.config.list_physical_devices("GPU"))
    if name == "none" or (name == "auto" and num_gpus < 2):
        return None
    return _mirrored(tuple(f"GPU:{index}" for index in range(num_gpus)) or ("CPU:0",))


def begin(recipe: Recipe) -> tf.distribute.Strategy | None:
    """Settle determinism and devices, which has to happen before TensorFlow computes anything.

    Raises:
        UsageError: as `choose` and `check_batch_size` do.
    """
    if recipe.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = choose(recipe.strategy)
    num_replicas = 1 if strategy is None else strategy.num_replicas_in_sync
    check_batch_size(recipe.batch_size, num_replicas, recipe.gradient_accumulation_steps)
    return strategy


@functools.cache  # one strategy object a process: a second one's collectives collide with the first's
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    # Named cross-device operations: the default ones fail with several steps per execution or optimizers.
    several_gpus = len(devices) > 1 and devices[0].startswith("GPU")
    operations = tf.distribute.NcclAllReduce() if several_gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(list(devices), cross_device_ops=operations)


def scope(strategy: tf.distribute.Strategy | None):
    """Return the context in which variables of this strategy are made."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def describe(strategy: tf.distribute.Strategy | None) -> str:
    """Say in words which devices are used."""
    if strategy is None:
        gpus = tf.config.list_physical_devices("GPU")
        return f"one device ({'GPU' if gpus else 'CPU'}), no strategy"
    devices = ", ".join(device.rpartition("device:")[2] for device in strategy.extended.worker_devices)
    count = strategy.num_replicas_in_sync
    return f"MirroredStrategy on {count} replica{'s' if count > 1 else ''} ({devices})"


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
