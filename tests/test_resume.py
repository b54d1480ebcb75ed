"""A run that was killed goes on and becomes what it would have been, bit for bit."""

import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kerasdl.jobs import verify
from kerasdl.runs.folder import Run
from tests import cases  # noqa: F401  the runs name its network, and a name imports nothing

ROOT = Path(__file__).parent.parent
RUN = "runs/tiny/1"


def start(folder, strategy, moment, *more):
    """Run `tests.killed_run` until it ends or dies, and return its exit code."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.killed_run", folder, strategy, moment, *more],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ran.returncode in (0, -9), ran.stderr
    return ran.returncode


def rows_of(run):
    with (run / "history.csv").open() as file:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]


def variables_of(run):
    newest = max((run / "checkpoints").iterdir())
    with np.load(newest / "variables.npz") as saved:
        return {name: saved[name] for name in saved.files}


def curves_of(run):
    found = {}
    for part in ("train", "validation"):
        events = EventAccumulator(str(run / "logs" / part)).Reload()
        for tag in events.Tags()["tensors"]:
            found[part, tag] = [
                (event.step, float(tf.make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)
            ]
    return found


def assert_same(run, reference):
    """Compare all that a training leaves behind."""
    variables, wanted = variables_of(run), variables_of(reference)
    assert variables.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(variables[name], value, err_msg=name)
    best, wanted_best = (Run(path).network().get_weights() for path in (run, reference))
    for value, wanted_value in zip(best, wanted_best, strict=True):
        np.testing.assert_array_equal(value, wanted_value)
    assert rows_of(run) == rows_of(reference)
    assert json.loads((run / "metrics.json").read_text()) == json.loads(
        (reference / "metrics.json").read_text()
    )
    curves = curves_of(run)
    assert curves == curves_of(reference)
    for curve in curves.values():
        assert [step for step, _ in curve] == list(range(len(rows_of(reference))))
    assert Run(run).read_json("status.json")["stopped"] == Run(reference).read_json("status.json")["stopped"]


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """Runs that nothing interrupted, by strategy."""
    made = {}

    def get(strategy):
        if strategy not in made:
            folder = tmp_path_factory.mktemp("reference")
            assert start(folder, strategy, "never") == 0
            made[strategy] = folder / RUN
        return made[strategy]

    return get


def kill_and_resume(folder, strategy, moments):
    """Kill a run at each of the moments, one process after the other, then let it end. Returns the kills."""
    codes = [start(folder, strategy, moment) for moment in moments]
    assert start(folder, strategy, "never") == 0
    return codes.count(-9)


@pytest.mark.slow
def test_everything_with_a_state_acts_in_the_reference(references):
    """Else the tests below would prove little: rates drop, it stops early, the best epoch is not the last."""
    run = references("none")
    rows = rows_of(run)
    rates = [float(row["optimizer_learning_rate"]) for row in rows]
    assert len(set(rates)) >= 3
    assert len(rows) < 14
    assert "early stopping" in Run(run).read_json("status.json")["stopped"]
    assert Run(run).read_json("metrics.json")["best_epoch"] < len(rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "moments"),
    [
        ("none", ["step:110", "step:30", "write:9", "rename:3"]),
        ("cpu:2", ["step:140"]),
    ],
)
def test_killed(references, tmp_path, strategy, moments):
    """In the middle of an epoch, while a file is written, and when it just was.

    The first comes after the best epoch, the second after a drop of the learning rate: else nothing would
    depend on what early stopping and plateau remember.
    """
    assert kill_and_resume(tmp_path, strategy, moments) == len(moments)
    assert_same(tmp_path / RUN, references(strategy))


def random_moments(seed):
    """Moments that let each process do something, so that the run gets on."""
    draw = random.Random(seed)
    kinds = {"step": (4, 20), "write": (4, 22), "rename": (3, 12), "seconds": (1.0, 3.0)}
    while True:
        kind = draw.choice(list(kinds))
        low, high = kinds[kind]
        yield (
            f"{kind}:{draw.uniform(low, high):.3f}"
            if kind == "seconds"
            else f"{kind}:{draw.randint(low, high)}"
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "seed"),
    [
        ("none", 0),
        ("cpu:2", 2),
        *(pytest.param(*case, marks=pytest.mark.large) for case in (("none", 1), ("cpu:2", 3))),
    ],
)
def test_killed_at_random_moments(references, tmp_path, strategy, seed):
    """Six kills; where a run ends before a moment comes, it is compared and the next run begins."""
    kills, number, moments = [], 0, random_moments(seed)
    while len(kills) < 6 and number < 4:
        folder, moment = tmp_path / str(number), next(moments)
        if start(folder, strategy, moment) == -9:
            kills.append(moment)
        else:
            assert_same(folder / RUN, references(strategy))
            number += 1
    assert start(folder, strategy, "never") == 0
    assert_same(folder / RUN, references(strategy))
    print(f"{strategy}, seed {seed}: killed and resumed {len(kills)} times: {kills}")
    assert len(kills) == 6


@pytest.mark.slow
def test_killed_while_exporting(references, tmp_path):
    assert start(tmp_path, "none", "export:0.7", "--export") == -9
    bundles = tmp_path / "exported/tiny"
    assert not [path for path in bundles.iterdir() if not path.name.startswith(".")]
    assert start(tmp_path, "none", "never") == 0
    assert_same(tmp_path / RUN, references("none"))
    rows, _, note = verify.verify(bundles / "1")
    assert len(rows) == 6, note
