"""Where the time of a training step goes, from a trace: every moment belongs to one kind of work."""

import collections
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kerasdl.training.profiling.operations import (
    GROUPS,
    INPUT,
    OTHER,
    PYTHON,
    SCHEDULING,
    WAITING,
    group_of,
    short_name,
)
from kerasdl.training.profiling.trace import Event, Thread

#: Names of the events that `profile.py` puts into a trace, on the thread of the training loop.
EXECUTION, BETWEEN = "train", "between executions"

_BUSY = re.compile("^(Executor|FunctionRun|Iterator::)")  # work of TensorFlow that is no operation
#: Events in which a thread waits for others.
_BLOCKED = re.compile(r"::(Root|Prefetch|Parallel\w+|MapAndBatch\w*|MultiDevice\w+)$|IteratorGetNext")
_GET_NEXT = re.compile("IteratorGetNext.*::DoCompute|EagerLocalExecute: IteratorGetNext")


def has_devices(threads: Sequence[Thread]) -> bool:
    """Tell whether a trace holds kernels of GPUs."""
    return any(thread.is_device for thread in threads)


def kind_of(thread: Thread, event: Event, on_devices: bool = False) -> str | None:
    """Return the kind of work that a thread does while an event is its innermost one; None while it waits.

    Args:
        thread: its events of tf.data belong to the input pipeline, whatever they are.
        event: of it.
        on_devices: whether operations run on GPUs; then the host only launches them.
    """
    if thread.is_device:
        return group_of(str(event.stats.get("tf_op", ""))) or OTHER
    for_input = thread.name.startswith("tf_data")
    operation: Event | None = event
    while operation is not None and (group := group_of(operation.name)) is None:
        operation = operation.parent
    if operation is not None:
        return INPUT if for_input else SCHEDULING if on_devices else group
    if not _BUSY.match(event.name) or _BLOCKED.search(event.name):
        return None
    return INPUT if for_input else SCHEDULING


@dataclasses.dataclass(frozen=True)
class Breakdown:
    """The mean step of a trace; all times in milliseconds per step.

    Attributes:
        steps: training steps recorded.
        executions: calls that ran them.
        step_ms: wall time of a step.
        between_ms: the part of it between calls, in Python: callbacks, logging.
        wall_ms: by kind of work; the sum is `step_ms`. A moment in which several threads work is divided
            among them equally. A moment of a call in which none works is `waiting for a batch` if a batch is
            awaited, otherwise `scheduling and idle`.
        thread_ms: by kind of work, the time of all threads that work; one that waits for helpers does not.
        backward_ms: the part of `thread_ms` that computes gradients.
        operations: (name, type, kind of work, milliseconds of all threads), the longest first.
    """

    steps: int
    executions: int
    step_ms: float
    between_ms: float
    wall_ms: Mapping[str, float]
    thread_ms: Mapping[str, float]
    backward_ms: Mapping[str, float]
    operations: Sequence[tuple[str, str, str, float]]

    @property
    def executing_ms(self) -> float:
        """Wall time of a step in the calls."""
        return self.step_ms - self.between_ms

    @property
    def busy_ms(self) -> float:
        """Time of all threads together."""
        return sum(self.thread_ms.values())

    def document(self) -> dict[str, Any]:
        """Return all of it for a JSON file, with shares of 0 to 1."""
        groups = {
            group: {
                "wall_ms": self.wall_ms.get(group, 0.0),
                "wall_share": self.wall_ms.get(group, 0.0) / self.step_ms,
                "thread_ms": self.thread_ms.get(group, 0.0),
                "thread_share": self.thread_ms.get(group, 0.0) / self.busy_ms if self.busy_ms else 0.0,
                "backward_ms": self.backward_ms.get(group, 0.0),
            }
            for group in GROUPS
            if group in self.wall_ms or group in self.thread_ms
        }
        names = ("name", "type", "group", "thread_ms")
        return {
            **{name: getattr(self, name) for name in ("steps", "executions", "step_ms", "executing_ms")},
            "between_ms": self.between_ms,
            "busy_ms": self.busy_ms,
            "groups": groups,
            "operations": [dict(zip(names, operation, strict=True)) for operation in self.operations],
        }


def break_down(threads: Sequence[Thread]) -> Breakdown | None:
    """Attribute every moment of the recorded executions, and between them, to a kind of work.

    Args:
        threads: of a trace with events `EXECUTION`, whose stats have `num_steps` where they are complete, and
            `BETWEEN`.

    Returns:
        None when no execution is complete.
    """
    loop = [event for thread in threads for event in thread.events if event.name in (EXECUTION, BETWEEN)]
    executions = [event for event in loop if "num_steps" in event.stats]
    if not executions:
        return None
    first = executions[0].start
    last = max(event.end for event in loop if event.name == BETWEEN or event in executions)
    wall, busy = _sweep([*_changes(threads, executions), (last, 0, None)], first, last)
    steps = sum(event.stats["num_steps"] for event in executions)
    unit = 1e9 * steps  # picoseconds to milliseconds of a step
    by_group, backward, by_operation = (collections.Counter() for _ in range(3))
    for (group, operation), time in busy.items():
        by_group[group] += time / unit
        if "gradient_tape/" in operation:
            backward[group] += time / unit
        if operation:
            by_operation[(*operation.split(":"), group)] += time / unit
    return Breakdown(
        steps=steps,
        executions=len(executions),
        step_ms=(last - first) / unit,
        between_ms=wall[PYTHON] / unit,
        wall_ms={group: wall[group] / unit for group in GROUPS if group in wall},
        thread_ms={group: by_group[group] for group in GROUPS if group in by_group},
        backward_ms=backward,
        operations=[(*what, time) for what, time in by_operation.most_common(20)],
    )


def _changes(threads: Sequence[Thread], executions: Sequence[Event]) -> Iterator[tuple[int, int, Any]]:
    """Give (when, 1 or -1, what) as something begins and ends: work, an execution, waiting for a batch."""
    spans = [(event.start, event.end, EXECUTION) for event in executions]
    on_devices = has_devices(threads)
    for thread in threads:
        for start, end, event in thread.pieces():
            if (group := kind_of(thread, event, on_devices)) is not None:
                work = (group, _operation(event))
                spans += [(*part, work) for part in _without(start, end, _helped(event))]
        awaited = [event for event in thread.events if _GET_NEXT.search(event.name)]
        spans += [(event.start, event.end, WAITING) for event in awaited]
    for start, end, what in spans:
        yield start, 1, what
        yield end, -1, what


def _helped(event: Event | None) -> list[tuple[int, int]]:
    """Return when helpers worked for the operation that an event is a part of."""
    while event is not None and not event.helped:
        event = event.parent
    return [] if event is None else sorted(event.helped)


def _without(start: int, end: int, others: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give what the time from `start` to `end` has outside of others, which are sorted."""
    for begins, ends in others:
        if begins > start:
            yield start, min(begins, end)
        start = max(start, ends)
        if start >= end:
            return
    yield start, end


def _operation(event: Event | None) -> str:
    """Return `short/name:Type` of the operation that an event is a part of; empty where it is none."""
    while event is not None:
        name = event.stats.get("tf_op", event.name)
        if group_of(name) is not None:
            scope, kind = name.split(":")
            return f"{short_name(scope)}:{kind}"
        event = event.parent
    return ""


def _sweep(changes: list, first: int, last: int) -> tuple[collections.Counter, collections.Counter]:
    """Go through time and add up.

    Returns:
        Wall time by kind of work, and the time of all threads by (kind of work, operation), in picoseconds.
    """
    wall, busy, active = (collections.Counter() for _ in range(3))
    now = first
    for time, change, what in sorted(changes, key=lambda each: each[0]):
        passed = min(time, last) - now
        if passed > 0:
            works = [(work, count) for work, count in active.items() if count and isinstance(work, tuple)]
            total = sum(count for _, count in works)
            for work, count in works:
                busy[work] += passed * count
            if not active[EXECUTION]:
                wall[PYTHON] += passed
            elif total:
                for (group, _), count in works:
                    wall[group] += passed * count / total
            else:
                wall[WAITING if active[WAITING] else SCHEDULING] += passed
            now += passed
        active[what] += change
        if not active[what]:
            del active[what]
    return wall, busy
