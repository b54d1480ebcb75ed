"""Ctrl-C and SIGTERM: finish the step, write a checkpoint, then stop."""

import contextlib
import math
import os
import signal
import threading
import time

#: Seconds in which the same signal is an echo: `timeout` sends it to the process and to its group.
_ECHO = 0.1


class Interrupted(KeyboardInterrupt):
    """The user or the system asked this process to stop; the message says how to resume.

    Attributes:
        signum: number of the signal.
    """

    def __init__(self, message: str, signum: int = signal.SIGINT):
        super().__init__(message)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """Exit code that shells expect: 130 after SIGINT, 143 after SIGTERM."""
        return 128 + self.signum


class Interruptions:
    """Catch SIGINT and SIGTERM during a training run.

    Outside `deferred` a signal raises `Interrupted` at once; inside it the first one only sets `signum`, and
    training stops after a checkpoint. A second one always raises, unless it is an echo of the first. A signal
    that was set to be ignored (a job in the background) stays ignored; in other threads than the main one
    nothing is changed.
    """

    def __init__(self):
        self.signum: int | None = None
        self._deferring = False
        self._noted_at = -math.inf
        self._before: dict[int, object] = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                if (handler := signal.getsignal(signum)) not in (signal.SIG_IGN, None):
                    self._before[signum] = handler
                    signal.signal(signum, self._note)
        return self

    def __exit__(self, *_):
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    @contextlib.contextmanager
    def deferred(self):
        """Let the block act on the first signal by `signum`; raise at its end otherwise."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self.signum is not None:
            raise Interrupted("Stopped after the training.", self.signum)

    def _note(self, signum, frame):
        """Handle a signal; whatever took a lock here (logging, a stream) could wait for itself for ever."""
        now = time.monotonic()
        if now - self._noted_at < _ECHO:
            return
        self._noted_at = now
        if not self._deferring or self.signum is not None:
            raise Interrupted("Stopped at once.", signum)
        self.signum = signum
        with contextlib.suppress(OSError):
            if os.isatty(2):  # where a bar stands, and the ^C
                os.write(2, b"\n")
            os.write(2, b"Finishing the step and writing a checkpoint; once more stops at once.\n")
