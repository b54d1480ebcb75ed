"""The loop around the training step: about a tenth of a second of steps in one device call.

Keras's `fit` runs a fixed number of steps a call, which the user has to choose and which has to divide the
epoch. Here the number is an argument of the compiled loop: it follows the measured length of a step, an epoch
may have any number of steps, and training may begin at any of them.
"""

import time
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from kerasdl.training.devices import Devices

#: Seconds between two calls of the callbacks: the longest delay of progress bar, Ctrl-C and checkpoints.
CALL_SECONDS = 0.1


class Loop:
    """Run the training steps of a compiled network over blocks of batches.

    Args:
        network: compiled network with its optimizers built.
        blocks: dataset of blocks from `kerasdl.data.batches.training_blocks`: tensors (steps, batch_size,
            ...) or dicts of them for features, targets and, if any, sample weights; on several replicas a
            block is as many elements, one for each.
    """

    def __init__(self, network: keras.Model, blocks: tf.data.Dataset):
        self._network = network
        self._devices = Devices.of(network)
        self._elements: Iterator = iter(self._devices.deal(blocks))
        self._block: Any = None
        self._size = self._next = 0  # batches of the block, and which comes next
        self._seconds: float | None = None  # of a step; None until one was measured
        self._calls = 0
        # Sequences differ in length from block to block: two graphs serve all of them.
        self._call = tf.function(self._steps, autograph=False, reduce_retracing=True)

    def run(self, limit: int) -> tuple[int, dict[str, Any]]:
        """Run some steps, at least one and at most `limit`.

        Returns:
            How many, and the logs of the last one: scalar tensors by name.
        """
        if self._next == self._size:
            self._block = next(self._elements)
            first = self._devices.local_results(self._block)[0]
            self._size, self._next = len(tf.nest.flatten(first)[0]), 0
        count = min(limit, self._size - self._next, self._wanted())
        began = time.perf_counter()
        logs = self._call(self._block, tf.constant(self._next), tf.constant(self._next + count))
        tf.nest.flatten(logs)[0].numpy()  # waits for the device
        self._learn((time.perf_counter() - began) / count)
        self._next += count
        return count, logs

    def _wanted(self) -> int:
        return 1 if self._seconds is None else max(1, round(CALL_SECONDS / self._seconds))

    def _learn(self, seconds: float) -> None:
        """Average the time of a step, without the first call, which compiled the steps."""
        self._calls += 1
        if self._calls > 1:
            before = seconds if self._seconds is None else self._seconds
            self._seconds = (before + seconds) / 2

    def _steps(self, block, first, end):
        """Run the steps `first` to `end - 1` of a block; return the logs of the last one."""
        step = tf.function(self._step, autograph=False, jit_compile=self._network.jit_compile)
        specs = step.get_concrete_function(self._batch(block, first)).structured_outputs
        nothing = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), specs)
        _, logs = tf.while_loop(
            lambda number, logs: number < end,
            lambda number, logs: (number + 1, step(self._batch(block, number))),
            (first, nothing),
        )
        return logs

    def _step(self, batch):
        logs = self._devices.run(self._network.train_step, batch)
        return tf.nest.map_structure(self._devices.mean, logs)

    def _batch(self, block, number):
        """Return a batch of a block, on each replica its own part."""
        return self._devices.run(
            lambda block: tf.nest.map_structure(lambda tensor: tensor[number], block), block
        )
