"""From a run to a bundle and back: what the card tells, whose code is run, which data it is compared on."""

import json

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.images.digits import Digits
from kerasdl.data.images.folder import ImageFolder
from kerasdl.data.npz.source import Npz
from kerasdl.data.tfds.source import Tfds
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export import bundle as bundles
from kerasdl.export.tflite import Converter
from kerasdl.jobs import export, verify
from kerasdl.models.mlp import MLP
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe, python_file
from kerasdl.runs import folder as runs
from kerasdl.tasks.classification.task import Classification
from kerasdl.training import build, preparation

OWN = """
import dataclasses
from pathlib import Path
from kerasdl import Classification, Digits
from kerasdl import Source as Base

class Task(Classification):
    pass

@dataclasses.dataclass(frozen=True, kw_only=True)
class Source(Base):
    def load(self):
        return Digits().load()
"""


def exported(recipe, folder, formats=("onnx",)):
    """Make a run of an untrained network, and export it."""
    splits = recipe.data.load()
    run = runs.create(folder / "runs", recipe)
    network = build.make_network(
        recipe, splits, preparation.make_preprocessing(recipe.preprocessing, splits, recipe.batch_size)
    )
    network.save(run.model_file)
    with Converter() as converter:
        settings = export.Settings(exported_dir=folder / "exported", formats=formats)
        return export.export_run(run, splits, converter, settings).path


def recipe_with(data, task):
    model = Config(MLP, hidden_units=(5,))
    return Recipe(name="net", model=model, data=data, task=task, preprocessing=Config(ImagePreprocessing))


@pytest.fixture
def pictures(tmp_path):
    """A folder of 2 x 20 tiny pictures."""
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(20):
            image = rng.integers(0, 120, (6, 6, 1)) + (120 if name == "light" else 0)
            path = tmp_path / "pictures" / name / f"{index}.png"
            path.write_bytes(tf.io.encode_png(image.astype(np.uint8)).numpy())
    return tmp_path / "pictures"


@pytest.mark.slow
def test_a_bundle_tells_nothing_of_where_the_data_was_and_is_verified_where_it_is_now(pictures, tmp_path):
    data = ImageFolder(path=str(pictures), test_fraction=0.5, split_seed=3)
    path = exported(recipe_with(data, Classification()), tmp_path)
    for file in ("card.json", "README.md"):
        assert str(tmp_path) not in (path / file).read_text()
    assert (
        json.loads((path / "card.json").read_text())["recipe"]["fields"]["data"]["fields"]["path"]
        == "pictures"
    )
    num_files = len(json.loads((path / "card.json").read_text())["files"])
    note = verify.verify(path)[2]
    assert note == (
        f"the hashes of {num_files} files, and the answers of 1 exported file to the embedded samples "
        "(the data it was exported with is not here)"
    )
    (path / "notes.txt").write_text("mine")
    assert verify.verify(path)[2] == f"{note}; not checked, since card.json does not list 1 file: 'notes.txt'"
    (path / "notes.txt").unlink()
    pictures.rename(tmp_path / "elsewhere")
    # Fractions and seed are those of the export.
    _, _, note = verify.verify(path, ImageFolder(path=str(tmp_path / "elsewhere")))
    assert "all 20 test examples" in note
    (tmp_path / "elsewhere" / "dark" / "0.png").unlink()
    with pytest.raises(UsageError, match=r"not the data that .* was exported with"):
        verify.verify(path, ImageFolder(path=str(tmp_path / "elsewhere")))


def test_a_card_never_downloads():
    assert Tfds(name="mnist", download=True).without_machine() == Tfds(name="mnist", download=False)
    assert ImageFolder(path="some/where/pets/").without_machine() == ImageFolder(path="pets")


def test_moved_to():
    recorded = ImageFolder(path="pets", split_seed=3)
    assert recorded.moved_to(ImageFolder(path="/new")) == ImageFolder(path="/new", split_seed=3)
    assert recorded.moved_to(Npz(path="x.npz")) == Npz(path="x.npz")
    assert Digits().moved_to(Digits()) == Digits()
    mnist = Tfds(name="mnist", split_seed=3)
    assert mnist.moved_to(Tfds(name="cifar10")) == Tfds(name="cifar10", split_seed=3)


@pytest.mark.slow
def test_data_that_fails_to_load_leaves_the_samples(pictures, tmp_path, monkeypatch):
    path = exported(recipe_with(ImageFolder(path=str(pictures)), Classification()), tmp_path)

    def broken(self):
        raise RunFailedError("the disk is gone")

    monkeypatch.setattr(ImageFolder, "load", broken)
    assert "embedded samples" in verify.verify(path)[2]
    with pytest.raises(RunFailedError, match="the disk is gone"):
        verify.verify(path, ImageFolder(path="."))


@pytest.fixture
def own(tmp_path):
    """A bundle whose task and data source a recipe file of the user defines."""
    (tmp_path / "mine.py").write_text(OWN)
    module = python_file.load(tmp_path / "mine.py")
    return exported(recipe_with(module.Source(), module.Task()), tmp_path)


@pytest.mark.slow
def test_a_bundle_brings_the_users_own_classes(own, tmp_path, monkeypatch):
    (tmp_path / "recipe.py").write_text("raise AssertionError('the recipe.py of the working folder was run')")
    monkeypatch.chdir(tmp_path)
    assert (own / "recipe.py").read_text() == OWN
    assert "recipe.py" in bundles.read_card(own)["files"]
    _, task, note = verify.verify(own)
    assert type(task).__name__ == "Task"
    assert "all 359 test examples" in note


def test_a_changed_recipe_file_is_not_run(own, tmp_path):
    ran = tmp_path / "ran"
    (own / "recipe.py").write_text(f"{OWN}\nPath({str(ran)!r}).touch()\n")
    with pytest.raises(bundles.NotTheSameError, match=r"recipe\.py has changed"):
        verify.verify(own)
    card = bundles.read_card(own)
    del card["files"]["recipe.py"]
    (own / "card.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match=r"recipe\.py"):
        verify.verify(own)
    assert not ran.exists()


@pytest.mark.slow
def test_a_recipe_file_that_defines_neither_task_nor_data_stays_out(tmp_path, pictures):
    recipe = recipe_with(ImageFolder(path=str(pictures)), Classification())
    (tmp_path / "mine.py").write_text(OWN)
    splits = recipe.data.load()
    run = runs.create(tmp_path / "runs", recipe, tmp_path / "mine.py")
    build.make_network(
        recipe, splits, preparation.make_preprocessing(recipe.preprocessing, splits, recipe.batch_size)
    ).save(run.model_file)
    with Converter() as converter:
        settings = export.Settings(exported_dir=tmp_path / "exported", formats=("onnx",))
        written = export.export_run(run, splits, converter, settings)
    assert (run.path / "recipe.py").is_file()
    assert not (written.path / "recipe.py").exists()
