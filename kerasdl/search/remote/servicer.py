"""The chief's side of `client`: passes calls to the oracle and tracks the workers."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from kerasdl.report import terminal
from kerasdl.search.keras_tuner import private
from kerasdl.search.remote import client
from kerasdl.search.trials.files import read_oracle

_log = logging.getLogger(__name__)

_LOST = "it was assigned to another worker, because this one did not report"


class Servicer(private.SERVICE.OracleServicer):
    """The chief's side: passes calls to the oracle and records the last message of each worker.

    Args:
        oracle: instance of one of `oracles.ORACLES`.
        identity: identity of the search; that of workers must be equal.
        greeting: answer to a new worker: `folder`, `token`, `heartbeat`.
        on_change: function called when a trial starts, reports or ends, from any thread.
    """

    def __init__(
        self,
        oracle: Any,
        identity: Mapping[str, Any],
        greeting: Mapping[str, str],
        on_change: Callable[[], None],
    ):
        self.oracle = oracle
        self.identity = identity
        self.greeting = greeting
        self.on_change = on_change
        self.seen: dict[str, float] = {}  # slot of a worker -> when it was heard of
        self.dismissed: set[str] = set()  # slots that know that the search is over

    def UpdateSpace(self, request, context):  # noqa: N802
        """Register a worker; refuse it if its identity of the search differs."""
        theirs = {
            name: json.loads(v.string_value) for name, v in request.hyperparameters.values.values.items()
        }
        worker = terminal.line(client.from_metadata(context.invocation_metadata())["tuner"])
        different = _differences(theirs, self.identity)
        if different:
            _log.warning(f"Worker {worker} was refused: {terminal.line(different)}.")
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"The chief searches something else: {different}. Give the worker the same pipeline and "
                "flags.",
            )
        _log.info(f"Worker {worker} is here.")
        context.set_trailing_metadata(client.to_metadata(**self.greeting))
        return private.REQUESTS.UpdateSpaceResponse()

    def CreateTrial(self, request, context):  # noqa: N802
        """Assign a trial; workers stay while one is running, since its worker may be lost."""
        tuner = self._who(context)
        trial = self.oracle.create_trial(tuner)
        status = trial.status
        if status == TrialStatus.STOPPED:
            if self.oracle.ongoing_trials:
                status = TrialStatus.IDLE
            else:
                self.dismissed.add(tuner)
        proto = client.trial_message(trial.trial_id, status)
        if status == TrialStatus.RUNNING:
            values = {
                name: client.value_message(value) for name, value in trial.hyperparameters.values.items()
            }
            proto.hyperparameters.CopyFrom(client.values_message(values))
            self.on_change()
        return private.REQUESTS.CreateTrialResponse(trial=proto)

    def UpdateTrial(self, request, context):  # noqa: N802
        """Record metrics of an epoch; answer whether and why the trial should stop."""
        if not _owns(self.oracle, self._who(context), request.trial_id):
            status, message = TrialStatus.STOPPED, _LOST
        else:
            metrics = dict(request.metrics)
            trial = self.oracle.update_trial(request.trial_id, metrics, step=request.step)
            status, message = trial.status, trial.message
            self.on_change()
        context.set_trailing_metadata(client.to_metadata(message=message or ""))
        return private.REQUESTS.UpdateTrialResponse(trial=client.trial_message(request.trial_id, status))

    def EndTrial(self, request, context):  # noqa: N802
        """Record the end of a trial; "INVALID" returns it."""
        tuner, sent = self._who(context), request.trial
        if _owns(self.oracle, tuner, sent.trial_id):
            message = client.from_metadata(context.invocation_metadata()).get("message")
            status = TrialStatus.from_proto(sent.status)
            if status == TrialStatus.INVALID:
                _log.warning(terminal.line(f"{tuner} gave trial {int(sent.trial_id)} back: {message}"))
                take_back(self.oracle, tuner)
                self.seen.pop(tuner, None)
            else:
                own = self.oracle.get_trial(sent.trial_id)
                trial = Trial(own.hyperparameters, sent.trial_id, status, message)
                trial.best_step = sent.score.step
                self.oracle.end_trial(trial)
            self.on_change()
        return private.REQUESTS.EndTrialResponse()

    def GetTrial(self, request, context):  # noqa: N802
        """Receive the heartbeat of a worker that runs a trial."""
        owned = _owns(self.oracle, self._who(context), request.trial_id)
        status = TrialStatus.RUNNING if owned else TrialStatus.STOPPED
        return private.REQUESTS.GetTrialResponse(trial=client.trial_message(request.trial_id, status))

    def _who(self, context) -> str:
        """Return the caller and record its message; refuse workers of another search."""
        sent = client.from_metadata(context.invocation_metadata())
        if sent.get("search") != self.greeting["token"]:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                "The chief at this address runs another search by now. Start this worker again to join it.",
            )
        self.seen[sent["tuner"]] = time.monotonic()
        return sent["tuner"]


def _owns(oracle: Any, tuner: str, trial_id: str) -> bool:
    """Tell whether a trial is assigned to a worker."""
    trial = oracle.ongoing_trials.get(tuner)  # without the lock: a suggestion may hold it for seconds
    return (trial is not None and trial.trial_id == trial_id) or _adopt(oracle, tuner, trial_id)


@keras_tuner.synchronized
def _adopt(oracle: Any, tuner: str, trial_id: str) -> bool:
    """Assign a trial again to the worker that counted as lost, unless another has it."""
    if trial_id not in oracle.waiting or tuner in oracle.ongoing_trials:
        return False
    oracle.waiting.remove(trial_id)
    oracle.ongoing_trials[tuner] = oracle.trials[trial_id]
    oracle.save()
    return True


@keras_tuner.synchronized
def take_back(oracle: Any, tuner: str) -> None:
    """Take a trial back from a worker; the next one that asks gets it."""
    trial = oracle.ongoing_trials.pop(tuner, None)
    if trial is not None:
        oracle.waiting.append(trial.trial_id)
        oracle.save()


@keras_tuner.synchronized
def hold(oracle: Any, folder: Path) -> list[str]:
    """Keep the assignments of an earlier chief; return the workers.

    Those of a search on one machine are dropped: its workers ended with it.
    """
    state = read_oracle(folder)
    held = {
        tuner: trial_id
        for tuner, trial_id in state.get("ongoing_trials", {}).items()
        if "/" in tuner and trial_id in oracle.waiting
    }
    for tuner, trial_id in held.items():
        oracle.waiting.remove(trial_id)
        oracle.ongoing_trials[tuner] = oracle.trials[trial_id]
    return list(held)


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """Describe the differences in words; empty where there are none."""
    names = sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name))
    parts = [
        "the file of the space is another"
        if name == "space"
        else f"{name} is {theirs.get(name)!r} at the worker and {ours.get(name)!r} at the chief"
        for name in names[:5]
    ]
    more = f", and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(parts)[:2000] + more
