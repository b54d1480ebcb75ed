"""Adversarial networks: what each player loses, what is drawn, and updates that replicas do not change."""

import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.images.digits import Digits
from kerasdl.errors import UsageError
from kerasdl.jobs import train as trainer
from kerasdl.jobs.resume import resume
from kerasdl.layers import noise
from kerasdl.layers.dcgan import Discriminator
from kerasdl.layers.differentiable_augmentation import KINDS, augment
from kerasdl.layers.spectral import SpectralConv2D, SpectralDense
from kerasdl.models.gan import GAN
from kerasdl.network import adversarial
from kerasdl.network.adversarial import OBJECTIVES
from kerasdl.recipe import Config, Recipe
from kerasdl.runs.folder import Run
from kerasdl.tasks.generation.task import Generation
from kerasdl.training import devices
from kerasdl.training.build import compile_network
from kerasdl.training.callbacks.position import Position
from kerasdl.training.interruption import Interrupted
from kerasdl.training.optimizers.make import moving_averages

SPEC = DataSpec(Spec((6, 5, 1), "uint8"), Spec((), "int32", ("ant", "bee", "cat")))
#: All that may differ between replicas, over the objectives.
VARIANTS = {
    "non_saturating": {"label_smoothing": 0.1, "conditional": True},
    "least_squares": {"discriminator_normalization": "layer", "gradient_penalty": 0.5},
    "wgan_gp": {"discriminator_steps": 2, "batch_normalization": False},
    "hinge": {"differentiable_augmentation": tuple(KINDS), "conditional": True, "projection": "map"},
}
SCORES = np.float32([-2.0, -0.5, 0.0, 0.7, 3.0])


def make(objective="hinge", accumulation=1, batch_size=8, **arguments):
    """Return a compiled network of few weights."""
    keras.utils.set_random_seed(1)
    model = Config(GAN, objective=objective, filters=(3, 4), kernel_size=3, latent_size=2, **arguments)
    network = model.build(image_shape=(6, 5, 1), num_classes=3)
    network.create_weights(keras.KerasTensor((None, 6, 5, 1), "uint8"))
    recipe = Recipe(
        model=model, data=Digits(), task=Generation(), optimizer="sgd", learning_rate=0.02, momentum=0.5,
        schedule="constant", ema_momentum=0.5, batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
    )  # fmt: skip
    compile_network(network, recipe, SPEC, 10, seed=3)
    return network


def examples(count):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 6, 5, 1)).astype(np.uint8), rng.integers(0, 3, count).astype(np.int32)


def updated(strategy, sizes, objective, *, accumulation=1, steps=2, **arguments):
    """Return weights, averages and figures after some eager updates, with so many examples a replica."""
    chosen = devices.choose(strategy)
    with chosen.scope():
        network = make(objective, accumulation, **arguments)
    images, labels = examples(sum(sizes))
    ends = np.cumsum(sizes)

    def part(context):
        place = slice(
            ends[context.replica_id_in_sync_group - 1] if context.replica_id_in_sync_group else 0,
            ends[context.replica_id_in_sync_group],
        )
        return tf.constant(images[place]), tf.constant(labels[place])

    found = tf.distribute.get_strategy() if chosen.strategy is None else chosen.strategy
    batch = found.experimental_distribute_values_from_function(part) if chosen.strategy else (images, labels)
    for _ in range(steps):
        found.run(network.train_step, args=(batch,))
    figures = {name: float(value) for name, value in network.get_metrics_result().items()}
    averages = [average.numpy() for _, average in moving_averages(network)]
    return network.get_weights() + averages, figures


def assert_same(one, other, tolerance=1e-5):
    for left, right in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance)
    assert one[1] == pytest.approx(other[1], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("objective", VARIANTS)
def test_update_on_two_replicas(objective):
    """Of 5 and 3 examples: what is drawn for an example goes by its place in the whole batch."""
    one = updated("none", [8], objective, **VARIANTS[objective])
    assert_same(one, updated("cpu:2", [5, 3], objective, **VARIANTS[objective]))


@pytest.mark.slow
@pytest.mark.parametrize("objective", VARIANTS)
def test_update_in_micro_batches(objective):
    """Batch normalisation aside, whose statistics are those of a micro-batch."""
    arguments = {**VARIANTS[objective], "batch_normalization": False}
    if objective == "non_saturating":
        arguments["discriminator_normalization"] = "none"
    whole, parts = (updated("none", [8], objective, accumulation=n, **arguments) for n in (1, 2))
    whole[1].pop("pixel_spread"), parts[1].pop("pixel_spread")  # that of a micro-batch
    assert_same(whole, parts)


def cross_entropy(target):
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    return loss(np.full((5, 1), target, np.float32), SCORES[:, None]).numpy()


@pytest.mark.parametrize(
    ("objective", "real", "fake", "generator"),
    [
        ("non_saturating", cross_entropy(0.9), cross_entropy(0.0), cross_entropy(1.0)),
        ("least_squares", (SCORES - 0.9) ** 2 / 2, SCORES**2 / 2, (SCORES - 1) ** 2 / 2),
        ("wgan_gp", -SCORES, SCORES, -SCORES),
        ("hinge", [3, 1.5, 1, 0.3, 0], [0, 0.5, 1, 1.7, 4], -SCORES),
    ],
)
def test_losses_are_those_of_the_papers(objective, real, fake, generator):
    rules, scores = OBJECTIVES[objective], tf.constant(SCORES)
    found = rules.real(scores, 0.9), rules.fake(scores), rules.generator(scores)
    for left, right in zip(found, (real, fake, generator), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_the_boundary_of_a_critic_does_not_depend_on_a_constant():
    real, fake = tf.constant([3.0, 1.0]), tf.constant([2.0, 2.0])
    for constant in (0.0, 100.0):
        boundary = OBJECTIVES["wgan_gp"].boundary(real + constant, fake + constant)
        assert (real + constant > boundary).numpy().tolist() == [True, False]


def test_gradient_penalty_of_a_known_slope():
    slope = np.float32([0.0, 3.0, 4.0]).reshape(1, 3, 1)
    images = tf.random.normal((2, 2, 1, 3, 1))
    share = tf.constant([0.0, 0.7])[:, None, None, None]
    found = adversarial.gradient_penalty(
        lambda mixed: tf.reduce_sum(mixed * slope, (1, 2, 3)), images[0], images[1], share
    )
    np.testing.assert_allclose(found, [16.0, 16.0], rtol=1e-5)  # (5 - 1) ** 2


def test_gradient_penalty_is_taken_between_the_images():
    """The slope of the square of a number is twice the number."""
    found = adversarial.gradient_penalty(
        lambda mixed: tf.reduce_sum(tf.square(mixed), (1, 2, 3)),
        tf.fill((1, 1, 1, 1), 1.0), tf.fill((1, 1, 1, 1), 3.0), tf.fill((1, 1, 1, 1), 0.25),
    )  # fmt: skip
    np.testing.assert_allclose(found, [(2 * 1.5 - 1) ** 2], rtol=1e-5)


def test_spread_of_images():
    images = np.zeros((4, 2, 1, 1), np.float32)
    images[:2, 0] = 1.0  # one pixel of two is 0.5 from its mean
    assert float(adversarial.spread(images)) == pytest.approx(0.25)
    assert float(adversarial.spread(np.ones((4, 2, 1, 1)))) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_augmentation_goes_by_place_and_lets_gradients_through(kind):
    images = tf.random.uniform((6, 8, 8, 3), -1, 1)
    with noise.scope(1, 2, place=0), tf.GradientTape() as tape:
        tape.watch(images)
        whole = augment(images, (kind,))
    with noise.scope(1, 2, place=3):
        half = augment(images[3:], (kind,))
    np.testing.assert_allclose(whole[3:], half, atol=1e-6)
    assert np.abs(whole - images).max() > 0.05
    assert np.abs(tape.gradient(whole, images)).max() > 0
    assert len({np.round(one - other, 4).tobytes() for one, other in zip(whole, images, strict=True)}) == 6


def test_translation_moves_whole_pixels_and_cutout_removes_a_rectangle():
    images = np.broadcast_to(np.arange(1, 257, dtype=np.float32).reshape(1, 16, 16, 1), (50, 16, 16, 1))
    with noise.scope(0, 0, 0):
        moved = augment(tf.constant(images), ("translation",)).numpy()
        cut = augment(tf.constant(images), ("cutout",)).numpy()
    shifts = set()
    for image in moved[..., 0]:
        row, column = np.argwhere(image == 8 * 16 + 8 + 1)[0] - 8
        padded = np.pad(images[0, ..., 0], 2)
        expected = padded[2 - row : 18 - row, 2 - column : 18 - column]
        np.testing.assert_array_equal(image, expected)
        shifts.add((row, column))
    assert {row for row, _ in shifts} == {column for _, column in shifts} == {-2, -1, 0, 1, 2}
    for image, left in zip(images[..., 0], cut[..., 0], strict=True):
        hole = left == 0
        assert 16 <= hole.sum() <= 64 and hole.any(0).sum() * hole.any(1).sum() == hole.sum()
        np.testing.assert_array_equal(left[~hole], image[~hole])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "shape"), [(SpectralDense(4), (3, 5)), (SpectralConv2D(4, 2, padding="same"), (1, 3, 3, 2))]
)
def test_spectral_normalization_divides_by_the_largest_singular_value(layer, shape):
    inputs = tf.random.normal(shape)
    layer(inputs)
    for _ in range(100):
        layer.norm.follow(layer.kernel)
    kernel = layer.kernel.numpy()
    matrix = kernel.reshape(-1, 4)
    largest = np.linalg.svd(matrix)[1][0]
    plain = type(layer).__mro__[1].from_config(layer.get_config())
    plain.build(shape)
    plain.set_weights([kernel / largest, layer.bias])
    np.testing.assert_allclose(layer(inputs), plain(inputs), atol=1e-5)
    # The normalised kernel has no gradient along the kernel: its length does not matter.
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(layer(inputs)))
    gradient = tape.gradient(loss, layer.kernel)
    assert np.abs(gradient).max() > 1e-3
    assert abs(np.sum(gradient * kernel)) < 1e-4


@pytest.mark.slow
def test_averages_and_rates_of_the_players():
    network = make(discriminator_rate=4.0)
    rates = [float(network.optimizers[name].learning_rate) for name in ("generator", "discriminator")]
    assert rates == pytest.approx([0.02, 0.08])
    assert not network.optimizers["discriminator"].use_ema
    network.train_step(examples(8))
    averaged = {id(weight) for weight, _ in moving_averages(network)}
    assert averaged == {id(weight) for weight in network.generator.trainable_variables}


def test_the_discriminator_has_settings_of_its_own():
    own = {"optimizer": "adam", "beta_1": 0.0, "beta_2": 0.9, "weight_decay": 0.1}
    optimizers = make(**{f"discriminator_{name}": value for name, value in own.items()}).optimizers
    assert isinstance(optimizers["discriminator"], keras.optimizers.Adam)
    assert isinstance(optimizers["generator"], keras.optimizers.SGD)
    found = optimizers["discriminator"]
    assert (found.beta_1, found.beta_2, found.weight_decay) == (0.0, 0.9, 0.1)
    with pytest.raises(UsageError, match=r"beta_1 is 1.5"):
        make(discriminator_beta_1=1.5)


def test_each_player_updates_its_own_weights():
    network = make()
    for name, loss in ("generator", network.generator_loss), ("discriminator", network.discriminator_loss):
        other = {"generator": network.discriminator, "discriminator": network.generator}[name]
        before = [np.array(weight) for weight in other.trainable_variables]
        network.update(examples(8), loss, name, metric=f"{name}_loss")
        for left, right in zip(before, other.trainable_variables, strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_has_no_effect_on_the_loss_of_a_critic_is_known(objective):
    network = make(objective)
    weights = network.discriminator.trainable_variables
    with noise.scope(0, 0, 0), tf.GradientTape() as tape:
        loss, _ = network.discriminator_loss(*examples(8), None)
    slopes = tape.gradient(loss, weights, unconnected_gradients="zero")
    still = [one.path for one, slope in zip(weights, slopes, strict=True) if np.abs(slope).max() < 1e-6]
    assert still == [one.path for one in network.without_effect]


@pytest.mark.by_default(lambda shape: shape == (9, 14, 3))
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (9, 14, 3)])
def test_images_have_the_size_of_the_data(shape):
    network = GAN(image_shape=shape, filters=(2, 2, 2), latent_size=3, conditional=True)
    network.create_weights(keras.KerasTensor((None, *shape), "uint8"))
    images = network.generate(tf.random.normal((2, 3)), tf.constant([1, 2])).numpy()
    assert images.shape == (2, *shape) and images.min() >= 0 and images.max() <= 1


@pytest.mark.parametrize(
    ("shape", "width", "filters"),
    [
        ((28, 28, 1), 32, (32, 64, 128)),  # 14, 7, 4 pixels
        ((32, 32, 3), 16, (16, 32, 64)),
        ((8, 8, 1), 32, (32,)),
        ((9, 70, 1), 32, (32, 64)),  # the shorter side: 5, then 3 pixels
        ((3, 3, 1), 32, (32,)),
        ((256, 256, 3), 64, (64, 128, 256, 512, 512, 512)),
    ],
)
def test_without_filters_images_are_halved_down_to_4_pixels(shape, width, filters):
    network = GAN(image_shape=shape, filters=None, width=width)
    assert network.filters == filters
    assert GAN.from_config(network.get_config()).filters == filters


def test_the_map_tells_apart_what_the_mean_over_places_does_not():
    """Two images of the same patches in other places: a class is asked for by where they are."""
    upper = np.zeros((1, 8, 8, 1), np.float32)
    upper[:, :2, :2] = 1.0
    images, classes = np.concatenate([upper, np.roll(upper, 4, axis=1)]), np.eye(2, dtype=np.float32)[[0, 0]]

    def difference(projection):
        keras.utils.set_random_seed(1)
        player = Discriminator(
            image_shape=(8, 8, 1), filters=(3, 3), kernel_size=2, normalization="none", projection=projection
        )
        of_class = player(images, classes) - player(images)
        return abs(float(of_class[0] - of_class[1]))

    assert difference("mean") < 1e-6 < 1e-3 < difference("map")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "wgan_gp", "discriminator_normalization": "batch"}, "--discriminator-normalization"),
        ({"objective": "hinge", "label_smoothing": 0.1}, "objectives with a target, not for hinge"),
        ({"differentiable_augmentation": ("cutoff",)}, "no 'cutoff'.*Did you mean 'cutout'"),
        ({"discriminator_steps": 0}, "discriminator_steps is 0, but it has to be 1 or more"),
        ({"filters": ()}, "filters is empty"),
        ({"filters": None, "width": 0}, "width is 0, but it has to be 1 or more"),
        ({"label_smoothing": 1.5}, "label_smoothing is 1.5"),
        ({"discriminator_rate": 0.0}, "discriminator_rate is 0.0"),
        ({"normalization_momentum": 1.0}, "normalization_momentum is 1.0"),
        ({"objective": "wgan_gp", "gradient_penalty": -1.0}, "gradient_penalty is -1.0"),
        ({"discriminator_normalization": "group"}, "discriminator_normalization is 'group'"),
        ({"projection": "sum"}, "projection is 'sum', but it has to be one of mean, map"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, message):
    with pytest.raises(UsageError, match=message):
        GAN(**arguments)


@pytest.mark.slow
def test_a_batch_that_does_not_divide_into_steps():
    with pytest.raises(UsageError, match=r"batch size 8 .* 3 discriminator steps .*multiple of 3"):
        make(discriminator_steps=3)


@pytest.mark.slow
def test_a_run_goes_on_exactly(tmp_path):
    """Both optimizers, the average, batch normalisation, singular vectors and all that is drawn."""

    def train(folder):
        recipe = Recipe(
            name="tiny", data=Digits(), task=Generation(judge="none"), epochs=2, batch_size=64,
            optimizer="adam", learning_rate=1e-3, ema_momentum=0.9, checkpoint_every="7",
            model=Config(
                GAN, filters=(4, 4), latent_size=4, objective="hinge", discriminator_steps=2,
                differentiable_augmentation=("translation",), conditional=True,
            ),
        )  # fmt: skip
        return trainer.train(recipe, runs_dir=folder, export=False, console=Console(quiet=True)).run

    count = Position.on_train_batch_end

    def stop(self, batch, logs=None):
        count(self, batch, logs)
        if self.num_updates >= 25:
            os.kill(os.getpid(), signal.SIGTERM)

    whole = train(tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Position, "on_train_batch_end", stop)
        with pytest.raises(Interrupted):
            train(tmp_path / "cut")
    run = Run(tmp_path / "cut/tiny/1")
    resume(run.path, console=Console(quiet=True))
    for left, right in zip(run.network().get_weights(), whole.network().get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    left, right = ((path / "history.csv").read_text().splitlines() for path in (run.path, whole.path))
    assert [line.rpartition(",")[0] for line in left] == [line.rpartition(",")[0] for line in right]
