"""`kerasdl doctor` and `kerasdl init`: what is in data, and a first recipe for it."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

import kerasdl
from kerasdl.cli import main
from kerasdl.errors import UsageError
from kerasdl.jobs import doctor
from kerasdl.layers import scaling
from kerasdl.preprocessing.standardization import Standardization
from kerasdl.recipe import catalog
from kerasdl.tasks.tagging.task import Tagging

RANDOM = np.random.default_rng(0)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, count in (("cat", 30), ("dog", 5)):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(RANDOM.integers(0, 256, (40, 60, 3), np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "photos"


def write_table(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_classes_of_a_table_have_one_order(tmp_path):
    """As numbers these are equal, and a set has them in an order of chance."""
    labels = ["1", "1.0", "01", "1.00", "001", "1e0"]
    write_table(tmp_path / "t.csv", ("a", "label"), enumerate(["nan", *labels, "0.5"] * 4))
    names = kerasdl.Table(path=str(tmp_path / "t.csv")).load().spec.class_names
    assert names == ("0.5", *sorted(labels), "nan")


def test_photos_are_examined(photos, capsys):
    Image.new("RGB", (60, 40), (7, 7, 7)).save(photos / "cat" / "blank.png")
    Image.open(photos / "cat" / "0.png").save(photos / "dog" / "same.png")
    (photos / "dog" / "bad.jpg").write_bytes(b"no image")
    assert main(["doctor", "photos", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(found["counts"]["cat"].values()) == 31 and sum(found["counts"]["dog"].values()) == 6
    said = "\n".join(found["findings"])
    for words in ("1 bad image was skipped", "lies in two classes", "1 of 37 images hold one and the same"):
        assert words in said, said
    assert "The class cat has" in said and "fewer than 20 training examples: dog" in said
    assert main(["doctor", "photos"]) == 0
    assert "kerasdl init photos" in capsys.readouterr().out


def test_nothing_is_found_in_good_data():
    found = doctor.examine("digits")
    assert found.findings == () and sum(found.counts["3"].values()) == 183


def test_a_recipe_for_photos(photos, capsys):
    assert main(["init", "photos"]) == 0
    recipe, _ = catalog.load("photos.py")
    assert recipe.name == "photos" and recipe.data.path == "photos" and recipe.preprocessing.size == (64, 64)
    assert recipe.preprocessing.channels == 3 and recipe.epochs == 300 and recipe.batch_size == 25
    assert "kerasdl train ./photos.py" in capsys.readouterr().out
    before = (photos.parent / "photos.py").read_text()
    assert main(["init", "photos"]) == 2
    assert "There is a photos.py already" in capsys.readouterr().err
    assert (photos.parent / "photos.py").read_text() == before


def test_recipes_for_tables_and_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = [(f"{'good' if number % 2 else 'bad'} thing {number}", number % 2) for number in range(80)]
    write_table(tmp_path / "reviews.csv", ("review", "label"), texts)
    hours = [(f"2024-01-{1 + number // 24:02}T{number % 24:02}:00", number % 24) for number in range(600)]
    write_table(tmp_path / "hours.csv", ("time", "load"), hours)
    x = RANDOM.normal(size=(100, 4)).astype("f")
    np.savez("house.npz", x_train=x[:80], y_train=x[:80, 0] / 3, x_test=x[80:], y_test=x[80:, 0] / 3)
    for data, network, task in (
        ("reviews.csv", "RecurrentNetwork", "Classification"),
        ("hours.csv", "NLinear", "Forecast"),
        ("house.npz", "MLP", "Regression"),
        ("digits", "LeNet5", "Classification"),
    ):
        assert main(["init", data]) == 0
        recipe, _ = catalog.load(f"{data.partition('.')[0]}.py")
        assert (recipe.model.target.__name__, type(recipe.task).__name__) == (network, task)
        if network == "RecurrentNetwork":
            assert recipe.preprocessing.max_length == 16
    assert recipe.epochs == catalog.load("lenet5")[0].epochs


def numbers(path, rows, header=("id", "age", "area", "target")):
    write_table(path, header, [[n, n % 7, n * 1.5 % 11, row] for n, row in enumerate(rows)])


def test_sentences_with_tags_get_a_tagger(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [f"word{n} B-X\nother O\n" for n in range(120)]
    (tmp_path / "names.conll").write_text("\n".join(lines))
    assert main(["doctor", "names.conll"]) == 0
    assert "TaggedTokens: 120 examples" in capsys.readouterr().out
    assert main(["init", "names.conll"]) == 0
    assert catalog.load("./names.py")[0].task == Tagging()
    rows = [f"{n},word{n},B-X\n,other,O\n" for n in range(120)]
    (tmp_path / "table.csv").write_text("Sentence #,Word,Tag\n" + "".join(rows))
    assert main(["init", "table.csv"]) == 0
    assert catalog.load("./table.py")[0].task == Tagging()


def test_tables_of_numbers_are_classes_or_amounts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    numbers(tmp_path / "iris.csv", ["setosa", "virginica"] * 30)
    numbers(tmp_path / "prices.csv", range(100_000, 160_000, 1000))
    numbers(tmp_path / "stars.tsv", [1, 2, 3] * 20)
    for data, task in (("iris.csv", "Classification"), ("prices.csv", "Regression"), ("stars.tsv", "Class")):
        capsys.readouterr()
        assert main(["init", data]) == 0
        recipe, _ = catalog.load(f"{data.partition('.')[0]}.py")
        assert type(recipe.task).__name__.startswith(task)
        assert recipe.preprocessing.target is Standardization
        said = capsys.readouterr().out
        assert "The column id numbers the rows" in said
        assert ("for amounts give --targets numbers" in said) == (data == "stars.tsv")
    assert main(["init", "stars.tsv", "--columns", "age,area", "--targets", "numbers", "--out", "b.py"]) == 0
    recipe, _ = catalog.load("b.py")
    assert recipe.data.columns == ("age", "area") and type(recipe.task).__name__ == "Regression"


def test_odd_tables_are_told_of(tmp_path):
    rows = [(20_240_000 + n, n % 7, ("yes", "Yes ", "no")[n % 3]) for n in range(90)]
    write_table(tmp_path / "odd.csv", ("day", "a", "label"), rows)
    said = "\n".join(doctor.examine(str(tmp_path / "odd.csv"), {"targets": "classes"}).findings)
    assert "The classes 'Yes', 'yes' are written almost alike" in said
    assert "The column day has 90 different values, of which float32 keeps 45 apart" in said
    write_table(tmp_path / "one.csv", ("a", "label"), [(n / 7, ("01", "1.0", "2")[n % 3]) for n in range(90)])
    said = "\n".join(doctor.examine(str(tmp_path / "one.csv"), {"targets": "classes"}).findings)
    assert "The classes '01', '1.0' are written" in said and "one and the same value" not in said


def test_flags_of_the_data_choose_its_kind(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_table(
        tmp_path / "spam.csv", ("v1", "v2"), [(("ham", "spam")[n % 2], f"call {n}") for n in range(60)]
    )
    assert main(["doctor", "spam.csv"]) == 2
    assert "as texts with classes: spam.csv has the columns 'v1', 'v2'" in capsys.readouterr().err
    assert main(["doctor", "spam.csv", "--text-column", "v2", "--label-column", "v1"]) == 0
    assert "kerasdl init spam.csv --text-column v2" in capsys.readouterr().out
    assert main(["doctor", "spam.csv", "--text-column", "v2", "--horizon", "3"]) == 2
    assert "belong to different kinds of data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["1,2,x"] * 9, "the first row is an example"),
        (["a,b,label", *["1,,x", "2,red,y"] * 9], "b (9 gaps and words, as 'red' in line 3)"),
        (["a,b,label", *["1,2,x", "2,3,"] * 9], "line 3: there is no class in column 'label'"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, lines, words):
    (tmp_path / "x.csv").write_text("\n".join(lines))
    with pytest.raises(UsageError) as raised:
        doctor.examine(str(tmp_path / "x.csv"))
    assert words in str(raised.value)


def test_arrays_are_images_or_numbers_and_short_series_get_short_windows(tmp_path):
    x, y = RANDOM.normal(size=(100, 4)), np.arange(100) % 3
    for name, targets, task in (("classes", y, 3), ("amounts", np.arange(100), 0)):
        path = tmp_path / f"{name}.npz"
        np.savez(path, x_train=x[:80], y_train=targets[:80], x_test=x[80:], y_test=targets[80:])
        assert len(doctor.examine(str(path)).dataset.spec.class_names) == task
    months = [(f"{1950 + number // 12}-{1 + number % 12:02}-01", number) for number in range(144)]
    write_table(tmp_path / "air.csv", ("Month", "Passengers"), months)
    source = doctor.examine(str(tmp_path / "air.csv")).source
    assert (source.context, source.horizon) == (24, 7)


def test_a_stray_text_makes_no_texts_of_images(photos):
    (photos / "cat" / "notes.txt").write_text("of the holidays")
    assert type(doctor.examine("photos").source).__name__ == "ImageFolder"


@pytest.mark.parametrize(("name", "words"), [("a.xlsx", "Save the sheet as .csv"), ("a.jpg", "sub-folder")])
def test_files_of_other_kinds(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=words):
        doctor.examine(str(tmp_path / name))


@pytest.mark.slow
def test_files_in_float16_hold_any_units():
    """Prices overflow there; years lose their last digits."""
    mean, std = np.array([5e5, 2000, 1.7e9, 1e-7]), np.array([2.4e5, 5, 1e7, 1e-8])
    x = (RANDOM.normal(size=(50, 4)) * std + mean).astype("f")
    z = ((x.astype("d") - mean) / std).astype("f")
    for function, given, units in ((scaling.standardised, x, 1), (scaling.restored, z, std)):
        traced = tf.function(lambda v, f=function: f(v, mean, std)).get_concrete_function(
            tf.TensorSpec((50, 4))
        )
        converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], traced)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        runner = Interpreter(model_content=converter.convert())
        runner.allocate_tensors()
        runner.set_tensor(runner.get_input_details()[0]["index"], given)
        runner.invoke()
        wanted = z if function is scaling.standardised else x
        for found, limit in (
            (runner.get_tensor(runner.get_output_details()[0]["index"]), 5e-3),
            (function(given, mean, std).numpy(), 1e-5),
        ):
            assert (np.abs(found.astype("d") - wanted) / units).max() < limit


def test_standardization_is_that_of_the_training_examples():
    x = RANDOM.normal(size=(200, 3)) * [1, 100, 0] + [0, 1e5, 4]
    layer = Standardization()
    layer.fit(lambda: [x[:50], x[50:]])
    np.testing.assert_allclose(layer.mean, x.mean(0), rtol=1e-9)
    np.testing.assert_allclose(layer.std, [*x.std(0)[:2], 1], rtol=1e-9)
    again = Standardization.from_config(layer.get_config())
    found = again(x).numpy()
    np.testing.assert_allclose(found.std(0), [1, 1, 0], atol=1e-4)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-3)
