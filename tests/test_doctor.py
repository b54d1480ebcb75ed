"""`kerasdl doctor` and `kerasdl init`: what is in data, and a first recipe for it."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from kerasdl.cli import main
from kerasdl.jobs import doctor
from kerasdl.preprocessing.standardization import Standardization
from kerasdl.recipe import catalog

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
