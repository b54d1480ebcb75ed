"""What version 0.1.0 made before the package was rearranged still works: runs, bundles, searches.

How `tests/earlier/` was made stands in its README. Only the command line and `kerasdl.load`, `train`,
`resume`, `tune`, `load_recipe` are used here, so that nothing of this file depends on where modules are.
"""

import csv
import importlib.metadata
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import kerasdl
from kerasdl.cli import main

EARLIER = Path(__file__).parent / "earlier"
ANSWERS = json.loads((EARLIER / "answers.json").read_text())

#: What was typed to train, but for the epochs.
TRAIN = "train mlp --data digits --hidden-units 16 --learning-rate 0.02 --batch-size 64 --deterministic"
#: What was typed to begin the searches, but for the number of trials of the second; it goes on with them.
TUNE = "tune mlp --data digits --hidden-units 32 --learning-rate 0.01 --deterministic"
INTERRUPTED = f"{TUNE} --max-trials 4 --epochs 6 --checkpoint-every 3 --size 4,4 --seed 47"
RANDOM = f"{TUNE} --tuner random --epochs 2"

#: Figures may differ by this much: other processors round the last bits otherwise.
CLOSE = {"rel": 0, "abs": 1e-4}


def unpack(name, folder):
    shutil.unpack_archive(EARLIER / f"{name}.tar.xz", folder, filter="data")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with the finished runs and the bundle; what is added goes elsewhere."""
    folder = tmp_path_factory.mktemp("finished")
    unpack("finished", folder)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Where commands are typed: nothing lies there yet."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Ten image files, one of each digit."""
    folder = tmp_path_factory.mktemp("images")
    pixels = np.round(load_digits().images[:10] * 255 / 16).astype(np.uint8)
    files = [folder / f"{index}.png" for index in range(10)]
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image).save(file)
    return files


def read(path):
    return json.loads(path.read_text())


def history(run):
    with (run / "history.csv").open(newline="") as file:
        return [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)]


def assert_same_history(found, wanted):
    assert len(found) == len(wanted)
    for row, other in zip(found, wanted, strict=True):
        assert {**row, "seconds": 0} == pytest.approx({**other, "seconds": 0}, **CLOSE)


def accuracy(run):
    return read(run / "metrics.json")["test"]["accuracy"]


def force(run):
    """Return ["--force"] where other libraries than then are installed: that alone may differ."""
    then = read(run / "identity.json")["versions"]
    libraries = [name for name in then if name != "kerasdl"]
    return ["--force"] if any(importlib.metadata.version(name) != then[name] for name in libraries) else []


def answer(capsys, *arguments, code=0):
    """Run a command with --json; return the document it printed."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def trials(search):
    """Return status, values and score of each trial, from Keras Tuner's files."""
    files = sorted(search.glob("trial_*/trial.json"), key=lambda file: int(file.parent.name[6:]))
    states = [read(file) for file in files]
    return [
        {"status": state["status"], "values": state["hyperparameters"]["values"], "score": state["score"]}
        for state in states
    ]


def assert_same_trials(found, wanted):
    assert [trial["status"] for trial in found] == ["COMPLETED"] * len(wanted)
    for trial, other in zip(found, wanted, strict=True):
        assert trial["values"].keys() == other["values"].keys()
        for name, value in other["values"].items():
            wanted = pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            assert trial["values"][name] == wanted, name
        assert trial["score"] == pytest.approx(other["score"], **CLOSE)


# Finished runs and their bundle.


@pytest.mark.parametrize(
    "target",
    ["runs/mlp/1", "runs/mlp/2", "exported/mlp/1", *(f"exported/mlp/1/{name}" for name in ANSWERS["files"])],
)
def test_evaluate(kept, capsys, target):
    found = answer(capsys, "evaluate", kept / target)
    wanted = ANSWERS["runs"].get(
        target, ANSWERS["files"].get(Path(target).name, ANSWERS["runs"]["runs/mlp/1"])
    )
    assert found["accuracy"] == pytest.approx(wanted, **CLOSE)
    assert found["examples"] == 359
    assert found["same_data_as_training"]


def test_evaluate_where_the_data_is_said_again(kept, capsys):
    found = answer(capsys, "evaluate", kept / "exported/mlp/1", "--data", "digits", "--split", "validation")
    best = max(row["val_accuracy"] for row in history(kept / "runs/mlp/1"))
    assert found["accuracy"] == pytest.approx(best, **CLOSE)


@pytest.mark.parametrize("target", ["runs/mlp/1", "exported/mlp/1", "exported/mlp/1/mlp.int8.tflite"])
def test_predict(kept, images, capsys, target):
    found = answer(capsys, "predict", kept / target, *images)
    assert [row["class"] for row in found] == ANSWERS["classes"]


def test_load(kept):
    pixels = np.round(load_digits().images[:10] * 255 / 16).astype(np.uint8)[..., None]
    left, right = (kerasdl.load(kept / path).predict(pixels) for path in ("runs/mlp/1", "exported/mlp/1"))
    assert [str(index) for index in left["class_ids"]] == ANSWERS["classes"]
    np.testing.assert_allclose(left["probabilities"], right["probabilities"], atol=1e-5)
    np.testing.assert_allclose(left["probabilities"].max(axis=1), ANSWERS["probabilities"], atol=1e-4)


def test_verify(kept, capsys):
    found = answer(capsys, "verify", kept / "exported/mlp/1")
    assert found["verified"]
    asked = "the answers of 6 exported files to the embedded samples and all 359 test examples"
    assert found["note"] == f"the hashes of 11 files, and {asked}"
    assert len(found["artefacts"]) == 6


def test_benchmark(kept, capsys):
    options = ["--threads", "1", "--batch-sizes", "1", "--seconds", "0.01"]
    found = answer(capsys, "benchmark", kept / "exported/mlp/1/mlp.onnx", *options)
    assert found["artefacts"][0]["accuracy"] == pytest.approx(ANSWERS["files"]["mlp.onnx"], **CLOSE)


def test_compare(kept, here, capsys):
    found = answer(capsys, "compare", kept / "runs/mlp/1", kept / "runs/mlp/2", "--html", "out.html")
    assert found["recipes"] == {"seed": ["0", "1"]}
    assert found["figures"]["accuracy"] == pytest.approx(list(ANSWERS["runs"].values()))
    (difference,) = found["differences"]
    assert (difference["first_only"], difference["second_only"]) == (18, 6)
    assert (here / "out.html").is_file()


def test_report(here, capsys):
    unpack("finished", here)
    assert main(["report", "runs/mlp/1"]) == 0
    assert "94.43" in (here / "runs/mlp/1/report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_reproduce(kept, here, capsys):
    capsys.readouterr()
    main(["reproduce", str(kept / "runs/mlp/1"), "--json"])  # other processors give other last bits: code 1
    found = json.loads(capsys.readouterr().out)
    rows = {row["what"]: row for row in found["rows"]}
    assert rows["data (fingerprint)"]["agrees"]
    again = here / "runs/mlp/1"
    assert_same_history(history(again), history(kept / "runs/mlp/1"))
    assert accuracy(again) == pytest.approx(accuracy(kept / "runs/mlp/1"), **CLOSE)
    compared = answer(capsys, "compare", kept / "runs/mlp/1", again)
    # What classes are called now is no other setting; what runs settle since then is told.
    assert compared["recipes"] == {
        "min_steps_per_epoch": [None, "0"],
        "task.judge_by": ["auto", "accuracy"],
        "beta_1": [None, "0.9"],
        "beta_2": [None, "0.999"],
        "model.num_outputs": [None, "none"],
    }


@pytest.mark.slow
def test_export(kept, here, capsys):
    unpack("finished", here)
    shutil.rmtree("exported")
    arguments = ["--formats", "saved_model,tflite,onnx", "--tflite-modes", "float32,int8"]
    assert main(["export", "runs/mlp/1", *arguments]) == 0
    rows = read(here / "exported/mlp/1/card.json")["artefacts"]
    names = ["saved_model.pb", "mlp.float32.tflite", "mlp.int8.tflite", "mlp.onnx"]
    assert [row["file"] for row in rows] == names
    for row in rows:
        assert row["accuracy"] == pytest.approx(
            ANSWERS["files"].get(row["file"], accuracy(here / "runs/mlp/1"))
        )


@pytest.mark.slow
def test_weights_of_an_earlier_run(kept, here):
    arguments = ["--epochs", "1", "--learning-rate", "1e-9", "--schedule", "constant", "--no-export"]
    assert main([*TRAIN.split(), *arguments, "--weights", str(kept / "runs/mlp/1")]) == 0
    assert accuracy(here / "runs/mlp/1") == pytest.approx(ANSWERS["runs"]["runs/mlp/1"], **CLOSE)


@pytest.mark.slow
def test_a_run_is_a_recipe(kept, here):
    recipe = kerasdl.load_recipe(str(kept / "runs/mlp/1"), epochs=2)
    result = kerasdl.train(recipe, export=False)
    assert recipe.model.arguments["hidden_units"] == (16,)
    first = history(kept / "runs/mlp/1")[0]  # the schedule is another one, so that only a part is the same
    assert history(result.run.path)[0]["loss"] == pytest.approx(first["loss"], abs=0.1)


# Going on with runs.


@pytest.mark.slow
def test_resume_an_interrupted_run(here):
    unpack("interrupted", here)
    run = here / "runs/mlp/1"
    assert main(["train", "--resume", "runs/mlp/1", *force(run)]) == 0
    assert_same_history(history(run), ANSWERS["resumed"]["history"])
    assert accuracy(run) == pytest.approx(ANSWERS["resumed"]["accuracy"], **CLOSE)
    assert read(run / "metrics.json")["best_epoch"] == ANSWERS["resumed"]["best_epoch"]
    (resumed,) = read(run / "receipt.json")["resumed"]
    assert resumed["step"] == 125


@pytest.mark.slow
def test_train_on(here):
    unpack("finished", here)
    run = here / "runs/mlp/1"
    before = history(run)
    assert main(["train", "--resume", "runs/mlp/1", "--epochs", "17", "--no-export", *force(run)]) == 0
    assert_same_history(history(run), [*before, *ANSWERS["longer"]["history"]])
    assert accuracy(run) == pytest.approx(ANSWERS["longer"]["accuracy"], **CLOSE)


def test_resume_a_finished_run_from_python(kept):
    result = kerasdl.resume(kept / "runs/mlp/2")
    assert result.metrics["accuracy"] == pytest.approx(ANSWERS["runs"]["runs/mlp/2"])
    assert len(history(kept / "runs/mlp/2")) == 15


# A run on photos, which were then read as they are stored: EXIF, alpha and the lower bits were ignored.


@pytest.mark.slow
def test_photos_are_read_as_they_were(here, capsys):
    unpack("folder", here)
    then = ANSWERS["folder"]
    found = answer(capsys, "predict", "runs/mlp/1", *then["probabilities"])
    for row in found:
        wanted = then["probabilities"][row["file"]]
        assert [row["class"], pytest.approx(row["probability"], **CLOSE)] == wanted
    evaluated = answer(capsys, "evaluate", "runs/mlp/1")
    assert evaluated["same_data_as_training"]
    assert evaluated["crossentropy"] == pytest.approx(then["crossentropy"], **CLOSE)


@pytest.mark.slow
def test_train_on_with_photos(here):
    unpack("folder", here)
    run = here / "runs/mlp/1"
    before = history(run)
    assert main(["train", "--resume", "runs/mlp/1", "--epochs", "14", "--no-export", *force(run)]) == 0
    assert_same_history(history(run), [*before, *ANSWERS["folder"]["longer"]])


# Searches.


def test_show_a_search(here, capsys):
    unpack("search_random", here)
    assert main(["tune", "show", "searches/mlp/1"]) == 0
    shown = capsys.readouterr().out
    assert "2 of 2 trials (2 completed)" in shown
    assert "0.9441" in shown
    assert (here / "searches/mlp/1/report.html").is_file()


@pytest.mark.slow
def test_train_the_best_trial(here):
    unpack("search_random", here)
    assert main(["train", "mlp", "--from-trial", "searches/mlp/1:best", "--no-export"]) == 0
    assert accuracy(here / "runs/mlp/1") == pytest.approx(ANSWERS["best_trial"], **CLOSE)
    assert read(here / "runs/mlp/1/recipe.json")["fields"]["model"]["fields"]["hidden_units"] == [880]


def test_the_best_recipe_is_a_pipeline(here, capsys):
    unpack("search_random", here)
    assert main(["train", "searches/mlp/1/best.json", "--print-recipe"]) == 0
    fields = json.loads(capsys.readouterr().out)["fields"]
    assert (fields["model"]["fields"]["hidden_units"], fields["batch_size"]) == ([880], 49)


def test_a_trial_is_a_run(here, capsys):
    unpack("search_finished", here)
    run = here / "searches/mlp/1/trial_0/mlp/1"
    found = answer(capsys, "evaluate", run, "--split", "validation")
    assert found["accuracy"] == pytest.approx(trials(here / "searches/mlp/1")[0]["score"], **CLOSE)
    assert main(["report", str(run)]) == 0


@pytest.mark.slow
def test_go_on_with_an_interrupted_search(here):
    unpack("search_interrupted", here)
    search = here / "searches/mlp/1"
    exactly = not force(search / "trial_2/mlp/1")
    assert main(INTERRUPTED.split()) == 0
    assert [path.name for path in search.parent.iterdir()] == ["1"]  # no new one was begun
    if exactly:  # with other libraries the third trial is not gone on with
        assert_same_trials(trials(search), ANSWERS["continued"])
        assert_same_history(history(search / "trial_2/mlp/1"), ANSWERS["third_trial"])
        assert "Going on after step 10, in epoch 2 of 6." in (search / "trial_2/log.txt").read_text()
    assert read(search / "search.json")["finished"]


@pytest.mark.slow
def test_add_a_trial_to_a_finished_search(here):
    unpack("search_finished", here)
    search = here / "searches/mlp/1"
    recipe = kerasdl.load_recipe("searches/mlp/1/recipe.json")
    found = kerasdl.tune("mlp", recipe=recipe, max_trials=4, searches_dir=Path("searches"))
    assert [path.name for path in search.parent.iterdir()] == ["1"]
    assert_same_trials(trials(search), ANSWERS["extended"])
    assert found.best().number == 3


@pytest.mark.slow
def test_add_a_trial_to_a_random_search(here):
    unpack("search_random", here)
    assert main([*RANDOM.split(), "--max-trials", "3"]) == 0
    assert [path.name for path in (here / "searches/mlp").iterdir()] == ["1"]
    assert_same_trials(trials(here / "searches/mlp/1"), ANSWERS["extended_random"])


# A recipe file of one's own: its imports may have moved. Then one sentence says so.


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "runs/my_recipe/1", "--json", "--trust"],
        ["evaluate", "exported/my_recipe/1/my_recipe.onnx", "--json", "--trust"],
        ["train", "./my_recipe.py", "--filters", "4", "--epochs", "1", "--no-export"],
        ["train", "--resume", "runs/my_recipe/1", "--no-export", "--trust"],
    ],
    ids=" ".join,
)
def test_own_recipe_works_or_is_refused_in_one_sentence(here, capsys, arguments):
    unpack("own_recipe", here)
    code = main(arguments)
    shown = capsys.readouterr()
    if code == 0:
        if "--json" in arguments:
            wanted = ANSWERS["own_recipe"]
            assert json.loads(shown.out)["accuracy"] == pytest.approx(wanted, **CLOSE)
        return
    assert code == 2
    assert "Traceback" not in shown.err
    assert shown.err.splitlines()[-1].startswith("kerasdl: ")
