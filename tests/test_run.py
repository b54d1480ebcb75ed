"""Run folders: never overwritten, whole or not there, and each with its own classes."""

import dataclasses
import io
import threading

import keras
import numpy as np
import pytest
from rich.console import Console

import kerasdl
from kerasdl import files
from kerasdl.errors import UsageError
from kerasdl.jobs import train
from kerasdl.recipe import catalog
from kerasdl.runs import folder
from kerasdl.training.callbacks.best import Best, Plateau
from kerasdl.training.callbacks.position import Position
from tests.cases import EXTRA_CASES
from tests.test_models import compiled
from tests.test_recipe import OWN_RECIPE

QUIET = {"export": False, "console": Console(file=io.StringIO())}


@pytest.mark.slow
def test_own_recipe_from_python_keeps_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(OWN_RECIPE)
    result = kerasdl.train(
        kerasdl.load_recipe(str(tmp_path / "mine.py")), runs_dir=tmp_path / "runs", **QUIET
    )
    assert (result.run.path / "recipe.py").read_text() == OWN_RECIPE
    assert result.run.recipe() == result.recipe
    assert kerasdl.load(result.run.path).predict(np.zeros((2, 8, 8, 1), np.uint8))["class_ids"].shape == (2,)


@pytest.mark.slow
def test_runs_with_classes_of_one_name_keep_apart(tmp_path):
    """Keras's registry knows the class that was registered last; a run needs its own."""
    other = OWN_RECIPE.replace(
        "keras.layers.Dense(num_classes)", "keras.layers.Dense(num_classes, name='other')"
    )
    assert other != OWN_RECIPE
    networks = {}
    for name, text in (("one", OWN_RECIPE), ("two", other)):
        (tmp_path / f"{name}.py").write_text(text)
        recipe, _ = catalog.load(str(tmp_path / f"{name}.py"))
        networks[name] = train.train(recipe, runs_dir=tmp_path / "runs", **QUIET).run
    assert networks["one"].network().head.name != "other"
    assert networks["two"].network().head.name == "other"


def test_a_network_whose_file_loses_weights_does_not_pass(tmp_path):
    head, config = "self.head = keras.layers.Dense(num_classes)", "    def get_config(self):"
    forgetful = OWN_RECIPE
    for old, new in (
        (head, "self.shift = self.add_weight((64,), name='shift')\n        " + head),
        ("/ 255, (-1, 64))", "/ 255, (-1, 64)) + self.shift"),
        (config, "    def save_own_variables(self, store):\n        pass\n\n" + config),
        (config, "    def load_own_variables(self, store):\n        pass\n\n" + config),
    ):
        assert old in forgetful
        forgetful = forgetful.replace(old, new)
    (tmp_path / "forgetful.py").write_text(forgetful)
    recipe, _ = catalog.load(str(tmp_path / "forgetful.py"))
    with pytest.raises(UsageError, match="Mine answers otherwise once it is saved and loaded"):
        train.train(recipe, runs_dir=tmp_path / "runs", **QUIET)


def test_concurrent_runs_get_folders_of_their_own(tmp_path):
    (tmp_path / "²").mkdir()  # a digit, but no number
    found = []
    threads = [threading.Thread(target=lambda: found.append(files.next_version(tmp_path))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(path.name) for path in found) == list(range(1, 21))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def interrupted():
        with files.replacing(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_runs_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    recipe = kerasdl.load_recipe("mlp", data="digits", epochs=1)
    with pytest.raises(UsageError, match="--runs-dir"):
        folder.create(tmp_path / "file" / "runs", recipe)


def test_batch_statistics_that_are_not_finite_are_not_kept(tmp_path):
    """An infinite input spoils the moving statistics in the forward pass, before any update is left out."""
    case = EXTRA_CASES[0]
    network, twin = compiled(case, case.build()), case.build()
    network.set_weights(twin.get_weights())
    best = Best(folder.Run(tmp_path), twin, case.task.score, None, Position(1))
    best.set_model(network)
    assert best.save()
    spoiled = [
        np.full_like(weight, np.inf) if weight.shape == (4,) else weight for weight in network.get_weights()
    ]
    network.set_weights(spoiled)
    assert not best.save()
    kept = keras.saving.load_model(tmp_path / "model.keras").get_weights()
    assert all(np.isfinite(weight).all() for weight in kept)


def test_what_waits_for_a_better_epoch_says_where_none_is_better(tmp_path, caplog, monkeypatch):
    best = Best(folder.Run(tmp_path), None, lambda logs: (), 1, Position(1))
    monkeypatch.setattr(best, "save", lambda: True)
    waiting = Plateau(best, 0.5, 1)
    for epoch in range(3):
        best.on_epoch_end(epoch, {})
        waiting.on_epoch_end(epoch)
    assert best.best_epoch == 2
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "--early-stopping has no effect.", "--schedule plateau has no effect.",
    ]  # fmt: skip


def test_recipes_of_types_from_several_files_are_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(OWN_RECIPE + f"\n# {name}\n")
    one, two = (catalog.load(str(tmp_path / f"{name}.py"))[0] for name in ("one", "two"))
    mixed = dataclasses.replace(one, preprocessing=two.model)
    with pytest.raises(UsageError, match=r"one.py and .*two.py"):
        folder.create(tmp_path / "runs", mixed)
