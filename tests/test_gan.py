"""Adversarial networks: what each player loses, what is drawn, and updates that replicas do not change."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.images.digits import Digits
from kerasdl.errors import UsageError
from kerasdl.jobs import train as trainer
from kerasdl.layers import noise
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
    "hinge": {"differentiable_augmentation": tuple(KINDS), "conditional": True},
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


@pytest.mark.by_default(lambda objective: objective == "hinge")
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
    whole[1].pop("diversity"), parts[1].pop("diversity")  # that of a micro-batch
    assert_same(whole, parts)
