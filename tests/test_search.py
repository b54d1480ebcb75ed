"""Whole searches. Trials train in processes where that is tested; elsewhere `StandIn` runs them."""

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

import keras_tuner
import pytest

from kerasdl import cli
from kerasdl.data import from_text
from kerasdl.errors import MachineError, RunFailedError, UsageError
from kerasdl.recipe import catalog, replace
from kerasdl.recipe.document import from_json, to_json
from kerasdl.runs.folder import Run
from kerasdl.search import folder as folders
from kerasdl.search import pruning, record, results, session
from kerasdl.search.keras_tuner.tuner import recipe_of, recipe_of_trial
from kerasdl.search.trials import pool, process, workers
from kerasdl.search.trials.process import Job, Outcome
from kerasdl.tasks.task import Task
from kerasdl.training.interruption import Interrupted

EARLIER = Path(__file__).parent / "earlier"

SPACE = """
from kerasdl import Classification, Config, Digits, ImagePreprocessing, MLP, Recipe, replace

{more}

RECIPE = Recipe(
    model=Config(MLP, hidden_units=(8,)), data=Digits(), task={task}(), epochs=2, deterministic=True,
    preprocessing=Config(ImagePreprocessing),
)


def space(hp, recipe):
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log", default=recipe.learning_rate)
    units = hp.Int("units", 4, 16, default=recipe.model.hidden_units[0])
    return replace(recipe, learning_rate=rate, model=recipe.model.replace(hidden_units=(units,)))
"""


def write_space(folder, task="Classification", more="", name="tiny"):
    path = folder / f"{name}.py"
    path.write_text(SPACE.format(task=task, more=more))
    return path


def tune(path, *arguments):
    return cli.main(["tune", str(path), "--searches-dir", str(path.parent / "searches"), *arguments])


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    path = write_space(tmp_path_factory.mktemp("searched"))
    assert tune(path, "--max-trials", "3") == 0
    return path


class StandIn:
    """Stands in for the pool of processes: trials report metrics and train nothing."""

    def __init__(self, preload=()):
        type(self).preloaded = tuple(preload)
        self.lock = threading.Lock()

    def run(self, job, observe):
        number, recipe = int(job.folder.name.removeprefix("trial_")), from_json(job.recipe, job.types)
        with self.lock:
            self.jobs.append(job)
            ends = self.ends.get(number, self.ends.get(None, []))
            outcome = ends.pop(0) if ends else None
        if outcome is not None:
            return outcome
        figures = {"val_accuracy": recipe.learning_rate, "val_loss": 1 / (1 + number), "weights": 100.0}
        for epoch in range(1, recipe.epochs + 1):
            reason = observe({"epoch": epoch, "epochs": recipe.epochs, **figures})
            if reason and job.asks:
                return Outcome(status="pruned", reason=reason, step=epoch, figures=figures)
        exported = {"int8_accuracy": 0.5, "int8_kb": 10.0 - number, "tflite_kb": 10.0 - number}
        figures |= {"trial_seconds": 1.0} | (exported if job.formats else {})
        return Outcome(status="completed", step=recipe.epochs, figures=figures)

    def stop(self):
        pass

    kill = stop


@pytest.fixture
def stand_in(monkeypatch):
    """Let `StandIn` run trials; `ends` has outcomes by the number of a trial, None for all trials."""
    found = type("Found", (StandIn,), {"jobs": [], "ends": {}})
    monkeypatch.setattr(workers, "Pool", found)
    return found


def folder_of(path, number=1):
    return path.parent / "searches" / path.stem / str(number)


def values_of(folder):
    return [trial.values for trial in record.read(folder).trials]


def test_trials_are_ordinary_runs_and_the_first_is_the_recipe(searched):
    found = record.read(folder_of(searched))
    assert [trial.status for trial in found.trials] == ["completed"] * 3
    assert found.trials[0].values == {"learning_rate": 1e-3, "units": 8}
    assert found.finished
    for trial in found.trials:
        assert json.loads((trial.run / "status.json").read_text())["stage"] == "finished"
        assert (trial.run / "model.keras").is_file()
        best = json.loads((trial.run / "metrics.json").read_text())["best_epoch"]
        rows = (trial.run / "history.csv").read_text().splitlines()
        row = dict(zip(rows[0].split(","), rows[best].split(","), strict=True))
        assert trial.figures["val_accuracy"] == float(row["val_accuracy"])
        assert "test" not in json.loads((trial.run / "metrics.json").read_text())  # nobody looked at it
    assert not list(folder_of(searched).glob("trial_*/*/*/checkpoints/*"))
    assert not list(folder_of(searched).glob(".writing*"))


def test_the_best_recipe_trains(searched):
    folder = folder_of(searched)
    found = record.read(folder)
    best = found.best()
    assert best.figures["val_accuracy"] == max(trial.figures["val_accuracy"] for trial in found.trials)
    recipe, _ = catalog.load(str(folder / results.BEST))
    assert recipe.learning_rate == best.values["learning_rate"]
    assert recipe.model.hidden_units == (best.values["units"],)
    assert recipe.epochs == 2


def test_a_recipe_comes_from_a_trial(searched, capsys):
    found = record.read(folder_of(searched))
    for which, number in (("best", found.best().number), ("1", 1)):
        trial = f"{found.path}:{which}"
        assert (
            cli.main(["train", str(searched), "--from-trial", trial, "--print-recipe", "--epochs", "7"]) == 0
        )
        printed = json.loads(capsys.readouterr().out)
        expected = json.loads(to_json(recipe_of_trial(found.path, number)))
        expected["fields"]["epochs"] = 7
        assert printed == expected


@pytest.mark.parametrize("trial", ["", "{}", "{}:", "{}:worst", "{}:9", "nowhere:best"])
def test_trials_that_are_none(searched, trial, capsys):
    given = trial.format(folder_of(searched))
    assert cli.main(["train", str(searched), "--from-trial", given, "--print-recipe"]) == 2
    assert "kerasdl: " in capsys.readouterr().err


def test_a_trial_is_of_its_own_pipeline(searched, capsys):
    given = f"{folder_of(searched)}:best"
    assert cli.main(["train", "mlp", "--from-trial", given, "--print-recipe"]) == 2
    assert "is a search of tiny, not of mlp" in capsys.readouterr().err


def test_the_page_and_the_tables_are_there(searched, capsys):
    folder = folder_of(searched)
    assert (folder / "report.html").stat().st_size > 100_000
    (folder / "report.html").unlink()
    assert cli.main(["tune", "show", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "3 of 3 trials" in shown
    assert f"--from-trial {folder}:best" in shown.replace("\n", "")
    assert (folder / "report.html").is_file()
    assert cli.main(["tune", "show", str(folder), "--json"]) == 0
    told, found = json.loads(capsys.readouterr().out), record.read(folder)
    assert told["search"] == str(folder) and told["best"] == found.best().number
    assert [(row["trial"], row["values"], row["figures"]) for row in told["trials"]] == [
        (trial.number, trial.values, trial.figures) for trial in found.trials
    ]
    assert cli.main(["show", str(folder)]) == 2
    assert f"is a search. Give one of its runs, or see kerasdl tune show {folder}." in " ".join(
        capsys.readouterr().err.split()
    )


def test_show_names_the_searches_in_a_folder(searched, capsys):
    assert cli.main(["tune", "show", str(searched.parent / "searches")]) == 2
    assert str(folder_of(searched)) in capsys.readouterr().err


def test_keras_tuner_opens_a_search(searched):
    folder = folder_of(searched)
    tuner = keras_tuner.RandomSearch(
        lambda hp: None, objective=keras_tuner.Objective("val_accuracy", "max"),
        directory=str(folder.parent), project_name=folder.name, overwrite=False,
    )  # fmt: skip
    best = tuner.get_best_hyperparameters()[0]
    assert best.values == record.read(folder).best().values


@pytest.mark.slow
def test_a_finished_search_is_continued_only_by_more_trials(tmp_path, stand_in):
    path = write_space(tmp_path)
    assert tune(path, "--max-trials", "2", "--tuner", "random") == 0
    before = values_of(folder_of(path))
    assert tune(path, "--max-trials", "3", "--tuner", "random") == 0
    assert values_of(folder_of(path))[:2] == before
    assert len(values_of(folder_of(path))) == 3
    assert not folder_of(path, 2).exists()
    assert tune(path, "--max-trials", "1", "--tuner", "random") == 0
    assert values_of(folder_of(path, 2)) == before[:1]
    assert tune(path, "--max-trials", "1", "--tuner", "random", "--learning-rate", "2e-3") == 0
    assert values_of(folder_of(path, 3))[0]["learning_rate"] == 2e-3


KILLED_ONCE = '''
import os
from pathlib import Path

class Unlucky(Classification):
    """Its first process dies."""

    def loss(self, data):
        flag = Path("{flag}")
        if not flag.exists():
            flag.touch()
            os.kill(os.getpid(), 9)
        return super().loss(data)
'''


def test_a_crashed_trial_is_restarted_as_often_as_asked_for(tmp_path, stand_in, capsys):
    path = write_space(tmp_path)
    stand_in.ends = {0: [Outcome(status="crashed", reason="killed")] * 2}
    assert tune(path, "--max-trials", "2", "--retries", "2") == 0
    assert [job.folder.name for job in stand_in.jobs] == ["trial_0"] * 3 + ["trial_1"]
    stand_in.ends = {0: [Outcome(status="crashed", reason="killed")] * 2}
    assert tune(path, "--max-trials", "2", "--new") == 0  # once, where nothing is said
    first, second = record.read(folder_of(path, 2)).trials
    assert (first.status, first.reason, second.status) == ("failed", "killed", "completed")


def test_a_trial_that_is_not_retried_fails_alone(tmp_path, capsys):
    more = KILLED_ONCE.format(flag=tmp_path / "flag")
    path = write_space(tmp_path, task="Unlucky", more=more)
    assert tune(path, "--max-trials", "2", "--retries", "0") == 0
    first, second = record.read(folder_of(path)).trials
    assert (first.status, second.status) == ("failed", "completed")
    assert "SIGKILL" in first.reason


def test_a_search_in_which_all_trials_fail_ends_early_and_exits_1(tmp_path, stand_in, capsys):
    path = write_space(tmp_path)
    stand_in.ends = {None: [Outcome(status="crashed", reason="no such kernel")] * 20}
    assert tune(path, "--max-trials", "20", "--retries", "0", "--workers", "2") == 1
    assert "no such kernel" in capsys.readouterr().err
    found = record.read(folder_of(path))
    assert {trial.status for trial in found.trials} == {"failed"}
    assert 5 <= len(found.trials) <= 6
    assert (folder_of(path) / "report.html").is_file()
    assert not (folder_of(path) / results.BEST).exists()


@pytest.mark.slow
def test_a_trial_is_measured_on_its_exported_file_and_another_stopped_early(tmp_path, monkeypatch):
    told = []

    def reason(name, curve, others):
        told.append((name, list(curve)))
        return "it is the second one" if others else None

    monkeypatch.setattr(pruning, "reason_to_stop", reason)
    path = write_space(tmp_path)
    limits = ("--subject-to", "tflite_kb<=1000", "--subject-to", "int8_accuracy>=0")
    assert tune(path, "--max-trials", "2", "--pruner", "halving", "--epochs", "3", *limits) == 0
    first, second = record.read(folder_of(path)).trials
    assert first.figures["tflite_kb"] == first.figures["int8_kb"] > 1
    assert 0 <= first.figures["int8_accuracy"] <= 1
    assert not (first.run.parent.parent / "exported").exists()
    assert (first.status, len(first.history)) == ("completed", 3)
    assert (second.status, len(second.history)) == ("pruned", 1)
    assert second.reason == "pruned: it is the second one"
    assert json.loads((second.run / "status.json").read_text())["stopped"] == second.reason
    assert {name for name, _ in told} == {"halving"}
    assert [part for part, _ in told[2][1]] == pytest.approx([1 / 3, 2 / 3, 1])


def test_several_objectives_leave_a_pareto_front(tmp_path, stand_in):
    path = write_space(tmp_path)
    aims = ("--objective", "val_accuracy", "--objective", "tflite_kb")
    assert tune(path, "--max-trials", "2", *aims, "--subject-to", "int8_accuracy>=0") == 0
    found = record.read(folder_of(path))
    assert {(job.formats, job.tflite_modes) for job in stand_in.jobs} == {(("tflite",), ("int8",))}
    document = json.loads((found.path / results.PARETO).read_text())
    assert document["directions"] == {"val_accuracy": "max", "tflite_kb": "min"}
    assert [row["trial"] for row in document["front"]] == [trial.number for trial in found.pareto_front()]
    assert document["front"][0]["recipe"]["fields"]["epochs"] == 2


def test_a_limit_that_nothing_keeps_to(tmp_path, stand_in, capsys):
    path = write_space(tmp_path)
    assert tune(path, "--max-trials", "1", "--subject-to", "weights<=10") == 1
    assert "satisfies weights<=10" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--tuner", "bayes"], "Did you mean 'bayesian'"),
        (["--objective", "speed"], "max:speed or min:speed"),
        (["--objective", "val_loss", "--objective", "min:val_loss"], "named twice"),
        (["--subject-to", "tflite_kb<100"], "NAME<=NUMBER"),
        (["--tuner", "hyperband", "--objective", "val_loss", "--objective", "tflite_kb"], "knows one"),
        (["--tuner", "hyperband", "--pruner", "median"], "by itself"),
        (["--objective", "tflite_kb", "--pruner", "median"], "when a trial is over"),
        (["--objective", "val_loss", "--objective", "weights", "--pruner", "median"], "several objectives"),
        (["--max-trials", "0"], "at least 1"),
        (["--retries", "-1"], "less than 0"),
        (["--workers", "0"], "at least 1"),
        (["--workers", "3", "--gpus", "0,1"], "--gpus names 2"),
        (["--max-trails", "3"], "Did you mean '--max-trials'"),
        (["--searches-dir", "{file}/searches"], "--searches-dir"),
    ],
)
def test_bad_arguments(tmp_path, arguments, said, capsys):
    path = write_space(tmp_path)
    given = [part.format(file=path) for part in arguments]
    assert cli.main(["tune", str(path), "--searches-dir", str(tmp_path / "searches"), *given]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "searches").exists()


def test_a_figure_that_trials_do_not_have(tmp_path, stand_in, capsys):
    path = write_space(tmp_path)
    assert tune(path, "--max-trials", "3", "--objective", "max:val_acuracy") == 2
    assert "Did you mean 'val_accuracy'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "body, said",
    [
        ("return 3", "has to return a recipe"),
        ("raise KeyError('depth')", "KeyError"),
        ("return recipe", "draws nothing"),
        ("hp.Choice('a', ['x'], default='y')", "default value should be one of the choices"),
        ("return replace(recipe, epochs=hp.Int('epochs', -3, 3))", "epochs is -3"),
        (
            "if hp.Boolean('wide'):\n        with hp.conditional_scope('wide', [True]):\n"
            "            hp.Int('units', 4, 8)\n    return recipe",
            "draws units for some values only",
        ),
    ],
)
def test_bad_spaces(tmp_path, body, said, capsys):
    path = write_space(tmp_path)
    head = path.read_text().partition("def space")[0]
    path.write_text(f"{head}def space(hp, recipe):\n    {body}\n")
    assert tune(path) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "searches").exists()


@pytest.mark.parametrize(
    "file, damage, said",
    [
        ("oracle.json", "truncate", "oracle.json is damaged"),
        ("oracle.json", "remove", "oracle.json is damaged (it is missing)"),
        ("oracle.json", "{}", "oracle.json is damaged (it lacks"),
        ("trial_0/trial.json", "truncate", "trial_0/trial.json is damaged"),
        ("trial_0/trial.json", "remove", "trial_0/trial.json is damaged (it is missing)"),
        ("search.json", "truncate", "search.json is damaged"),
        ("search.json", "[]", "search.json is damaged"),
    ],
)
def test_damaged_files_are_named_and_nothing_is_lost(searched, tmp_path, file, damage, said, capsys):
    shutil.copytree(searched.parent, tmp_path / "copy")
    path = tmp_path / "copy" / searched.name
    damaged = folder_of(path) / file
    text = damaged.read_text()
    if damage == "remove":
        damaged.unlink()
    else:
        damaged.write_text(text[: len(text) // 2] if damage == "truncate" else damage)
    before = sorted(folder_of(path).rglob("*"))
    assert tune(path, "--max-trials", "4") in (1, 2)
    assert said in capsys.readouterr().err
    assert cli.main(["tune", "show", str(folder_of(path))]) in (1, 2)
    assert said in capsys.readouterr().err
    assert [file for file in before if not file.exists()] == []


def test_a_stale_state_does_not_remove_trials_that_have_ended(searched, tmp_path, capsys):
    shutil.copytree(searched.parent, tmp_path / "copy")
    path = tmp_path / "copy" / searched.name
    state = json.loads((folder_of(path) / "oracle.json").read_text())
    state |= {"start_order": ["0"], "end_order": ["0"]}
    (folder_of(path) / "oracle.json").write_text(json.dumps(state))
    assert tune(path, "--max-trials", "4") == 1
    assert "does not know trial_" in capsys.readouterr().err
    assert (folder_of(path) / "trial_2" / "trial.json").is_file()


def test_copies_of_the_space_and_the_recipe_come_back(searched, tmp_path, stand_in):
    shutil.copytree(searched.parent, tmp_path / "copy")
    path = tmp_path / "copy" / searched.name
    for name in ("space.py", "recipe.json", "recipe.py"):
        (folder_of(path) / name).unlink()
    assert tune(path, "--max-trials", "4") == 0
    assert [job.folder.name for job in stand_in.jobs] == ["trial_3"]
    for name in ("space.py", "recipe.json", "recipe.py"):
        assert (folder_of(path) / name).is_file()


def test_a_search_whose_files_name_classes_by_their_modules_is_continued(searched, tmp_path, stand_in):
    """As versions did that were not yet released."""
    shutil.copytree(searched.parent, tmp_path / "copy")
    path = tmp_path / "copy" / searched.name
    modules = {"MLP": "models.mlp.MLP", "Digits": "data.digits.Digits", "Recipe": "recipe.Recipe"}
    for name in ("search.json", "recipe.json"):
        text = (folder_of(path) / name).read_text()
        for public, module in modules.items():
            text = text.replace(f'"kerasdl>{public}"', f'"kerasdl.{module}"')
        assert "kerasdl.models.mlp.MLP" in text
        (folder_of(path) / name).write_text(text)
    document = json.loads((folder_of(path) / "search.json").read_text())
    document["identity"]["space"] = "of the bytes of its file"
    (folder_of(path) / "search.json").write_text(json.dumps(document))
    path.write_text("# Other comment.\nfrom kerasdl import UsageError\n" + path.read_text())
    assert tune(path, "--max-trials", "4") == 0
    assert len(record.read(folder_of(path)).trials) == 4
    assert not folder_of(path, 2).exists()


def test_another_space_is_another_search(searched, tmp_path, stand_in):
    shutil.copytree(searched.parent, tmp_path / "copy")
    path = tmp_path / "copy" / searched.name
    path.write_text(path.read_text().replace('"units", 4, 16', '"units", 4, 17'))
    assert tune(path, "--max-trials", "4") == 0
    assert len(record.read(folder_of(path, 2)).trials) == 4


def test_the_task_says_what_a_search_aims_at(tmp_path, stand_in):
    more = "class Careful(Classification):\n    objectives = ('val_loss',)"
    path = write_space(tmp_path, task="Careful", more=more)
    assert tune(path, "--max-trials", "3") == 0
    found = record.read(folder_of(path))
    assert list(map(str, found.objectives)) == ["min:val_loss"]
    assert found.best().number == 2  # accuracy would have chosen another
    assert Task().objectives == ("val_loss",)
    assert stand_in.preloaded == ("kerasdl.tasks.classification.task",)


def test_a_place_that_cannot_be_written_to_stops_the_search(tmp_path, stand_in, capsys):
    path = write_space(tmp_path)
    stand_in.ends = {0: [Outcome(status="halted", reason="The disk is full.")] * 2}
    for _ in range(2):  # it is not a failure of the trial: the search goes on with it
        assert tune(path, "--max-trials", "3") == 1
        assert "The search stopped in trial 0: The disk is full." in capsys.readouterr().err
    found = record.read(folder_of(path))
    assert [trial.status for trial in found.trials] == ["running"]
    assert not found.finished


def test_data_that_is_not_there_leaves_nothing(tmp_path, stand_in, capsys):
    path = write_space(tmp_path)
    stand_in.ends = {0: [Outcome(status="misused", reason="There is no none.npz.")]}
    assert tune(path, "--max-trials", "2") == 2
    assert "none.npz" in capsys.readouterr().err
    assert not list((tmp_path / "searches" / "tiny").glob("*"))


@pytest.mark.parametrize(
    "error, status, reason",
    [
        (RuntimeError("no such kernel"), "crashed", "RuntimeError: no such kernel"),
        (UsageError("epochs is -3"), "failed", "epochs is -3"),
        (RunFailedError("it diverged"), "failed", "it diverged"),
        (MachineError("The disk is full."), "halted", "The disk is full."),
        (OSError(28, "No space left"), "halted", "trial_0 cannot be written to"),
        (Interrupted("Stopped", signal.SIGTERM), "interrupted", "Stopped"),
    ],
)
def test_every_end_of_a_trial_is_an_outcome(tmp_path, monkeypatch, error, status, reason):
    def fail(*_):
        raise error

    monkeypatch.setattr(process, "_run", fail)
    monkeypatch.setattr(tempfile, "tempdir", None)
    job = Job(folder=tmp_path / "trial_0", recipe="", types=tmp_path, data=tmp_path / "data")
    found = process.run(job, lambda _: None)
    assert found.status == status
    assert reason in found.reason
    assert Path(tempfile.gettempdir()).parent == tmp_path / "data"  # nothing is left elsewhere


def test_data_that_cannot_be_loaded_is_no_fault_of_the_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    recipe, _ = catalog.load("mlp")
    recipe = recipe_with_data(recipe, tmp_path / "none.npz")
    job = Job(folder=tmp_path, recipe=to_json(recipe), types=tmp_path, data=tmp_path / "data")
    found = process.run(job, lambda _: None)
    assert (found.status, "none.npz" in found.reason) == ("misused", True)


def recipe_with_data(recipe, path):
    return replace(recipe, data=from_text(str(path)))


@pytest.mark.slow
def test_trials_leave_nothing_in_the_temporary_folder(tmp_path):
    path = write_space(tmp_path)
    with tempfile.TemporaryDirectory() as temporary:
        process = start(path, "--max-trials", "1", env={**os.environ, "TMPDIR": temporary})
        assert process.wait(60) == 0
        assert not list(Path(temporary).glob("__autograph_generated_file*"))
    assert not list(folder_of(path).glob(".writing*"))


def test_a_pool_that_cannot_be_made_says_how(monkeypatch):
    def fail():
        raise OSError("AF_UNIX path too long")

    monkeypatch.setattr(forkserver, "ensure_running", fail)
    monkeypatch.setattr(multiprocessing.context.ForkServerContext, "set_forkserver_preload", lambda *_: None)
    with pytest.raises(UsageError, match=r"AF_UNIX path too long\. Set TMPDIR"):
        pool.Pool()


@pytest.mark.slow
def test_a_temporary_folder_whose_path_is_too_long_is_named(tmp_path):
    (long := tmp_path / ("long" * 25)).mkdir()
    process = start(write_space(tmp_path), "--max-trials", "1", env={**os.environ, "TMPDIR": str(long)})
    assert process.wait(60) == 2
    assert "TMPDIR" in process.stderr.read()


def test_a_finite_space_is_exhausted_and_says_so(tmp_path, stand_in, caplog):
    path = write_space(tmp_path)
    head = path.read_text().partition("def space")[0]
    body = "return replace(recipe, learning_rate=hp.Choice('rate', [1e-3, 1e-2], default=1e-3))"
    path.write_text(f"{head}def space(hp, recipe):\n    {body}\n")
    with caplog.at_level("INFO"):
        assert tune(path, "--max-trials", "5", "--tuner", "grid") == 0
    assert "exhausted after 2 trials" in caplog.text
    assert folders.read_document(folder_of(path))["exhausted"]
    identity = folders.read_document(folder_of(path))["identity"]
    recipe, _ = catalog.load(str(path))
    root = tmp_path / "searches"
    assert folders.open_search(root, recipe, identity, max_trials=9, new=False) is None


def test_gpus_that_are_not_there(tmp_path, capsys):
    assert tune(write_space(tmp_path), "--gpus", "0,97") == 2
    assert "--gpus names" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["lenet", "pipelines/mlp.py", "none.py"])
def test_spaces_that_are_none(name, capsys):
    assert cli.main(["tune", name]) == 2
    said = capsys.readouterr().err
    assert "search space 'lenet'" in said or "no function space" in said or "no file none.py" in said


@pytest.mark.by_default(lambda name: name == "lenet5")
@pytest.mark.parametrize("name", sorted(catalog.names("tuning")))
def test_shipped_spaces_begin_with_the_recipe_and_draw_valid_ones(name):
    recipe, _, file = catalog.load_space(name)
    space = catalog.space_in(file)
    hp = keras_tuner.HyperParameters()
    # Batch size and learning rate are those that a trial draws, also where the data is small.
    assert recipe_of(space, recipe, hp) == dataclasses.replace(recipe, min_steps_per_epoch=0)
    drawn = set()
    for seed in range(40):
        hp = keras_tuner.HyperParameters()
        recipe_of(space, recipe, hp)
        for index, parameter in enumerate(hp.space):
            hp.values[parameter.name] = parameter.random_sample(1000 * seed + index)
        hp.ensure_active_values()
        found = recipe_of(space, recipe, hp)
        drawn.add(to_json(found))
        if seed < 8:
            found.model.build(**({"num_classes": 3} if "num_classes" in found.model.values else {}))
    assert len(drawn) == 40


@pytest.mark.parametrize(
    ("name", "own", "never"),
    [("lstm", {"bidirectional": False}, ("pooling", "attention")), ("tagger", {}, ("crf", True))],
)
def test_spaces_for_streaming_hold_networks_that_stream(name, own, never):
    recipe, _, file = catalog.load_space(name)
    task = dataclasses.replace(recipe.task, streaming=True)
    recipe = replace(recipe, model=recipe.model.replace(**own), task=task)
    hp = keras_tuner.HyperParameters()
    recipe_of(catalog.space_in(file), recipe, hp)
    drawn = {parameter.name: parameter for parameter in hp.space}
    field, value = never
    assert "bidirectional" not in drawn and (field not in drawn or value not in drawn[field].values)


def start(path, *arguments, **options):
    return subprocess.Popen(
        [
            sys.executable, "-m", "kerasdl", "tune", str(path),
            "--searches-dir", str(path.parent / "searches"), *arguments,
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def epochs_of(folder, trial):
    history = folder / f"trial_{trial}/tiny/1/history.csv"
    return len(history.read_text().splitlines()) - 1 if history.is_file() else 0


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_trial_goes_on_from_its_checkpoint(tmp_path, signum):
    """The search that was stopped in the middle of a trial ends as one that was not."""
    paths = [write_space(tmp_path / name) for name in ("whole", "cut") if not (tmp_path / name).mkdir()]
    options = ("--max-trials", "2", "--epochs", "40", "--pruner", "none", "--checkpoint-every", "20")
    assert start(paths[0], *options).wait(120) == 0
    process, folder = start(paths[1], *options), folder_of(paths[1])
    wait_for(lambda: epochs_of(folder, 1) >= 5)
    process.send_signal(signum)
    code = process.wait(60)
    assert code == (143 if signum == signal.SIGTERM else -9)
    if signum == signal.SIGTERM:
        assert "To continue the search:" in process.stderr.read()
    assert record.read(folder).trials[1].status == "running"
    assert start(paths[1], *options).wait(120) == 0
    run = record.read(folder).trials[1].run
    assert json.loads((run / "receipt.json").read_text())["resumed"]
    assert_same(folder_of(paths[0]), folder)


def test_the_command_to_go_on_starts_no_new_search(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/kerasdl", "tune", "gan", "--new", "--data", "my digits"])
    assert session.command() == "kerasdl tune gan --data 'my digits'"


def as_in_a_terminal():
    """Undo what a shell does to jobs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("presses", [(0.1,), (1.5,), (0.3, 0.3)])
def test_ctrl_c_in_the_first_seconds_loses_no_trial(tmp_path, presses):
    """As a terminal sends it: to all processes of the search."""
    path = write_space(tmp_path)
    options = ("--max-trials", "2", "--epochs", "60", "--pruner", "none")
    process = start(path, *options, start_new_session=True, preexec_fn=as_in_a_terminal)
    wait_for(lambda: list(folder_of(path).glob("trial_0/trial.json")))
    for pause in presses:
        time.sleep(pause)
        os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert "Traceback" not in process.stderr.read()
    assert [trial.status for trial in record.read(folder_of(path)).trials] == ["running"]


def assert_same(whole, cut):
    expected, found = record.read(whole), record.read(cut)
    assert [trial.values for trial in found.trials] == [trial.values for trial in expected.trials]
    for ours, theirs in zip(found.trials, expected.trials, strict=True):
        assert ours.history == theirs.history
        assert ours.figures["val_loss"] == theirs.figures["val_loss"]


@pytest.mark.slow
def test_kills_at_any_moment_lose_nothing(tmp_path):
    """Each kill is at another moment, some while nothing but the imports has happened."""
    paths = [write_space(tmp_path / name) for name in ("whole", "cut") if not (tmp_path / name).mkdir()]
    assert start(paths[0], "--max-trials", "6").wait(120) == 0
    folder, finished = folder_of(paths[1]), {}
    for delay in (5.0, 6.5, 7.1, 8.3, 5.7):
        process = start(paths[1], "--max-trials", "6")
        time.sleep(delay)
        process.kill()
        process.wait()
        if (folder / "search.json").is_file():
            now = {t.number: t.figures for t in record.read(folder).trials if t.status == "completed"}
            assert finished.items() <= now.items()
            finished = now
    assert start(paths[1], "--max-trials", "6").wait(120) == 0
    assert not Path(f"{folder.parent}/2").exists()
    assert [trial.status for trial in record.read(folder).trials] == ["completed"] * 6
    assert_same(folder_of(paths[0]), folder)


def test_a_search_is_the_same_whatever_fields_recipes_have_got_since(tmp_path):
    shutil.unpack_archive(EARLIER / "search_interrupted.tar.xz", tmp_path, filter="data")
    search = Run(tmp_path / "searches/mlp/1")
    recipe = search.recipe()
    then = folders.read_document(search.path)["identity"]
    asked = {name.removeprefix("search."): then[name] for name in then if name.startswith("search.")}
    asked = {name: tuple(value) if isinstance(value, list) else value for name, value in asked.items()}
    now = folders.Settings(**asked).identity(recipe, search.path / "space.py")
    assert folders.open_search(tmp_path / "searches", recipe, now, max_trials=None, new=False) is not None
    now["learning_rate"] = 0.5
    assert folders.open_search(tmp_path / "searches", recipe, now, max_trials=None, new=False) is None
