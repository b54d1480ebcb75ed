"""Explains what ends a run early, and notes it in the run."""

import contextlib

from kerasdl.errors import MachineError, RunFailedError, UsageError
from kerasdl.runs import folder as runs
from kerasdl.training import faults
from kerasdl.training.interruption import Interrupted


class _Working:
    """The run in progress, once its folder exists."""

    run: runs.Run | None = None

    def on(self, run: runs.Run) -> None:
        """Name the run, once it has a folder."""
        self.run = run

    def note(self, error: str) -> None:
        """Note in the run why it ended early."""
        if self.run is not None:
            with contextlib.suppress(OSError):  # the disk may be full, the folder gone
                self.run.update_status(error=error)


@contextlib.contextmanager
def explained(batch_size: int, parts: int, dry_run: bool):
    """Explain an error that ends a run: what is kept, how to resume.

    Args:
        batch_size: number of examples of an update.
        parts: number of equal parts that a batch is divided into, for replicas and micro-batches.
        dry_run: whether nothing of the run is kept.
    """
    working = _Working()
    try:
        yield working
    except Interrupted as error:
        again = "" if working.run is None or dry_run else f" Go on with\n  {working.run.resume_command}"
        raise Interrupted(f"{error}{again}", error.signum) from None
    except MachineError as error:  # such as a disk that was full during the export
        working.note(str(error))
        raise MachineError(f"{error} {faults.kept(working.run)}") from error
    except (UsageError, RunFailedError) as error:
        working.note(str(error))
        raise
    except Exception as error:
        explained = faults.explain(error, working.run, batch_size, parts)
        working.note(str(explained or f"{type(error).__name__}: {error}"))
        if explained is None:
            raise
        raise explained from error
