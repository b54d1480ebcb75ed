"""A worker of a search on several machines: it runs the trials that the chief assigns."""

import contextlib
import dataclasses
import logging
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner

from kerasdl import __version__
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import writing
from kerasdl.recipe import Recipe
from kerasdl.runs import folder as runs
from kerasdl.runs.folder import Run
from kerasdl.search import session
from kerasdl.search.definition import Search
from kerasdl.search.keras_tuner.tuner import RecipeTuner, recipe_of
from kerasdl.search.remote import client as remote
from kerasdl.search.trials.workers import DATA, Plan, Slot, Workers
from kerasdl.training.interruption import Interrupted, Interruptions

_POLL = 0.1  # seconds between two checks of the workers

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RemoteTuner:
    """The part of a tuner that `Workers` needs, with the oracle on another machine.

    Attributes:
        oracle: client of the oracle.
        search: settings of the search.
    """

    oracle: remote.Client
    search: Search

    def build(self, hp: keras_tuner.HyperParameters) -> Recipe:
        """Return the recipe of some hyperparameters."""
        return recipe_of(self.search.space, self.search.recipe, hp)


class Team(Workers):
    """Workers whose trials write a checkpoint when the chief does not come back."""

    def fail(self, error: BaseException) -> None:
        """Stop because of an error; running trials write their checkpoints."""
        self.error = self.error or error
        self.plan.tuner.oracle.hurry()
        self.stop()

    def _observe(self, trial: Any, slot: Slot, figures: Mapping[str, float]) -> str | None:
        try:
            return super()._observe(trial, slot, figures)
        except (RunFailedError, UsageError) as error:  # raised here, it would kill the trial at once
            self.fail(error)
            return None


def work(search: Search, address: str, slots: Sequence[Slot]) -> None:
    """Run trials for the chief at an address until it has no more.

    Args:
        search: the search of the chief, from the same pipeline and flags.
        address: address of the chief, `host:port`.
        slots: places for trials that run at the same time, on this machine.

    Raises:
        UsageError: when the chief runs another search.
        RunFailedError: when the chief failed or did not come back.
        Interrupted: after Ctrl-C or SIGTERM; other workers continue the trials of this one.
    """
    name = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(2).hex()}"
    with contextlib.ExitStack() as stack:
        interruptions = stack.enter_context(Interruptions())
        client = remote.Client(address, name, make_space(search), remote.PATIENCE)
        stack.callback(client.close)
        identity = search.settings.identity(search.recipe, search.space_file)
        greeting = client.greet({**identity, "kerasdl": __version__})
        plan = stack.enter_context(_place(search, client, greeting))
        _log.info(f"Working for {address}; trials are in {plan.folder}")
        with interruptions.deferred(), Team(plan, slots, lambda: None) as team:
            with _heartbeat(team, float(greeting["heartbeat"])):
                _wait(team, interruptions)
            signum, interruptions.signum = interruptions.signum, None
        chief_is_gone = isinstance(team.error, remote.ChiefGoneError)
        if client.held and not chief_is_gone:
            _leave(client, team.error)
        if team.error is not None and (signum is None or not chief_is_gone):
            raise team.error
    if signum is not None:
        raise Interrupted("Stopped; other workers continue the trials of this one.", signum)
    _log.info("The chief has no more trials.")


def make_space(search: Search) -> keras_tuner.HyperParameters:
    """Return all hyperparameters of a space, as the chief knows them.

    Raises:
        UsageError: for a space that does not work.
    """
    with tempfile.TemporaryDirectory(prefix="kerasdl-space-") as place:
        tuner = RecipeTuner(search.oracle(), search.space, search.recipe, Path(place) / "1")
        return tuner.oracle.get_space()


def _wait(team: Team, interruptions: Interruptions) -> None:
    asked_to_stop = False
    while team.are_working():
        if interruptions.signum is not None and not asked_to_stop:
            team.plan.tuner.oracle.hurry()
            team.stop()
            asked_to_stop = True
        time.sleep(_POLL)


def _leave(client: remote.Client, error: BaseException | None) -> None:
    client.hurry()
    try:
        client.give_back(str(error or "the worker was stopped"))
    except remote.ChiefGoneError:
        _log.warning("The chief does not answer; once back, it assigns the trials of this worker again.")
    except (RunFailedError, UsageError) as failure:
        _log.warning(f"Trials could not be given back: {failure}")


@contextlib.contextmanager
def _heartbeat(team: Team, seconds: float):
    """Send heartbeats to the chief while the workers run."""
    leaving = threading.Event()

    def beat():
        while not leaving.wait(seconds):
            try:
                team.plan.tuner.oracle.beat()
            except (RunFailedError, UsageError) as error:
                if not leaving.is_set():
                    team.fail(error)
                return

    thread = threading.Thread(target=beat, name="kerasdl-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join()


@contextlib.contextmanager
def _place(search: Search, client: remote.Client, greeting: Mapping[str, str]):
    """Yield a plan; trials are in the chief's folder where this machine sees it, else in an own one."""
    parent = search.searches_dir / search.recipe.name
    own = parent / f"worker-{socket.gethostname()}-{os.getpid()}"
    token = Path(greeting["folder"]) / remote.TOKEN_FILE
    shared = token.is_file() and token.read_text() == greeting["token"]
    with writing(parent, "Use another --searches-dir."):
        own.mkdir(parents=True, exist_ok=True)
    folder = token.parent if shared else own
    if not shared:
        runs.keep_source(Run(own), search.recipe, search.recipe_source)
    plan: Plan = session.make_plan(search, RemoteTuner(client, search), folder)
    try:
        yield dataclasses.replace(plan, data=own / DATA)
    finally:
        shutil.rmtree(own / DATA, ignore_errors=True)
        with contextlib.suppress(OSError):
            own.rmdir()  # where nothing is in it
