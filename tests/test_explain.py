"""Interpretability: maps that depend on the weights, add up, and lie where the class is; and the command."""

import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from PIL import Image
from scipy import ndimage
from scipy.stats import spearmanr

from kerasdl.cli import main
from kerasdl.data.images.digits import Digits
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.explain import feature_maps, heatmaps
from kerasdl.explain import gradients as maps
from kerasdl.explain import images as explanations
from kerasdl.explain.explainer import Examples, Question
from kerasdl.explain.occlusion import occlusion
from kerasdl.jobs import train
from kerasdl.layers import BatchNormalization
from kerasdl.models.lenet5 import LeNet5
from kerasdl.models.mlp import MLP
from kerasdl.network.network import Network
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.recipe import Config, Recipe
from kerasdl.tasks.classification.task import Classification

SIDE = 24


class Branches(keras.layers.Layer):
    """Two branches side by side, in a block of blocks: the last convolution called is one of them."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.left = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")
        self.right = [BatchNormalization(), keras.layers.Conv2D(filters, 1, activation="relu", name="last")]

    def call(self, x):
        y = self.left(x)
        for layer in self.right:
            x = layer(x)
        return ops.concatenate([y, x], -1)


class Nested(Network):
    """A subclassed network with blocks in a list, a gate over 1x1 maps, and a head that is only trained."""

    def __init__(self, *, num_classes=3, gate=True, **kwargs):
        super().__init__(**kwargs)
        self.stem = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")
        self.blocks = [Branches(6, name=f"block{index}") for index in range(2)]
        self.pool = keras.layers.MaxPooling2D(2)
        self.squeeze = keras.layers.Conv2D(12, 1, activation="sigmoid", name="gate") if gate else None
        self.auxiliary = keras.layers.Conv2D(num_classes, 3, name="auxiliary")
        self.head = keras.layers.Dense(num_classes)

    def forward(self, x, training=False):
        x = self.stem(x)
        for block in self.blocks:
            x = block(self.pool(x))
        auxiliary = ops.mean(self.auxiliary(x), (1, 2))
        if self.squeeze is not None:
            x = x * self.squeeze(ops.mean(x, (1, 2), keepdims=True))
        return {"logits": self.head(ops.mean(x, (1, 2))), "auxiliary": auxiliary}


def patterns(count, seed=0):
    """Draw stripes across, stripes down, or a chessboard somewhere in grey noise: the class is which of them.

    Returns:
        Images (count, 24, 24, 1), uint8; labels (count,); where the 8x8 pattern is, (count, 24, 24), bool.
    """
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, count)
    images = draw.integers(108, 148, (count, SIDE, SIDE, 1))
    rows, columns = np.mgrid[:8, :8] // 2 % 2
    shapes = 100 * (2 * np.stack([rows, columns, rows ^ columns]) - 1)
    inside = np.zeros(images.shape[:3], bool)
    for image, label, mask in zip(images, labels, inside, strict=True):
        row, column = draw.integers(0, SIDE - 7, 2)
        image[row : row + 8, column : column + 8, 0] += shapes[label]
        mask[row : row + 8, column : column + 8] = True
    return images.clip(0, 255).astype(np.uint8), labels, inside


@pytest.fixture(scope="module")
def trained():
    """A network of nested blocks that tells the patterns apart."""
    keras.utils.set_random_seed(1)
    network = Nested(num_classes=3, gate=False, preprocessing=ImagePreprocessing(mean=(0.5,), std=(0.25,)))
    optimizer = keras.optimizers.Adam(5e-3)
    images, labels, _ = patterns(512)
    network(images[:1])
    optimizer.build(network.trainable_variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = network(x)["logits"]
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True))
        gradients = tape.gradient(loss, network.trainable_variables)
        pairs = zip(gradients, network.trainable_variables, strict=True)
        optimizer.apply_gradients([pair for pair in pairs if pair[0] is not None])

    for place in 12 * list(range(0, 512, 64)):
        step(tf.constant(images[place : place + 64]), tf.constant(labels[place : place + 64]))
    images, labels, _ = patterns(200, seed=5)
    assert (maps.logits_of(network, images).argmax(-1) == labels).mean() > 0.95
    return network


METHODS = {
    "grad-cam": lambda *of: maps.grad_cam(*of).maps,
    "integrated-gradients": lambda *of: maps.integrated_gradients(*of).maps.sum(-1),
    "saliency": lambda *of: maps.saliency(*of, samples=8),
    "occlusion": lambda *of: occlusion(*of, part=0.25),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_weights_change_each_map(trained, method):
    """Adebayo et al., "Sanity checks for saliency maps", 2018: maps of random weights are other maps."""
    images, labels, _ = patterns(4, seed=7)
    before = METHODS[method](trained, images, labels)
    assert np.array_equal(before, METHODS[method](trained, images, labels))  # its noise is seeded
    weights = trained.get_weights()
    draw = np.random.default_rng(3)
    trained.set_weights(
        [
            draw.normal(0, 0.1 + value.std(), value.shape).astype("float32")
            ** (2 if "variance" in variable.path else 1)
            for value, variable in zip(weights, trained.weights, strict=True)
        ]
    )
    try:
        after = METHODS[method](trained, images, labels)
    finally:
        trained.set_weights(weights)
    assert before.shape == after.shape == images.shape[:3]
    assert before.std() > 0 and after.std() > 0
    correlation = spearmanr(before.ravel(), after.ravel())[0]
    assert abs(correlation) < 0.5, correlation


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_maps_lie_where_the_class_is(trained, method):
    images, labels, inside = patterns(8, seed=9)
    found = np.maximum(METHODS[method](trained, images, labels), 0)
    near = ndimage.binary_dilation(inside, np.ones((1, 5, 5)))  # 2 pixels more: a quarter of the image
    share = (found * near).sum((1, 2)) / found.sum((1, 2))
    assert near.mean() < 0.26
    # Gradients of single pixels are spread more widely than what whole regions do to the logit.
    assert share.mean() > (0.6 if method in ("grad-cam", "occlusion") else 0.33), share


@pytest.mark.slow
def test_integrated_gradients_sum_to_the_difference_of_the_logits(trained):
    images, labels, _ = patterns(4, seed=11)
    for baseline in (0.0, images.mean((0, 1, 2))):
        found = maps.integrated_gradients(trained, images, labels, baseline=baseline, steps=4)
        start = np.broadcast_to(np.float32(baseline), images.shape)
        difference = maps.logits_of(trained, images) - maps.logits_of(trained, start)
        difference = np.take_along_axis(difference, labels[:, None], 1)[:, 0]
        sums = found.maps.astype(np.float64).sum((1, 2, 3))
        assert np.abs(sums / difference - 1).max() < 0.0101
        np.testing.assert_allclose(found.differences, difference, rtol=1e-5)
        np.testing.assert_allclose(found.errors, np.abs(sums - difference) / np.abs(difference), atol=1e-5)
        assert found.steps.min() >= 4
    rough = maps.integrated_gradients(trained, images, labels, steps=1, most_steps=1)
    assert rough.steps.max() == 1
    assert rough.errors.max() > 0.01  # one step is not enough, which is told


def test_integrated_gradients_of_squares_are_exact_in_one_step():
    class Squares(Network):
        def forward(self, images, training=False):
            return ops.sum(images**2, (1, 2))  # (B, C)

    images = np.random.default_rng(0).integers(1, 256, (2, 3, 5, 2)).astype(np.uint8)
    found = maps.integrated_gradients(Squares(), images, np.array([0, 1]), steps=1)
    expected = images.astype(np.float64) ** 2 * np.array([[1, 0], [0, 1]])[:, None, None]
    np.testing.assert_allclose(found.maps, expected, rtol=1e-5)
    assert found.steps.tolist() == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, (32, 32)])
def test_the_last_convolution_of_nested_blocks_is_found(size):
    network = Nested(preprocessing=ImagePreprocessing(size=size))
    images, labels, _ = patterns(3)
    network(images)
    found = maps.grad_cam(network, images, labels)
    assert found.convolution.endswith("block1/last")  # neither the gate nor the auxiliary head
    assert found.layer.endswith("block1")  # both of its branches
    assert found.extent == ((8, 8) if size else (6, 6))
    assert found.maps.shape == (3, SIDE, SIDE)
    name, kernel = maps.first_filters(network, images[0])
    assert name.endswith("stem")
    assert kernel.shape == (3, 3, 1, 8)
    assert not any("call" in vars(layer) for layer in network._flatten_layers())


@pytest.mark.slow
def test_grad_cam_is_that_of_the_paper():
    """Of a network whose answer is linear in its last maps the weights are those of its head."""
    network = Nested(gate=False)
    images, labels, _ = patterns(2)
    network(images.astype("float32"))
    with feature_maps.watching(network) as calls:
        network(images.astype("float32"))
    last = next(call.output.numpy() for call in calls if call.layer is network.blocks[1])
    weights = network.head.kernel.numpy()[:, labels] / last[0, ..., 0].size  # (C, N)
    expected = np.maximum(np.einsum("nhwc,cn->nhw", last, weights), 0)
    found = maps.grad_cam(network, images, labels).maps
    assert found.max() == pytest.approx(expected.max(), rel=0.3)
    middle = 4 * np.arange(6) + 1
    coarse = (found[:, middle][:, :, middle] + found[:, middle + 1][:, :, middle + 1]) / 2
    assert np.corrcoef(coarse.ravel(), expected.ravel())[0, 1] > 0.95


def test_maps_are_put_where_their_cells_look():
    """LeNet-5 pads 8x8 pixels to 32x32: stretched over the image, its maps would be four times too small."""
    network = LeNet5(num_classes=2, activation="tanh", preprocessing=ImagePreprocessing())
    network(np.zeros((1, 8, 8, 1), np.uint8))
    with feature_maps.watching(network) as calls:
        maps.logits_of(network, np.zeros((1, 8, 8, 1)))
    number = next(index for index, call in enumerate(calls) if call.layer is network.c3)
    rows, columns = feature_maps.centres(
        lambda images: maps.logits(network, images), network, (8, 8, 1), number
    )
    np.testing.assert_allclose(rows, 2 * np.arange(10) - 5.5)  # c3's fields: 14 pixels, 2 apart, from -12
    np.testing.assert_allclose(columns, rows)
    stretched = feature_maps.stretch(rows[None, :, None] + 0 * columns, rows, columns, (8, 8))
    np.testing.assert_allclose(stretched[0, :, 3], np.arange(8), atol=1e-5)


def test_occlusion_measures_the_fall_of_the_logit():
    class Sum(Network):
        def forward(self, images, training=False):
            return ops.stack([ops.sum(images[:, :4, :4], (1, 2, 3)), ops.zeros(len(images))], -1)

    image = np.full((1, 16, 16, 1), 200, np.uint8)
    found = occlusion(Sum(), image, np.array([0]))  # patches of 2 pixels, 1 apart
    assert found[0, 1:3, 1:3] == pytest.approx(4 * 72.5)
    assert found[0, 5:, 5:].max() == 0
    assert found[0, 3, 3] == pytest.approx((4 + 2 + 2 + 1) / 4 * 72.5)


@pytest.mark.slow
def test_a_grad_cam_that_shows_nothing_is_said():
    network = Nested(num_classes=2, gate=False)
    network(np.zeros((1, SIDE, SIDE, 1), np.float32))
    kernel, bias = network.head.get_weights()
    network.head.set_weights([np.stack([-np.abs(kernel[:, 0]), np.abs(kernel[:, 1])], -1), bias])
    images, _, _ = patterns(2)
    for class_id, said in ((0, 2), (1, 0)):
        examples = Examples(images, ["a.png", "b.png"])
        asked = Question(class_names=("x", "y"), class_id=class_id, methods=["grad-cam"])
        found = explanations.ImageExplainer().explain(network, None, examples, asked)
        notes = json.loads(str(found["about"]))["notes"]
        assert [note.count("is 0 everywhere") for note in notes] == [1] * said


def test_a_network_that_lets_no_gradient_through_is_said():
    class Rounded(Network):
        def forward(self, images, training=False):
            return ops.cast(ops.cast(images, "int32"), "float32")[:, 0, 0, :]

    images = np.zeros((1, 4, 4, 3), np.uint8)
    with pytest.raises(RunFailedError, match="No gradient reaches"):
        maps.saliency(Rounded(), images, np.array([0]))


def test_filters_are_drawn_alike():
    kernel = np.zeros((2, 2, 3, 5), np.float32)
    kernel[0, 0, :, 0] = (0.5, 0, -0.5)
    kernel[1, 1, :, 1] = (5, 0, -5)
    grid, said = heatmaps.filters(kernel)
    assert grid.shape == (5, 8, 3)
    assert grid[0, 0].tolist() == grid[1, 4].tolist() == [255, 128, 0]
    assert grid[0, 1].tolist() == [128] * 3
    assert "all 5 filters of 2x2" in said and "middle grey is 0" in said
    assert heatmaps.filters(np.zeros((3, 3, 20, 70)))[0].shape == (64 * 4 - 1, 16 * 4 - 1, 3)
    assert "the first 64 of 70" in heatmaps.filters(np.zeros((3, 3, 20, 70)))[1]


def test_colors_have_their_sides():
    grey, values = np.full((2, 2, 1), 128, np.uint8), np.array([[3.0, -3.0], [0.0, 0.0]])
    two = heatmaps.overlay(grey, values, signed=True).astype(int)
    assert two[0, 0, 0] > two[0, 0, 2] and two[0, 1, 0] < two[0, 1, 2]
    assert np.ptp(two[1]) == 0
    one = heatmaps.overlay(grey, np.abs(values), signed=False).astype(int)
    assert one[0, 0].sum() > one[1, 0].sum()
    assert np.isfinite(heatmaps.scaled(np.zeros((3, 3)))).all()


# The command.


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of LeNet-5 and one of an MLP, each of one epoch."""
    folder = tmp_path_factory.mktemp("runs")
    for name, model in (("lenet", LeNet5), ("mlp", MLP)):
        recipe = Recipe(
            name=name,
            model=Config(model),
            preprocessing=Config(ImagePreprocessing),
            data=Digits(),
            task=Classification(),
            epochs=1,
            batch_size=128,
        )
        train.train(recipe, runs_dir=folder, export=False)
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(draw.integers(0, 256, (20, 20), np.uint8)).save(folder / f"{name}.png")
    (folder / "no.png").write_bytes(b"not a picture")
    bundle = folder / "bundle"
    bundle.mkdir()
    card = {"artefacts": [], "files": {}, "examples": 0, "run": "lenet/1"}
    (bundle / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def copied(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    return tmp_path / "runs"


def explain(capsys, *arguments):
    code = main(["explain", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.slow
def test_command(copied, capsys):
    run, image = copied / "lenet/1", copied / "a.png"
    code, out, _ = explain(capsys, run, image, copied / "b.png", "--class", "3")
    assert code == 0
    assert re.search(r"Grad-CAM: 10x10 maps of (le_net5(_\d+)?/)?c3", out)
    assert f"Sheet   {run / 'explain/sheet.png'}" in out
    names = {path.name for path in (run / "explain").iterdir()}
    methods = [name for name in explanations.METHODS if name != "filters"]
    pictures = {f"{row}-{method}.png" for row in ("01-a", "02-b") for method in methods}
    assert names == {*pictures, "sheet.png", "filters.png", "explanations.npz"}
    with np.load(run / "explain/explanations.npz") as arrays:
        assert arrays["grad-cam"].shape == (2, 8, 8)
        about = json.loads(str(arrays["about"]))
        assert all(row["class"] == "3" and row["error"] <= 0.01 for row in about["images"])
    page = (run / "report.html").read_text()
    assert "Explanations" in page and "Occlusion of" in page and "explained: 3" in page


@pytest.mark.slow
def test_without_images_it_explains_mistakes_and_only_its_own_old_files_go(copied, capsys):
    run = copied / "lenet/1"
    (run / "explain").mkdir()
    (run / "explain/mine.png").write_bytes(b"mine")
    assert explain(capsys, run, copied / "a.png", "--methods", "saliency")[0] == 0
    code, out, _ = explain(capsys, run, "--methods", "occlusion", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["images"][0].keys() >= {"name", "true", "predicted", "probability", "class", "logit"}
    assert all(row["true"] != row["predicted"] for row in found["images"])
    assert "error" not in found["images"][0]
    names = {path.name for path in (run / "explain").iterdir()}
    assert names == {*found["files"], "mine.png"}
    assert not any("saliency" in name for name in names)


@pytest.mark.slow
def test_elsewhere_the_run_stays_as_it_was(copied, capsys):
    run = copied / "lenet/1"
    before = (run / "report.html").read_bytes()
    code, out, _ = explain(capsys, run, copied / "a.png", "--methods", "filters", "--out", copied / "other")
    assert code == 0
    assert (copied / "other/sheet.png").is_file() and not (run / "explain").exists()
    assert (run / "report.html").read_bytes() == before and "Report" not in out


@pytest.mark.slow
def test_a_network_without_convolutions(copied, capsys):
    run, image = copied / "mlp/1", copied / "a.png"
    code, out, _ = explain(capsys, run, image)
    assert code == 0 and "no convolution over an image, so it has no grad-cam and no filters" in out
    code, _, error = explain(capsys, run, image, "--methods", "grad-cam", "--out", copied / "x")
    assert code == 2 and "Use --methods integrated-gradients,saliency,occlusion" in error
    assert not (copied / "x").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lenet/1", "nowhere.png"], "There is no image"),
        (["lenet/1", "no.png"], "is not a readable image"),
        (["lenet/1", "a.png", "--class", "zero"], "There is no class 'zero'; there are 10: 0, 1"),
        (["lenet/1", "a.png", "--class", "10"], "an index from 0"),
        (["lenet/1", "a.png", "--methods", "gradcam"], "Did you mean 'grad-cam'?"),
        (["lenet/1", "a.png", "--steps", "0"], "--steps is 0"),
        (
            ["bundle", "a.png"],
            "no gradients. Give the run that it came from, such as runs/lenet/1",
        ),
        (["lenet", "a.png"], "is neither a run"),
        (["nowhere", "a.png"], "There is no"),
        (["lenet/1", "a.png", "--out", "a.png"], "cannot be written to"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_line(runs, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(runs)
    before = {path for path in Path().rglob("*") if ".lock" not in path.name}
    code, out, error = explain(capsys, *arguments)
    assert code == 2
    assert said in error and "Traceback" not in error and not out
    assert {path for path in Path().rglob("*") if ".lock" not in path.name} == before


@pytest.mark.slow
def test_a_run_without_mistakes_asks_for_images(copied, capsys):
    (copied / "lenet/1/mistakes.npz").unlink()
    code, _, error = explain(capsys, copied / "lenet/1")
    assert code == 2 and "was not evaluated" in error and "Give image files" in error


def test_what_does_not_classify_is_refused():
    class Picture(Network):
        def forward(self, images, training=False):
            return ops.cast(images, "float32")

    examples = Examples(np.zeros((1, 4, 4, 1), np.uint8), ["a"])
    with pytest.raises(UsageError, match="only classifications"):
        explanations.ImageExplainer().explain(Picture(), None, examples, Question(class_names=("a", "b")))
