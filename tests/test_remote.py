"""A search over several machines: a chief and workers, here as processes that talk over loopback.

Where no training is needed, trials only sleep (`Sleeper`): what is tested is who runs which trial when
somebody dies.
"""

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace

import grpc
import keras_tuner
import pytest
from keras_tuner.engine.trial import TrialStatus

from kerasdl.cli import main
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.recipe.document import from_json
from kerasdl.search.keras_tuner import private
from kerasdl.search.keras_tuner.dependable import PROGRESS
from kerasdl.search.keras_tuner.oracles import RandomOracle
from kerasdl.search.keras_tuner.tuner import recipe_of_trial
from kerasdl.search.objectives import Objective
from kerasdl.search.remote import chief, servicer, worker
from kerasdl.search.remote import client as remote
from kerasdl.search.show import page
from kerasdl.search.trials import workers as loop
from kerasdl.search.trials.process import Outcome

ROOT = Path(__file__).parent.parent
SEARCH = ("tune", "lenet5", "--data", "digits", "--tuner", "random", "--epochs", "4")
EPOCHS = 4


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


# ---- Processes whose trials sleep.


class Sleeper:
    """Stands in for the pool: an epoch is a pause; its checkpoint is the number of epochs in a file."""

    seconds = 0.05
    fails = ()

    def __init__(self, preload=()):
        self._stopping = threading.Event()

    def run(self, job, observe):
        checkpoint = job.folder / "epoch"
        job.folder.mkdir(parents=True, exist_ok=True)
        done = int(checkpoint.read_text()) if checkpoint.is_file() else 0
        note("begin", job.folder.name, done, job.recipe)
        for epoch in range(done + 1, EPOCHS + 1):
            self._stopping.wait(self.seconds)
            if self._stopping.is_set():
                return Outcome(status="interrupted")
            checkpoint.write_text(str(epoch))
            figures = {"val_accuracy": epoch / 10, "weights": 1.0}
            reason = observe({"epoch": epoch, "epochs": EPOCHS, **figures})
            if reason and job.asks:
                return Outcome(status="pruned", reason=reason, step=epoch, figures=figures)
            if self._stopping.is_set():
                note("stopped", job.folder.name)
                return Outcome(status="interrupted")
        if job.folder.name in self.fails:
            return Outcome(status="failed", reason="\u00e4 reason\nof two lines")
        note("end", job.folder.name, EPOCHS, job.recipe)
        return Outcome(status="completed", step=3, figures={"val_accuracy": 0.3, "trial_seconds": 1.0})

    def stop(self):
        self._stopping.set()

    kill = stop


def note(*what):
    with Path("events.jsonl").open("a") as file:  # appended whole: a line is short enough
        file.write(json.dumps([*what, os.getpid()]) + "\n")


def events(folder, kind):
    file = folder / "events.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    return [tuple(line[1:]) for line in lines if line[0] == kind]


def run_in_process(folder, log, arguments, options):
    """Run a command in a process that was forked for it."""
    os.chdir(folder)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    logging.getLogger().handlers.clear()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    loop.Pool = Sleeper
    chief.TIMEOUT = 20.0
    remote.PATIENCE = 30.0
    if not options.pop("page", False):
        page.write = lambda _: None
    for name, value in options.items():
        target, _, attribute = name.partition("_")
        setattr({"sleeper": Sleeper, "remote": remote, "chief": chief}[target], attribute, value)
    sys.exit(main(list(arguments)))


class Party:
    """A chief and its workers."""

    def __init__(self, folder):
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(
            [
                "kerasdl.search.trials.preload",
                "kerasdl.search.remote.chief",
                "kerasdl.search.remote.worker",
                "tests.test_remote",
            ]
        )
        self.processes = []

    def start(self, *arguments, cwd=".", **options):
        folder = self.folder / cwd
        folder.mkdir(exist_ok=True)
        log = self.folder / f"{len(self.processes)}.log"
        target = (str(folder), str(log), (*SEARCH, *arguments), options)
        process = self.context.Process(target=run_in_process, args=target)
        process.log = log
        process.start()
        self.processes.append(process)
        return process

    def chief(self, *arguments, max_trials=4, **options):
        return self.start("--chief", self.address, "--max-trials", str(max_trials), *arguments, **options)

    def worker(self, *arguments, **options):
        return self.start("--worker", self.address, *arguments, **options)

    def begun(self, count=1):
        return wait_until(lambda: len(events(self.folder, "begin")) >= count and events(self.folder, "begin"))

    def close(self):
        for process in self.processes:
            if process.is_alive():
                process.kill()
            process.join()

    @property
    def search(self):
        return self.folder / "searches/lenet5/1"

    def trials(self):
        files = sorted(self.search.glob("trial_*/trial.json"))
        return {file.parent.name: json.loads(file.read_text()) for file in files}


@pytest.fixture
def party(tmp_path):
    party = Party(tmp_path)
    yield party
    party.close()


def exit_codes(*processes, seconds=30):
    end = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    return [process.exitcode for process in processes]


def ended(party, *, times=1):
    """Return how often each trial ended; it has to be `times`."""
    names = sorted(name for name, *_ in events(party.folder, "end"))
    assert len(names) == len(set(names)) * times, names
    return names


def test_every_trial_runs_once_and_all_end(party):
    leader, first, second = party.chief(page=True), party.worker(), party.worker("--workers", "2")
    assert exit_codes(first, second) == [0, 0]
    assert exit_codes(leader) == [0]
    assert ended(party) == ["trial_0", "trial_1", "trial_2", "trial_3"]
    begun = events(party.folder, "begin")
    assert len(begun) == 4
    for name, _, recipe, _ in begun:  # workers made of it what the chief does, to the last bit
        assert from_json(recipe) == recipe_of_trial(party.search, int(name.removeprefix("trial_")))
    states = party.trials().values()
    assert {state["status"] for state in states} == {"COMPLETED"}
    assert {state["best_step"] for state in states} == {3}
    assert {state["score"] for state in states} == {0.3}
    names = {path.name for path in party.search.iterdir()}
    assert {"search.json", "best.json", "report.html", "oracle.json"} <= names
    assert remote.TOKEN_FILE not in names
    assert json.loads((party.search / "search.json").read_text())["finished"]
    assert not list(party.folder.glob("searches/lenet5/worker-*"))
    assert "4 of 4 trials" in leader.log.read_text()


def test_a_trial_of_a_dead_worker_goes_on_elsewhere(party):
    leader = party.chief(max_trials=3, chief_TIMEOUT=2.0)
    victim = party.worker(sleeper_seconds=0.2)
    party.begun()
    wait_until(lambda: (party.search / "trial_0/epoch").is_file())
    victim.kill()
    other = party.worker()  # or the same one, back: to the chief it is another
    assert exit_codes(other, leader) == [0, 0]
    assert ended(party) == ["trial_0", "trial_1", "trial_2"]
    again = [done for name, done, *_ in events(party.folder, "begin") if name == "trial_0"]
    assert len(again) == 2
    assert again[1] > 0  # from its checkpoint
    assert "was not heard of for 2 s; trial 0 is given out again" in leader.log.read_text()


@pytest.mark.slow
def test_trials_go_on_while_the_chief_is_dead(party):
    leader = party.chief()
    workers = [party.worker(sleeper_seconds=0.3), party.worker(sleeper_seconds=0.3)]
    party.begun(2)
    leader.kill()
    leader.join()
    time.sleep(1)
    leader = party.chief()
    assert exit_codes(*workers, leader) == [0, 0, 0]
    assert ended(party) == ["trial_0", "trial_1", "trial_2", "trial_3"]
    assert len(events(party.folder, "begin")) == 4  # nobody was given what another was running
    assert "Continuing" in leader.log.read_text()
    assert {state["status"] for state in party.trials().values()} == {"COMPLETED"}


@pytest.mark.slow
def test_what_a_dead_chief_gave_to_dead_workers_is_given_out_again(party):
    leader, victim = party.chief(max_trials=2), party.worker(sleeper_seconds=0.3)
    party.begun()
    leader.kill()
    victim.kill()
    leader, other = party.chief(max_trials=2, chief_TIMEOUT=2.0), party.worker()
    assert exit_codes(other, leader) == [0, 0]
    assert ended(party) == ["trial_0", "trial_1"]


@pytest.mark.parametrize("pruner", ["median", "none"])  # with none, nobody waits for the chief's answer
def test_a_worker_gives_up_when_the_chief_stays_away(party, pruner):
    leader = party.chief("--pruner", pruner)
    lonely = party.worker("--pruner", pruner, sleeper_seconds=0.3, remote_PATIENCE=1.5)
    party.begun()
    wait_until(lambda: (party.search / "trial_0/epoch").is_file())
    leader.kill()
    assert exit_codes(lonely, seconds=15) == [1]
    log = lonely.log.read_text()
    assert "has not answered for" in log
    assert "Start the chief again" in log
    assert "Traceback" not in log
    assert events(party.folder, "stopped")  # it was asked to, and not killed: it wrote a checkpoint


def test_a_worker_that_is_stopped_gives_its_trial_back_at_once(party):
    leader = party.chief(max_trials=1)
    leaving = party.worker(sleeper_seconds=0.3)
    party.begun()
    wait_until(lambda: (party.search / "trial_0/epoch").is_file())
    os.kill(leaving.pid, signal.SIGINT)
    assert exit_codes(leaving) == [130]
    other = party.worker()
    assert exit_codes(other, leader, seconds=15) == [0, 0]  # sooner than it would be missed
    (_, _, _, pid), *_ = events(party.folder, "end")
    assert pid == other.pid
    assert "gave trial 0 back" in leader.log.read_text()
    assert "other workers continue" in leaving.log.read_text()


@pytest.mark.slow
def test_workers_wait_for_a_chief_that_was_stopped(party):
    leader, one = party.chief(max_trials=2), party.worker(sleeper_seconds=0.2)
    party.begun()
    os.kill(leader.pid, signal.SIGINT)
    assert exit_codes(leader) == [130]
    assert "To continue the search:\n" in leader.log.read_text()
    leader = party.chief(max_trials=2)
    assert exit_codes(one, leader) == [0, 0]
    assert ended(party) == ["trial_0", "trial_1"]
    assert len(events(party.folder, "begin")) == 2


def test_a_worker_elsewhere_keeps_its_runs_and_gives_reasons(party):
    leader = party.chief(max_trials=2, page=True)
    wait_until(lambda: (party.search / remote.TOKEN_FILE).is_file())
    (party.search / remote.TOKEN_FILE).unlink()  # as on a machine that does not see the chief's folder
    far = party.worker(cwd="far", sleeper_fails=("trial_1",))
    assert exit_codes(far, leader) == [0, 0]
    (place,) = party.folder.glob("far/searches/lenet5/worker-*")
    assert {path.name for path in place.iterdir()} == {"recipe.py", "trial_0", "trial_1"}
    assert party.trials()["trial_1"]["status"] == "FAILED"
    assert party.trials()["trial_1"]["message"] == "\u00e4 reason\nof two lines"
    assert (party.search / "best.json").is_file()
    assert (party.search / "report.html").is_file()


def test_a_worker_with_other_flags_is_refused(party):
    leader = party.chief(max_trials=1)
    other = party.worker("--learning-rate", "0.5", "--objective", "val_loss")
    assert exit_codes(other) == [2]
    log = other.log.read_text()
    assert "learning_rate is 0.5 at the worker and" in log
    assert "search.objectives is ['min:val_loss'] at the worker and ['max:val_accuracy'] at" in log
    assert "the same pipeline and flags" in log
    assert exit_codes(party.worker(), leader) == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chief", "myhost"], "a port of 1 to 65535"),
        (["--chief", ":70000"], "a port of 1 to 65535"),
        (["--worker", "8000"], "on which host"),
        (["--worker", "no-such-host.invalid:80"], "no host"),
        (["--chief", ":8000", "--worker", "h:8000"], "exclude each other"),
        (["--chief", ":8000", "--workers", "2"], "give --workers to a worker"),
        (["--chief", ":8000", "--gpus", "0", "--retries", "2"], "give --gpus and --retries to a worker"),
        (["--worker", "h:8000", "--max-trials", "3", "--new"], "give --max-trials and --new to the chief"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*SEARCH, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "searches").exists()


def test_a_port_that_is_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([*SEARCH, "--chief", str(port)]) == 2
    assert f"cannot use port {port} of 127.0.0.1: Address already in use" in capsys.readouterr().err
    assert not (tmp_path / "searches").exists()


def test_an_open_port_is_warned_of(caplog):
    with chief.Door(f"0.0.0.0:{free_port()}"):
        assert "no password" in caplog.text
    caplog.clear()
    for host in ("127.0.0.1", "localhost", "[::1]"):
        with contextlib.suppress(UsageError), chief.Door(f"{host}:{free_port()}"):
            pass
    assert "password" not in caplog.text


# ---- An oracle in this process, and a client of it.


def everything(hps):
    hps.Float("float", 0.0, 1.0)
    hps.Float("log", 1e-5, 1e-1, sampling="log")
    hps.Int("int", 1, 9, step=2)
    hps.Boolean("boolean")
    hps.Choice("word", ["a", "\u00e9"])
    hps.Choice("number", [1, 2, 3])
    hps.Choice("real", [0.1, 0.7])
    hps.Choice("truth", [True, False])
    hps.Fixed("fixed", 0.1)
    with hps.conditional_scope("boolean", [True]):
        hps.Float("child", 0.0, 1.0)
        hps.Choice("of_child", [True, False])
    with hps.conditional_scope("word", ["a"]):
        hps.Int("of_word", 1, 1000)


class Pair:
    """An oracle behind a server, and clients of it."""

    def __init__(self, folder, max_trials=20, pruner="none", identity=None):
        space = keras_tuner.HyperParameters()
        everything(space)
        self.space = space
        self.oracle = RandomOracle(
            objectives=[Objective("val_accuracy", "max")],
            pruner=pruner,
            max_trials=max_trials,
            hyperparameters=space,
        )
        self.oracle._set_project_dir(folder, "search")
        self.servicer = servicer.Servicer(
            self.oracle, identity or {"a": 1}, {"folder": "x", "token": "t"}, lambda: None
        )
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        private.SERVICE.add_OracleServicer_to_server(self.servicer, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.clients = []

    def client(self, name="me", patience=5.0, **identity):
        client = remote.Client(f"127.0.0.1:{self.port}", name, self.space, patience)
        self.clients.append(client)
        client.greet(identity or {"a": 1})
        return client

    def close(self):
        for client in self.clients:
            client.close()
        self.server.stop(0).wait()


@pytest.fixture
def pair(tmp_path):
    pair = Pair(tmp_path)
    yield pair
    pair.close()


def test_the_wire_keeps_values(pair, capsys):
    client = pair.client()
    for slot in range(20):
        trial = client.create_trial(f"slot{slot}")
        own = pair.oracle.trials[trial.trial_id]
        assert trial.hyperparameters.values == own.hyperparameters.values
        kinds = {name: type(value) for name, value in trial.hyperparameters.values.items()}
        assert kinds == {name: type(value) for name, value in own.hyperparameters.values.items()}
        assert trial.hyperparameters.get_config() == own.hyperparameters.get_config()
        drawn, wanted = trial.hyperparameters.copy(), own.hyperparameters.copy()
        everything(drawn)
        everything(wanted)
        assert drawn.values == wanted.values
    assert len({str(trial.hyperparameters.values) for trial in pair.oracle.trials.values()}) == 20
    assert capsys.readouterr().out == ""  # Keras Tuner prints conditions
    assert client.create_trial("one more").status == TrialStatus.IDLE  # those of others may fail


def test_the_wire_keeps_figures_messages_and_the_best_step(pair):
    client = pair.client()
    trial = client.create_trial("slot")
    value = 0.1 + 0.2
    client.update_trial(trial.trial_id, {"val_accuracy": value, PROGRESS: 0.5}, step=1)
    client.update_trial(trial.trial_id, {"val_accuracy": 0.2, "odd": float("nan"), PROGRESS: 1.0}, step=2)
    trial.status, trial.best_step, trial.score = TrialStatus.COMPLETED, 1, value
    trial.message = "pruned: \u00fcber the limit"
    client.end_trial(trial)
    own = pair.oracle.trials[trial.trial_id]
    assert (own.status, own.best_step, own.score) == (TrialStatus.COMPLETED, 1, value)
    assert own.message == trial.message
    failed = client.create_trial("slot")
    failed.status, failed.message = TrialStatus.FAILED, "\u00e4" * 9000  # too long for metadata
    client.end_trial(failed)
    assert pair.oracle.trials[failed.trial_id].status == TrialStatus.FAILED
    assert pair.oracle.trials[failed.trial_id].message == "\u00e4" * 2000


def test_a_reason_to_stop_reaches_the_worker(tmp_path):
    pair = Pair(tmp_path, pruner="median")
    client = pair.client()
    trials = [client.create_trial(f"slot{index}") for index in range(8)]
    for index, trial in enumerate(trials):
        answers = [
            client.update_trial(trial.trial_id, {"val_accuracy": 1.0 - index / 10, PROGRESS: step / 4}, step)
            for step in range(1, 5)
        ]
    pair.close()
    assert TrialStatus.STOPPED in [answer.status for answer in answers]
    assert "worse than the median" in next(a.message for a in answers if a.status == TrialStatus.STOPPED)


def test_calls_that_come_twice_count_once(pair):
    client = pair.client()
    first, again = client.create_trial("slot"), client.create_trial("slot")
    assert first.trial_id == again.trial_id
    for _ in range(2):
        client.update_trial(first.trial_id, {"val_accuracy": 0.5}, step=1)
    first.status, first.best_step, first.score = TrialStatus.COMPLETED, 1, 0.5
    client.end_trial(first)
    client.held[first.trial_id] = "me/slot"
    client.end_trial(first)
    own = pair.oracle.trials[first.trial_id]
    assert [found.value for found in own.metrics.get_history("val_accuracy")] == [[0.5]]
    assert pair.oracle.end_order == [first.trial_id]
    assert pair.oracle.waiting == []


def test_an_error_of_the_oracle_blocks_nobody(pair, monkeypatch):
    client, other = pair.client("one"), pair.client("two")
    trial = client.create_trial("slot")
    with monkeypatch.context() as patch:
        patch.setattr(pair.oracle, "save_trial", lambda _: 1 / 0)
        with pytest.raises(RunFailedError, match=r"The chief at .* failed: .*division by zero"):
            client.update_trial(trial.trial_id, {"val_accuracy": 0.5}, step=1)
    assert other.create_trial("slot").status == TrialStatus.RUNNING
    assert client.update_trial(trial.trial_id, {"val_accuracy": 0.5}, step=1).status == TrialStatus.RUNNING


def test_a_trial_that_was_given_to_another_is_lost(pair):
    slow, other = pair.client("slow"), pair.client("other")
    trial = slow.create_trial("slot")
    servicer.take_back(pair.oracle, "slow/slot")
    slow.beat()  # still free: it is kept
    assert pair.oracle.ongoing_trials["slow/slot"].trial_id == trial.trial_id
    servicer.take_back(pair.oracle, "slow/slot")
    assert other.create_trial("slot").trial_id == trial.trial_id
    answer = slow.update_trial(trial.trial_id, {"val_accuracy": 0.9}, step=1)
    assert (answer.status, "another worker" in answer.message) == (TrialStatus.STOPPED, True)
    trial.status, trial.message = TrialStatus.FAILED, "late"
    slow.end_trial(trial)
    assert pair.oracle.trials[trial.trial_id].status == TrialStatus.RUNNING
    assert not pair.oracle.trials[trial.trial_id].metrics.exists("val_accuracy")


def test_workers_of_another_search_are_refused(pair):
    with pytest.raises(UsageError, match="a is 2 at the worker and 1 at the chief"):
        pair.client(a=2)
    with pytest.raises(UsageError, match="the file of the space is another"):
        pair.client(a=1, space="x")
    client = pair.client()
    client.create_trial("slot")
    pair.servicer.greeting = {**pair.servicer.greeting, "token": "of another search"}
    with pytest.raises(UsageError, match="runs another search"):
        client.beat()


def make_chief(oracle):
    folder = Path(oracle._project_dir)
    (folder / "search.json").write_text('{"identity": {}}')
    plan = SimpleNamespace(tuner=SimpleNamespace(oracle=oracle), folder=folder)
    return chief.Chief(SimpleNamespace(address="here"), plan, lambda: None)


def test_a_new_chief_holds_trials_for_those_that_run_them(pair, tmp_path):
    pair.client().create_trial("slot")
    ended = pair.client("quick").create_trial("slot")
    pair.oracle.update_trial(ended.trial_id, {"val_accuracy": 0.5}, step=1)
    ended.status, ended.best_step = TrialStatus.COMPLETED, 1
    pair.oracle.end_trial(ended)
    pair.oracle.create_trial("worker0")  # by a search on one machine
    again = Pair(tmp_path)
    again.close()
    again.oracle.reload()
    found = make_chief(again.oracle)
    running = {tuner: trial.trial_id for tuner, trial in again.oracle.ongoing_trials.items()}
    assert running == {"me/slot": "00"}
    assert again.oracle.create_trial("other/slot").trial_id == "02"
    assert again.oracle.create_trial("third/slot").trial_id == "03"
    assert found.are_working()


def test_a_trial_that_kills_its_workers_is_given_up(pair):
    pair.oracle.save()
    found = make_chief(pair.oracle)
    for tuner in ("a/slot", "b/slot", "c/slot"):
        assert pair.oracle.create_trial(tuner).trial_id == "00"
        found._servicer.seen[tuner] = time.monotonic() - 100
        found.are_working()
    assert pair.oracle.trials["00"].status == TrialStatus.FAILED
    assert "3 workers were lost" in pair.oracle.trials["00"].message
    assert pair.oracle.create_trial("d/slot").trial_id == "01"


def test_the_chief_shows_what_workers_train(pair):
    trial = pair.client().create_trial("slot")
    pair.client("other").create_trial("slot")
    pair.oracle.update_trial(trial.trial_id, {"val_accuracy": 0.5, PROGRESS: 0.25}, step=3)
    pair.oracle.save()
    shown = make_chief(pair.oracle).running_now()
    assert [(found.number, found.epoch, found.epochs, found.value) for found in shown] == [
        (0, 3, 12, 0.5),
        (1, 0, 0, None),
    ]


def test_a_heartbeat_keeps_a_trial(pair):
    client = pair.client()
    client.create_trial("slot")
    team = SimpleNamespace(plan=SimpleNamespace(tuner=SimpleNamespace(oracle=client)))
    pair.servicer.seen.clear()
    with worker._heartbeat(team, 0.05):
        wait_until(lambda: "me/slot" in pair.servicer.seen, 5)


def test_a_client_waits_for_a_chief(tmp_path):
    nobody = remote.Client(f"127.0.0.1:{free_port()}", "me", keras_tuner.HyperParameters(), 1.0)
    begun = time.monotonic()
    with pytest.raises(RunFailedError, match="has not answered"):
        nobody.greet({"a": 1})
    nobody.close()
    assert time.monotonic() - begun >= 1


# ---- With real trainings.


@pytest.mark.slow
def test_real_trials_survive_a_worker_and_the_chief(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    program = (
        "import sys, kerasdl; kerasdl.environment.import_tensorflow()\n"
        "from kerasdl import cli; from kerasdl.search.remote import chief\n"
        "chief.TIMEOUT = 15.0; sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, *SEARCH[:-1], "12"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(name, *arguments):
        log = (tmp_path / f"{name}.log").open("a")
        return subprocess.Popen(
            [*command, *arguments], cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
        )

    lead = ("--chief", address, "--max-trials", "3", "--pruner", "none")
    follow = ("--worker", address, "--pruner", "none")
    processes = [start("chief", *lead), start("one", *follow), start("two", *follow)]
    try:
        search = tmp_path / "searches/lenet5/1"
        wait_until(lambda: list(search.glob("trial_*/lenet5/1/checkpoints/*")), 180)
        processes[0].kill()
        os.kill(processes[1].pid, signal.SIGINT)  # it cannot give its trial back: the chief is away
        assert processes[1].wait(120) == 130
        processes += [start("chief", *lead)]
        processes += [start("three", *follow)]
        time.sleep(5)
        assert [process.wait(80) for process in processes[2:]] == [0, 0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    states = [json.loads(file.read_text()) for file in search.glob("trial_*/trial.json")]
    assert [state["status"] for state in states] == ["COMPLETED"] * 3
    runs = list(search.glob("trial_*/lenet5/*"))
    assert len(runs) == 3  # none began anew


def test_the_worker_makes_the_same_space_as_the_chief(tmp_path):
    from kerasdl.recipe import catalog
    from kerasdl.search.definition import Search
    from kerasdl.search.keras_tuner.tuner import RecipeTuner

    recipe, source, file = catalog.load_space("lenet5")
    search = Search(recipe=recipe, recipe_source=source, space=catalog.space_in(file), space_file=file)
    oracle = RecipeTuner(search.oracle(), search.space, recipe, tmp_path / "1").oracle
    assert worker.make_space(search).get_config() == oracle.get_space().get_config()
