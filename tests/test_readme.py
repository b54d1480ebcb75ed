"""What the README shows works as it stands there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from kerasdl import cli
from kerasdl.recipe import catalog
from kerasdl.search import record, results, session
from kerasdl.search.definition import Search
from kerasdl.search.keras_tuner.tuner import RecipeTuner

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")

#: (language, text) of each fenced block.
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def python_block(beginning):
    (block,) = [text for language, text in BLOCKS if language == "python" and text.startswith(beginning)]
    return block


def commands():
    """Return every `kerasdl ...` of the fenced blocks and of the running text, as typed."""
    lines = [line for _, text in BLOCKS for line in text.splitlines()]
    parts = [part.split("#")[0].strip() for line in lines for part in line.split("&&")]
    parts += re.findall(r"`(kerasdl [^`]+)`", README)
    return [part for part in parts if part.startswith("kerasdl ")]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder but for the README's own recipe."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_recipe.py").write_text(python_block("# my_recipe.py"), encoding="utf-8")
    return tmp_path


def test_own_recipe(here):
    arguments = ["train", "./my_recipe.py", "--filters", "4", "--epochs", "1", "--no-export"]
    assert cli.main(arguments) == 0
    assert json.loads((here / "runs/my_recipe/1/recipe.json").read_text())["fields"]["model"]["fields"] == {
        "filters": 4,
        "num_classes": 10,
    }
    network = keras.saving.load_model(here / "runs/my_recipe/1/model.keras")
    assert network.convolution.filters == 4


def test_own_space(here):
    (here / "my_space.py").write_text(python_block("# my_space.py"), encoding="utf-8")
    assert cli.main(["tune", "./my_space.py", "--max-trials", "2", "--epochs", "1"]) == 0
    assert cli.main(["train", "./my_space.py", "--from-trial", "searches/lenet5/1:best", "--no-export"]) == 0
    assert (here / "runs/lenet5/1/model.keras").is_file()


def test_from_python(here, capsys):
    block = python_block("import numpy as np\n\nimport kerasdl")
    assert "epochs=5" in block
    exec(compile(block.replace("epochs=5", "epochs=1"), "README.md", "exec"), {})
    assert re.search(r"^\[\d \d\]$", capsys.readouterr().out, re.MULTILINE)
    assert Path("runs/lenet5/1/model.keras").is_file()
    assert Path("exported/lenet5/1/card.json").is_file()


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    """The folder of a search of LeNet-5 with one trial that was never trained."""
    recipe, source, space_file = catalog.load_space("lenet5")
    root = tmp_path_factory.mktemp("readme") / "searches"
    files = {"space_file": space_file, "recipe_source": source, "searches_dir": root}
    search = Search(recipe=recipe, space=catalog.space_in(space_file), **files)
    folder = session.create(search)
    oracle = RecipeTuner(search.oracle(), search.space, recipe, folder.path).oracle
    trial = oracle.create_trial("worker")
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.5}, step=1)
    trial.status, trial.best_step = "COMPLETED", 1
    oracle.end_trial(trial)
    results.write_best(folder, record.read(folder.path))
    return root


def test_tune_from_python(here, tmp_path):
    block = python_block("import kerasdl\n\nif __name__")
    assert "max_trials=10" in block and "epochs=5" in block
    (here / "script.py").write_text(
        block.replace("max_trials=10", "max_trials=2").replace("epochs=5", "epochs=1")
    )
    ran = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=True)
    assert "learning_rate" in ran.stdout.splitlines()[-1]


def test_there_are_commands():
    assert {command.split()[1] for command in commands()} == set(cli._COMMANDS)


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood(here, searches, capsys, command):
    (here / "searches").symlink_to(searches)
    _, name, *arguments = shlex.split(command)
    assert name in cli._COMMANDS
    if name == "train" and not {"--help", "--resume"} & set(arguments):
        assert cli.main([name, *arguments, "--print-recipe"]) == 0
        return
    pipeline = []
    if name in ("train", "lr-find"):  # its recipe decides the flags
        pipeline = ["lenet5" if arguments[0] == "--resume" else arguments[0]]
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, *pipeline, "--help"])
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    assert {argument.partition("=")[0] for argument in arguments if argument.startswith("--")} <= known
