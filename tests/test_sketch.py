"""Flags and mistakes before TensorFlow is imported: sketches of classes say what the classes say."""

import subprocess
import sys

import pytest

import kerasdl
from kerasdl import public
from kerasdl.cli import flags
from kerasdl.recipe import catalog, python_file, sketch


@pytest.mark.by_default(lambda name: name in ("lenet5", "lstm", "vae", "forecast"))
@pytest.mark.parametrize("name", sorted(catalog.names()))
def test_flags_of_a_sketch_are_those_of_the_recipe(name):
    for public_name in public.PLACES:  # of a process that has imported none yet
        vars(kerasdl).pop(public_name, None)
    with public.finding(sketch._find), python_file.forgetting():
        sketched = catalog.load(name)[0]
    recipe = catalog.load(name)[0]
    assert sketched.model.target is not recipe.model.target
    assert flags.of_recipe(sketched) == flags.of_recipe(recipe)


def test_a_recipe_file_that_needs_keras_is_not_sketched(tmp_path):
    for source in ("import keras", "from tensorflow import io", "class Net: ...", "def f(:"):
        (tmp_path / "own.py").write_text(source)
        assert not sketch._is_plain(tmp_path / "own.py")
    assert sketch._is_plain(catalog.find("transfer"))


def test_mistakes_and_help_import_no_tensorflow(tmp_path):
    code = """
import sys
from kerasdl.cli import main
mistakes = ["train lenet6", "train lenet5 --epoch 3",
    "train lenet5 --epochs x", "train lenet5 --learning-rate -1",
    "train gan --objective x", "train lenet5 --data ./nowhere", "train lenet5 --data digits --batch-size 0",
    "tune lenet5 --data digits --seeds 3", "evaluate nowhere", "predict nowhere x.png", "verify --expekt",
    "train --resume runs/lenet5/1", "train lenet5 --from-trial searches/lenet5/9:best"]
for mistake in mistakes:
    assert main(mistake.split()) == 2, mistake
for asked in ("train lenet5 --help", "train flow --help-all", "tune lstm --help", "predict --help"):
    assert main(asked.split()) == 0, asked
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "--latent" not in ran.stdout
    assert "--weight-decay" in ran.stdout  # of --help-all


def test_data_and_tasks_of_a_recipe_import_no_keras():
    code = f"""
import importlib, sys
from kerasdl import public
for name, module in public.PLACES.items():
    if not module.startswith({sketch._OF_KERAS!r}) and name != "SavedModelLayer":
        importlib.import_module(module)
        assert "keras" not in sys.modules, name
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
