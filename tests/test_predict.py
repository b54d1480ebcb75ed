"""What `kerasdl predict` takes, and what it says of images that are unlike those of the training."""

import re

import numpy as np
import pytest
from PIL import Image

from kerasdl.cli import answers
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.errors import UsageError
from kerasdl.inference import given, reading
from kerasdl.jobs import unlike


def save(path, size=(8, 8), value=80, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, value)).save(path)
    return str(path)


def test_folders_patterns_and_lines_stand_for_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/2.png", "a/b/1.JPG", "a/.hidden.png", "c/x.png"):
        save(tmp_path / name)
    (tmp_path / "a/notes.txt").touch()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/t.txt").touch()
    lines = ["c/x.png\r\n", "\n", "a good film\n"]
    found = given.expand(["a", "*/*.png", "texts", "-", "is it good?", "0.5,1"], lines)
    assert found == [
        "a/2.png", "a/b/1.JPG", "a/2.png", "c/x.png", "texts/t.txt", "c/x.png", "a good film", "is it good?",
        "0.5,1",
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    for wrong, words in (
        ("c/y.png", "There is no image c/y.png. Did you mean 'x.png'"),
        ("d/*.png", "No file matches"),
        ("empty", "holds no image"),
        ("-", "Standard input was empty"),
    ):
        with pytest.raises(UsageError, match=re.escape(words)):
            given.expand([wrong], [])


def test_images_unlike_the_training_are_named(tmp_path):
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "reference.npz", features=draw.integers(60, 100, (6, 32, 32, 1)).astype(np.uint8))
    spec = DataSpec(Spec((32, 32, 1), "uint8"), Spec((), "int32", ("a", "b")))

    def notes(*files):
        images = [np.array(Image.open(file).convert("L").resize((32, 32)))[..., None] for file in files]
        return unlike.notes(tmp_path, "keras", spec, "serving_default", files, images)

    good = save(tmp_path / "good.png", (40, 40))
    assert notes(good) == []
    (said,) = notes(save(tmp_path / "white.png", (40, 40), 255), good)
    assert "white.png is far brighter" in said
    (said,) = notes(
        good, save(tmp_path / "red.png", (40, 40), 150, "RGB"), save(tmp_path / "r.png", (32, 32), 150, "RGB")
    )
    assert re.search(r"red.png and 1 more images are in colours", said)
    (said,) = notes(save(tmp_path / "tiny.png", (7, 7)))
    assert "tiny.png is much smaller than the 32x32 pixels" in said


def test_answers_are_a_table_with_a_header(capsys):
    top = [{"class": "cat", "probability": 0.9}, {"class": "dog", "probability": 0.095}]
    rows = [
        {"file": "a.png", "class": "cat", "probability": 0.9, "top": top},
        {"file": "long name.png", "class": "dog", "probability": 0.5},
    ]
    answers.print_answers(rows)
    assert capsys.readouterr().out.splitlines() == [
        "file           class  probability  then",
        "a.png          cat    90.0 %       dog 9.5 %",
        "long name.png  dog    50.0 %",
    ]
    answers.print_csv(rows)
    assert capsys.readouterr().out.splitlines() == [
        "file,class,probability,class_2,probability_2", "a.png,cat,0.9,dog,0.095", "long name.png,dog,0.5,,",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "text", "words"),
    [
        ("float32", "nan,1", "nan is not a finite number"),
        ("float32", "1,-inf", "-inf is not a finite number"),
        ("float32", "1e39,1", "1e.39 is not a finite number"),
        ("int32", "1.7,1", "1.7 is not a whole number"),
        ("int32", "nan,1", "nan is not a whole number"),
        ("uint8", "1,300", "300 is not a whole number that it can hold"),
        ("uint8", "-1,0", "-1 is not a whole number"),
    ],
)
def test_numbers_that_a_network_cannot_take_are_named(dtype, text, words):
    with pytest.raises(UsageError, match=words):
        reading.read_numbers(Spec((2,), dtype), text)
    assert reading.read_numbers(Spec((2,), dtype), "1,2e0").tolist() == [1, 2]


def test_gaps_in_arrays_are_said(caplog):
    reading.warn_of_gaps({"inputs": np.array([[1, np.nan], [np.inf, 2], [3, 4]])})
    assert "2 of 3 examples hold NaN or infinite numbers (inputs)" in caplog.text
    caplog.clear()
    reading.warn_of_gaps({"inputs": [[1.0, 2.0]], "texts": np.array(["a"], object)})
    assert caplog.text == ""
