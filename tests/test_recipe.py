"""Recipes as values: validation, JSON, flags, and recipe files of the user."""

import ast
import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Literal

import keras
import pytest

import kerasdl
from kerasdl import cli, public
from kerasdl.cli import flags, recipe_arguments
from kerasdl.cli.commands import tune
from kerasdl.cli.parser import Parser
from kerasdl.data.images.digits import Digits
from kerasdl.data.source import Source
from kerasdl.errors import UsageError
from kerasdl.models.lenet5 import LeNet5
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe, catalog, document, replace, sketch, type_of, values
from kerasdl.recipe.document import from_json, to_json
from kerasdl.tasks.classification.task import Classification

OWN_RECIPE = '''
import keras
from kerasdl import Classification, Config, Digits, Network, Recipe

@keras.saving.register_keras_serializable("mine")
class Mine(Network):
    """Mine.

    Args:
        width: units of the hidden layer.
    """

    def __init__(self, *, num_classes: int = 10, width: int = 4, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.width = num_classes, width
        self.head = keras.layers.Dense(num_classes)

    def forward(self, x, training=False):
        return self.head(keras.ops.reshape(x / 255, (-1, 64)))

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "width": self.width}

RECIPE = Recipe(model=Config(Mine, width=3), data=Digits(), task=Classification(), epochs=1, batch_size=64)
'''


def recipe(**fields):
    return Recipe(
        **{"name": "test", **fields},
        model=Config(LeNet5, dropout=0.3),
        data=Digits(),
        task=Classification(class_weights=(1.0, 2.0)),
        preprocessing=Config(ImagePreprocessing, size=(28, 28)),
    )


def parsed(base, *arguments):
    parser = Parser()
    flags.add_to(parser, base)
    return flags.apply(base, vars(parser.parse_args(arguments)))


@pytest.mark.parametrize("name", sorted(catalog.names()))
def test_pipelines_reload_equal(name):
    loaded, _ = catalog.load(name)
    assert loaded.name == name
    assert from_json(to_json(loaded)) == loaded


def test_json_holds_type_names_and_resolved_fields():
    document = json.loads(to_json(recipe()))
    model = document["fields"]["model"]
    assert model["type"] == "kerasdl>LeNet5"
    assert model["fields"]["activation"] == "tanh"  # a default, resolved
    assert from_json(json.dumps(document)).model == Config(LeNet5, dropout=0.3)


def test_configs_compare_by_what_they_build():
    assert Config(LeNet5) == Config(LeNet5, activation="tanh")
    assert Config(LeNet5) != Config(LeNet5, activation="relu")
    assert len({Config(LeNet5), Config(LeNet5, activation="tanh")}) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"optimizer": "adm"}, "sgd, adam, adamw, rmsprop.*Did you mean 'adam'"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"clip_norm": 1.0, "global_clip_norm": 1.0}, "keep one"),
        ({"nesterov": True}, "sgd"),
        ({"epochs": 2, "warmup_epochs": 2}, "only 2 epochs. Give --warmup-epochs 0"),
        ({"seed": -1}, "seed"),
        ({"epochs": "3"}, "epochs is '3', but it has to be int"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"nesterov": 1}, "nesterov is 1"),
        ({"schedule": "one_cycle", "warmup_epochs": 1.0}, "has no warm-up"),
        ({"name": "../../elsewhere"}, "letters, digits"),
    ],
)
def test_bad_fields_have_their_message(fields, words):
    with pytest.raises(UsageError, match=words):
        recipe(**fields)


@pytest.mark.parametrize(
    ("own", "changes", "found"),
    [
        ({"nesterov": True, "optimizer": "sgd"}, {"optimizer": "adamw"}, {"nesterov": False}),
        ({"epochs": 30, "warmup_epochs": 3.0}, {"epochs": 1}, {"warmup_epochs": 0.1}),
        ({"epochs": 30, "warmup_epochs": 3.0}, {"epochs": 10}, {"warmup_epochs": 3.0}),
        ({"epochs": 30, "warmup_epochs": 3.0}, {"schedule": "one_cycle"}, {"warmup_epochs": 0.0}),
        ({"clip_norm": 1.0}, {"global_clip_norm": 2.0}, {"clip_norm": None, "global_clip_norm": 2.0}),
    ],
)
def test_what_was_not_given_gives_way_with_a_note(caplog, own, changes, found):
    caplog.set_level("INFO", "kerasdl")
    changed = replace(recipe(**own), **changes)
    assert {name: getattr(changed, name) for name in found} == found
    given_way = [name for name in found if found[name] != own.get(name) and name not in changes]
    assert [line.partition(" is ")[0] for line in caplog.messages] == given_way


def test_what_was_given_does_not_give_way():
    with pytest.raises(UsageError, match="only 1 epochs"):
        replace(recipe(epochs=30, warmup_epochs=3.0), epochs=1, warmup_epochs=2.0)
    with pytest.raises(UsageError, match="nesterov is for the sgd"):
        replace(recipe(optimizer="sgd"), optimizer="adam", nesterov=True)


def test_unknown_names_are_corrected():
    with pytest.raises(UsageError, match="Did you mean 'activation'"):
        Config(LeNet5, activaton="relu")
    with pytest.raises(UsageError, match="Did you mean 'epochs'"):
        replace(recipe(), epoch=3)
    with pytest.raises(UsageError, match="Did you mean 'lenet5'"):
        catalog.load("lenet")
    with pytest.raises(UsageError, match="no recipe file"):
        catalog.load("./nowhere.py")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"momentum": 0.5},
            "momentum has no effect: it is of the optimizer sgd or rmsprop, and this is adamw",
        ),
        ({"optimizer": "sgd", "beta_1": 0.5}, "beta_1 has no effect: it is of the optimizer adam or adamw"),
        ({"schedule_factor": 0.5}, "schedule_factor has no effect: it is of the schedule step or plateau"),
        ({"optimizer": "rmsprop", "momentum": 0.5, "schedule": "step", "schedule_epochs": 2}, ""),
    ],
)
def test_what_is_given_and_not_used_is_said(changes, words, caplog):
    replace(recipe(optimizer="adamw", schedule="cosine", momentum=0.8, epochs=5), **changes)
    assert words in caplog.text and ("no effect" in caplog.text) == bool(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a recipe"),
        ("[]", "not a recipe"),
        ('{"type": "os.path.Nothing", "fields": {}}', "No other module is imported"),
        ('{"type": "nowhere.Type", "fields": {}}', "neither kerasdl's nor its recipe file's"),
    ],
)
def test_bad_json(text, words):
    with pytest.raises(UsageError, match=words):
        from_json(text)


def test_json_with_an_unknown_field():
    document = json.loads(to_json(recipe()))
    document["fields"]["epocks"] = 3
    with pytest.raises(UsageError, match=r"no field 'epocks'.*Did you mean 'epochs'"):
        from_json(json.dumps(document))


def test_json_with_a_missing_field():
    document = json.loads(to_json(recipe()))
    del document["fields"]["model"]
    with pytest.raises(UsageError, match=r"Recipe is not complete.*model"):
        from_json(json.dumps(document))


def test_types_of_a_recipe_file_need_the_file_beside(tmp_path, monkeypatch):
    """A recipe.py of the working folder is never run for a JSON text that lies elsewhere."""
    (tmp_path / "recipe.py").write_text("raise SystemExit('run')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="not beside"):
        from_json('{"type": "recipe.py:Mine", "fields": {}}')


def test_flags_set_every_part():
    changed = parsed(
        recipe(), "--epochs", "3", "--dropout", "0.5", "--label-smoothing", "0.1", "--clip-norm", "none",
        "--size", "32,32", "--split-seed", "4", "--deterministic", "--class-weights", "balanced",
    )  # fmt: skip
    assert changed.epochs == 3
    assert changed.model.dropout == 0.5
    assert changed.task == Classification(label_smoothing=0.1, class_weights="balanced")
    assert changed.clip_norm is None
    assert changed.preprocessing.size == (32, 32)
    assert changed.data.split_seed == 4
    assert changed.deterministic
    assert parsed(recipe()) == recipe()
    assert parsed(recipe(), "--class-weights", "1,3").task.class_weights == (1.0, 3.0)


def test_epochs_given_by_hand_are_meant():
    base = recipe(min_steps=500)
    assert parsed(base, "--epochs", "2").min_steps == 0
    assert parsed(base, "--epochs", "2", "--min-steps", "9").min_steps == 9
    assert parsed(base, "--batch-size", "2").min_steps == 500
    assert replace(base, epochs=2).min_steps == 0


def test_flag_values_of_the_wrong_kind():
    with pytest.raises(UsageError, match="--epochs: got 'many', but it takes INT"):
        parsed(recipe(), "--epochs", "many")
    with pytest.raises(UsageError, match=r"--pooling: got 'avg', but it takes average.max"):
        parsed(recipe(), "--pooling", "avg")


def test_arguments_that_the_data_decides_are_no_flags():
    names = {flag.name for flag in flags.of_recipe(recipe())}
    assert "dropout" in names
    assert not {"num_classes", "name", "path"} & names


def test_colliding_flags_are_refused():
    @dataclasses.dataclass(frozen=True)
    class Colliding(Source):
        # Epochs of something else.
        epochs: int = 1

    with pytest.raises(UsageError, match="Two parts of the recipe have a field for the flag --epochs"):
        flags.of_recipe(replace(recipe(), data=Colliding()))


def test_fields_named_as_options_of_the_command_have_their_part_before_them():
    @dataclasses.dataclass(frozen=True)
    class Colliding(Source):
        # A folder.
        runs_dir: str = "x"

    parser, own = Parser(), replace(recipe(), data=Colliding())
    parser.add_folders("runs")
    flags.add_to(copy.deepcopy(parser), own)
    parser.add_argument("--data-runs-dir")
    with pytest.raises(UsageError, match="--data-runs-dir is an option of the command itself"):
        flags.add_to(parser, own)


@pytest.mark.parametrize("name", sorted(catalog.names("tuning")))
def test_every_shipped_space_takes_all_its_flags(name):
    """The search's `--objective` is not the network's: that is `--model-objective` there."""
    parser = Parser()
    tune._add_options(parser)
    parser.add_data("data")
    own, _, _ = catalog.load_space(name)
    flags.add_to(parser, own)
    aims = {"gan": ("val_fid",), "flow": ("val_fid",), "vae": ("val_loss",)}
    assert own.task.objectives_of(own.model.target) == aims.get(name, own.task.objectives)
    if name == "vae":
        given = vars(parser.parse(["--objective", "val_nll", "--model-objective", "iwae"]))
        assert given["objective"] == ["val_nll"]
        assert flags.apply(own, given).model.values["objective"] == "iwae"


def test_parse_value():
    assert values.parse(int | None, "none") is None
    assert values.parse(tuple[int, int], "3,4") == (3, 4)
    assert values.parse(Literal[1, 3], "3") == 3
    assert values.parse(bool | None, "false") is False
    for annotation, text in [(tuple[int, int], "3"), (int, "3.5"), (Literal["a"], "b"), (int | None, "x")]:
        with pytest.raises(ValueError):
            values.parse(annotation, text)


def test_own_recipe_file_and_its_copy_are_equal(tmp_path):
    (tmp_path / "mine.py").write_text(OWN_RECIPE)
    loaded, path = catalog.load(str(tmp_path / "mine.py"))
    assert (loaded.name, path) == ("mine", tmp_path / "mine.py")
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.py").write_text(OWN_RECIPE)
    (run / "recipe.json").write_text(to_json(loaded))
    assert json.loads(to_json(loaded))["fields"]["model"]["type"] == "recipe.py:Mine"
    assert catalog.load(str(run / "recipe.json"))[0] == loaded
    assert catalog.load(str(run))[0] == loaded
    assert parsed(loaded, "--width", "9").model.width == 9


def test_broken_recipe_files(tmp_path):
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    with pytest.raises(UsageError, match="defines no RECIPE"):
        catalog.load(str(tmp_path / "empty.py"))
    with pytest.raises(UsageError, match=r"broken.py cannot be loaded: ModuleNotFoundError"):
        catalog.load(str(tmp_path / "broken.py"))


def test_every_public_name_is_there_and_defined_once():
    for name in public.PLACES:
        assert getattr(kerasdl, name) is public.find(name)
        assert name in dir(kerasdl)
    with pytest.raises(AttributeError, match=r"no attribute 'LeNet'\. Did you mean 'LeNet5'"):
        kerasdl.LeNet  # noqa: B018


def test_editors_know_every_public_name():
    tree = ast.parse(Path(kerasdl.__file__).read_text())
    (block,) = (
        node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    )
    known = {alias.name: node.module for node in block.body for alias in node.names}
    assert known == public.PLACES
    assert all(name in kerasdl.__doc__ for name in public.PLACES)


class Lonely:
    pass


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"data": "digits"}, r"data is 'digits', .* object of a class that inherits kerasdl\.Source\.$"),
        ({"data": Digits}, r"data is <class .*Digits'>, but .* inherits kerasdl\.Source\. Write: Digits\("),
        ({"data": Lonely()}, r"inherits kerasdl\.Source\. Write: class Lonely\(kerasdl\.Source\)$"),
        ({"data": Classification()}, r"inherits kerasdl\.Source"),
        ({"task": None}, r"task is None, .* inherits kerasdl\.Task\.$"),
        ({"augmentation": Lonely()}, r"augmentation is .*Write: class Lonely\(kerasdl\.Augmentation\)"),
        ({"preprocessing": Lonely()}, r"preprocessing is .*it has to be kerasdl.*Config | None"),
    ],
)
def test_parts_of_a_recipe_inherit_their_base_class(fields, words):
    with pytest.raises(UsageError, match=words):
        replace(recipe(), **fields)
    assert replace(recipe(), augmentation=None).augmentation is None


def test_importing_what_a_recipe_is_made_of_costs_no_tensorflow():
    code = (
        "import sys; from kerasdl import Config, Digits, ImageFolder, Npz, Recipe, Tfds, replace\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", catalog.names())
def test_shipped_recipes_are_written_with_public_names_alone(name):
    recipe, _ = catalog.load(name)
    types = [value for path, value in document.leaves(document.encode(recipe)) if is_type(value)]
    assert len(types) >= 4
    assert all(kind.removeprefix("kerasdl>") in public.PLACES for kind in types), types


def is_type(value):
    return isinstance(value, str) and (">" in value or value.startswith("kerasdl."))


@pytest.mark.parametrize(
    ("earlier", "kind"),
    [
        ("kerasdl.recipe.Recipe", "Recipe"),
        ("kerasdl.models.lenet5.LeNet5", "LeNet5"),
        ("kerasdl.data.tfds.Tfds", "Tfds"),
        ("kerasdl.tasks.classification.Classification", "Classification"),
        ("kerasdl.preprocessing.ImagePreprocessing", "ImagePreprocessing"),
    ],
)
def test_types_named_by_the_modules_of_before_are_found(earlier, kind):
    encoded = {"type": earlier, "fields": {}}
    if kind == "Recipe":
        encoded["fields"] = document.encode(recipe())["fields"]
    found = document.decode(encoded)
    assert type_of(found) is public.find(kind)


def test_a_type_that_kerasdl_does_not_have_is_refused_and_nothing_is_imported():
    with pytest.raises(UsageError, match=r"'kerasdl>LeNet', which kerasdl does not have.*LeNet5"):
        document.decode({"type": "kerasdl>LeNet", "fields": {}})
    with pytest.raises(UsageError, match="kerasdl does not have"):
        document.decode({"type": "kerasdl.training.loop.Loop", "fields": {}})


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("from kerasdl.step import Network", "Write: from kerasdl import Network$"),
        ("from kerasdl.preprocessing import ImagePreprocessing", "Write: from kerasdl import ImagePrep"),
        ("from kerasdl.data.digits import Digits as D", "Write: from kerasdl import Digits$"),
        ("from kerasdl.step import Network, noise", r"import Network; noise is not among the public names$"),
        ("import kerasdl.step\nclass A(kerasdl.step.Network): pass", "Write: from kerasdl import Network$"),
        ("import kerasdl.preprocessing as p\np.ImagePreprocessing", "Write: from kerasdl import ImagePrep"),
        ("from kerasdl.step import Nothing", "cannot be loaded: ModuleNotFoundError"),
        ("import numpy\nnumpy.Network", "cannot be loaded: AttributeError"),
    ],
)
def test_a_recipe_file_that_imports_from_a_place_of_before_is_told_the_new_one(tmp_path, line, advice):
    (tmp_path / "mine.py").write_text(f"{line}\n")
    with pytest.raises(UsageError, match=advice):
        catalog.load(str(tmp_path / "mine.py"))


class Documented(keras.layers.Layer):
    """A layer.

    Args:
        units: width of it, in
            units. Defaults to 3.
        scale: a factor.
    """

    def __init__(self, units: int = 3, scale: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.scale = units, scale


def test_a_config_takes_every_argument_that_has_a_name():
    config = Config(Documented, units=5)
    assert (config.units, config.values) == (5, {"units": 5, "scale": 1.0})
    assert config.build(scale=2.0).scale == 2.0
    rescaling = Config(keras.layers.Rescaling, scale=1 / 255)
    assert rescaling.values == {"scale": 1 / 255, "offset": 0.0}
    assert float(rescaling.build()(255.0)) == 1.0
    assert from_json(to_json(replace(recipe(), preprocessing=rescaling))).preprocessing == rescaling
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config
    with pytest.raises(AttributeError, match=r"no attribute 'unit'\. Did you mean 'units'"):
        config.unit  # noqa: B018
    with pytest.raises(UsageError, match="Rescaling needs scale"):
        Config(keras.layers.Rescaling).build()


def test_help_texts_come_from_the_docstring_and_from_comments():
    @dataclasses.dataclass(frozen=True)
    class Parent:
        """A part."""

        # Share of
        # something, 0 to 1.
        share: float = 0.5

    @dataclasses.dataclass(frozen=True)
    class Child(Parent):
        # About nothing.

        bare: int = 1
        #: Number of them: some.
        count: int = 2  # how many

    assert flags.argument_help(Documented) == {"units": "width of it, in units", "scale": "a factor"}
    assert flags.field_comments(Child) == {
        "share": "Share of something, 0 to 1", "bare": "", "count": "Number of them: some",
    }  # fmt: skip


@pytest.mark.parametrize("command", ["train", "tune", "lr-find"])
def test_the_command_line_is_parsed_twice(command, monkeypatch, capsys):
    parsed_by = []
    original = Parser.parse_known_args

    def parse(self, *arguments):
        parsed_by.append(self.prog)
        return original(self, *arguments)

    monkeypatch.setattr(Parser, "parse_known_args", parse)
    given = ["mlp", "--data", "digits", "--learning-rate", "3e-3"]
    assert cli.main([command, *given, "--nothing"]) == 2
    assert "There is no flag '--nothing' here." in capsys.readouterr().err
    twice = [f"kerasdl {command}", f"kerasdl {command} mlp"]
    assert parsed_by == twice
    monkeypatch.setattr(sketch, "without_keras", lambda file, work: work())  # as in a process of its own
    assert recipe_arguments.parse(Parser(prog=f"kerasdl {command}"), given)[0].learning_rate == 3e-3
    assert parsed_by == [*twice, *twice]
