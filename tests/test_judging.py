"""The judge of generated images: what it sees, what it is measured with, and when it is trained."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasdl import GAN, VAE, Classification, Config, Digits, Generation, ImagePreprocessing, Recipe, replace
from kerasdl.cli import artefacts, main, printing
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.splits import ArraySplit
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export.bundle import Bundle
from kerasdl.export.card import read_card
from kerasdl.inference.answers import caller
from kerasdl.inference.predictor import Predictor
from kerasdl.jobs import judge as judging
from kerasdl.jobs import resume as job
from kerasdl.jobs import train
from kerasdl.jobs.result import files_table
from kerasdl.models.mlp import MLP
from kerasdl.network.network import logits
from kerasdl.recipe import catalog
from kerasdl.runs import folder as runs
from kerasdl.runs import record
from kerasdl.runs.receipt import hash_weights
from kerasdl.search.definition import Search
from kerasdl.tasks.generation import default_judge, figures, neighbours, quality, samples, verdicts
from kerasdl.tasks.generation.judge import open_judge
from kerasdl.tasks.generation.summary import summary
from kerasdl.training import resume

SHAPE, NAMES = (6, 5, 1), ("dark", "grey", "light")


def split_of(count, seed):
    labels = (np.arange(count) % 3).astype(np.int32)
    noise = np.random.default_rng(seed).integers(0, 60, (count, *SHAPE))
    return ArraySplit((noise + 90 * labels[:, None, None, None]).astype(np.uint8), labels)


@pytest.fixture(scope="module")
def data():
    parts = {"train": split_of(90, 0), "validation": split_of(30, 1), "test": split_of(60, 2)}
    spec = DataSpec(Spec(SHAPE, "uint8"), Spec((), "int32", NAMES))
    return Dataset(**parts, spec=spec, fingerprint="f" * 64)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    """A finished run of a classifier that was never trained: its features are as good as any here."""
    recipe = Recipe(
        name="judge",
        model=Config(MLP, hidden_units=(7, 6), activation="tanh"),
        data=Digits(),
        task=Classification(judge_by="accuracy"),
        preprocessing=Config(ImagePreprocessing, size=SHAPE[:2], channels=1),
    )
    keras.utils.set_random_seed(0)
    made = runs.create(tmp_path_factory.mktemp("runs"), recipe, stage="finished")
    network = recipe.model.build(num_classes=3, preprocessing=recipe.preprocessing.build())
    network.create_weights(keras.KerasTensor((None, *SHAPE), "uint8"))
    network.save(made.model_file)
    made.write("receipt.json", {"data": data.describe()})
    return made


@pytest.fixture(scope="module")
def judge(run):
    return open_judge(str(run.path))


class Maker(Predictor):
    """A file that makes images by a function of the classes that are asked for."""

    kind = "test"

    def __init__(self, make):
        specs = {"labels": ((None,), "int32"), "noise": ((None, 2), "float32")}
        super().__init__("test", NAMES, {"generate": specs})
        self.make = make

    def _run(self, endpoint, inputs):
        return {"images": self.make(**inputs).astype(np.float32) / 255}


def noisy(labels, noise):
    """Return images of the asked classes that no split has."""
    grey = np.abs(noise[:, :1]) * np.linspace(1, 30, 30) + 20 * np.abs(noise[:, 1:])
    return np.clip(90 * labels[:, None] + grey, 0, 255).reshape(-1, *SHAPE).round()


@pytest.mark.slow
def test_a_judge_sees_what_its_head_is_given(run, judge, data):
    network, images = run.network(), data.test.features
    seen = judge.look(images)
    np.testing.assert_allclose(seen.features, network.features(images), rtol=1e-5)
    assert seen.class_ids.tolist() == np.argmax(logits(network, images), axis=-1).tolist()
    assert judge.describe() == {
        "run": "/".join(run.path.parts[-2:]), "sha256": hash_weights(network), "features": 6,
    }  # fmt: skip
    with pytest.raises(UsageError, match="takes images of 6x5x1, but these are 5x5x1"):
        judge.look(images[:, 1:])


@pytest.mark.slow
def test_a_judge_is_found_where_its_run_is(run, monkeypatch):
    assert open_judge("nowhere/1") is None
    monkeypatch.chdir(run.path.parent.parent.parent)
    (run.path.parents[2] / "runs").symlink_to(run.path.parents[1])
    assert open_judge("judge/1").sha256 == open_judge(str(run.path)).sha256
    task = Generation(judge=str(run.path))
    assert task.without_machine().judge == "judge/1"
    assert Generation(judge="runs/judge/1").without_machine().judge == "runs/judge/1"


def figures_of(judge, data, make, count=60):
    maker = Maker(make)

    def sampling(labels, seed):
        return samples.draw(caller(maker, "generate"), maker.inputs["generate"], labels, seed)

    return figures.figures(judge, sampling, data, data.test, count, True)


@pytest.mark.slow
def test_real_images_are_as_good_as_real_images(judge, data):
    found, arrays = figures_of(judge, data, lambda labels, noise: data.test.features)
    assert found["fid"] == 0 and found["precision"] == found["recall"] == found["diversity"] == 1
    assert found["fid_floor"] > 0 and found["memorised"] <= 0.05
    assert found["num_samples"] == found["num_real"] == found["num_floor"] == 60
    assert found["class_balance"] == found["real_class_balance"]
    assert sum(found["class_balance"].values()) == pytest.approx(1)
    assert found["real_class_rate"] == found["asked_class_rate"] and found["real_recall"] < 1
    worse, _ = figures_of(judge, data, noisy)
    assert all(worse[name] == found[name] for name in ("real_recall", "real_diversity", "real_class_rate"))
    assert worse["fid"] > found["fid_floor"] and worse["kid"] > found["kid"]
    assert arrays["samples"].shape == arrays["nearest"].shape == (16, *SHAPE)
    said = summary(found)
    assert f"+- {found['kid_stderr']:.2g} (floor {found['kid_floor']:.2g}) of 60" in said
    real = f"recall 1.00 (real images: {found['real_recall']:.2f})"
    for part in (real, "(the judge knows", "FID 0 (floor",
                 "60 train images instead of samples", "60 samples against 60 test images",
                 "6 features", judge.sha256[:12]):  # fmt: skip
        assert part in said, part


def test_copies_of_training_images_are_named(judge, data):
    found, arrays = figures_of(judge, data, lambda labels, noise: data.train.features[30:90])
    assert found["memorised"] == 1
    np.testing.assert_array_equal(arrays["samples"], arrays["nearest"])
    assert any("repeats its training images" in one.text for one in verdicts.of_samples(found))


def test_too_few_samples_give_no_distances_and_say_so(judge, data, caplog):
    found, _ = figures_of(judge, data, lambda labels, noise: noisy(labels, noise), count=11)
    assert "fid" not in found and "12 samples and as many real images are needed" in caplog.text
    assert found["left_out"] in summary(found) and found["num_samples"] == 11
    assert "fid" in figures_of(judge, data, noisy, count=12)[0]


def test_classes_that_were_asked_for():
    asked = np.array([0, 0, 1, 1, 2, 2])
    found = figures.of_classes(np.array([0, 1, 1, 1, 0, 0]), asked, NAMES)
    assert found["asked_class_rate"] == 0.5
    assert found["asked_class_rates"] == {"dark": 0.5, "grey": 1.0, "light": 0.0}
    assert found["class_balance"] == {"dark": 0.5, "grey": 0.5, "light": 0.0}
    assert list(figures.of_classes(asked, np.array([1, 1, 1, 2, 2, 2]), NAMES)["asked_class_rates"]) == [
        "grey",
        "light",
    ]
    texts = [one.text for one in verdicts.of_samples({**found, "num_samples": 6})]
    assert "hardly sees light (0.0%)" in texts[0] and "Only 50% of the samples" in texts[1]


@pytest.mark.slow
def test_classes_are_compared_by_name(run, judge, data, network, caplog):
    order = [2, 0, 1]  # of the data, whose classes the judge has in another order

    def named(names):
        return dataclasses.replace(data, spec=DataSpec(Spec(SHAPE, "uint8"), Spec((), "int32", names)))

    def rates(data):
        task = Generation(judge=str(run.path), judge_by="fid", val_fid_samples=30).resolve(data)
        return figures_of(judge, data, noisy)[0], task.validator(network, data)()

    found, checked = rates(named(tuple(NAMES[number] for number in order)))
    seen = judge.look(data.validation.features)
    assert judge.classes_of(seen, [NAMES[number] for number in order]).tolist() == [
        order.index(number) for number in seen.class_ids
    ]
    assert judge.classes_of(seen, NAMES[:2]).max() < 2
    assert list(found["class_balance"]) == [NAMES[number] for number in order]
    assert "asked_class_rate" in found and "val_asked_class_rate" in checked
    found, checked = rates(named(("dark", "grey", "blue")))
    assert "does not know all classes of the data ('blue'" in caplog.text
    assert "class_balance" not in found and "asked_class_rate" not in found
    assert "val_asked_class_rate" not in checked and "val_fid" in checked


@pytest.mark.parametrize(
    ("fields", "of_a_gan", "of_a_vae"),
    [
        ({}, ("val_fid",), ("val_loss",)),
        ({"judge_by": "fid"}, ("val_fid",), ("val_fid",)),
        ({"judge_by": "loss"}, (), ("val_loss",)),
        ({"judge": "none"}, (), ("val_loss",)),
        ({"judge_by": "fid", "judge": "none"}, (), ("val_loss",)),
        ({"val_fid_samples": 0}, (), ("val_loss",)),
    ],
)
def test_a_search_aims_at_a_figure_that_the_network_has(fields, of_a_gan, of_a_vae, tmp_path, monkeypatch):
    task, space = Generation(**fields), {"space": lambda hp, recipe: recipe, "space_file": tmp_path / "x.py"}
    assert task.objectives_of(GAN) == of_a_gan and task.objectives_of(VAE) == of_a_vae
    recipe = Recipe(name="x", model=Config(GAN), data=Digits(), task=task)
    asked = []
    monkeypatch.setattr(judging.recipe_data, "load", lambda *_: asked.append("data"))
    monkeypatch.setattr(judging, "settler", lambda *_: lambda recipe, data: recipe)
    assert judging.judged(recipe) == recipe and bool(asked) == bool(of_a_gan)
    assert Search(recipe=recipe, objectives=("weights",), **space).aims[0].name == "weights"
    if not of_a_gan:
        with pytest.raises(UsageError, match="nothing to aim at: GAN has no val_loss, and no judge tells"):
            Search(recipe=recipe, **space)


def test_a_network_that_classifies_nothing_is_no_judge(tmp_path, data, network):
    recipe = Recipe(name="vae", model=Config(VAE), data=Digits(), task=Generation())
    made = runs.create(tmp_path, recipe, stage="finished")
    network.save(made.model_file)
    made.write("receipt.json", {"data": data.describe()})
    with pytest.raises(UsageError, match="is no classifier of images"):
        open_judge(str(made.path))


def test_a_split_in_order_of_classes_is_looked_at_as_a_whole(judge, data, monkeypatch):
    order = np.argsort(data.test.targets, kind="stable")
    in_order = dataclasses.replace(data, test=data.test.select(order))
    seen = []

    def note(labels, noise):
        seen.append(labels)
        return noisy(labels, noise)

    monkeypatch.setattr(figures, "_COMPARED", 6)
    compared = []
    nearest = neighbours.nearest
    monkeypatch.setattr(
        neighbours, "nearest", lambda queries, parts: compared.append(queries) or nearest(queries, parts)
    )
    figures_of(judge, in_order, note, count=30)
    assert np.bincount(np.concatenate(seen)).tolist() == [10, 10, 10]
    unseen = compared[0][6:].mean(axis=1)
    assert [int((unseen // 90 == number).sum()) for number in range(3)] == [2, 2, 2]


def test_missing_classes_are_counted_and_advice_is_not_what_the_run_did():
    shares = {"class_balance": {str(n): float(n == 0) for n in range(9)}, "num_samples": 9}
    (free,) = verdicts.of_samples(shares)
    assert "5 (0.0%) and 3 more among 9 samples" in free.text and free.flags == "--conditional"
    told, *_ = verdicts.of_samples({**shares, "asked_class_rate": 1.0})
    assert told.text == free.text and told.flags == "--epochs 50"
    assert not verdicts.of_samples({**shares, "real_class_balance": {str(n): float(n < 1) for n in range(9)}})


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    made = VAE(image_shape=SHAPE, num_classes=3, latent_size=2, units=(5,), conditional=True)
    made.create_weights(keras.KerasTensor((None, *SHAPE), "uint8"))
    return made


def test_validation_figures_follow_the_weights_and_nothing_else(run, judge, data, network):
    task = Generation(judge=str(run.path), judge_by="fid", val_fid_samples=40)
    assert task.resolve(data) is task and task.objectives_of(VAE) == ("val_fid",)
    measure = task.validator(network, data)
    first, before = measure(), network.get_weights()
    assert measure() == first and first["val_fid"] > 0
    assert set(first) == {"val_fid", "val_diversity", "val_asked_class_rate"}
    network.set_weights([weight + 0.5 for weight in before])
    assert measure() != first
    network.set_weights(before)
    assert measure() == task.validator(network, data)() == first
    assert task.score({"val_loss": 1.0, **first}) == (-first["val_fid"],)
    assert Generation().score({"val_loss": 1.0}) == (-1.0,)
    few = dataclasses.replace(data, validation=split_of(11, 1))  # of 12 that are needed
    others = dataclasses.replace(data, validation=data.train)
    assert task.validator(network, few)() == task.validator(network, others)()


@pytest.mark.parametrize(
    "changes", [{"judge": "none"}, {"judge_by": "auto"}, {"judge_by": "loss"}, {"val_fid_samples": 11}]
)
def test_epochs_are_picked_by_the_loss_without_a_judge(run, data, network, changes, caplog):
    task = Generation(**{"judge": str(run.path), "judge_by": "fid", **changes})
    assert task.validator(network, data) is None
    assert ("not picked by FID: the judge has 6 features" in caplog.text) == ("val_fid_samples" in changes)


def test_a_file_whose_images_are_worse_is_refused(judge, data, network, monkeypatch, caplog):
    monkeypatch.setattr(quality, "_SECONDS", 1e6)  # however busy the machine is
    task = Generation(judge=str(judge.path))
    endpoint = next(one for one in task.endpoints(network, data.spec, {}) if one.name == "decode")
    with_probe = {one.name for one in task.endpoints(network, data.spec, {}) if one.probe}
    assert with_probe == {"decode"}

    def same(inputs):
        outputs = endpoint.function(*(inputs[name] for name in endpoint.inputs))
        return {name: np.asarray(value) for name, value in outputs.items()}

    found = endpoint.probe(same, data.test.features)
    assert found["fid"] == pytest.approx(found["keras_fid"], rel=1e-3) and found["num_samples"] == 1000
    for _ in range(2):  # files
        assert endpoint.probe(same, data.test.features[:11]) == {}
    assert caplog.text.count("takes 12 test images (two for each feature of the judge), but 11 are") == 1
    with pytest.raises(RunFailedError, match=r"decode: its images are worse .*at most 1.2 times"):
        endpoint.probe(lambda inputs: {"images": same(inputs)["images"] ** 8}, data.test.features)
    assert quality.WORSE == 1.2


def test_a_table_of_files_has_no_column_that_nothing_was_measured_for(capsys):
    row = {"file": "gan.onnx", "bytes": 9, "max_difference": 1e-6, "latency_ms": 1.0}
    for more in ({}, {"endpoints": {"generate": {"fid_ratio": 1.01}}}):
        artefacts.print_rows(
            printing.open_console(), [{**row, **more}, {"file": "a", "error": "no"}], Generation()
        )
        assert ("FID / Keras's" in capsys.readouterr().out) == bool(more)
        titles = [
            column.title for column in files_table(Bundle(Path("x"), [{**row, **more}]), Generation()).columns
        ]
        assert ("FID / Keras's" in titles) == bool(more)


def test_a_judge_that_is_gone_is_said(data, caplog, tmp_path):
    gone = Generation(judge=str(tmp_path / "gone"))
    assert gone.against_data(Maker(noisy), data, data.test)[0]["left_out"].startswith("FID, since the judge")
    assert "is not there. Name one with --judge RUN" in caplog.text
    copies = Maker(lambda labels, noise: data.train.features[30:90])  # which are found without a judge
    found, arrays = Generation(fid_samples=60).against_data(copies, data, data.test)
    assert found["memorised"] == 1 and "fid" not in found
    np.testing.assert_array_equal(arrays["samples"], arrays["nearest"])
    assert Generation(fid_samples=60).against_data(copies, data, data.train)[1] == {}
    with pytest.raises(UsageError, match="There is no judge"):
        gone.resolve(data)
    none, _ = Generation(judge="none").against_data(Maker(noisy), data, data.test)
    assert 0 <= none["memorised"] < 1 and none.keys() == {"memorised", "num_compared", "num_train_compared"}
    assert Generation(fid_samples=0).against_data(copies, data, data.test) == ({}, {})


def test_a_judge_is_trained_once(run, data, tmp_path):
    wanted = run.recipe()
    recipe = dataclasses.replace(wanted, name="vae", task=Generation(), model=Config(VAE))
    trained = []

    def settled(name="judge", data=data, **changes):
        def train(recipe, data):
            trained.append(recipe)
            return run

        needed = dataclasses.replace(wanted, name=name, **changes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Generation, "judge_recipe", lambda *_: needed)
            return judging.settled(recipe, data, run.path.parents[1], train)

    assert settled().task.judge == str(run.path) and not trained
    assert settled(name="other").task.judge == str(run.path) and trained[-1].name == "other"
    settled(data=dataclasses.replace(data, fingerprint="0" * 64))
    settled(epochs=wanted.epochs + 1)
    assert len(trained) == 3
    right, recipe = recipe, dataclasses.replace(recipe, model=Config(VAE, beta=-1.0))
    with pytest.raises(UsageError, match="beta is -1"):
        settled(name="another")
    assert len(trained) == 3
    recipe = right
    given = dataclasses.replace(recipe, task=Generation(judge="none"))
    assert judging.settled(given, data, tmp_path, None) is given
    one_class = DataSpec(Spec(SHAPE, "uint8"), Spec((), "int32", ("only",)))
    recipe = dataclasses.replace(recipe, task=Generation(judge_by="fid"))
    found = judging.settled(recipe, dataclasses.replace(data, spec=one_class), tmp_path, None).task
    assert found.judge == "none" and found.objectives_of(VAE) == ("val_loss",)


def test_the_default_judge_is_settled_by_the_data_alone(data):
    found = default_judge.recipe(Digits(), data)
    assert found.task.resolve(data) == found.task
    assert (found.min_steps, found.min_steps_per_epoch) == (0, 0) and found.epochs * (90 // 11) >= 1200
    assert found.preprocessing.values["size"] == (28, 28)
    texts = DataSpec(Spec((), "string"), Spec((), "int32", NAMES))
    with pytest.raises(UsageError, match="no images to make others like them"):
        Generation().judge_recipe(Digits(), dataclasses.replace(data, spec=texts))
    one_class = DataSpec(Spec(SHAPE, "uint8"), Spec((), "int32", ("only",)))
    assert default_judge.recipe(Digits(), dataclasses.replace(data, spec=one_class)) is None


def test_a_judge_may_move_between_stops_of_a_run(run):
    recipe = dataclasses.replace(run.recipe(), task=Generation(judge="runs/judge/1"))
    moved = dataclasses.replace(recipe, task=Generation(judge="elsewhere/judge/1"))
    assert resume.same_work(recipe, moved)
    assert not resume.same_work(recipe, dataclasses.replace(recipe, task=Generation(judge_by="fid")))


def test_a_discriminator_that_knows_everything_and_divergence_are_said():
    rows = [{"real_accuracy": 1.0, "fake_accuracy": 1.0, "val_fid": fid} for fid in (9.0, 3.0, 4.0, 10.0)]
    texts = [one.text for one in verdicts.of_training(rows)]
    assert "tells every real image" in texts[0] and "3 at epoch 2, and 10 at the end" in texts[1]
    assert not verdicts.of_training([{**row, "fake_accuracy": 0.9, "val_fid": 3.0} for row in rows])


def test_a_generator_of_one_image_and_latents_without_use_are_said():
    (one,) = verdicts.of_training([{"pixel_spread": 0.3}] * 8 + [{"pixel_spread": 0.004}] * 2)
    assert "one image whatever the noise is" in one.text
    assert not verdicts.of_training([{"pixel_spread": 0.004}] * 8 + [{"pixel_spread": 0.3}] * 2)
    (one,) = verdicts.of_samples({"active_units": 0, "latents": 50})
    assert "None of the 50 latents is active" in one.text
    assert not verdicts.of_samples({"active_units": 1, "latents": 50})


@pytest.mark.slow
def test_a_run_picks_its_epoch_by_the_fid_of_a_judge_that_is_trained_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(default_judge, "_UPDATES", 100)
    recipe = replace(
        catalog.load("vae")[0],
        data=Digits(),
        task=Generation(judge_by="fid", likelihood_draws=0, fid_samples=400, val_fid_samples=200),
        model=Config(VAE, latent_size=4, units=(30,)),
        epochs=1,
        batch_size=128,
        ema_momentum=0.9,
        schedule="constant",
    )
    first = train.train(recipe, export=False)
    assert first.recipe.task.judge == "runs/judge/1"
    assert (
        first.metrics["judge"]["sha256"]
        == runs.Run(Path("runs/judge/1")).read_json("receipt.json")["weights_sha256"]
    )
    assert first.metrics["num_samples"] == 400 and first.metrics["fid"] > first.metrics["fid_floor"]
    longer = train.train(replace(recipe, epochs=2), export=False)
    assert [path.name for path in Path("runs/judge").iterdir()] == ["1"]
    resumed = job.resume(first.run.path, recipe=replace(first.recipe, epochs=2), export=False)
    histories = [record.read(result.run.path).history for result in (longer, resumed)]
    assert [row["val_fid"] for row in histories[0]] == [row["val_fid"] for row in histories[1]]
    assert histories[0][0]["val_fid"] != histories[0][1]["val_fid"]
    assert main(["export", str(resumed.run.path), "--formats", "onnx"]) == 0
    (bundle,) = (card.parent for card in Path("exported").rglob("card.json"))
    assert read_card(bundle)["recipe"]["fields"]["task"]["fields"]["judge"] == "runs/judge/1"
    assert main(["evaluate", str(bundle / "vae.decode.onnx"), "--json"]) == 0
