"""Workers that are kept for the next test: each takes three CPU seconds to import TensorFlow."""

import contextlib
from collections import defaultdict

import psutil
import pytest

from kerasdl.export.tflite import Converter
from kerasdl.inference.worker.client import Worker

_MOST_BYTES = 2**30  # of a process that is kept: one of a large network goes


class OwnProcess(Worker):
    """A worker whose process is its own from start to end."""


@contextlib.contextmanager
def kept():
    """Give the process of a worker that is not needed any more to the next worker of its kind."""
    start, idle = Worker.start, defaultdict(list)

    def take_or_start(self):
        processes = idle[type(self), self.num_threads]
        if self._process is None and processes:
            self._process, self._log = processes.pop()
        start(self)

    def keep_or_close(self, *_):
        if self._process is not None and type(self) in (Worker, Converter) and _is_small(self.pid):
            idle[type(self), self.num_threads].append((self._process, self._log))
            self._process = None
        self.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "start", take_or_start)
        patch.setattr(Worker, "__exit__", keep_or_close)
        yield
    for processes in idle.values():
        for process, log in processes:
            worker = Worker()
            worker._process, worker._log = process, log
            worker.close()


def _is_small(pid):
    try:
        return psutil.Process(pid).memory_info().rss < _MOST_BYTES
    except psutil.NoSuchProcess:
        return False
