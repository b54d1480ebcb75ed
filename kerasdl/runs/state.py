"""Where a run stands: under way, interrupted, failed or finished."""

import dataclasses
from typing import Literal

from kerasdl.runs.record import Record


@dataclasses.dataclass(frozen=True)
class State:
    """Where a run stands.

    Attributes:
        name: one word.
        text: one sentence; empty when all is well.
        command: the command to run next; empty where there is none.
    """

    name: Literal["finished", "active", "interrupted", "failed"]
    text: str = ""
    command: str = ""


def of(record: Record) -> State:
    """Return where a run stands, from its status file and its lock."""
    status = record.status
    if record.run.is_finished():
        return State("finished", _stopped(record))
    if record.run.is_active():
        return State("active", _doing(record))
    resume = record.run.resume_command
    if status.get("error"):
        return State("failed", f"This run failed {_where(record)}: {status['error']}", resume)
    return State("interrupted", f"This run was interrupted {_where(record)}. To go on with it:", resume)


def num_epochs(record: Record) -> int | None:
    """Return the number of epochs to train."""
    return record.status.get("epochs") or record.recipe.get("epochs")


def _doing(record: Record) -> str:
    stage = record.status.get("stage", "training")
    if stage == "training":
        return f"Training is going on: {record.num_epochs} of {num_epochs(record)} epochs have ended."
    return f"Training has ended after {record.num_epochs} epochs; the run is {stage} now."


def _where(record: Record) -> str:
    stage = record.status.get("stage", "training")
    if stage != "training":
        return f"while it was {stage}"
    if record.num_epochs == 0:
        return "before its first epoch ended"
    return f"after epoch {record.num_epochs} of {num_epochs(record)}"


def _stopped(record: Record) -> str:
    reason = record.status.get("stopped")
    if not reason:
        return ""
    return f"Training stopped after epoch {record.num_epochs} of {num_epochs(record)}: {reason}."
