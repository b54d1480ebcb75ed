"""Profiles some calls of the training step, for `kerasdl train --profile`."""

import logging
import os
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from kerasdl.runs.folder import Run
from kerasdl.training.profiling import operations, trace
from kerasdl.training.profiling.breakdown import (
    BETWEEN,
    EXECUTION,
    Breakdown,
    break_down,
    has_devices,
    kind_of,
)

_log = logging.getLogger(__name__)

#: What passes before anything is recorded: the first calls trace and compile.
WARM_UP_CALLS, WARM_UP_STEPS = 2, 10
#: What is recorded, where the epoch has that much: validation is not.
SECONDS, STEPS = 1.0, 10
_SHOWN_OPERATIONS = 5


class Profile(keras.callbacks.Callback):
    """Record some calls of a training that has warmed up; as the `with` block ends, say what they show.

    The training is a real one: its result does not change. The calls are those of one epoch, about a second
    of them. The run gets

    * `profile/trace.json.gz`, for Perfetto and chrome://tracing;
    * `profile/profile.json`: the table that is printed (`kerasdl.training.profiling.breakdown`), unrounded;
    * `logs/plugins/profile/<time>/*.xplane.pb`: what TensorFlow's profiler wrote, for TensorBoard's.

    A run that is profiled again keeps what it has: the next folder is `profile-2`. What was recorded before
    an interruption or an error is written too.

    It has to be the first of the callbacks: what the others do then counts as Python between the calls.

    Args:
        run: where the files are written.
        console: where the table is printed.
    """

    def __init__(self, run: Run, console: Console):
        super().__init__()
        self.run = run
        self.console = console
        self._logs = run.path / "logs"
        self._stage = "warming up"  # then "recording", then "over"
        self._calls = self._steps = 0  # of the stage
        self._shown: Any = None  # the event of the trace that lasts now
        self._about: dict[str, Any] = {}
        self._unrecorded = [0.0, 0]  # seconds and steps of the calls after the recording

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop()
        self._report()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self._stage == "recording" and self._has_enough():
            self._stop()
        elif self._stage == "warming up" and self._is_warm(batch):
            self._start(batch)
        self._first, self._called = batch, time.perf_counter()
        self._show(EXECUTION, step_num=batch, _r=1)  # TensorBoard knows steps by `step_num` and `_r`

    def on_train_batch_end(self, batch, logs=None):
        num_steps = batch + 1 - self._first
        self._calls, self._steps = self._calls + 1, self._steps + num_steps
        if self._stage == "over":
            self._unrecorded[0] += time.perf_counter() - self._called
            self._unrecorded[1] += num_steps
        if self._shown is not None:
            self._shown.set_metadata(num_steps=num_steps)
        self._hide()
        if batch + 1 < self.params["steps"]:  # what ends an epoch is no part of a step
            self._show(BETWEEN)

    def on_test_begin(self, logs=None):
        self._stop()

    def on_epoch_end(self, epoch, logs=None):
        self._stop()

    def _is_warm(self, step: int) -> bool:
        """Tell whether the calls have warmed up, and enough of the epoch is left."""
        steps = self.params["steps"]
        warm = self._calls >= WARM_UP_CALLS and self._steps >= WARM_UP_STEPS
        return warm and steps - step >= min(STEPS, steps)

    def _has_enough(self) -> bool:
        return self._steps >= STEPS and time.perf_counter() - self._began >= SECONDS

    def _start(self, step: int) -> None:
        self._files = self._raw_files()
        try:
            tf.profiler.experimental.start(str(self._logs))
        except tf.errors.AlreadyExistsError:
            self._stage = "over"
            _log.warning(
                "The training goes on, but is not profiled: another profiler runs in this process. End it "
                "first (tf.profiler.experimental.stop())."
            )
            return
        self._about = {"epoch": self._epoch + 1, "first_step": step + 1}
        self._stage, self._calls, self._steps = "recording", 0, 0
        self._began, self._cpu_began = time.perf_counter(), time.process_time()

    def _stop(self) -> None:
        if self._stage != "recording":
            return
        self._hide()
        seconds, cpu_seconds = time.perf_counter() - self._began, time.process_time() - self._cpu_began
        self._about |= {"seconds": seconds, "cpu_seconds": cpu_seconds, "cores": os.cpu_count()}
        self._stage = "over"
        try:
            tf.profiler.experimental.stop()
        except tf.errors.UnavailableError:
            _log.warning("Nothing was profiled: something else in this process has ended the profiler.")

    def _show(self, name: str, **stats: Any) -> None:
        """Begin an event of the trace, and end the one before it."""
        self._hide()
        if self._stage == "recording":
            self._shown = tf.profiler.experimental.Trace(name, **stats)

    def _hide(self) -> None:
        if self._shown is not None:
            self._shown.__exit__(None, None, None)
            self._shown = None

    def _raw_files(self) -> set[Path]:
        return set(self._logs.glob("plugins/profile/*/*.xplane.pb"))

    def _report(self) -> None:
        """Write what was recorded, and print the table."""
        if self._stage == "warming up":
            _log.warning(
                f"Nothing was profiled: the training ended after {self._steps} steps in {self._calls} calls, "
                f"and its first {WARM_UP_STEPS} steps and {WARM_UP_CALLS} calls warm it up. Give more "
                "--epochs."
            )
        if not self._about or not (files := self._raw_files() - self._files):
            return
        raw = files.pop()
        threads = trace.read(raw, with_stats=(EXECUTION,))
        if (found := break_down(threads)) is None:
            _log.warning("Nothing was profiled: the first call that was recorded did not end.")
            return
        folder = _free(self.run.path / "profile")
        folder.mkdir()
        trace.write_chrome(folder / "trace.json.gz", threads, _described(threads))
        seconds, steps = self._unrecorded
        self._about["unrecorded_executing_ms"] = seconds / steps * 1e3 if steps else None
        document = {**self._about, **found.document(), "raw": str(raw.relative_to(self.run.path))}
        self.run.write(f"{folder.name}/profile.json", document)
        _print(self.console, found, self._about)
        self.console.print(f"Profile {folder}/profile.json", highlight=False)
        self.console.print(
            f"Trace   {folder}/trace.json.gz (https://ui.perfetto.dev or chrome://tracing opens it)\n"
            f"        tensorboard --logdir {self._logs} (tab Profile, with pip install xprof)",
            highlight=False,
        )


def _free(path: Path) -> Path:
    """Return the path, or the first of `path-2`, `path-3`, ... that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _described(threads):
    """Return a function from an event to its name in the trace: short for operations."""
    on_devices = has_devices(threads)

    def describe(thread: trace.Thread, event: trace.Event) -> dict[str, Any]:
        kind = kind_of(thread, event, on_devices) or "waiting"
        if operations.group_of(event.name) is None:
            return {"name": event.name, "cat": kind, "args": {**event.stats}}
        scope, type_name = event.name.split(":")
        return {"name": operations.short_name(scope), "cat": kind, "args": {"type": type_name, "kind": kind}}

    return describe


def _print(console: Console, found: Breakdown, about: dict[str, Any]) -> None:
    """Print where the time of a step went."""
    without = about["unrecorded_executing_ms"]
    console.print(
        f"Profile of {found.steps} steps (epoch {about['epoch']}, from step {about['first_step']} on) in "
        f"{found.executions} calls. A step takes {found.step_ms:.3g} ms: {found.executing_ms:.3g} in calls"
        f"{f' ({without:.3g} when it is not recorded)' if without else ''}, {found.between_ms:.3g} in Python "
        f"between them. {about['cpu_seconds'] / about['seconds']:.1f} of {about['cores']} cores are busy.",
        highlight=False,
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("milliseconds of a step")
    for title in ("wall", "%", "threads", "%", "backward"):
        table.add_column(title, justify="right")
    for group, row in found.document()["groups"].items():
        table.add_row(
            group,
            f"{row['wall_ms']:.3f}",
            f"{row['wall_share']:.1%}",
            f"{row['thread_ms']:.3f}" if row["thread_ms"] else "",
            f"{row['thread_share']:.1%}" if row["thread_ms"] else "",
            f"{row['backward_ms']:.3f}" if group in operations.LAYERS else "",
        )
    table.add_row("total", f"{found.step_ms:.3f}", "100.0%", f"{found.busy_ms:.3f}", "100.0%")
    console.print(table)
    console.print(
        "wall: a moment in which several threads work is divided among them. threads: the time of all that\n"
        "work; backward is a part of it. The longest operations, of all threads:",
        highlight=False,
    )
    for name, kind, group, time_ms in found.operations[:_SHOWN_OPERATIONS]:
        console.print(f"  {time_ms:.3f}  {name}  ({kind}, {group})", highlight=False)
