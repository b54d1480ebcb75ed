"""The folder of a bundle's versions: what stays the same from version to version, and what is left behind."""

import json
import os
import subprocess
import sys
import time

import pytest

from kerasdl.errors import UsageError
from kerasdl.export import destination

ALL = ("saved_model", "tflite", "onnx")
INPUTS = {"images": {"shape": [None, 8, 8, 1], "dtype": "uint8"}}
OUTPUTS = {"probabilities": {"shape": [None, 2], "dtype": "float32"}}


def signature(labels=("cat", "dog"), **changes):
    endpoint = {"name": "serving_default", "formats": ["saved_model", "onnx"], "inputs": INPUTS,
                "outputs": OUTPUTS, **changes}  # fmt: skip
    return {"labels": list(labels), "endpoints": [endpoint]}


def version(root, name, number, card, files=("saved_model.pb",)):
    folder = root / name / str(number)
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_text("")
    if card is not None:
        needed = {"name": name, "artefacts": [], "files": {}, "samples": None}
        (folder / "card.json").write_text(json.dumps({**needed, **card}))


def chosen(root, card, formats=ALL, new_signature=False):
    return destination.choose(root, "net", formats, card, new_signature=new_signature).name


OTHER_IMAGES = {"images": {"shape": [None, 28, 28, 1], "dtype": "uint8"}}
OTHERS = {
    "labels": signature(("cat", "dog", "emu")),
    "order": signature(("dog", "cat")),
    "inputs": signature(inputs=OTHER_IMAGES),
    "dtype": signature(inputs={"images": {**INPUTS["images"], "dtype": "float32"}}),
    "outputs": signature(outputs={"class_ids": OUTPUTS["probabilities"]}),
    "name": signature(name="serve"),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_answers_otherwise_goes_to_another_name(tmp_path, other, caplog):
    version(tmp_path, "net", 3, signature())
    assert chosen(tmp_path, signature()) == "net"
    assert caplog.text == ""
    assert chosen(tmp_path, other) == "net-2"
    assert "--new-signature" in caplog.text
    version(tmp_path, "net-2", 1, signature(("third",)))
    assert chosen(tmp_path, other) == "net-3"
    version(tmp_path, "net-3", 1, other)
    assert chosen(tmp_path, other) == "net-3"
    assert chosen(tmp_path, other, new_signature=True) == "net"
    assert chosen(tmp_path, signature()) == "net"


def test_the_difference_is_said(tmp_path, caplog):
    version(tmp_path, "net", 1, signature())
    chosen(tmp_path, signature(("cat", "emu"), inputs=OTHER_IMAGES))
    assert "labels: cat, dog there, cat, emu here" in caplog.text
    assert "images uint8 [None, 8, 8, 1] there, images uint8 [None, 28, 28, 1] here" in caplog.text


def test_more_endpoints_do_no_harm_and_fewer_do(tmp_path):
    more = signature()
    more["endpoints"].append({**more["endpoints"][0], "name": "serving_bytes"})
    version(tmp_path, "net", 1, signature())
    assert chosen(tmp_path, more) == "net"
    version(tmp_path, "net", 2, more)
    assert chosen(tmp_path, signature()) == "net-2"


@pytest.mark.parametrize(
    "formats, name",
    [(("onnx",), "net-onnx"), (("tflite",), "net-tflite"), (("onnx", "tflite"), "net-tflite-onnx")],
)
def test_what_tensorflow_serving_cannot_load_goes_to_another_name(tmp_path, formats, name):
    version(tmp_path, "net", 1, signature())
    assert chosen(tmp_path, signature(), formats) == name
    assert chosen(tmp_path, signature(), formats, new_signature=True) == name


def test_the_newest_version_with_a_savedmodel_and_a_card_counts(tmp_path):
    version(tmp_path, "net", 2, signature(("old",)))
    version(tmp_path, "net", 9, signature())
    version(
        tmp_path, "net", 10, signature(("no SavedModel",)), files=("net.onnx",)
    )  # as earlier versions wrote
    version(tmp_path, "net", 11, None)
    version(tmp_path, "net", 12, None)
    (tmp_path / "net" / "12" / "card.json").write_text("{")
    version(tmp_path, "net", 13, {})  # a card that tells nothing of labels and endpoints
    assert chosen(tmp_path, signature()) == "net"
    (tmp_path / "net" / "13" / "saved_model.pb").unlink()
    assert chosen(tmp_path, signature()) == "net"
    assert chosen(tmp_path, signature(("old",))) == "net-2"


@pytest.mark.parametrize("name", ["..", "", ".hidden", "a/b"])
def test_names_that_no_folder_has_are_refused_without_a_savedmodel_too(tmp_path, name):
    with pytest.raises(UsageError, match="cannot be the name of a folder"):
        destination.choose(tmp_path, name, ("onnx",), signature(), new_signature=False)
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from kerasdl.export import destination
with destination.workspace(Path(sys.argv[1])) as folder:
    (folder / "bundle").mkdir()
    (folder / "bundle" / "file").write_text("half")
    print("there", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_what_a_killed_export_leaves_is_removed_by_the_next(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "there\n"
    with destination.workspace(tmp_path):
        assert len(list(tmp_path.iterdir())) == 2  # the other one is alive
    process.kill()
    process.wait()
    (left,) = tmp_path.iterdir()
    with destination.workspace(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_go_once_nobody_holds_them(tmp_path):
    with destination.workspace(tmp_path) as held:
        gone, young, old = (tmp_path / f".exporting-{name}" for name in ("gone", "young", "old"))
        for folder in (gone, young, old):
            (folder / "bundle").mkdir(parents=True)
        (gone / "lock").touch()
        (tmp_path / "1").mkdir()
        os.utime(old, (time.time() - 90_000,) * 2)  # of an earlier version, which had no locks
        with destination.workspace(tmp_path) as mine:
            assert sorted(tmp_path.iterdir()) == sorted([held, young, mine, tmp_path / "1"])
    assert sorted(tmp_path.iterdir()) == [young, tmp_path / "1"]
