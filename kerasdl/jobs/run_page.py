"""Keeps the page of a run up to date while a process works on the run."""

import contextlib
import logging

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.jobs import report
from kerasdl.runs.folder import Run

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def working_on(run: Run):
    """Lock a run. A page of it that says that work goes on is written again when it has ended."""
    locked = False
    try:
        with run.locked():
            locked = True
            yield
    finally:
        if locked and (run.path / report.FILE_NAME).is_file() and not run.is_finished():
            write(run)


def write(run: Run) -> None:
    """Write the report; an error there does not fail the run."""
    try:
        report.write_report(run)
    except Exception as error:
        known = isinstance(error, (UsageError, RunFailedError))
        _log.warning(f"No report was written: {error}", exc_info=not known)
