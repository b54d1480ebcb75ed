"""Requests that wait at the same time share one call of the model; each gets its own rows back."""

import asyncio
import collections
import dataclasses
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kerasdl.serving.engine import Engine
from kerasdl.serving.settings import Batching
from kerasdl.serving.status import Code, ServingError

#: Begin the lines of TensorFlow's messages that say where and not what.
_AROUND = ("Graph execution error", "Detected at node", "<stack traces", "File ", "[Op:")
Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(eq=False)
class _Task:
    """A request, or a part of a large one, that waits for its rows."""

    inputs: Arrays
    size: int
    future: asyncio.Future
    since: float


class Batcher:
    """Calls one engine for many requests, outside of the event loop.

    Args:
        engine: the model.
        settings: how requests are put together.
        observe: is told of every call: its signature, examples, and the seconds that each request waited.
    """

    def __init__(self, engine: Engine, settings: Batching, observe: Callable[[str, int, list[float]], None]):
        self._engine, self._settings, self._observe = engine, settings, observe
        self._threads = settings.threads if engine.parallel else 1
        self._executor = ThreadPoolExecutor(self._threads, "model")
        self._queues: dict[Hashable, collections.deque[_Task]] = {}
        self._queued = self._running = 0
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, signature: str, inputs: Arrays, *, alone: bool = False) -> dict[str, np.ndarray]:
        """Return the outputs for the inputs of one request.

        Args:
            signature: name of the signature.
            inputs: arrays by name, of its shapes and dtypes.
            alone: give it a call of its own.

        Raises:
            ServingError: UNAVAILABLE when the queue is full; whatever the model answers.
        """
        merges = self._engine.signatures[signature].merges
        size = len(next(iter(inputs.values()))) if merges else 1
        most = self._settings.max_batch_size if self._settings.on and merges else size
        if self._queued + size > self._settings.max_enqueued * self._settings.max_batch_size:
            raise ServingError(
                Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
            )
        if merges and self._settings.on and not alone:
            shapes = tuple(array.shape[1:] for array in inputs.values())
            key: Hashable = (signature, *inputs, shapes)
        else:
            key = (signature, object())
        parts = [inputs] if size <= most else [
            {name: array[start : start + most] for name, array in inputs.items()}
            for start in range(0, size, most)
        ]  # fmt: skip
        loop, now = asyncio.get_running_loop(), time.monotonic()
        tasks = [
            _Task(part, min(size - index * most, most), loop.create_future(), now)
            for index, part in enumerate(parts)
        ]
        self._queues.setdefault(key, collections.deque()).extend(tasks)
        self._queued += size
        self._pump()
        try:
            answers = [await task.future for task in tasks]
        except BaseException:
            for task in tasks:  # of a client that has gone, nothing more is worked out
                if not task.future.cancel() and not task.future.cancelled():
                    task.future.exception()
            raise
        if len(answers) == 1:
            return answers[0]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def close(self) -> None:
        """Let go of the threads; nothing may be waiting."""
        self._executor.shutdown(wait=False)

    def _pump(self) -> None:
        """Start as many calls as there are threads for, the longest waiting first."""
        while self._running < self._threads and (key := self._ready()) is not None:
            if batch := self._take(key):
                self._running += 1
                asyncio.get_running_loop().create_task(self._call(key[0], batch))

    def _ready(self) -> Hashable | None:
        """Return which queue goes next; set a timer where one still waits for more requests."""
        now, wait = time.monotonic(), self._settings.timeout_micros / 1e6 if self._settings.on else 0.0
        oldest = sorted(self._queues, key=lambda key: self._queues[key][0].since) if self._queues else []
        for key in oldest:
            full = sum(task.size for task in self._queues[key]) >= self._settings.max_batch_size
            if not wait or full or now - self._queues[key][0].since >= wait:
                return key
        if oldest and (self._timer is None or self._timer.cancelled()):
            due = self._queues[oldest[0]][0].since + wait - now
            self._timer = asyncio.get_running_loop().call_later(max(due, 0.0), self._on_timer)
        return None

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()

    def _take(self, key: Hashable) -> list[_Task]:
        """Take the requests of a call out of a queue, without those whose client has gone."""
        queue, batch, size = self._queues[key], [], 0
        while queue and (not batch or size + queue[0].size <= self._settings.max_batch_size):
            task = queue.popleft()
            self._queued -= task.size
            if not task.future.done():
                batch.append(task)
                size += task.size
        if not queue:
            del self._queues[key]
        return batch

    async def _call(self, signature: str, batch: list[_Task]) -> None:
        now, loop = time.monotonic(), asyncio.get_running_loop()
        self._observe(signature, sum(task.size for task in batch), [now - task.since for task in batch])
        try:
            answers = await loop.run_in_executor(self._executor, self._answers, signature, batch)
        except BaseException as error:  # the executor itself has failed
            answers = [ServingError(Code.INTERNAL, type(error).__name__)] * len(batch)
        self._running -= 1
        for task, answer in zip(batch, answers, strict=True):
            if task.future.done():
                continue
            if isinstance(answer, ServingError):
                task.future.set_exception(answer)
            else:
                task.future.set_result(answer)
        self._pump()

    def _answers(self, signature: str, batch: list[_Task]) -> list[dict[str, np.ndarray] | ServingError]:
        """Call the model once for all; where that fails once for each, since only one of them is wrong."""
        try:
            return self._together(signature, batch)
        except Exception as error:  # each runtime has error types of its own
            if len(batch) == 1:
                return [as_serving_error(error)]
        return [self._answers(signature, [task])[0] for task in batch]

    def _together(self, signature: str, batch: list[_Task]) -> list[dict[str, np.ndarray]]:
        if len(batch) == 1 and not self._padding(signature, batch[0].size):
            return [self._engine.call(signature, batch[0].inputs)]
        names, size = batch[0].inputs, sum(task.size for task in batch)
        padding = self._padding(signature, size)
        inputs = {}
        for name in names:
            parts = [task.inputs[name] for task in batch]
            inputs[name] = np.concatenate([*parts, np.repeat(parts[0][:1], padding, axis=0)])
        outputs = self._engine.call(signature, inputs)
        for name, array in outputs.items():
            if array.shape[:1] != (size + padding,):
                raise RuntimeError(f"Output {name} has no row for each example: {array.shape}")
        ends = np.cumsum([task.size for task in batch])
        return [
            {name: array[end - task.size : end] for name, array in outputs.items()}
            for task, end in zip(batch, ends, strict=True)
        ]

    def _padding(self, signature: str, size: int) -> int:
        """Return how many examples a call lacks of an allowed size."""
        if not (self._settings.on and self._engine.signatures[signature].merges):
            return 0
        return next((allowed - size for allowed in self._settings.allowed_sizes if allowed >= size), 0)


def as_serving_error(error: Exception) -> ServingError:
    """Return what a client is told of an error of a runtime: its reason, without where it arose."""
    if isinstance(error, ServingError):
        return error
    import tensorflow as tf

    text = _reason(str(error)) or type(error).__name__
    wrong = (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError, ValueError)
    exhausted = (tf.errors.ResourceExhaustedError, MemoryError)
    if isinstance(error, exhausted):
        return ServingError(Code.RESOURCE_EXHAUSTED, text)
    return ServingError(Code.INVALID_ARGUMENT if isinstance(error, wrong) else Code.INTERNAL, text)


def _reason(text: str) -> str:
    """Return the line of a runtime's message that says what is wrong; TensorFlow puts others around it."""
    lines = [line.strip() for line in text.splitlines()]
    told = [line for line in lines if line and not line.startswith(_AROUND) and not line.startswith("[[")]
    return (told or [""])[0][:500]
