"""Keras Tuner's oracles, mended: what breaks in the stock ones must not break in ours."""

import copy
import json
import shutil
import threading
from pathlib import Path

import keras_tuner
import pytest
from keras_tuner.engine.trial import TrialStatus

from kerasdl.search.keras_tuner.dependable import PROGRESS, figures
from kerasdl.search.keras_tuner.oracles import ORACLES
from kerasdl.search.objectives import parse_constraint, parse_objective

NAMES = tuple(ORACLES)


def space():
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log", default=2e-3)
    hp.Choice("kind", ["a", "b", "c"], default="b")
    hp.Int("units", 2, 64, default=8)
    with hp.conditional_scope("kind", ["a"]):
        hp.Float("only_a", 0.0, 1.0, default=0.25)
    return hp


def make(name, folder, *, max_trials=8, objectives=("val_accuracy",), constraints=(), **options):
    options = {"max_epochs": 4, **options} if name == "hyperband" else {"max_trials": max_trials, **options}
    oracle = ORACLES[name](
        objectives=[parse_objective(text) for text in objectives],
        constraints=[parse_constraint(text) for text in constraints],
        hyperparameters=space(),
        **options,
    )
    oracle._set_project_dir(str(folder.parent), folder.name)
    if (folder / "oracle.json").is_file():
        oracle.reload()
    else:
        oracle.save()
    return oracle


def score(values):
    return 0.9 - abs(values["units"] - 20) / 100 - abs(values["rate"] - 0.01) + (values["kind"] == "a") / 20


def end(oracle, trial, found):
    for epoch in (1, 2):
        oracle.update_trial(trial.trial_id, {**found, PROGRESS: epoch / 2}, step=epoch)
    trial.status, trial.best_step = TrialStatus.COMPLETED, 2
    oracle.end_trial(trial)


def fail(oracle, trial, message):
    trial.status, trial.message = TrialStatus.FAILED, message
    oracle.end_trial(trial)


def run_all(oracle, most=12):
    while len(oracle.end_order) < most:
        trial = oracle.create_trial("w")
        if trial.status == TrialStatus.STOPPED:
            break
        end(oracle, trial, {"val_accuracy": score(trial.hyperparameters.values)})
    return [trial.hyperparameters.values for trial in oracle.trials.values()]


@pytest.mark.parametrize("name", NAMES)
def test_trial_0_is_the_recipe_itself(name, tmp_path):
    values = make(name, tmp_path / "1").create_trial("w").hyperparameters.values
    own = {"rate": 2e-3, "kind": "b", "units": 8}
    assert {key: value for key, value in values.items() if not key.startswith("tuner/")} == own


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_suggestions_when_it_is_reopened_before_and_in_each_trial(name, tmp_path):
    whole = run_all(make(name, tmp_path / "whole"))
    folder = tmp_path / "cut"
    for _ in range(len(whole)):
        make(name, folder).create_trial("w")  # killed while it runs
        oracle = make(name, folder)
        trial = oracle.create_trial("other")
        end(oracle, trial, {"val_accuracy": score(trial.hyperparameters.values)})
    assert [trial.hyperparameters.values for trial in make(name, folder).trials.values()] == whole


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_of_which_only_the_file_was_written_is_drawn_again(name, tmp_path):
    folder = tmp_path / "1"
    oracle = make(name, folder)
    end(oracle, oracle.create_trial("w"), {"val_accuracy": 0.5})
    before = (folder / "oracle.json").read_text()
    lost = oracle.create_trial("w")
    (folder / "oracle.json").write_text(before)  # as if killed between the two writes
    oracle = make(name, folder)
    assert len(oracle.trials) == 1
    again = oracle.create_trial("w")
    assert again.trial_id == lost.trial_id
    assert again.hyperparameters.values == lost.hyperparameters.values


def test_a_trial_that_ended_just_before_the_kill_keeps_its_figures(tmp_path):
    folder = tmp_path / "1"
    oracle = make("random", folder)
    trial = oracle.create_trial("w")
    before = (folder / "oracle.json").read_text()
    end(oracle, trial, {"val_accuracy": 0.7})
    (folder / "oracle.json").write_text(before)
    oracle = make("random", folder)
    again = oracle.create_trial("w")
    assert again.trial_id == trial.trial_id
    assert figures(again)["val_accuracy"] == 0.7


def test_running_trials_are_given_out_again_in_their_order(tmp_path):
    folder = tmp_path / "1"
    oracle = make("random", folder, max_trials=12)
    running = [oracle.create_trial(f"w{index}").trial_id for index in range(11)]
    oracle = make("random", folder, max_trials=12)
    assert [oracle.create_trial(f"v{index}").trial_id for index in range(11)] == running


def test_more_trials_can_be_asked_for_later(tmp_path):
    folder = tmp_path / "1"
    first = run_all(make("random", folder, max_trials=9))
    more = make("random", folder, max_trials=12)
    values = run_all(more)
    assert values[:9] == first
    assert len(values) == 12
    assert [int(key) for key in more.trials] == list(range(12))


@pytest.mark.parametrize("what", ["oracle", "trial"])
def test_state_is_never_half_written(what, tmp_path, monkeypatch):
    folder = tmp_path / "1"
    oracle = make("random", folder)
    trial = oracle.create_trial("w")
    file = folder / "oracle.json" if what == "oracle" else folder / f"trial_{trial.trial_id}" / "trial.json"
    before = file.read_text()

    def half(self, text, **_):
        with self.open("w") as stream:
            stream.write(text[: len(text) // 2])
        raise KeyboardInterrupt  # as near to a kill as a process can survive

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(KeyboardInterrupt):
        oracle.save() if what == "oracle" else oracle.update_trial(trial.trial_id, {"loss": 1.0}, step=1)
    monkeypatch.undo()
    assert file.read_text() == before
    json.loads(before)


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
def test_what_is_not_finite_is_a_failure(bad, tmp_path):
    oracle = make("random", tmp_path / "1")
    good = oracle.create_trial("w")
    end(oracle, good, {"val_accuracy": 0.1})
    trial = oracle.create_trial("w")
    end(oracle, trial, {"val_accuracy": bad})
    assert oracle.trials[trial.trial_id].status == TrialStatus.FAILED
    assert "val_accuracy" in oracle.trials[trial.trial_id].message
    assert oracle.get_best_trials()[0].trial_id == good.trial_id


def test_a_trial_without_one_of_its_figures_fails(tmp_path):
    oracle = make("random", tmp_path / "1", objectives=("val_accuracy", "tflite_kb"))
    trial = oracle.create_trial("w")
    end(oracle, trial, {"val_accuracy": 0.5})
    assert "tflite_kb" in oracle.trials[trial.trial_id].message


def test_the_score_is_that_of_the_network_which_is_kept(tmp_path):
    oracle = make("random", tmp_path / "1")
    trial = oracle.create_trial("w")
    for epoch, value in enumerate((0.5, 0.9, 0.7), 1):
        oracle.update_trial(trial.trial_id, {"val_accuracy": value}, step=epoch)
    trial.status, trial.best_step = TrialStatus.COMPLETED, 3
    oracle.end_trial(trial)
    assert oracle.trials[trial.trial_id].score == 0.7


def test_figures_that_are_told_twice_count_once(tmp_path):
    oracle = make("random", tmp_path / "1")
    trial = oracle.create_trial("w")
    for value in (0.5, 0.9):
        oracle.update_trial(trial.trial_id, {"val_accuracy": value}, step=1)
    assert figures_at(oracle, trial, 1) == {"val_accuracy": 0.5}


def figures_at(oracle, trial, step):
    own = oracle.trials[trial.trial_id]
    own.best_step = step
    return figures(own)


def test_an_end_that_is_told_twice_counts_once(tmp_path):
    oracle = make("random", tmp_path / "1")
    trial = oracle.create_trial("w")
    end(oracle, trial, {"val_accuracy": 0.5})
    fail(oracle, copy.copy(trial), "late")
    assert oracle.end_order == [trial.trial_id]
    assert oracle.trials[trial.trial_id].status == TrialStatus.COMPLETED


def test_a_search_in_which_everything_fails_ends(tmp_path):
    folder = tmp_path / "1"
    oracle = make("random", folder, max_failures=3)
    for _ in range(3):
        fail(oracle, oracle.create_trial("w"), "no memory")
    assert oracle.create_trial("w").status == TrialStatus.STOPPED
    states = [json.loads(file.read_text()) for file in folder.glob("trial_*/trial.json")]
    assert [state["message"] for state in states] == ["no memory"] * 3


def test_failures_end_no_search_in_which_a_trial_completed(tmp_path):
    oracle = make("random", tmp_path / "1", max_failures=3)
    end(oracle, oracle.create_trial("w"), {"val_accuracy": 0.5})
    for _ in range(6):
        fail(oracle, oracle.create_trial("w"), "no memory")
    assert oracle.create_trial("w").status == TrialStatus.RUNNING


@pytest.mark.parametrize("method", ["create_trial", "update_trial", "end_trial"])
def test_an_exception_blocks_nobody_else(method, tmp_path, monkeypatch):
    oracle = make("random", tmp_path / "1")
    trial = oracle.create_trial("w")
    trial.status = TrialStatus.FAILED

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(oracle, "save" if method != "update_trial" else "save_trial", broken)
    arguments = {
        "create_trial": ("v",), "update_trial": (trial.trial_id, {"loss": 1.0}), "end_trial": (trial,)
    }  # fmt: skip

    raised = []

    def call():
        try:
            getattr(oracle, method)(*arguments[method])
        except OSError as error:
            raised.append(str(error))

    first = threading.Thread(target=call, name="first")
    first.start()
    first.join(10)
    assert raised == ["disk full"]
    monkeypatch.undo()
    second = threading.Thread(target=oracle.create_trial, args=("u",), name="second", daemon=True)
    second.start()
    second.join(10)
    assert not second.is_alive(), "the lock is still taken"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "bayesian"])
def test_seeds_that_are_near_give_other_trials_and_0_is_a_seed(name, tmp_path):
    found = []
    for index, seed in enumerate((0, 0, 1, 2)):
        values = run_all(make(name, tmp_path / str(index), seed=seed))
        found.append({json.dumps(part, sort_keys=True) for part in values[1:]})
    assert found[0] == found[1]
    assert not found[0] & found[2]
    assert not found[2] & found[3]


def test_a_trial_that_does_worse_than_others_is_told_to_stop(tmp_path):
    oracle = make("random", tmp_path / "1", max_trials=20, pruner="median")
    for index in range(5):
        end(oracle, oracle.create_trial("w"), {"val_accuracy": 0.5 + index / 100})
    trial = oracle.create_trial("w")
    good = oracle.update_trial(trial.trial_id, {"val_accuracy": 0.6, PROGRESS: 0.5}, step=1)
    assert good.status == TrialStatus.RUNNING
    other = oracle.create_trial("v")
    bad = oracle.update_trial(other.trial_id, {"val_accuracy": 0.4, PROGRESS: 0.5}, step=1)
    assert bad.status == TrialStatus.STOPPED
    assert "median" in bad.message
    assert oracle.trials[other.trial_id].status == TrialStatus.RUNNING  # until its run has ended


def test_keras_tuner_opens_the_folder(tmp_path):
    folder = tmp_path / "1"
    oracle = make("bayesian", folder)
    run_all(oracle)
    (folder / "tuner0.json").write_text("{}")
    tuner = keras_tuner.RandomSearch(
        lambda hp: None, objective=keras_tuner.Objective("val_accuracy", "max"),
        directory=str(tmp_path), project_name="1", overwrite=False,
    )  # fmt: skip
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.score == max(trial.score for trial in oracle.trials.values())


def test_two_workers_never_get_the_same_values(tmp_path):
    oracle = make("bayesian", tmp_path / "1", max_trials=20)
    for _ in range(9):
        end(oracle, oracle.create_trial("w"), {"val_accuracy": 0.5})
    running = [oracle.create_trial(f"w{index}").hyperparameters.values for index in range(6)]
    assert len({json.dumps(values, sort_keys=True) for values in running}) == 6


def test_nothing_is_left_of_a_removed_search(tmp_path):
    folder = tmp_path / "1"
    make("random", folder).create_trial("w")
    shutil.rmtree(folder)
    assert not make("random", folder).trials
