"""The Python API: keywords, mistakes, what is returned, and how it shows itself."""

import dataclasses
import inspect
import io
import pydoc
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kerasdl
from kerasdl import Classification, Config, Digits, LeNet5, Recipe, Tfds, UsageError
from kerasdl.errors import RunFailedError
from kerasdl.inference.predictor import Predictor
from kerasdl.jobs import result, train
from kerasdl.python import recipes
from kerasdl.recipe import keywords
from kerasdl.recipe.document import to_json
from kerasdl.report import cell, status_line, terminal
from kerasdl.report.blocks import Chart, Column, Notice, Picture, Pictures, Table
from kerasdl.search import session
from kerasdl.search.objectives import parse_objective
from kerasdl.search.record import SearchRecord, TrialRecord
from tests.run_folders import write_bundle, write_run, write_status


def test_every_field_is_a_keyword():
    recipe = kerasdl.load_recipe(
        "lenet5", data="digits", epochs=np.int64(3), learning_rate=np.float32(0.5), dropout=0.3,
        size=[16, 16],
        label_smoothing=0.1, shift=0.2, test_fraction=0.25, weights=Path("some.keras"),
    )  # fmt: skip
    assert (recipe.epochs, recipe.min_steps, recipe.learning_rate) == (3, 0, 0.5)
    assert type(recipe.epochs) is int and type(recipe.learning_rate) is float
    assert recipe.data == Digits(test_fraction=0.25)
    assert (recipe.model.dropout, recipe.preprocessing.values["size"]) == (0.3, (16, 16))
    assert (recipe.task.label_smoothing, recipe.augmentation.shift) == (0.1, 0.2)
    assert recipe.weights == "some.keras"
    changed = keywords.apply(recipe, {"model": Config(LeNet5, pooling="average"), "dropout": 0.4})
    assert changed.model == Config(LeNet5, pooling="average", dropout=0.4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epoch": 3}, r"There is no 'epoch': neither the recipe nor its LeNet5.*Did you mean 'epochs'"),
        ({"dropuot": 0.3}, "Did you mean 'dropout'"),
        ({"exportd_dir": "x"}, "Did you mean 'exported_dir'"),
        ({"epochs": "3"}, "epochs is '3', but it has to be int"),
        ({"dropout": "much"}, "dropout is 'much', but it has to be float"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"data": 5}, "data is 5, but it has to be an object of a class that inherits kerasdl.Source"),
        ({"data": "digts"}, "Did you mean 'digits'"),
        ({"model": LeNet5}, "model is"),
    ],
)  # fmt: skip
def test_mistakes(fields, words):
    with pytest.raises(UsageError, match=words):
        kerasdl.train("lenet5", **fields)


def test_a_field_of_two_parts_is_refused():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Twice(Classification):
        dropout: float = 0.1

    recipe = dataclasses.replace(kerasdl.load_recipe("lenet5"), task=Twice())
    with pytest.raises(
        UsageError, match=r"dropout is a field of its model \(LeNet5\) and its task \(Twice\)"
    ):
        keywords.apply(recipe, {"dropout": 0.5})


def test_replace_checks_types_before_it_compares():
    with pytest.raises(UsageError, match="epochs is '3', but it has to be int"):
        kerasdl.replace(kerasdl.load_recipe("lenet5"), epochs="3")


def test_mistakes_are_told_before_tensorflow_is_imported(tmp_path):
    code = """
import sys, kerasdl
for call in (
    lambda: kerasdl.train("lenet6"), lambda: kerasdl.train("lenet5", epoch=3), lambda: kerasdl.train(5),
    lambda: kerasdl.tune("lenet6"), lambda: kerasdl.tune("lenet5", max_trial=3),
    lambda: kerasdl.tune("lenet5", tuner="bayes"), lambda: kerasdl.tune("lenet5", max_trials="3"),
    lambda: kerasdl.open_run("lenet5"), lambda: kerasdl.load("lenet5"), lambda: kerasdl.resume("runs/x/1"),
):
    try:
        call()
    except kerasdl.UsageError:
        continue
    raise AssertionError("no error")
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": str(Path(kerasdl.__file__).parent.parent), "PATH": ""},
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_help_tells_every_argument_with_its_type():
    kinds = {field.name: field.type for field in dataclasses.fields(Recipe)}
    for function in (kerasdl.train, kerasdl.resume, kerasdl.tune, kerasdl.load, kerasdl.open_run):
        shown = pydoc.plain(pydoc.render_doc(function))
        assert "Returns:" in shown and "Raises:" in shown and "Example:" in shown
        for name, parameter in inspect.signature(function).parameters.items():
            assert re.search(rf"^ +(\*\*)?{name}: ", shown, re.MULTILINE), f"{function.__name__}: {name}"
            if name in kinds and name not in ("data", "weights"):
                assert parameter.annotation == kinds[name], name


@pytest.fixture
def asked(monkeypatch):
    """What the trainer was asked for, which does not train."""
    found = []

    def fake(recipe, **options):
        found.append((recipe, options))
        return types.SimpleNamespace(sentence=lambda: "done")

    monkeypatch.setattr(train, "train", fake)
    return found


def test_progress_goes_to_standard_error_or_nowhere(asked, capsys):
    recipe = kerasdl.load_recipe("lenet5", data="digits")
    kerasdl.train(recipe)
    asked[-1][1]["console"].print("epoch 1")
    assert capsys.readouterr() == ("", "epoch 1\n")
    kerasdl.train(recipe, progress=False)
    asked[-1][1]["console"].print("epoch 1")
    assert capsys.readouterr() == ("", "")
    mine = terminal.open_console(file=io.StringIO())
    kerasdl.train(recipe, console=mine)
    assert asked[-1][1]["console"] is mine
    assert asked[-1][0] == recipe and asked[-1][1]["recipe_source"] is None


def test_progress_begins_before_tensorflow_is_imported(asked, monkeypatch):
    said, loaded = [], recipes.loaded

    def spied(*given):
        said.extend(text() for text in terminal.line_of_status._texts)
        return loaded(*given)

    monkeypatch.setattr(recipes, "loaded", spied)
    kerasdl.train("lenet5", data="digits")
    assert said == ["Starting ..."]


def test_a_name_brings_its_file_and_small_data_are_no_mistake(asked):
    kerasdl.train("lenet5", data="digits", epochs=2)
    recipe, options = asked[-1]
    assert options["recipe_source"].name == "lenet5.py" and recipe.epochs == 2
    assert recipe.min_steps_per_epoch >= 1
    kerasdl.train("lenet5", data="digits", batch_size=2000)
    assert asked[-1][0].min_steps_per_epoch == 0


def test_tune_takes_options_and_fields(monkeypatch):
    def fake(search, slots, console):
        return types.SimpleNamespace(sentence=lambda: "done", search=search, slots=slots)

    monkeypatch.setattr(session, "tune", fake)
    found = kerasdl.tune(
        "lenet5", data="digits", epochs=2, dropout=0.3, objectives="val_loss", max_trials=3, workers=2,
        searches_dir="some",
    )  # fmt: skip
    search = found.search
    assert (search.recipe.epochs, search.recipe.model.dropout, search.recipe.data) == (2, 0.3, Digits())
    assert (search.objectives, search.max_trials, len(found.slots)) == (("val_loss",), 3, 2)
    assert (search.space_file.name, str(search.searches_dir)) == ("lenet5.py", "some")
    mine = kerasdl.load_recipe("lenet5", data="digits", epochs=7)
    assert kerasdl.tune("lenet5", recipe=mine).search.recipe == mine
    with pytest.raises(UsageError, match=r"objectives is \(3,\)"):
        kerasdl.tune("lenet5", objectives=[3])


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["<script>alert(1)</script>", "b&b", "c"]
    made = write_run(Path("runs/tiny/2"), num_classes=3, names=names, image=(12, 12, 1))
    made.write("recipe.json", to_json(kerasdl.load_recipe("mlp", data="digits", name="tiny")))
    write_bundle(Path("exported/tiny/1"), made)
    return made


def test_a_run_that_is_opened(run, monkeypatch):
    (write_run(Path("runs/tiny/1")).path / "recipe.json").write_text("{}")
    found = kerasdl.open_run("tiny")
    assert found.run.path == run.path and kerasdl.open_run(run.path).metrics == found.metrics
    assert (found.best_epoch, found.state, found.report) == (12, "finished", None)
    assert found.bundle.path == Path("exported/tiny/1")
    assert repr(found) == f"<Result runs/tiny/2: accuracy {found.metrics['accuracy']:.4g}, exported/tiny/1>"
    assert len(repr(found.recipe)) < 1000 and "schedule" not in repr(found.recipe)
    assert list(found.history.index) == list(range(1, 16))
    assert found.history["val_loss"].min() > 0 and found.scores["accuracy"] == found.metrics["accuracy"]
    monkeypatch.setattr(result, "_has_pandas", lambda: False)
    assert found.history[0]["epoch"] == 1 and len(found.history) == 15
    assert found.scores["accuracy"] == found.metrics["accuracy"]
    with pytest.raises(UsageError, match=r"There is no run of tiyn below runs.*Did you mean 'tiny'"):
        kerasdl.open_run("tiyn")
    (Path("exported/tiny/1") / "card.json").unlink()
    assert kerasdl.open_run("tiny").bundle is None


def test_a_recipe_shown_is_the_recipe():
    recipe = kerasdl.load_recipe("lenet5", epochs=7)
    names = {
        "Recipe": Recipe,
        "Config": Config,
        "LeNet5": LeNet5,
        "Tfds": Tfds,
        "Classification": Classification,
    }
    names |= {"ImagePreprocessing": kerasdl.ImagePreprocessing, "RandomAffine": kerasdl.RandomAffine}
    assert eval(repr(recipe), names) == recipe


def test_a_result_shows_itself_and_steers_no_page(run):
    shown = kerasdl.open_run("tiny")._repr_html_()
    assert "<script" not in shown and "&lt;script&gt;alert(1)" in shown and "b&amp;b" in shown
    assert not re.search(r"https?://|src=\"(?!data:image/)", shown)
    assert "Accuracy <b>" in shown and shown.count("<svg") == 2 and shown.count("<polyline") == 4
    assert 1 <= shown.count("<img") <= 10 and "tiny.int8.tflite" in shown and "failed" in shown
    assert len(shown) < 60_000
    write_status(run, error="No <b>luck</b>.")
    assert "No &lt;b&gt;luck&lt;/b&gt;." in kerasdl.open_run("tiny")._repr_html_()
    opened = kerasdl.open_run("tiny")
    (run.path / "metrics.json").write_text("{")
    assert "metrics.json" in opened._repr_html_()
    with pytest.raises(RunFailedError):
        kerasdl.open_run("tiny")


def chart(ys, kind="linear"):
    layout = {"yaxis": {"type": kind}, "xaxis": {"title": {"text": "epoch"}}}
    data = [{"name": "a", "x": [*range(1, len(ys) + 1)], "y": ys}]
    return Chart("Loss", {"data": data, "layout": layout}, "")


def test_lines_have_gaps_and_few_points():
    points = re.findall(r'points="([^"]*)"', cell.render("", [chart([1.0, 2.0, None, float("nan"), 3.0])]))
    assert points == ["8.0,142.0 79.0,75.0", "292.0,8.0 292.0,8.0"]
    assert "polyline" not in cell.render("", [chart([None, None])])
    (logarithmic,) = re.findall(r'points="([^"]*)"', cell.render("", [chart([0.01, 1.0, 100.0], "log")]))
    assert logarithmic == "8.0,142.0 150.0,75.0 292.0,8.0"
    (many,) = re.findall(r'points="([^"]*)"', cell.render("", [chart([float(i) for i in range(10_000)])]))
    assert 200 <= len(many.split()) <= 202


def test_tables_and_pictures_stay_small():
    table = Table("T", [Column("n", "d")], [[number] for number in range(1000)])
    shown = cell.render("", [table, Notice("<i>")])
    assert shown.count("<tr>") == 21 and "980 more" in shown and "&lt;i&gt;" in shown
    picture = Picture("data:image/png;base64," + "A" * 30_000, 9, 9, "", "<b>")
    shown = cell.render("", [Pictures([picture] * 40)])
    assert shown.count("<img") == 3 and "37 more" in shown and "<b></b>" in shown and "&lt;b&gt;" in shown


class Bright(Predictor):
    """Answers with class 1 for images that are bright."""

    kind = "keras"

    def __init__(self):
        inputs = {"serving_default": {"images": ((None, 12, 12, 1), "uint8")}}
        super().__init__(Path("x"), (), inputs)

    def _run(self, endpoint, inputs):
        bright = inputs["images"].mean((1, 2, 3)) / 255
        probabilities = np.stack([1 - bright, bright, 0 * bright], 1).astype(np.float32)
        return {"probabilities": probabilities, "class_ids": probabilities.argmax(1)}


@pytest.fixture
def model(run):
    found = kerasdl.load(run.path)
    found._predictor = Bright()
    for name, value in (("dark", 10), ("<b>", 240)):
        Path("photos").mkdir(exist_ok=True)
        Image.new("L", (12, 12), value).save(f"photos/{name}.png")
    return found


def test_predict_takes_arrays_and_lists(model):
    images = np.full((3, 12, 12, 1), 250, np.uint8)
    for given, count in ((images, 3), ([*images], 3), (images[0], 1), (images[:1], 1), (images.tolist(), 3)):
        found = model.predict(given)
        assert isinstance(found, dict) and found["class_ids"].tolist() == [1] * count
    with pytest.raises(UsageError, match=r"has shape \(any, 12, 12, 1\), but was given \(3, 12, 12\)"):
        model.predict(images[..., 0])
    with pytest.raises(UsageError, match="top and text_column are for files"):
        model.predict(images, top=3)
    assert repr(model) == "<Target runs/tiny/2: keras, Classification of (12, 12, 1), 3 classes>"


def test_predict_takes_files_folders_and_patterns(model):
    (one,) = model.predict("photos/dark.png")
    assert one["file"] == "photos/dark.png" and one["probability"] == pytest.approx(1 - 10 / 255, abs=1e-6)
    for given in ("photos", Path("photos"), "photos/*.png", [Path("photos/<b>.png"), "photos/dark.png"]):
        found = model.predict(given, top=2)
        assert [answer["class"] for answer in found] == ["b&b", "<script>alert(1)</script>"]
        assert [len(answer["top"]) for answer in found] == [2, 2]
        assert found["class_ids"].tolist() == [1, 0] and found["probabilities"].shape == (2, 3)
        assert isinstance(found, list) and found[-1] is [*found][-1] and len(found[:1]) == 1
    with pytest.raises(UsageError, match=r"no output 'class_id'.*Did you mean 'class_ids'"):
        found["class_id"]
    for given, words in (("no.png", "There is no image no.png"), (["photos", np.zeros(3)], "not both")):
        with pytest.raises(UsageError, match=words):
            model.predict(given)


def test_answers_show_themselves(model):
    shown = model.predict("photos")._repr_html_()
    assert "<script" not in shown and "photos/&lt;b&gt;.png" in shown and "94.1 %" in shown
    assert shown.count('src="data:image/png;base64,') == 2 and "2 predictions" in shown


class Shell:
    def has_trait(self, name):
        return name == "kernel"


@pytest.fixture
def notebook(monkeypatch):
    """A notebook that keeps what it was told: ("new" or "update", text)."""
    told = []

    class Handle:
        def update(self, shown, raw):
            told.append(("update", shown["text/plain"]))

    def display(shown, raw, display_id):
        told.append(("new", shown["text/plain"]))
        return Handle()

    ipython, displaying = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython, displaying.display = Shell, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displaying)
    line = status_line.StatusLine()
    for module in (terminal, status_line):
        monkeypatch.setattr(module, "line_of_status", line)
    monkeypatch.setattr(status_line.Cell, "_AT_ONCE", 0.0)
    return told


def test_progress_in_a_notebook_is_one_line_that_is_rewritten(notebook, asked, capsys):
    assert terminal.in_notebook()

    def work(recipe, console, **options):
        console.print("epoch 1")
        with terminal.status("Loading"):
            with terminal.status("Exporting"):
                pass
            terminal.line_of_status.wipe()
        return types.SimpleNamespace(sentence=lambda: "runs/\x1b[31mx")

    train.train = work  # `asked` puts the real one back
    kerasdl.train("lenet5", data="digits")
    assert [kind for kind, _ in notebook] == ["new"] + ["update"] * (len(notebook) - 1)
    texts = [text for _, text in notebook]
    assert texts[0].startswith("Starting") and {"Loading ...", "Exporting ..."} <= set(texts)
    assert texts[-1] == r"runs/\x1b[31mx"
    assert capsys.readouterr() == ("", "")
    del notebook[:]
    kerasdl.train("lenet5", data="digits", progress=False)
    assert notebook == []


def test_what_is_over_at_once_leaves_nothing_in_a_notebook(notebook, monkeypatch):
    monkeypatch.setattr(status_line.Cell, "_AT_ONCE", 60.0)
    with terminal.status("Loading"):
        pass
    assert notebook == []


def test_a_terminal_is_no_notebook(monkeypatch):
    ipython = types.ModuleType("IPython")
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    for shell in (None, types.SimpleNamespace(has_trait=lambda name: False)):
        ipython.get_ipython = lambda shell=shell: shell
        assert not terminal.in_notebook()


def test_a_search_shows_itself():
    trials = [
        TrialRecord(number=number, status=status, values={"units": 8, "kind": "<b>"}, figures=figures)
        for number, status, figures in (
            (0, "completed", {"val_accuracy": 0.5}),
            (1, "completed", {"val_accuracy": 0.9}),
            (2, "failed", {}),
        )
    ]  # fmt: skip
    aims = (parse_objective("val_accuracy"),)
    found = SearchRecord(
        path=Path("searches/x/1"), name="x", tuner="random", method="", objectives=aims, trials=tuple(trials)
    )
    assert repr(found) == "<SearchRecord searches/x/1: 3 trials; best: trial 1, val_accuracy 0.9>"
    assert repr(found.best()) == "<trial 1, completed: units=8, kind='<b>'>"
    shown = found._repr_html_()
    assert "&lt;b&gt;" in shown and "1 further trials failed" in shown and shown.count("<polyline") == 2
    assert shown.index(">1</td>") < shown.index(">0</td>")  # the best first
    nothing = dataclasses.replace(found, trials=())
    with pytest.raises(UsageError, match="has no best trial"):
        nothing.recipe()
