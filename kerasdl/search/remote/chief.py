"""The chief of a search on several machines: it assigns trials and runs none."""

import collections
import ipaddress
import logging
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

import grpc
import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from kerasdl import __version__
from kerasdl.errors import UsageError
from kerasdl.report import terminal
from kerasdl.runs.folder import Run
from kerasdl.search import folder as folders
from kerasdl.search.keras_tuner import private
from kerasdl.search.keras_tuner.dependable import PROGRESS
from kerasdl.search.remote import client, servicer
from kerasdl.search.show.table import Running
from kerasdl.search.trials.workers import Plan, Slot

_log = logging.getLogger(__name__)

#: Seconds without a message after which a worker counts as lost.
TIMEOUT = 60.0
_BEATS = 6  # heartbeats of a worker in that time
_DEATHS = 3  # workers lost in a trial after which it fails: it may need too much memory
_FAREWELL = 3.0  # seconds in which workers learn that the search is over
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # else two chiefs could share a port
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)


def parse_address(option: str, text: str) -> str:
    """Return `host:port` of `8000`, `:8000` or `host:8000`; no host is this machine.

    Raises:
        UsageError: for a port or a host that there is not.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise UsageError(
            f"{option} is {text!r}, but it takes HOST:PORT with a port of 1 to 65535: {option} 10.0.0.5:8000."
        )
    if not host and option == "--worker":
        raise UsageError(f"--worker is {text!r}: on which host is the chief? Give {option} HOST:{port}.")
    host = host or "127.0.0.1"
    try:
        socket.getaddrinfo(host.strip("[]"), int(port))
    except OSError as error:
        raise UsageError(f"{option} {text}: there is no host {host!r} ({error.strerror}).") from error
    return f"{host}:{port}"


class Door:
    """The port of a chief, opened before the search; a context manager.

    Args:
        address: address to listen on, `host:port`.

    Raises:
        UsageError: when the port cannot be opened.
    """

    def __init__(self, address: str):
        host, _, port = address.rpartition(":")
        _try_port(host.strip("[]"), int(port))
        self.address = address
        self.server = grpc.server(futures.ThreadPoolExecutor(100), options=_OPTIONS)
        self.server.add_insecure_port(address)
        if not _is_loopback(host):
            _log.warning(
                f"Warning: anyone who can reach port {port} of this machine can take part in the search; "
                "there is no password. Use it in a private network only. Elsewhere give --chief 127.0.0.1:"
                f"{port}, and on each worker's machine: ssh -N -L {port}:127.0.0.1:{port} THIS_MACHINE"
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(1).wait()

    def crew(self, plan: Plan, slots: Sequence[Slot], on_change: Callable[[], None]) -> "Chief":
        """Return the chief, in the place of workers in `session.tune`."""
        return Chief(self, plan, on_change)


class Chief:
    """Takes the place of `Workers` in a search on several machines.

    Args:
        door: port that workers connect to.
        plan: plan of the search.
        on_change: function called when a trial starts, reports or ends, from any thread.
    """

    error: BaseException | None = None

    def __init__(self, door: Door, plan: Plan, on_change: Callable[[], None]):
        self.door = door
        self.oracle = plan.tuner.oracle
        self._folder = Run(plan.folder)
        identity = {**folders.read_document(plan.folder)["identity"], "kerasdl": __version__}
        self._servicer = servicer.Servicer(self.oracle, identity, self._greeting(), on_change)
        now = time.monotonic()
        self._servicer.seen |= dict.fromkeys(servicer.hold(self.oracle, plan.folder), now)
        self._begun: dict[str, float] = {}  # trial -> when it was first seen running
        self._deaths = collections.Counter[str]()  # by trial
        self._looked = now
        self._over_since: float | None = None
        self._stopping = False

    def __enter__(self):
        private.SERVICE.add_OracleServicer_to_server(self._servicer, self.door.server)
        self.door.server.start()
        _log.info(f"Chief at {self.door.address}; waiting for workers (--worker HOST:PORT).")
        return self

    def __exit__(self, kind, *_):
        if not self._stopping and kind is None:
            (self._folder.path / client.TOKEN_FILE).unlink(missing_ok=True)

    def are_working(self) -> bool:
        """Tell whether the search is running; take trials back from lost workers."""
        now = time.monotonic()
        self._bury(now)
        if self._stopping:
            return False
        if not _is_over(self.oracle, self._servicer.dismissed):
            return True
        self._over_since = self._over_since or now
        knows = self._servicer.dismissed
        waiting = [t for t, at in self._servicer.seen.items() if t not in knows and now - at < _FAREWELL]
        return bool(waiting) and now - self._over_since < _FAREWELL

    def running_now(self) -> list[Running]:
        """Return the trials that workers train."""
        now = time.monotonic()
        trials = list(self.oracle.ongoing_trials.values())
        self._begun = {trial.trial_id: self._begun.get(trial.trial_id, now) for trial in trials}
        running = [self._running(trial, now - self._begun[trial.trial_id]) for trial in trials]
        return sorted(running, key=lambda trial: trial.number)

    def stop(self) -> None:
        """Stop the chief; workers wait for its restart."""
        self._stopping = True
        _log.info(f"Workers continue their trials and wait {client.PATIENCE:.0f} s for this chief.")

    def _running(self, trial: Any, seconds: float) -> Running:
        metrics, name = trial.metrics, self.oracle.objective.name
        done = metrics.get_history(PROGRESS)[-1:] if metrics.exists(PROGRESS) else []
        values = metrics.get_history(name)[-1:] if metrics.exists(name) else []
        epoch = done[0].step if done else 0
        epochs = round(epoch / done[0].mean()) if done else 0
        return Running(
            int(trial.trial_id), epoch, epochs, float(values[0].mean()) if values else None, seconds
        )

    def _bury(self, now: float) -> None:
        """Take trials back from silent workers; a pause of this process does not count against them."""
        paused, self._looked = now - self._looked, now
        if paused > TIMEOUT / _BEATS:
            for tuner in list(self._servicer.seen):
                self._servicer.seen[tuner] += paused
        for tuner, trial in list(self.oracle.ongoing_trials.items()):
            if now - self._servicer.seen.get(tuner, now) > TIMEOUT:
                self._take_back(tuner, trial)

    def _take_back(self, tuner: str, trial: Trial) -> None:
        self._deaths[trial.trial_id] += 1
        said = f"{terminal.line(tuner)} was not heard of for {TIMEOUT:.0f} s; trial {int(trial.trial_id)}"
        if self._deaths[trial.trial_id] < _DEATHS:
            _log.warning(f"{said} is given out again.")
            servicer.take_back(self.oracle, tuner)
        else:
            _log.warning(f"{said} is given up.")
            reason = f"{_DEATHS} workers were lost in it, one after the other"
            self.oracle.end_trial(Trial(trial.hyperparameters, trial.trial_id, TrialStatus.FAILED, reason))
            self._servicer.on_change()

    def _greeting(self) -> dict[str, str]:
        """Return the answer to a new worker; its token is the same until the search is over."""
        file = self._folder.path / client.TOKEN_FILE
        token = file.read_text() if file.is_file() else uuid.uuid4().hex
        self._folder.write(client.TOKEN_FILE, token)
        return {
            "folder": str(self._folder.path.resolve()),
            "token": token,
            "heartbeat": str(TIMEOUT / _BEATS),
        }


@keras_tuner.synchronized
def _is_over(oracle: Any, dismissed: set[str]) -> bool:
    """Tell whether there will be no more trials."""
    if oracle.ongoing_trials:
        return False
    full = bool(oracle.max_trials) and len(oracle.trials) >= oracle.max_trials and not oracle.waiting
    return bool(dismissed) or full or oracle.has_failed()


def _try_port(host: str, port: int) -> None:
    family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(place)
            probe.listen()
        except OSError as error:
            raise UsageError(
                f"--chief cannot use port {port} of {host}: {error.strerror}. Give another one."
            ) from error


def _is_loopback(host: str) -> bool:
    host = host.strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
