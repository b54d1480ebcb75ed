"""Starts the worker process, sends it calls, and explains its crashes."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from typing import Any

from kerasdl import environment
from kerasdl.errors import RunFailedError
from kerasdl.inference.worker import script


class Worker:
    """A warm process that has TensorFlow but neither Keras nor kerasdl.

    It starts with the first question, or earlier with `start`, so that its imports (seconds) pass while
    something else goes on. After a crash the next question starts a new one. It leaves GPUs to the parent.

    Args:
        num_threads: of each of TensorFlow's pools; None leaves it to TensorFlow.

    Example:
        >>> with Worker() as worker:
        ...     worker.ask("load", path="exported/lenet5/1")
    """

    #: Whether its TensorFlow gives memory back that it frees, rather than keeping it for speed.
    gives_back = False

    def __init__(self, num_threads: int | None = None):
        self.num_threads = num_threads
        self._process: subprocess.Popen | None = None
        self._log: Any = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id, None while there is no process."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process unless it runs; returns at once."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        arguments = [] if self.num_threads is None else [str(self.num_threads)]
        self._process = subprocess.Popen(
            # -P: the script's own folder must not shadow packages of the same name.
            [sys.executable, "-P", script.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={
                **os.environ,
                "CUDA_VISIBLE_DEVICES": "-1",
                **environment.allocator(gives_back=self.gives_back),
            },
        )

    def ask(self, command: str, **arguments) -> Any:
        """Call a function of the worker and return its result.

        Raises:
            RunFailedError: when the function fails or the process dies.
        """
        self.start()
        try:
            pickle.dump((command, arguments), self._process.stdin)
            self._process.stdin.flush()
            succeeded, answer = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            reason = self._cause_of_death()
            self.close()
            raise RunFailedError(reason) from error
        except BaseException:  # an interrupt leaves half a question in the pipe
            self.close()
            raise
        if not succeeded:
            raise RunFailedError(answer)
        return answer

    def close(self) -> None:
        """End the process; a later question starts a new one."""
        if self._process is None:
            return
        self._process.kill()  # it holds nothing worth saving
        self._process.wait()
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # what was still to be sent has no reader
            self._process.stdin.close()
        self._log.close()
        self._process = None

    def _cause_of_death(self) -> str:
        code = self._process.wait()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"the process crashed ({name}){'; its last words: ' + last[:300] if last else ''}"
