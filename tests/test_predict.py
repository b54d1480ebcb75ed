"""What `kerasdl predict` takes, and what it says of images that are unlike those of the training."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from kerasdl.cli import answers, artefacts, main, printing
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.errors import UsageError
from kerasdl.export.bundle import Bundle
from kerasdl.inference import given, reading, sentences
from kerasdl.jobs import unlike
from kerasdl.tasks.classification.task import Classification
from kerasdl.tasks.forecast.task import Forecast


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


NUMBERS = Spec((2,), "float32")
NAMED = Spec((2,), "float32", columns=("b", "a"))


def rows_of(inputs, *given, column=None):
    found = reading.reader(inputs)["reads_many"]([str(one) for one in given], column)
    return [(*example.about.values(), example.features.tolist()) for example in found]


def test_rows_of_tables_and_arrays_are_examples(tmp_path):
    table, bare = tmp_path / "new.csv", tmp_path / "bare.tsv"
    table.write_text("a;x;b\n1;7;2\n\n3;7;4\n;;\n;;\n")
    bare.write_text("1\t2\n3\t4\n")
    assert rows_of(NAMED, table) == [(str(table), 1, [2, 1]), (str(table), 2, [4, 3])]  # by name
    assert rows_of(NUMBERS, bare, "5,6") == [(str(bare), 1, [1, 2]), (str(bare), 2, [3, 4]), ("5,6", [5, 6])]
    np.save(tmp_path / "x.npy", np.array([[1, 2]]))
    np.savez(tmp_path / "x.npz", labels=[0, 1], x_test=[[1, 2], [3, 4]])
    arrays = rows_of(NUMBERS, tmp_path / "x.npy", tmp_path / "x.npz")
    assert [row[2] for row in arrays] == [[1, 2], [1, 2], [3, 4]]
    grey = Spec((2, 2, 1), "uint8")
    np.save(tmp_path / "grey.npy", np.full((3, 2, 2), 9))
    assert [row[2] for row in rows_of(grey, tmp_path / "grey.npy")] == [[[[9], [9]], [[9], [9]]]] * 3


@pytest.mark.parametrize(
    "pixels", [[[False, True]], np.uint8([[0, 1]]), np.float32([[0, 1]]), [[0.001, 0.999]]]
)
def test_pixels_from_0_to_1_are_read_as_in_training(tmp_path, caplog, pixels):
    np.save(tmp_path / "x.npy", np.array([pixels]))
    assert rows_of(Spec((1, 2, 1), "uint8"), tmp_path / "x.npy")[0][2] == [[[0], [255]]]
    assert "pixels from 0 to 1: 1 is taken for white" in caplog.text


def test_arrays_of_pixels_from_0_to_1_are_refused():
    images, good = Spec((1, 2, 1), "uint8"), np.float32([[[[0], [255]]]])
    for wrong in (good / 255, good > 0):
        with pytest.raises(UsageError, match=r"Pixels are 0 to 255, but these are .* from 0 to 1\. Multiply"):
            reading.check_pixels(images, wrong)
    for right in (good, good * 0, np.uint8(good > 0)):
        reading.check_pixels(images, right)
    reading.check_pixels(Spec((1, 2, 1), "float32"), good / 255)


@pytest.mark.parametrize(
    ("inputs", "name", "content", "words"),
    [
        (NAMED, "x.csv", "a,c\n1,2\n", "has no column 'b'; it has a, c"),
        (NUMBERS, "x.csv", "a,b,c\n1,2,3\n", "has 3 columns, but the network takes 2 numbers"),
        (NAMED, "x.csv", "a,b\n1,2\n,\n3,4\n,\n", "line 3: '' is not a number"),
        (NAMED, "x.csv", "a,b,b\n1,2,3\n", "has 2 columns 'b'"),
        (NUMBERS, "x.csv", "1,\n2,3\n", "line 1: '' is not a number"),
        (NUMBERS, "x.csv", "a,b\n1,x\n", "line 2: 'x' is not a number"),
        (NUMBERS, "x.csv", "a,b\n1,nan\n", "line 2: the network takes float32, and nan is not a finite"),
        (NUMBERS, "x.csv", "a,b\n1\n", "line 2: 1 cells, but the first row has 2"),
        (NUMBERS, "x.csv", "a,b\n", "has no row below its header"),
        (NUMBERS, "x.csv", "", "is empty"),
        (NUMBERS, "x.npy", [[1, 2, 3]], r"holds int64 of shape \(1, 3\)"),
        (NUMBERS, "x.npz", {"p": [1], "q": [2]}, "has the arrays p, q"),
        (NUMBERS, "x.npz", {"x": np.zeros((0, 2))}, "holds no example"),
        (Spec((2, 2, 3), "uint8"), "x.npy", np.full((1, 2, 2, 3), 1.5), "1.5 is not a whole number"),
        (NUMBERS, "x.npz", "no archive", "is damaged|cannot be read|not"),
    ],
)
def test_tables_and_arrays_that_do_not_fit_are_refused(tmp_path, inputs, name, content, words):
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, np.array(content))
    with pytest.raises(UsageError, match=words):
        rows_of(inputs, path)
    with pytest.raises(UsageError, match="--text-column is for networks that read texts"):
        rows_of(inputs, path, column="text")


@pytest.mark.parametrize(
    ("inputs", "name", "words"),
    [
        (Spec((), "string"), "a.png", "a.png is a .png file, but this network reads texts: give a text, or a "
         "file of them (.txt, .csv, .tsv, .jsonl or .ndjson)."),
        (Spec((2,), "float32"), "a.png", "nor an existing .csv, .tsv, .npy or .npz file."),
        (Spec((2, 2, 1), "uint8"), "a.csv", "a.csv is not a readable image. Give a JPEG"),
        (Spec((2, 2, 1), "uint8"), "good film", "There is no image good film"),
    ],
)  # fmt: skip
def test_what_a_network_cannot_read_is_told_with_what_it_can(tmp_path, monkeypatch, inputs, name, words):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.png")
    (tmp_path / "a.csv").write_text("text,label\ngood,1\n")
    with pytest.raises(UsageError, match=re.escape(words)):
        rows_of(inputs, name)


@pytest.mark.parametrize(
    ("content", "column", "expected"),
    [
        ('Sentence #,Word,Tag\n1,Call,O\n,Anna,B-PER\n2,"1,5",O\n', None, ["Call Anna", "1,5"]),
        ("sentence,word\n1,Call\n1,Anna\n2,now\n", "word", ["Call Anna", "now"]),
        ('id,text\n1,"Call Anna, now"\n2,\n3,Yes\n', None, ["Call Anna , now", "Yes"]),
        ("word,said\n1,Call Anna\n", "said", ["Call Anna"]),
        ("word\nCall\nAnna\n\nnow\n", None, ["Call Anna", "now"]),
        ("text,words\nCall Anna,2\nnow,1\n", None, ["Call Anna", "now"]),  # numbers of words
    ],
)
def test_sentences_are_read_from_tables(tmp_path, content, column, expected):
    (tmp_path / "a.csv").write_text(content)
    found = sentences.read_sentences([str(tmp_path / "a.csv")], column)
    assert [b" ".join(one.features).decode() for one in found] == expected
    assert [" ".join(one.about["tokens"]) for one in found] == expected


def test_sentences_are_no_pictures_and_no_other_tables(tmp_path):
    for name in ("a.png", "a.parquet"):
        (tmp_path / name).touch()
        with pytest.raises(UsageError, match=r"this network reads texts: .*\.conll, .*\.txt\)"):
            sentences.read_sentences([str(tmp_path / name)])
    (tmp_path / "a.jsonl").write_text('{"text": "good"}')
    with pytest.raises(UsageError, match=r"none of tokens, words.*--text-column"):
        sentences.read_sentences([str(tmp_path / "a.jsonl")])


def test_answers_that_are_wider_than_the_terminal_are_lists(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    answers.print_answers([{"file": f"{k}.csv", **{f"load+{n}": 1.0 for n in range(9)}} for k in "ab"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["file    a.csv", "load+0  1.0000"]
    assert lines[10:12] == ["", "file    b.csv"]
    answers.print_answers([{"file": "a.npy", "kind": [0.25] * 5 + [2e-7]}])  # broken between numbers
    assert capsys.readouterr().out.splitlines() == [
        "file  a.npy", "kind  [0.2500, 0.2500, 0.2500, 0.2500,", "      0.2500, 2e-07]",
    ]  # fmt: skip


def test_what_is_next_names_files_that_are_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("kerasdl.export.identity.identity", lambda path: "0" * 64)
    (tmp_path / "hours.csv").touch()
    row = {"file": "saved_model.pb", "kind": "saved_model", "bytes": 1, "endpoints": {"serving_default": {}}}

    def told(example="some.png", place=None, task=None):
        bundle = Bundle(Path("exported/x/1"), [row], example)
        console = printing.open_console(soft_wrap=True)
        artefacts.print_bundle(console, bundle, task or Classification(), place, tmp_path)
        return [line.strip() for line in capsys.readouterr().out.partition("Next:")[2].strip().splitlines()]

    rest = ["kerasdl serve exported/x", "kerasdl verify exported/x/1"]
    assert told() == rest  # no image is there
    np.savez(tmp_path / "mistakes.npz", indices=[])
    assert told() == rest
    np.savez(tmp_path / "mistakes.npz", indices=[1])
    assert told() == [f"kerasdl predict exported/x/1 {tmp_path}/mistakes.npz", *rest]
    save(tmp_path / "a.png", (4, 4))
    assert told(place=str(tmp_path)) == [f"kerasdl predict exported/x/1 {tmp_path}/a.png", *rest]
    assert told("0.5,0.5")[0] == "kerasdl predict exported/x/1 0.5,0.5"
    series = str(tmp_path / "hours.csv")
    assert told("0.5,0.5", series)[0] == f"kerasdl predict exported/x/1 {series}"
    assert told("recent.csv", series, Forecast())[0] == f"kerasdl forecast exported/x/1 {series}"


def test_tables_in_pipes_are_whole_unless_columns_is_set(monkeypatch, capsys):
    rows = [("x" * 90, " ".join("y" * 90))]
    for columns, fits in ((None, 10_000), ("60", 60)):
        monkeypatch.delenv("COLUMNS", raising=False)
        if columns is not None:
            monkeypatch.setenv("COLUMNS", columns)
        printing.print_table(("a", "b"), rows, spare=(1,))
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines[:2])) <= fits
        assert (len(lines) == 2 and rows[0][1] in lines[1]) == (columns is None)


def test_speeds_have_two_tables_where_one_is_too_wide(monkeypatch, capsys):
    speed = {"threads": 1, "p50_ms": 1.0, "p95_ms": 2.0, "examples_per_second": 9.0, "one_by_one": True}
    row = {"file": "lenet5.float16.tflite", "bytes": 1e6, "accuracy": 0.5, "max_difference": 0.1}
    rows = [{**row, "speed": [{**speed, "batch_size": size} for size in (1, 32)]}, {**row, "error": "no"}]
    for width, count in ((130, 1), (80, 2), (50, 2)):
        for module in (printing, artefacts):
            monkeypatch.setattr(module, "open_console", lambda width=width: Console(width=width))
        artefacts.print_speeds(rows, Classification())
        out = capsys.readouterr().out
        assert out.count("artefact ") == count
        table = [line for line in out.partition("* one")[0].splitlines() if not line.startswith("No room")]
        assert max(map(len, table)) <= width
        assert ("No room for: batch 32 examples/s" in out) == (width == 50)
        assert "failed" in out and "1.000" in out


def test_what_is_missing_is_explained(capsys):
    assert main(["doctor"]) == 2
    assert (
        "kerasdl: doctor needs DATA (what --data takes: a folder of images, a file" in capsys.readouterr().err
    )
    assert main(["predict", "runs/x/1"]) == 2
    assert "predict needs FILE (image file, a folder or a pattern of them" in capsys.readouterr().err
    assert main(["explain"]) == 2
    assert "EXAMPLE" not in capsys.readouterr().err


def test_gaps_in_arrays_are_said(caplog):
    reading.warn_of_gaps({"inputs": np.array([[1, np.nan], [np.inf, 2], [3, 4]])})
    assert "2 of 3 examples hold NaN or infinite numbers (inputs)" in caplog.text
    caplog.clear()
    reading.warn_of_gaps({"inputs": [[1.0, 2.0]], "texts": np.array(["a"], object)})
    assert caplog.text == ""
