"""Trials in their own processes, forked from one that has done the imports."""

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

from kerasdl import environment
from kerasdl.errors import UsageError
from kerasdl.search.trials.process import Job, Outcome, main

# Forked after the imports, before TensorFlow has started anything; macOS's frameworks do not survive a fork.
_METHOD = "forkserver" if sys.platform == "linux" else "spawn"


class Pool:
    """Runs trials, from several threads at once.

    A trial that crashes, is killed or runs out of memory leaves the others running. All trials end when this
    process ends.

    Args:
        preload: modules that every trial needs, imported once before trials are forked.
    """

    def __init__(self, preload: Sequence[str] = ()):
        self._context = multiprocessing.get_context(_METHOD)
        if _METHOD == "forkserver":
            self._context.set_forkserver_preload(["kerasdl.search.trials.preload", *preload])
            with environment.isolated_children():
                _start_forkserver()
        self._lock = threading.Lock()
        self._living: set[multiprocessing.Process] = set()
        self._stopping = False

    def run(self, job: Job, observe: Callable[[Mapping[str, float]], str | None]) -> Outcome:
        """Run a trial to its end.

        Args:
            job: work of the trial.
            observe: function that gets the metrics of each epoch; a reason that it returns ends the trial.
        """
        job.folder.mkdir(parents=True, exist_ok=True)
        ours, theirs = self._context.Pipe()
        lifeline_end, lifeline = self._context.Pipe(duplex=False)
        process = self._context.Process(target=main, args=(job, theirs, lifeline_end), daemon=True)
        with self._lock:
            if self._stopping:
                return Outcome(status="interrupted")
            with environment.isolated_children():
                process.start()
            self._living.add(process)
        theirs.close()
        lifeline_end.close()
        try:
            outcome = _listen(ours, job, observe)
            if outcome is not None:
                process.join(30)
            else:
                process.join()
                outcome = Outcome(status="crashed", reason=_cause_of_death(process.exitcode, job.folder))
        finally:
            with self._lock:
                self._living.discard(process)
            lifeline.close()  # which kills it, if it still lives
            ours.close()
            process.join()
            process.close()
        return outcome

    def stop(self) -> None:
        """Let all trials write a checkpoint and end; start no others."""
        with self._lock:
            self._stopping = True
            for process in self._living:
                process.terminate()

    def kill(self) -> None:
        """Kill all trials."""
        with self._lock:
            self._stopping = True
            for process in self._living:
                process.kill()


def _start_forkserver() -> None:
    resource_tracker.ensure_running()  # it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:  # Ctrl-C during its imports would end it; it inherits what is blocked
        forkserver.ensure_running()
    except OSError as error:  # its socket lies there, and paths of sockets are short
        raise UsageError(
            f"No process can be made for trials: {error}. Set TMPDIR to a folder with a shorter path."
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(pipe, job: Job, observe: Callable) -> Outcome | None:
    """Return the outcome that a trial sends at its end; None where it dies before."""
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(message, Outcome):
            return message
        reason = observe(message)
        if job.asks:
            try:
                pipe.send(reason)
            except OSError:
                return None


def _cause_of_death(code: int, folder: Path) -> str:
    log = folder / "log.txt"
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if code == -signal.SIGKILL:
        return "its process was killed (SIGKILL), by a user or because memory ran out"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"its process crashed ({name}){'; its last line: ' + last[:300] if last else ''}"
