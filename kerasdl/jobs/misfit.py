"""Says what a pipeline takes where data is of another kind, and what takes that data; needs no TensorFlow."""

from kerasdl.data import guess
from kerasdl.data.dataset import DataSpec
from kerasdl.data.source import Source
from kerasdl.errors import UsageError
from kerasdl.tasks.task import Task


def check(source: Source, task: Task, found: DataSpec | None) -> None:
    """Raise a UsageError where a task does not take examples, which names what does.

    Args:
        source: what they are read from.
        task: what they are read for.
        found: what is in each of them; None where they cannot be read, or were not yet.
    """
    spec = source.gives if found is None else found
    try:
        if spec is not None:
            task.network_arguments(spec)
    except UsageError as error:
        raise UsageError(" ".join([str(error), *guess.fitting(source.place)])) from error


def explained(error: UsageError, source: Source) -> UsageError:
    """Return the error of data that cannot be read as it has to be, with what takes it."""
    return UsageError(" ".join([str(error), *guess.fitting(source.place, but=type(source))]))
