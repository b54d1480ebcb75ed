"""Input pipelines: a split as a `tf.data.Dataset` of batches, for training and for evaluation."""

import math

from kerasdl.data.elements import element_bytes, is_static, parallel_calls
from kerasdl.data.splits import Split
from kerasdl.errors import UsageError

# Memory and length of a block of batches: beyond these a longer one gains nothing (docs/log.md).
_BLOCK_BYTES = 2**23
_BLOCK_STEPS = 128
# Separates the noise of augmentation from all other noise with the same seed and step.
_AUGMENTATION = 2**31 - 1

# Bytes of a set in memory up to which tf.data may rewrite its graph, which copies the set.
_REWRITTEN_BYTES = 2**28


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Return the number of full batches in an epoch; the rest waits for the next permutation.

    Raises:
        UsageError: when not even one batch can be filled.
    """
    if batch_size > len(split):
        raise UsageError(
            f"The batch size is {batch_size}, but there are only {len(split)} training examples. Give a "
            f"smaller one, for example --batch-size {2 ** int(math.log2(len(split)))}."
        )
    return split.ordering.steps_per_epoch(len(split), batch_size)


def training_batches(split: Split, *, batch_size: int, seed: int, start_step: int = 0, augmentation=None):
    """Return the endless `tf.data.Dataset` of training batches from step `start_step` on.

    Element k belongs to step s = start_step + k of the run and to epoch s // steps_per_epoch. One iterator
    serves the whole run: making one per epoch costs time at every epoch's start.

    Args:
        split: training examples.
        batch_size: examples per step, over all replicas together.
        seed: seed of the run.
        start_step: number of the first step wanted.
        augmentation: function without state of (features (batch_size, ...), targets (batch_size, ...), seed
            (2,) int64) to changed features and targets. None for none.

    Returns:
        Dataset of (features, targets), or (features, targets, weights) where there are weights: tensors
        (batch_size, ...) or dicts of them, of the source's dtypes.

    Raises:
        UsageError: when a batch is larger than the split.
    """
    steps_per_epoch(split, batch_size)
    dataset = split.training_batches(batch_size=batch_size, seed=seed, start_step=start_step)
    if augmentation is not None:
        dataset = augmented(dataset, augmentation, seed, start_step)
    return _finish(dataset, split, prefetch=4)


def training_blocks(
    split: Split, *, batch_size: int, seed: int, start_step: int = 0, augmentation=None, num_parts: int = 1
):
    """Return the batches of `training_batches`, several of them in one element: a loop takes them one by one.

    One element costs as much as one batch does on its way through tf.data, so that small batches gain.

    Args:
        split: training examples.
        batch_size: examples per step, over all replicas together.
        seed: seed of the run.
        start_step: number of the first step wanted.
        augmentation: as that of `training_batches`.
        num_parts: replicas that share each batch; it divides the batch size. A block is then this many
            elements, part after part: the first has the first samples of each of its batches.

    Returns:
        Dataset of the trees of `training_batches`, their tensors (steps, batch_size / num_parts, ...) with
        `steps` static. Where examples differ in length, a block is one batch: its padding is the batch's own.

    Raises:
        UsageError: when a batch is larger than the split.
    """
    steps_per_epoch(split, batch_size)
    arguments = {"batch_size": batch_size, "seed": seed, "start_step": start_step}
    if split.bytes_in_memory is not None and augmentation is None:
        block_steps = _block_steps(split.bytes_in_memory * batch_size)
        dataset = split.training_blocks(**arguments, block_steps=block_steps)
    else:
        dataset = training_batches(split, **arguments, augmentation=augmentation)
        spec = dataset.element_spec
        num_bytes = element_bytes(spec, unknown=2**20)
        dataset = dataset.batch(_block_steps(num_bytes) if is_static(spec) else 1, drop_remainder=True)
    if num_parts > 1:
        dataset = dataset.flat_map(lambda *block: _parts(block, num_parts))
    return _finish(dataset, split, prefetch=2 * num_parts)


def evaluation_batches(split: Split, *, batch_size: int):
    """Return the `tf.data.Dataset` of all examples in their own order, each once, the rest as a last batch.

    Returns:
        Dataset of the trees of `training_batches`, their tensors (B, ...), B <= batch_size.
    """
    return _finish(split.evaluation_batches(batch_size=batch_size), split, prefetch=4)


def augmented(dataset, augmentation, seed: int, start_step: int):
    """Change global batches, before they are dealt to the replicas.

    Each sample's noise is keyed by seed, step and place, and is the same on any number of replicas.
    """
    import tensorflow as tf

    def augment(step, batch):
        key = tf.stack([tf.constant(seed, tf.int64), step])
        features, targets, *weights = batch
        noise = tf.random.experimental.stateless_fold_in(key, _AUGMENTATION)
        return *augmentation(features, targets, noise), *weights

    numbered = tf.data.Dataset.zip(tf.data.Dataset.counter(start_step), dataset)
    return numbered.map(augment, num_parallel_calls=parallel_calls(), deterministic=True)


def _finish(dataset, split: Split, prefetch: int):
    import tensorflow as tf

    # The next batches are made while the device works. Features keep the source's dtype until then: uint8
    # takes a quarter of the memory and of the copying of float32.
    dataset = dataset.prefetch(prefetch)
    options = tf.data.Options()
    # Parallel calls use the cores; an operation that spreads over them too takes them from the training.
    options.threading.max_intra_op_parallelism = 1
    # The autotuner's thread makes iterators slow to close; every number is given explicitly instead.
    options.autotune.enabled = False
    # Rewriting the graph copies the arrays that it reads. It pays where examples are small: MLP trains 1.3
    # times as fast on MNIST with it.
    size = (split.bytes_in_memory or 0) * len(split)
    options.experimental_optimization.apply_default_optimizations = size <= _REWRITTEN_BYTES
    options.deterministic = True
    return dataset.with_options(options)


def _block_steps(num_bytes: int) -> int:
    """Return the number of batches of a size in a block."""
    return max(1, min(_BLOCK_STEPS, _BLOCK_BYTES // num_bytes))


def _parts(block, num_parts: int):
    """Deal a block (steps, batch_size, ...) to replicas: an element for each, with its part of each batch."""
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(
        tf.nest.map_structure(lambda tensor: tf.stack(tf.split(tensor, num_parts, axis=1)), block)
    )
