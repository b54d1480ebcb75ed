"""The one order in which every run sees its data: a pure function of (seed, epoch, step).

Nothing is remembered between steps, so a run that was interrupted goes on at any step with exactly the
batches it would have had, on any number of replicas.
"""

import math
import os

import numpy as np

from kerasdl.data.dataset import ArraySplit, FileSplit, Split, StreamSplit
from kerasdl.errors import UsageError

# Memory that shuffling a stream may take, in bytes of examples.
_SHUFFLE_BYTES = 2**28
# Memory and length of a block of batches: beyond these a longer one gains nothing (docs/log.md).
_BLOCK_BYTES = 2**23
_BLOCK_STEPS = 128
# Separates permutations from all other noise with the same seed and step.
_PERMUTATION = 498247692
# Separates the noise of augmentation from all other noise with the same seed and step.
_AUGMENTATION = 2**31 - 1


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Return how many full batches an epoch has; the rest of the permutation waits for the next epoch.

    Raises:
        UsageError: when not even one batch can be filled.
    """
    if batch_size > len(split):
        raise UsageError(
            f"The batch size is {batch_size}, but there are only {len(split)} training examples. Give a "
            f"smaller one, for example --batch-size {2 ** int(math.log2(len(split)))}."
        )
    return len(split) // batch_size


def training_batches(split: Split, *, batch_size: int, seed: int, start_step: int = 0, augmentation=None):
    """Return the endless `tf.data.Dataset` of training batches from step `start_step` on.

    Element k belongs to step s = start_step + k of the run and to epoch s // steps_per_epoch. One iterator
    serves the whole run: making one per epoch costs time at every epoch's start.

    Args:
        split: the training examples.
        batch_size: examples per step, over all replicas together.
        seed: seed of the run.
        start_step: number of the first step wanted.
        augmentation: function without state of (features (batch_size, ...), labels (batch_size,), seed (2,)
            int64) to changed features and labels. None for none.

    Returns:
        Dataset of (features (batch_size, ...) of the raw dtype, labels (batch_size,) int32).

    Raises:
        UsageError: when a batch is larger than the split.
    """
    # Only full batches: a replica whose part of the last batch is empty would get NaN from batch
    # normalisation; and static shapes compile once.
    steps = steps_per_epoch(split, batch_size)
    # Each epoch is a full fresh permutation (a bounded one for streams).
    dataset = _TRAINING[type(split)](split, batch_size, seed, start_step, steps)
    if augmentation is not None:
        dataset = _augmented(dataset, augmentation, seed, start_step)
    return _finish(dataset, prefetch=4)


def augmented_examples(split: Split, *, seed: int, augmentation, rows: int, copies: int):
    """Return some examples as they are, and what augmentation makes of them in as many steps.

    Returns:
        (rows, 1 + copies, ...) array of features, the unchanged ones first; fewer rows of a smaller split.
    """
    import tensorflow as tf

    plain = training_batches(split, batch_size=min(rows, len(split)), seed=seed)
    batch = next(plain.take(1).as_numpy_iterator())
    same = tf.data.Dataset.from_tensors(batch).repeat(copies)
    changed = _augmented(same, augmentation, seed, 0)
    pictures = [batch[0], *(features for features, *_ in changed.as_numpy_iterator())]
    return np.stack(pictures, axis=1)


def training_blocks(
    split: Split, *, batch_size: int, seed: int, start_step: int = 0, augmentation=None, num_parts: int = 1
):
    """Return the batches of `training_batches`, several of them in one element: a loop takes them one by one.

    One element costs as much as one batch does on its way through tf.data, so that small batches gain.

    Args:
        split: the training examples.
        batch_size: examples per step, over all replicas together.
        seed: seed of the run.
        start_step: number of the first step wanted.
        augmentation: as that of `training_batches`.
        num_parts: replicas that share each batch; it divides the batch size. A block is then this many
            elements, part after part: the first has the first samples of each of its batches.

    Returns:
        Dataset of (features (steps, batch_size / num_parts, ...) of the raw dtype, labels (steps, batch_size
        / num_parts) int32), `steps` static.

    Raises:
        UsageError: when a batch is larger than the split.
    """
    steps = steps_per_epoch(split, batch_size)
    if isinstance(split, ArraySplit) and augmentation is None:
        num_bytes = split.features[0].nbytes * batch_size
        dataset = _training_arrays(split, batch_size, seed, start_step, steps, _block_steps(num_bytes))
    else:
        dataset = training_batches(
            split, batch_size=batch_size, seed=seed, start_step=start_step, augmentation=augmentation
        )
        num_bytes = sum(
            spec.dtype.size * (spec.shape.num_elements() or 2**20) for spec in dataset.element_spec
        )
        dataset = dataset.batch(_block_steps(num_bytes), drop_remainder=True)
    if num_parts > 1:
        dataset = dataset.flat_map(lambda *block: _parts(block, num_parts))
    return _finish(dataset, prefetch=2 * num_parts)


def evaluation_batches(split: Split, *, batch_size: int):
    """Return the `tf.data.Dataset` of all examples in their own order, each once, the rest as a last batch.

    Returns:
        Dataset of (features (B, ...) of the raw dtype, labels (B,) int32), B <= batch_size.
    """
    return _finish(_EVALUATION[type(split)](split, batch_size), prefetch=4)


def _augmented(dataset, augmentation, seed: int, start_step: int):
    """Change global batches, before they are dealt to the replicas.

    Each sample's noise is keyed by seed, step and place, and is the same on any number of replicas.
    """
    import tensorflow as tf

    def augment(step, batch):
        key = tf.stack([tf.constant(seed, tf.int64), step])
        return augmentation(*batch, tf.random.experimental.stateless_fold_in(key, _AUGMENTATION))

    numbered = tf.data.Dataset.zip(tf.data.Dataset.counter(start_step), dataset)
    return numbered.map(augment, num_parallel_calls=_parallel_calls(), deterministic=True)


def _finish(dataset, prefetch: int):
    import tensorflow as tf

    # The next batches are made while the device works. Features stay uint8 until then: a quarter of the
    # memory and of the copying of float32.
    dataset = dataset.prefetch(prefetch)
    options = tf.data.Options()
    # Parallel calls use the cores; an operation that spreads over them too takes them from the training.
    options.threading.max_intra_op_parallelism = 1
    # The autotuner's thread makes iterators slow to close; every number is given explicitly instead.
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)


def _parallel_calls() -> int:
    return max(2, os.cpu_count() or 2)


def _constants(*arrays):
    """Place arrays where tf.data works. Without this they would go to the GPU and come back each step."""
    import tensorflow as tf

    with tf.device("CPU:0"):
        return tuple(tf.convert_to_tensor(array) for array in arrays)


def _block_steps(num_bytes: int) -> int:
    """Return how many batches of a size make a block."""
    return max(1, min(_BLOCK_STEPS, _BLOCK_BYTES // num_bytes))


def _parts(block, num_parts: int):
    """Deal a block (steps, batch_size, ...) to replicas: an element for each, with its part of each batch."""
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(
        tuple(tf.stack(tf.split(tensor, num_parts, axis=1)) for tensor in block)
    )


def _shuffled(position, *, step, steps: int, seed: int, count: int):
    """Return the indices of the examples at places `position` of the permutation of the epoch of `step`.

    Both may be vectors of one length. (The operator itself, since `tf.random.experimental.index_shuffle` pads
    a vector of seeds along the wrong axis, TensorFlow 2.21; the constant and the rounds are the same.)
    """
    import tensorflow as tf

    epoch = step // steps
    key = tf.stack(
        [tf.fill(tf.shape(epoch), tf.constant(part, tf.int64)) for part in (_PERMUTATION, seed)], -1
    )
    key = tf.concat([key, epoch[..., None]], axis=-1)
    return tf.raw_ops.RandomIndexShuffle(index=position, seed=key, max_index=count - 1, rounds=4)


def _training_arrays(
    split: ArraySplit, batch_size: int, seed: int, start_step: int, steps: int, block_steps: int | None = None
):
    """Return a dataset of batches (batch_size, ...), or of blocks of them (block_steps, batch_size, ...)."""
    import tensorflow as tf

    features, labels = _constants(split.features, split.labels)
    axes = (batch_size,) if block_steps is None else (block_steps, batch_size)
    places = tf.range(batch_size * (block_steps or 1), dtype=tf.int64)

    def batch(first):
        # A batch at a time: one gather costs a third of shuffling and batching examples one by one.
        step = first + places // batch_size
        position = (step % steps) * batch_size + places % batch_size
        index = _shuffled(position, step=step, steps=steps, seed=seed, count=len(split))
        return tuple(
            tf.reshape(tf.gather(array, index), (*axes, *array.shape[1:])) for array in (features, labels)
        )

    return tf.data.Dataset.counter(start_step, block_steps or 1).map(
        batch, num_parallel_calls=_parallel_calls(), deterministic=True
    )


def _training_files(split: FileSplit, batch_size: int, seed: int, start_step: int, steps: int):
    import tensorflow as tf

    paths, labels = _constants([str(path) for path in split.paths], split.labels)

    def example(number):
        # One at a time, since decoding is the cost and is spread over the cores.
        step, place = number // batch_size, number % batch_size
        position = (step % steps) * batch_size + place
        index = _shuffled(position, step=step, steps=steps, seed=seed, count=len(split))
        return split.read(paths[index]), labels[index]

    numbers = tf.data.Dataset.counter(start_step * batch_size)
    examples = numbers.map(example, num_parallel_calls=_parallel_calls(), deterministic=True)
    return examples.batch(batch_size, drop_remainder=True)


def _training_stream(split: StreamSplit, batch_size: int, seed: int, start_step: int, steps: int):
    import tensorflow as tf

    dataset = split.open()
    num_bytes = sum(spec.dtype.size * (spec.shape.num_elements() or 2**16) for spec in dataset.element_spec)
    buffer_size = int(np.clip(_SHUFFLE_BYTES // num_bytes, batch_size, len(split)))

    def epoch_batches(epoch):
        # Dataset.shuffle mixes in tf.random.set_seed, which is not ours: pin it for this function alone
        # (to anything but 0, which Dataset.shuffle takes for "not set").
        tf.compat.v1.set_random_seed(seed + 1)
        shuffled = dataset.shuffle(buffer_size, seed=epoch, reshuffle_each_iteration=False)
        return shuffled.batch(batch_size, drop_remainder=True).take(steps)

    # A stream cannot be entered in the middle: the steps of this epoch before `start_step` are replayed.
    epochs = tf.data.Dataset.counter(start_step // steps)
    return epochs.flat_map(epoch_batches).skip(start_step % steps)


def _evaluation_arrays(split: ArraySplit, batch_size: int):
    import tensorflow as tf

    features, labels = _constants(split.features, split.labels)

    def batch(start):
        return features[start : start + batch_size], labels[start : start + batch_size]

    return tf.data.Dataset.range(0, len(split), batch_size).map(
        batch, num_parallel_calls=_parallel_calls(), deterministic=True
    )


def _evaluation_files(split: FileSplit, batch_size: int):
    import tensorflow as tf

    names = tf.data.Dataset.from_tensor_slices(_constants([str(path) for path in split.paths], split.labels))
    examples = names.map(
        lambda path, label: (split.read(path), label),
        num_parallel_calls=_parallel_calls(),
        deterministic=True,
    )
    return examples.batch(batch_size)


def _evaluation_stream(split: StreamSplit, batch_size: int):
    return split.open().batch(batch_size)


_TRAINING = {ArraySplit: _training_arrays, FileSplit: _training_files, StreamSplit: _training_stream}
_EVALUATION = {ArraySplit: _evaluation_arrays, FileSplit: _evaluation_files, StreamSplit: _evaluation_stream}
