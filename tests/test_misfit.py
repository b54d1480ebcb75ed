"""What is said of data of another kind than a pipeline takes."""

import json
import re

import pytest

import kerasdl
from kerasdl.cli import main
from kerasdl.data.dataset import Spec
from kerasdl.errors import UsageError
from kerasdl.jobs import recipe_data
from kerasdl.preprocessing.image import ImagePreprocessing

_SERIES = "time,value\n" + "".join(
    f"2024-01-{1 + n // 24:02}T{n % 24:02}:00,{n * n % 17}\n" for n in range(700)
)
FILES = {
    "reviews.csv": "text,label\n" + "good film,1\nbad film,0\n" * 20,
    "odd.csv": "opinion,stars\n" + "good film,1\nbad film,0\n" * 20,
    "series.csv": _SERIES,
    "short.csv": "\n".join(_SERIES.split("\n")[:61]),
    "numbers.csv": "a,b\n" + "".join(f"{n},{n % 3}\n" for n in range(60)),
    "tokens.jsonl": "\n".join([json.dumps({"tokens": ["Anna", "sings"], "tags": ["B-PER", "O"]})] * 20),
    "prose.txt": "It was a bright cold day in April,\nand the clocks were striking thirteen.\n\nWinston\n"
    * 40,
}
_NO_TAG = "The data has no tag at each token. Give --data requests, a .conll or .csv file"


@pytest.mark.parametrize(
    ("pipeline", "name", "said", "command"),
    [
        (
            "tagger",
            "reviews.csv",
            "the columns 'text', 'label'",
            "classes: kerasdl train lstm --data reviews",
        ),
        (
            "tagger",
            "series.csv",
            "the columns 'time', 'value'",
            "a series: kerasdl train forecast --data series",
        ),
        ("tagger", "odd.csv", "Name the one to use with --token-column", ""),
        ("tagger", "prose.txt", "looks like running text", "a text to be continued: kerasdl train char_lm"),
        ("forecast", "reviews.csv", "no column of times", "texts with classes: kerasdl train lstm"),
        ("lstm", "short.csv", "the columns 'time', 'value'", "train forecast --data short.csv --context 10"),
        ("lstm", "numbers.csv", "the columns 'a', 'b'", "a table of numbers: kerasdl init numbers.csv"),
        ("lstm", "tokens.jsonl", "the columns 'tokens', 'tags'", "sentences with tags: kerasdl train tagger"),
        ("lstm", "prose.txt", "targets are numbers, or several", "a text to be continued: kerasdl train"),
    ],
)
def test_a_pipeline_says_what_it_takes_and_what_takes_the_data(
    tmp_path, monkeypatch, pipeline, name, said, command
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(FILES[name])
    recipe = kerasdl.load_recipe(pipeline, data=name)
    with pytest.raises(UsageError, match=re.escape(said)) as error:
        recipe_data.load(recipe.data, recipe.task)
    assert "--text-column" not in str(error.value) or pipeline == "lstm"
    assert command in str(error.value) and ("can be read as" in str(error.value)) == bool(command)


def test_the_one_file_of_a_folder_is_named(tmp_path):
    (tmp_path / "reviews.csv").write_text(FILES["reviews.csv"])
    for pipeline, said in (("lstm", "has no class folders"), ("tagger", _NO_TAG)):
        recipe = kerasdl.load_recipe(pipeline, data=tmp_path)
        with pytest.raises(UsageError, match=rf"{said}.* --data .*reviews\.csv$"):
            recipe_data.load(recipe.data, recipe.task)
    (tmp_path / "more.csv").write_text(FILES["reviews.csv"])
    with pytest.raises(UsageError, match=r"of tokens and tags\.$"):
        recipe_data.load(recipe.data, recipe.task)


def test_a_path_that_is_not_there_is_the_mistake(tmp_path):
    recipe = kerasdl.load_recipe("tagger", data=tmp_path / "some.csv")
    with pytest.raises(UsageError, match="There is no file"):
        recipe_data.load(recipe.data, recipe.task)


def test_a_network_of_images_names_the_pipelines_of_texts():
    for inputs, advice in ((Spec((), "string"), "such as lstm or gru"), (Spec((3,), "float32"), "or none")):
        with pytest.raises(UsageError, match=advice):
            ImagePreprocessing().check(inputs)


def test_a_flag_of_the_pipeline_is_not_the_mistake(tmp_path, capsys):
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "odd.csv").write_text(FILES["odd.csv"])
    assert main(["train", "tagger", "--data", str(tmp_path / "reviews"), "--token-column", "2"]) == 2
    assert _NO_TAG in " ".join(capsys.readouterr().err.split())
