"""Damaged files of every kind end in one sentence that names the file, and never in a traceback."""

import hashlib
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image

import kerasdl
from kerasdl import files, shapes
from kerasdl.cli import main
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.runs import agreement
from kerasdl.runs.cards import Card
from kerasdl.runs.documents import SHAPES, Data
from kerasdl.runs.folder import open_run
from kerasdl.training import resume
from tests import damage

EARLIER = Path(__file__).parent / "earlier"
CHECKPOINT = "run/checkpoints/00000300"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with two runs, a bundle of one ONNX file, and a search."""
    folder = tmp_path_factory.mktemp("place")
    shutil.unpack_archive(EARLIER / "finished.tar.xz", folder, filter="data")
    shutil.unpack_archive(EARLIER / "search_finished.tar.xz", folder, filter="data")
    for old, new in {"runs/mlp/1": "run", "runs/mlp/2": "other", "searches/mlp/1": "search"}.items():
        (folder / old).rename(folder / new)
    (folder / "run/calibration.json").write_text('{"temperature": 1.5}')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _make_light(folder / "exported/mlp/1", folder / "bundle")
        Image.fromarray(np.zeros((8, 8), np.uint8)).save("x.png")
        yield folder


def _make_light(whole, folder):
    """Copy a bundle with its ONNX file alone: that is opened in no time."""
    card = json.loads((whole / "card.json").read_text())
    card["artefacts"] = [row for row in card["artefacts"] if row["kind"] == "onnx"]
    card["files"] = {name: card["files"][name] for name in ("mlp.onnx", "labels.txt", "README.md")}
    samples = card["samples"]["endpoints"]["serving_default"]
    samples["outputs"] = {name: samples["outputs"][name] for name in ("keras", "mlp.onnx")}
    card["samples"]["endpoints"] = {"serving_default": samples}
    folder.mkdir()
    for name in card["files"]:
        shutil.copy(whole / name, folder)
    (folder / "card.json").write_text(json.dumps(card))


def command(*arguments):
    return lambda: main([*arguments])


def open_and_load():
    target = kerasdl.load("run")
    target.load_data()
    return target.endpoints


def predict_with_bundle():
    return kerasdl.load("bundle/mlp.onnx").predict_files(["x.png"])


def resumed():
    """Open a run to resume it, up to the first step."""
    run = open_run("run")
    recipe = run.recipe()
    run.is_finished()
    checkpoint = resume.open_checkpoint(run, recipe, "0" * 64, force=True)
    if checkpoint is not None:
        checkpoint._values(metrics=False)


def resumed_with_sums():
    folder = Path(CHECKPOINT)
    names = [path for path in sorted(folder.iterdir()) if path.name != "SHA256SUMS"]
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in names)
    (folder / "SHA256SUMS").write_text(sums)
    resumed()


def reproduced():
    return agreement.compare(open_run("other"), open_run("run"), [])


def identities():
    then, now = (open_run(name).read_json("identity.json") for name in ("run", "other"))
    return then and resume.differences(then, now)


report, compare = command("report", "run"), command("compare", "other", "run")
show, verify = command("tune", "show", "search"), command("verify", "bundle")
from_trial = command("train", "mlp", "--data", "digits", "--from-trial", "search:1", "--print-recipe")

#: What reads each document.
DOCUMENTS = {
    "run/recipe.json": (report, compare, open_and_load, resumed),
    "run/status.json": (report, compare, resumed),
    "run/receipt.json": (report, compare, open_and_load, reproduced),
    "run/metrics.json": (report, compare, resumed, reproduced),
    "run/calibration.json": (open_and_load,),
    "run/identity.json": (identities,),
    f"{CHECKPOINT}/state.json": (resumed_with_sums,),
    "bundle/card.json": (verify, predict_with_bundle),
    "search/search.json": (show, from_trial),
    "search/oracle.json": (show,),
    "search/trial_1/trial.json": (show, from_trial),
    "search/recipe.json": (from_trial,),
}
#: What reads each file of another kind.
OTHERS = {
    "run/history.csv": (report, compare, reproduced),
    "run/labels.txt": (report, open_and_load),
    "run/predictions.npz": (compare,),
    "run/mistakes.npz": (report,),
    "run/augmented.npz": (report,),
    "run/model.keras": (lambda: open_run("run").network(),),
    f"{CHECKPOINT}/variables.npz": (resumed_with_sums,),
    f"{CHECKPOINT}/SHA256SUMS": (resumed,),
    "bundle/mlp.onnx": (verify, predict_with_bundle),
    "bundle/labels.txt": (predict_with_bundle,),
}
#: By default a few of each, with one reader.
QUICK = ("run/receipt.json", "run/metrics.json", "bundle/card.json", "search/trial_1/trial.json",
         f"{CHECKPOINT}/state.json", "run/history.csv", "run/predictions.npz")  # fmt: skip
#: Documents with so many places that all damages of them take minutes.
LONG = ("run/metrics.json", "run/receipt.json", "search/search.json")
ANYTHING = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


def attack(file, content, readers):
    """Put content into the place of a file, and read it; only sentences may come out."""
    path = Path(file)
    before = path.read_bytes()
    try:
        for read in readers:
            path.unlink()  # it may have a second name, that is to stay whole
            path.write_bytes(content)
            try:
                read()
            except (UsageError, RunFailedError) as error:
                assert str(error)
    finally:
        path.unlink()
        path.write_bytes(before)


def simple_damages(file):
    content = Path(file).read_bytes()
    return list(damage.every_document(content) if file in DOCUMENTS else damage.CONTENTS)


def drawn_damages(file):
    content = Path(file).read_bytes()
    return (damage.documents if file in DOCUMENTS else damage.bytes_like)(content)


@pytest.mark.slow
@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("file", QUICK)
def test_some_damages_of_files_that_are_read(file):
    reader = {**DOCUMENTS, **OTHERS}[file][:1]
    damages = simple_damages(file)
    for content in damages[:: len(damages) // 8]:
        attack(file, content, reader)

    @settings(max_examples=4, derandomize=True, phases=[Phase.generate], **ANYTHING)
    @given(drawn_damages(file))
    def further(content):
        attack(file, content, reader)

    further()


@pytest.mark.slow
@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    "file",
    [pytest.param(file, marks=pytest.mark.large) if file in LONG else file for file in (*DOCUMENTS, *OTHERS)],
)
def test_all_damages_of_every_file_that_is_read(file):
    readers = {**DOCUMENTS, **OTHERS}[file]
    chance = random.Random(file)
    for content in simple_damages(file):
        attack(file, content, [chance.choice(readers)])

    @settings(max_examples=10, phases=[Phase.generate, Phase.shrink], **ANYTHING)
    @given(drawn_damages(file))
    def further(content):
        attack(file, content, readers)

    further()


TENSOR = {"shape": [1], "dtype": "uint8"}
WHOLE = {"fingerprint": "a", "features": TENSOR}
WRONG = {
    "fingerprint is 5 where a text is expected": {**WHOLE, "fingerprint": 5},
    "it lacks fingerprint": {"features": TENSOR},
    "features is a list where an object is expected": {**WHOLE, "features": []},
    "features.shape.0 is 2.5 where": {**WHOLE, "features": {"shape": [2.5], "dtype": "x"}},
    "fingerprint is no Unicode text": {**WHOLE, "fingerprint": "a\ud800"},
    "a key of features is no Unicode text": {**WHOLE, "features": {"x\ud800": {}}},
    "examples.train is a number of 31 digits": {**WHOLE, "examples": {"train": 10**30}},
    "examples.train is True where": {**WHOLE, "examples": {"train": True}},
    "more than 50 levels deep": {**WHOLE, "further": json.loads("[" * 60 + "]" * 60)},
    "it is a list where an object is expected": [],
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_not_of_its_shape_is_said(said):
    assert said in shapes.problem(WRONG[said], Data)


def test_what_is_of_its_shape_passes():
    whole = {**WHOLE, "features": {"shape": [None, 8], "dtype": "uint8"}, "further": [1, {"x": None}]}
    assert shapes.problem(whole, Data) is None
    several = {**whole, "features": {"image": {"shape": [8], "dtype": "uint8"}}, "examples": {"train": 5}}
    assert shapes.problem(several, Data) is None
    failed = {"file": "a.onnx", "kind": "onnx", "error": "no"}
    card = {"name": "x", "artefacts": [failed], "files": {"a": {"sha256": "0", "bytes": 1}}, "samples": None}
    assert shapes.problem(card, Card) is None
    card["artefacts"] = [{"file": "a.onnx", "kind": "onnx"}]
    assert shapes.problem(card, Card) == "artefacts.0 lacks bytes, endpoint, endpoints, sha256"


@pytest.mark.parametrize("name", SHAPES)
def test_every_document_of_a_run_names_file_and_key(place, name):
    path = Path("run") / name
    if not path.exists():  # only runs of language models write samples
        path.write_text('{"samples": []}')
    document = json.loads(path.read_text())
    key = next(iter(document))
    content = damage.replaced(document, (key,), "[[]]").encode()
    said = rf"{name} is damaged \({key}(\.0)? is a list where .* is expected\)"
    with pytest.raises(RunFailedError, match=said):
        attack_and_raise(path, content)


def attack_and_raise(path, content):
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        open_run("run").read_json(path.name)
    finally:
        path.write_bytes(before)


def test_arrays_that_would_fill_the_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", zeros=np.zeros(10**6))
    monkeypatch.setattr(files, "_LARGEST_ARRAYS", 10**6)
    with pytest.raises(RunFailedError, match=r"bomb.npz is damaged \(it would take 0 GiB of memory\)"):
        files.read_arrays(tmp_path / "bomb.npz")


def test_faults_of_the_machine_are_no_damage(tmp_path):
    def fail(error):
        with files.parsing(tmp_path):
            raise error

    for error in (OSError(28, "No space left on device"), PermissionError(13, "Permission denied")):
        with pytest.raises(OSError, match=error.strerror):
            fail(error)
    for error in (UsageError("as it is"), RunFailedError("as it is")):
        with pytest.raises(type(error), match=r"^as it is$"):
            fail(error)
    with pytest.raises(RunFailedError, match=r"is damaged \(KeyError: 'x'\)"):
        fail(KeyError("x"))
