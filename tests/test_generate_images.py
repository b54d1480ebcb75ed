"""Images that networks make: samples by epoch, the report, `generate`, `interpolate` and `encode`."""

import base64
import csv
import io
import json
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageSequence

import kerasdl
from kerasdl import VAE, Config, Digits, Generation, Recipe
from kerasdl.cli import main
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.splits import ArraySplit
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import read_arrays
from kerasdl.inference import latents
from kerasdl.inference.predictor import Predictor
from kerasdl.jobs import encode, endpoints
from kerasdl.jobs import generate_images as images
from kerasdl.jobs import interpolate as between
from kerasdl.report import pictures
from kerasdl.runs.documents import sample_picture
from kerasdl.runs.folder import Run
from kerasdl.tasks.generation import page
from kerasdl.tasks.task import Evaluation
from kerasdl.training.callbacks.samples import Samples

SPEC = DataSpec(Spec((4, 4, 1), "uint8"), Spec((), "int32", ("ant", "bee", "..")))


class Flat(Predictor):
    """Makes images as bright as their first latent, and describes them so; a class brightens them by 0.25."""

    kind = "keras"

    def __init__(self, conditional=False, names=("encode", "decode")):
        labels = {"labels": ((None,), "int32")} if conditional else {}
        inputs = {
            "encode": {"images": ((None, 4, 4, 1), "uint8"), **labels},
            "decode": {"latents": ((None, 2), "float32"), **labels},
        }
        super().__init__(Path("flat"), SPEC.class_names, {name: inputs[name] for name in names})

    def _run(self, endpoint, inputs):
        shift = 0.25 * inputs.get("labels", np.zeros(1))
        if endpoint == "encode":
            mean = inputs["images"].astype(np.float32).mean((1, 2, 3)) / 255
            return {"log_variance": np.stack([mean, mean], 1), "mean": np.stack([mean - shift, 0 * mean], 1)}
        return {"images": np.tile((inputs["latents"][:, 0] + shift).reshape(-1, 1, 1, 1), (1, 4, 4, 1))}


def target(**fields):
    predictor = Flat(**fields)
    return types.SimpleNamespace(
        path=Path("flat"), kind="keras", predictor=predictor, labels=SPEC.class_names, spec=SPEC
    )


def seen(path, side):
    """Return a picture that was enlarged so that it can be seen, in its own size."""
    pixels = pictures.read_png(path)
    factor = max(pixels.shape[:2]) // side
    return pixels[::factor, ::factor, 0]


# Pictures


def test_grids_have_a_pixel_between_images():
    tiles = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1).repeat(2, 1).repeat(2, 2)
    found = pictures.grid(tiles, 2)[..., 0]
    assert found.tolist() == [
        [0, 0, 255, 1, 1], [0, 0, 255, 1, 1], [255] * 5, [2, 2, 255, 255, 255], [2, 2, 255, 255, 255],
    ]  # fmt: skip
    rows = pictures.rows_by_class(tiles[:, :1, :1], np.array([5, 5, 9]))[..., 0]
    assert rows.tolist() == [[0, 255, 1], [255] * 3, [2, 255, 255]]
    assert pictures.arranged(tiles, np.array([1, 1, 1])).shape == (5, 5, 1)
    assert pictures.arranged(np.concatenate([tiles, tiles]), np.array([0, 1, 0, 1, 0, 1])).shape == (5, 8, 1)


def test_pictures_of_a_film_have_few_greys():
    noise = np.random.default_rng(0).normal(128, 60, (231, 231, 1)).clip(0, 255).astype(np.uint8)
    whole, few = (pictures.data_uri(noise, exact=400, colours=colours) for colours in (None, 16))
    assert len(few[0]) < 0.55 * len(whole[0]) and few[1:] == whole[1:] == (231, 231)
    with Image.open(io.BytesIO(base64.b64decode(few[0].partition(",")[2]))) as image:
        away = np.asarray(image.convert("L")).astype(int) - noise[..., 0]
    assert np.abs(away).max() <= 40 and abs(away.mean()) < 2


def test_floats_become_bytes():
    values = np.array([[-0.1, 0.0, 0.5, 1.0, 1.2, np.nan, np.inf]], np.float32)
    assert pictures.as_uint8(values).tolist() == [[0, 0, 128, 255, 255, 0, 255]]


@pytest.mark.parametrize("channels", [1, 3])
def test_files_hold_what_was_drawn(tmp_path, channels):
    frames = np.random.default_rng(0).integers(0, 256, (3, 6, 4, channels)).astype(np.uint8)
    pictures.write_png(tmp_path / "a.png", frames[0])
    np.testing.assert_array_equal(pictures.read_png(tmp_path / "a.png"), frames[0])
    pictures.write_gif(tmp_path / "a.gif", frames)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.info["loop"], film.info["duration"]) == (3, 0, 100)
        film.seek(2)
        apart = np.asarray(film.convert("RGB")).astype(int) - frames[2]
    assert np.abs(apart).max() <= (0 if channels == 1 else 8)


# Latents


def test_arcs_keep_their_length_and_end_where_they_should():
    first, second = latents.normal(0, 2, (40,))
    second *= np.linalg.norm(first) / np.linalg.norm(second)
    way = latents.spherical(first, second, np.linspace(0, 1, 5))
    np.testing.assert_allclose(way[[0, -1]], [first, second], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), np.linalg.norm(first), rtol=1e-5)
    for end in (3 * first, -first, 0 * first):  # one direction, opposite ones, none
        way = latents.spherical(first, end, np.linspace(0, 1, 3))
        np.testing.assert_allclose(way, [first, (first + end) / 2, end], atol=1e-5)


def test_walks_are_closed_and_pass_all_points():
    points = latents.normal(0, 3, (8,))
    way = latents.walk(points, 12)
    np.testing.assert_allclose(way[::4], points, atol=1e-6)
    steps = np.linalg.norm(np.diff(np.concatenate([way, way[:1]]), axis=0), axis=1)
    assert steps.max() < 1.6
    assert latents.walk(points[:1], 3).shape == (3, 8) and latents.walk(points, 2).shape == (2, 8)


def test_more_noise_begins_with_the_same():
    np.testing.assert_array_equal(latents.normal(4, 20, (3, 2))[:7], latents.normal(4, 7, (3, 2)))
    assert latents.in_turn(8, 3).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


# Commands


def test_images_are_those_of_the_noise(tmp_path):
    found = images.generate(target(), images.Settings(count=3, seed=2, truncation=0.5), tmp_path / "a")
    assert (found["endpoint"], found["count"], found["out"]) == ("decode", 3, str(tmp_path / "a"))
    expected = pictures.as_uint8(0.5 * latents.normal(2, 3, (2,))[:, 0])
    files = sorted((tmp_path / "a").iterdir())
    assert [pictures.read_png(file)[0, 0, 0] for file in files] == expected.tolist()
    assert [file.name for file in files] == ["00001.png", "00002.png", "00003.png"]


def test_all_classes_have_a_row_or_a_folder(tmp_path):
    out = tmp_path / "grid.png"
    images.generate(target(conditional=True), images.Settings(truncation=0), out)
    assert seen(out, 39)[::5, ::5].tolist() == [[64 * label] * 8 for label in range(3)]
    images.generate(target(conditional=True), images.Settings(count=4, class_name="bee", truncation=0), out)
    assert (seen(out, 9)[::5, ::5] == 64).all()
    images.generate(target(conditional=True), images.Settings(count=4), tmp_path / "all")
    assert sorted(path.parent.name + "/" + path.name for path in (tmp_path / "all").glob("*/*")) == [
        "2/00004.png", "ant/00001.png", "ant/00002.png", "bee/00003.png",
    ]  # fmt: skip


def test_films_end_where_they_began(tmp_path):
    images.generate(target(conditional=True), images.Settings(count=20, class_name="0"), tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as film:
        assert film.size == (256, 256)
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(film)) == 2000
    images.generate(target(), images.Settings(count=5), tmp_path / "short.gif")
    with Image.open(tmp_path / "short.gif") as film:
        assert film.n_frames > 1
    between.interpolate(target(), between.Settings(steps=5), tmp_path / "b.gif")
    with Image.open(tmp_path / "b.gif") as film:
        assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(film)) == 800


def test_a_way_leads_from_one_image_to_the_other(tmp_path):
    for name, value in (("a", 51), ("b", 204)):
        pictures.write_png(tmp_path / f"{name}.png", np.full((4, 4, 1), value, np.uint8))
    ends = {"first": tmp_path / "a.png", "last": tmp_path / "b.png"}
    between.interpolate(target(), between.Settings(steps=4, **ends), tmp_path / "way.png")
    assert seen(tmp_path / "way.png", 19)[0, ::5].tolist() == [51, 102, 153, 204]
    of_bee = between.Settings(steps=2, class_name="bee", **ends)
    between.interpolate(target(conditional=True), of_bee, tmp_path / "way.png")
    assert seen(tmp_path / "way.png", 9)[0, ::5].tolist() == [51, 204]
    with pytest.raises(UsageError, match="give --class"):
        between.interpolate(target(conditional=True), between.Settings(**ends), tmp_path / "way.png")
    between.interpolate(target(conditional=True), between.Settings(steps=2), tmp_path / "rows.png")
    assert (
        pictures.read_png(tmp_path / "rows.png").shape[0] > pictures.read_png(tmp_path / "way.png").shape[0]
    )


def test_images_are_described(tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "_BATCH", 2)
    files = []
    for value in (0, 10, 20):  # more than a batch
        files.append(str(tmp_path / f"{value}.png"))
        pictures.write_png(Path(files[-1]), np.full((4, 4, 1), value, np.uint8))
    found = encode.encode_files(target(), files, None)
    np.testing.assert_allclose(found["mean"][:, 0], np.array([0, 10, 20]) / 255, atol=1e-6)
    encode.write(found, tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert list(rows[0]) == ["file", "mean_0", "mean_1", "log_variance_0", "log_variance_1"]
    assert (rows[1]["file"], float(rows[1]["mean_0"])) == (files[1], pytest.approx(10 / 255))
    encode.write(found, tmp_path / "a.npz")
    assert np.load(tmp_path / "a.npz")["files"].tolist() == files
    with pytest.raises(UsageError, match="give --class"):
        encode.encode_files(target(conditional=True), files, None)


def test_what_cannot_be_made_is_said(tmp_path):
    nothing = target(names=("encode",))
    with pytest.raises(UsageError, match="flat makes no images: it has the endpoints encode, but not"):
        images.generate(nothing, images.Settings(), tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"cannot describe images: .* but not encode") as refused:
        encode.encode_files(target(names=("decode",)), ["a.png"], None)
    assert "of one, or the run of a classifier, which describes the images of a split" in str(refused.value)
    ends = between.Settings(first=tmp_path / "a.png", last=tmp_path / "b.png")
    with pytest.raises(UsageError, match=r"cannot describe images, .*--from and --to.* but not encode"):
        between.interpolate(target(names=("decode",)), ends, tmp_path / "way.png")
    broken = target()
    broken.predictor._run = lambda endpoint, inputs: {"images": np.full((3, 4, 4, 1), np.nan)}
    with pytest.raises(RunFailedError, match="no number"):
        images.generate(broken, images.Settings(count=3), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_the_other_endpoints_of_an_onnx_file_lie_beside_it(tmp_path, monkeypatch):
    there = target(names=("encode",))
    there.kind, there.path = "onnx", tmp_path / "x.encode.onnx"
    assert endpoints.find(there, "decode") is None
    (tmp_path / "x.decode.onnx").touch()
    monkeypatch.setattr("kerasdl.jobs.open.load", lambda path: path.name)
    assert endpoints.find(there, "generate", "decode") == ("x.decode.onnx", "decode")


def test_evaluate_asks_the_file_that_makes_images(tmp_path, monkeypatch, capsys):
    asked = []

    def load(path):
        opened = target(names=(Path(path).name.split(".")[1],))
        split = ArraySplit(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int32))
        data = Dataset(train=split, validation=split, test=split, spec=SPEC, fingerprint="f")
        opened.kind, opened.path, opened.task = "onnx", Path(path), Generation(fid_samples=0)
        opened.fitted, opened.fingerprint, opened.load_data = {}, "f", lambda _: data
        return opened

    def evaluate(predictor, *_):
        asked.extend(predictor.inputs)
        return Evaluation(figures={"examples": 2})

    monkeypatch.setattr("kerasdl.jobs.open.load", load)
    monkeypatch.setattr("kerasdl.jobs.evaluate.evaluate", evaluate)
    monkeypatch.setattr("kerasdl.cli.parser.places.find", lambda path: None)
    for file in ("x.decode.onnx", "x.encode.onnx"):
        (tmp_path / file).touch()
        assert main(["evaluate", str(tmp_path / file), "--data", "digits", "--json"]) == 0
        assert asked.pop() == "decode"
        assert json.loads(capsys.readouterr().out)["target"] == str(tmp_path / "x.decode.onnx")
    (tmp_path / "x.decode.onnx").unlink()
    assert main(["evaluate", str(tmp_path / "x.encode.onnx"), "--data", "digits"]) == 0
    assert asked == ["encode"]


# A run


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    recipe = Recipe(
        name="tiny",
        model=Config(VAE, latent_size=3, units=(6,), conditional=True),
        data=Digits(),
        task=Generation(likelihood_draws=0, judge="none"),
        epochs=2,
        batch_size=32,
        limit_train_batches=4,
        learning_rate=0.02,
        ema_momentum=0.5,
    )
    kerasdl.train(recipe, runs_dir=place / "runs", export=False)
    return place


@pytest.fixture
def run(there, monkeypatch):
    monkeypatch.chdir(there)
    return Run(Path("runs/tiny/1"))


@pytest.mark.slow
def test_pictures_of_each_epoch_are_those_of_the_saved_network(run):
    rows = run.read_json("samples.json")["samples"]
    assert rows == [{"epoch": epoch, "picture": sample_picture(epoch)} for epoch in (1, 2)]
    shown = read_arrays(run.path / "gallery.npz")
    assert shown["made_labels"].tolist() == np.repeat(np.arange(10), 8).tolist()
    best = run.read_json("metrics.json")["best_epoch"]
    saved = pictures.arranged(shown["made"], shown["made_labels"])
    drawn = {epoch: pictures.read_png(run.path / sample_picture(epoch)) for epoch in (1, 2)}
    np.testing.assert_array_equal(drawn[best], saved)
    assert not np.array_equal(drawn[1], drawn[2])


@pytest.mark.slow
def test_tensorboard_shows_the_pictures(run):
    (file,) = (run.path / "logs/samples").iterdir()
    found = {
        event.step: tf.io.decode_png(value.tensor.string_val[2]).numpy()
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    assert found.keys() == {0, 1}
    np.testing.assert_array_equal(found[1], pictures.read_png(run.path / sample_picture(2)))


def test_later_pictures_are_gone_when_a_run_goes_back(tmp_path):
    run = Run(tmp_path)
    samples = Samples(run, Generation(), SPEC)
    for epoch in (1, 2, 3):
        samples._keep(epoch, np.full((4, 4, 1), epoch, np.uint8))
    rows = samples.state()["rows"]
    again = Samples(run, Generation(), SPEC)
    again.restore({"rows": rows[:2]})
    again.begin()
    assert run.read_json("samples.json")["samples"] == rows[:2]
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "epoch_0001.png", "epoch_0002.png",
    ]  # fmt: skip
    assert again.picture(rows[1])[0, 0, 0] == 2 and again.picture(rows[2]) is None
    again.restore({"rows": []})
    again.begin()
    assert not (tmp_path / "samples.json").exists() and not list((tmp_path / "samples").iterdir())
    with pytest.raises(UsageError, match=r"gave an array of shape \(4, 4\), float64"):
        again._keep(1, np.zeros((4, 4)))


@pytest.mark.slow
def test_the_report_shows_what_the_network_makes(run):
    tiles = np.zeros((2, 8, 8, 1), np.uint8)
    run.write_arrays("compared.npz", {"samples": tiles, "nearest": tiles})
    assert main(["report", str(run.path)]) == 0
    text = (run.path / "report.html").read_text()
    for said in (
        "80 images of the noise", "Test images in the first row", "Each row leads from one",
        "The mean latents of 359 test images", "was told the class of each",
        "of 3 latents are active", "one latent changed in each row",
        "the training image that is nearest",
        'class="pictures strip"', "epoch 2",
    ):  # fmt: skip
        assert said in text, said


@pytest.mark.slow
def test_a_damaged_picture_is_named(run):
    path = run.path / sample_picture(1)
    content = path.read_bytes()
    path.write_bytes(content[:60])
    try:
        with pytest.raises(RunFailedError, match=r"epoch_0001\.png is damaged .*Delete it"):
            kerasdl.jobs.report.write_report(run)
    finally:
        path.write_bytes(content)


def test_sections_of_figures_alone():
    figures = {
        "fid": 3.25, "fid_floor": 0.1, "kid": 0.01, "class_balance": {"a": 0.75, "b": 0.25},
        "memorised": 0.04, "examples": 12,
    }  # fmt: skip
    (found,) = page.sections(figures, ("a", "b"), {})
    shown = {item.name: (item.value, item.note) for item in found.blocks[0].items}
    assert shown["Frechet distance (FID)"] == ("3.25", "real against real: 0.1")
    assert shown["Kernel distance (KID)"] == ("0.01", "")  # its error was not measured
    assert found.blocks[1].summary == "The classes have from 25.0% (b) to 75.0% (a)."
    tiles = np.zeros((2, 4, 4, 1), np.uint8)
    near = page.sections(figures, (), {"samples": tiles, "nearest": tiles})[-1]
    assert near.title == "Nearest training images" and "4.0% of the samples" in near.blocks[0].items[0].alt
    assert page.sections({}, (), {}) == []


BAD = (
    (["generate", "--class", "12"], "There is no class '12'; there are 10: 0, 1"),
    (["generate", "--count", "0"], "count is 0, but it has to be 1 or more"),
    (["generate", "--truncation", "nan"], "truncation is nan"),
    (["generate", "--seed", "-1"], "seed is -1"),
    (["generate", "--count", "10001"], "a picture holds at most 10,000"),
    (["generate", "--out", "a.jpg"], "its suffix has to be one of these: none (a folder), .png, .gif"),
    (["generate", "--out", "runs"], "runs is a folder that is not empty"),
    (["generate", "--out", "runs/tiny/1/recipe.json"], "its suffix has to be"),
    (["generate", "--out", "no/a.png"], "cannot be written to"),
    (["generate", "--prompt", "once"], "--prompt is for texts, but runs/tiny/1 makes images"),
    (["interpolate", "--steps", "1"], "steps is 1"),
    (["interpolate", "--from", "a.png"], "--from and --to go together"),
    (["interpolate", "--from", "a.png", "--to", "b.png", "--class", "3"], "There is no image a.png"),
    (["interpolate", "--out", "folder"], "its suffix has to be one of these: .png, .gif"),
    (["encode", "a.png", "--class", "3"], "There is no image a.png"),
    (["encode", "a.png", "--data", "digits"], "either images or --data"),
    (["encode", "--class", "3"], "--class is for images"),
    (["encode", "--figures"], "its latents know the class of each"),
    (["encode", "--out", "a.txt"], "its suffix has to be one of these: .npz, .csv"),
)


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "said"), BAD, ids=lambda value: "-".join(value[:5]))
def test_bad_input_is_one_message(run, capsys, arguments, said, monkeypatch):
    from kerasdl.jobs import open as loading

    kept = loading.load(run.path) if not _OPENED else _OPENED[0]
    _OPENED[:] = [kept]
    monkeypatch.setattr("kerasdl.jobs.open.load", lambda path: kept)
    before = sorted(Path().rglob("*"))
    command, *rest = arguments
    assert main([command, str(run.path), *rest]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


_OPENED = []  # the run, so that its network is built once


@pytest.mark.slow
def test_commands_on_a_run(run, capsys):
    assert main(["generate", str(run.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["count"], found["out"]) == (80, "generated.png")
    grid = seen("generated.png", 89)
    np.testing.assert_array_equal(
        grid[..., None], pictures.read_png(run.path / sample_picture(2))[:, : grid.shape[1]]
    )
    assert main(["encode", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 359
    found = read_arrays(Path("latents.npz"))
    np.testing.assert_allclose(found["mean"], read_arrays(run.path / "gallery.npz")["means"], atol=1e-5)
    assert found["class_names"][found["labels"][0]] == str(found["labels"][0])
