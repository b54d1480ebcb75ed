"""Keras Tuner's oracle over gRPC, between the chief of a search and workers on other machines.

The service and its messages are Keras Tuner's. Metadata adds the worker, the search, and why a trial failed
or should stop. Only values are sent, not the space, which both sides make from the same file (Keras Tuner's
messages reorder a space, turn booleans into integers and print conditions).

Every call can be repeated, so an unanswered call is repeated until the chief is back.
"""

import json
import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import grpc
import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.search.keras_tuner import private

_log = logging.getLogger(__name__)

#: Seconds that a worker waits for a chief that does not answer.
PATIENCE = 600.0
#: File in the folder of a search by which a worker recognises the chief's own folder.
TOKEN_FILE = ".chief"
_HASTE = 3.0  # seconds for the chief to answer a worker that wants to leave
_PAUSE = 0.5  # seconds between two tries
_CALL = 120.0  # seconds for one call: a Gaussian process may think for long
_MESSAGE = 4000  # bytes of a reason; gRPC refuses metadata beyond 8 KB
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 20_000),  # a host that was switched off is noticed
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class ChiefGoneError(RunFailedError):
    """The chief did not answer in time."""


class Client:
    """The oracle as a worker sees it: the methods that `Workers` calls.

    Args:
        address: address of the chief, `host:port`.
        name: name of this worker; its slots have names of their own.
        space: search space, made on this machine.
        patience: seconds to wait for a chief that does not answer.
    """

    def __init__(self, address: str, name: str, space: keras_tuner.HyperParameters, patience: float):
        self.address = address
        self.name = name
        self.space = space
        self.patience = patience
        self.held: dict[str, str] = {}  # trial -> slot that runs it
        self._search = ""
        self._waiting = False
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._stub = private.SERVICE.OracleStub(self._channel)

    def greet(self, identity: Mapping[str, Any]) -> dict[str, str]:
        """Register with the chief; return its folder, its token and the seconds between heartbeats.

        Raises:
            UsageError: when the chief searches something else.
        """
        values = {name: value_message(json.dumps(value)) for name, value in identity.items()}
        request = private.REQUESTS.UpdateSpaceRequest(hyperparameters=values_message(values))
        _, answer = self._call("UpdateSpace", request, self.name)
        self._search = answer["token"]
        return answer

    def create_trial(self, slot: str) -> Trial:
        """Return a trial to run, as `Oracle.create_trial`."""
        tuner = f"{self.name}/{slot}"
        response, _ = self._call("CreateTrial", private.REQUESTS.CreateTrialRequest(tuner_id=tuner), tuner)
        trial = response.trial
        hps = self.space.copy()
        hps.values = {name: plain_value(value) for name, value in trial.hyperparameters.values.values.items()}
        status = TrialStatus.from_proto(trial.status)
        if status == TrialStatus.RUNNING:
            self.held[trial.trial_id] = tuner
            _log.info(f"trial {int(trial.trial_id)}  begins")
        return Trial(hps, trial_id=trial.trial_id, status=status)

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Report metrics of an epoch; the answer's status is "STOPPED" where the trial should stop."""
        request = private.REQUESTS.UpdateTrialRequest(trial_id=trial_id, metrics=metrics, step=step)
        response, answer = self._call("UpdateTrial", request, self.held[trial_id])
        status = TrialStatus.from_proto(response.trial.status)
        return Trial(self.space, trial_id=trial_id, status=status, message=answer.get("message"))

    def end_trial(self, trial: Trial) -> None:
        """Report the end of a trial, with its status and message."""
        self._end(trial, trial.message or "")
        if trial.status == TrialStatus.FAILED:
            outcome = f"failed: {trial.message}"
        else:
            outcome = trial.message or "completed"
        _log.info(f"trial {int(trial.trial_id)}  {outcome}")

    def give_back(self, reason: str) -> None:
        """Return unfinished trials to the chief, for other workers."""
        for trial_id in list(self.held):
            self._end(Trial(self.space, trial_id=trial_id, status=TrialStatus.INVALID), reason)

    def beat(self) -> None:
        """Send a heartbeat for each trial of this worker."""
        for trial_id, tuner in list(self.held.items()):
            self._call("GetTrial", private.REQUESTS.GetTrialRequest(trial_id=trial_id), tuner)

    def hurry(self) -> None:
        """Shorten the wait for a chief that does not answer."""
        self.patience = min(self.patience, _HASTE)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _end(self, trial: Trial, message: str) -> None:
        proto = trial_message(trial.trial_id, trial.status)
        proto.score.value = math.nan if trial.score is None else trial.score
        proto.score.step = trial.best_step
        request = private.REQUESTS.EndTrialRequest(trial=proto)
        self._call("EndTrial", request, self.held[trial.trial_id], message)
        self.held.pop(trial.trial_id, None)

    def _call(self, name: str, request: Any, tuner: str, message: str = "") -> tuple[Any, dict[str, str]]:
        """Call a method, again until it is answered; return the answer and its metadata."""
        metadata = to_metadata(search=self._search, tuner=tuner, message=message)
        begun = time.monotonic()
        while True:
            try:
                response, call = getattr(self._stub, name).with_call(
                    request, metadata=metadata, timeout=_CALL
                )
                self._waiting = False
                return response, from_metadata(call.trailing_metadata())
            except grpc.RpcError as error:
                if error.code() not in _AGAIN:
                    raise self._error(error) from error
            silent = time.monotonic() - begun
            if silent > self.patience:
                raise ChiefGoneError(
                    f"The chief at {self.address} has not answered for {silent:.0f} s. Trials of this worker "
                    "keep their checkpoints. Start the chief again with the same command, then this worker."
                )
            if silent > 2 and not self._waiting:
                self._waiting = True
                _log.info(f"No chief answers at {self.address}; waiting {self.patience:.0f} s for it.")
            time.sleep(_PAUSE)

    def _error(self, error: grpc.RpcError) -> Exception:
        if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
            return UsageError(error.details())
        if error.code() == grpc.StatusCode.UNIMPLEMENTED:
            return UsageError(f"The server at {self.address} is not the chief of a search.")
        return RunFailedError(f"The chief at {self.address} failed: {error.details()}")


def trial_message(trial_id: str, status: str | None) -> Any:
    """Return Keras Tuner's message of a trial, without its space."""
    return private.MESSAGES.Trial(trial_id=trial_id, status=TrialStatus.to_proto(status))


def values_message(values: Mapping[str, Any]) -> Any:
    """Return Keras Tuner's message of hyperparameters that are values and no space."""
    kind = private.MESSAGES.HyperParameters
    return kind(values=kind.Values(values=values))


def value_message(value: bool | int | float | str) -> Any:
    """Return Keras Tuner's message of a value; floats are 64-bit in it."""
    kinds = ((bool, "boolean_value"), (int, "int_value"), (float, "float_value"), (str, "string_value"))
    field = next(name for kind, name in kinds if isinstance(value, kind))
    return private.MESSAGES.Value(**{field: value})


def plain_value(value: Any) -> bool | int | float | str:
    """Return the value of a message."""
    return getattr(value, value.WhichOneof("kind"))


def to_metadata(**texts: str) -> tuple[tuple[str, bytes], ...]:
    """Return texts as binary metadata, which may hold any letter; the end of long ones is left out."""
    return tuple((f"{key}-bin", text.encode()[:_MESSAGE]) for key, text in texts.items() if text)


def from_metadata(metadata: Any) -> dict[str, str]:
    """Return the texts of metadata, gRPC's own left out."""
    return {
        key.removesuffix("-bin"): value.decode(errors="ignore")
        for key, value in metadata or ()
        if key.endswith("-bin") and not key.startswith("grpc-")
    }
