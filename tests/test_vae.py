"""Variational autoencoders: the bound, the likelihood, and what they are called with."""

import math

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.layers import noise
from kerasdl.models.vae import VAE, Autoencoder
from kerasdl.tasks.generation import likelihood, verdicts


def made(kind=VAE, **arguments):
    network = kind(
        **{"image_shape": (4, 3, 1), "num_classes": 3, "latent_size": 2, "units": (5,), **arguments}
    )
    network(images(2))
    rng = np.random.default_rng(1)
    network.set_weights([rng.normal(0, 0.5, weight.shape) for weight in network.get_weights()])
    return network


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 3, 1)).astype(np.uint8)


def batches_of(size, count=12):
    def batches():
        for start in range(0, count, size):
            part = slice(start, min(start + size, count))
            yield images(count)[part], np.arange(count, dtype=np.int32)[part] % 3, None

    return batches


@pytest.mark.parametrize("likelihood_kind", ["bernoulli", "gaussian"])
def test_the_bound_is_the_mean_of_log_weights(likelihood_kind):
    """The analytic divergence against many draws of log p(x, z) - log q(z | x)."""
    network = made(likelihood=likelihood_kind, binarize=False, num_samples=20_000)
    x = images(3)
    with noise.scope(0, 0, 0):
        loss = network._loss(x, None, 20_000, 1.0)
    draws = np.random.default_rng(0).normal(size=(3, 20_000, 2)).astype(np.float32)
    weights = network.log_weights(network.pixels(x), None, draws)
    np.testing.assert_allclose(loss, -np.mean(weights, axis=1), rtol=5e-3)


def test_the_importance_weighted_bound_is_tighter_and_one_draw_is_the_elbo():
    network = made(objective="iwae", num_samples=500, binarize=False)
    x = images(3)
    losses = []
    for count in (1, 5, 500):
        with noise.scope(0, 0, 0):
            losses.append(np.mean(network._loss(np.repeat(x, 1000 // count, axis=0), None, count, 1.0)))
    assert losses[0] > losses[1] > losses[2]
    pixels = network.pixels(x)
    with noise.scope(0, 0, 0):
        draws = noise.normal((3, 500, 2)).numpy()
    exact = -tf.reduce_logsumexp(network.log_weights(pixels, None, draws), axis=1) + math.log(500)
    with noise.scope(0, 0, 0):
        np.testing.assert_allclose(network._loss(x, None, 500, 1.0), exact, rtol=1e-5)


def test_likelihood_where_it_is_known():
    """A decoder that does not look at the latents: each pixel has its own probability."""
    network = made()
    weights = network.get_weights()
    network.set_weights([np.zeros_like(weight) for weight in weights[:-1]] + [weights[-1]])
    found = likelihood.figures(network, batches_of(12), 7, 0)
    pixels = (np.random.default_rng(0).random((12, 4, 3, 1), np.float32) < images(12) / np.float32(255)) * 1.0
    logits = weights[-1].reshape(4, 3, 1)
    exact = np.log1p(np.exp(logits)) - pixels * logits
    assert found["nll"] == pytest.approx(exact.sum((1, 2, 3)).mean(), rel=1e-5)
    assert found["elbo"] == pytest.approx(-found["nll"], rel=1e-5)
    assert (found["active_units"], found["latents"]) == (0, 2)
    assert (found["likelihood_images"], found["likelihood_draws"]) == (12, 7)
    shares = images(12) / 255
    assert found["greyness"] == pytest.approx((4 * shares * (1 - shares)).mean(), rel=1e-5)
    assert [one.flags for one in verdicts.of_samples(found)] == [
        "--learning-rate 3e-4",
        "--likelihood gaussian",
    ]
    assert "greyness" not in likelihood.figures(made(likelihood="gaussian"), batches_of(12), 7, 0)


@pytest.mark.slow
def test_likelihood_is_that_of_all_draws_however_they_are_divided(monkeypatch):
    network = made(conditional=True)
    monkeypatch.setattr(likelihood, "_MOST_DRAWS", 2000)
    whole = likelihood.figures(network, batches_of(12), 5000, 0)
    monkeypatch.setattr(likelihood, "_MOST_DRAWS", 700)
    parts = likelihood.figures(network, batches_of(5), 5000, 0)
    assert parts["nll"] == pytest.approx(whole["nll"], abs=0.05)  # other draws, and the same images
    assert parts["elbo"] < -parts["nll"]
    assert likelihood.figures(network, batches_of(5), 20, 7)["likelihood_images"] == 7
    seen = [labels for _, labels in likelihood._images(batches_of(5), 4, 4)]
    every = np.concatenate([labels for _, labels, _ in batches_of(12)()])
    assert np.concatenate(seen).tolist() == every[[0, 4, 7, 11]].tolist()  # not the first ones
    other = likelihood.figures(made(), batches_of(12), 5000, 0)
    assert abs(other["nll"] - whole["nll"]) > 0.2  # the classes count


def test_warm_up_raises_the_weight_of_the_rate():
    network = made(beta=2.0, warmup_steps=10)
    network.compile(optimizer="sgd")
    found = []
    for step in (0, 5, 10, 20):
        network.optimizer.iterations.assign(step)
        found.append(float(network._beta_now()))
    assert found == [0.0, 1.0, 2.0, 2.0]


def test_calls():
    network = made(conditional=True)
    calls = network.calls()
    assert list(calls) == ["reconstruct", "encode", "decode", "sample"]
    labels = np.array([0, 1, 2], np.int32)
    seeds = np.array([5, 6, 5], np.int32)
    drawn = calls["sample"].function(seeds, labels)["images"].numpy()
    again = calls["sample"].function(seeds[:1], labels[:1])["images"].numpy()
    np.testing.assert_allclose(drawn[:1], again, atol=1e-6)
    same = calls["sample"].function(seeds, np.zeros(3, np.int32))["images"].numpy()
    np.testing.assert_allclose(same[0], same[2], atol=1e-6)
    assert np.abs(same[0] - same[1]).max() > 1e-3
    assert np.abs(drawn[2] - same[2]).max() > 1e-3
    mean = calls["encode"].function(images(3), labels)["mean"]
    decoded = calls["decode"].function(mean, labels)["images"]
    reconstructed = calls["reconstruct"].function(images(3), labels)["reconstruction"]
    np.testing.assert_allclose(decoded, reconstructed, atol=1e-6)


def test_an_autoencoder_hides_pixels_in_training_alone():
    whole, hidden = made(Autoencoder), made(Autoencoder, corruption=0.9)
    x = images(3)
    np.testing.assert_array_equal(whole(x), hidden(x))
    losses = []
    for network in (whole, hidden):
        with noise.scope(0, 0, 0):
            losses.append(float(tf.reduce_mean(network._loss(x, None, 1, 1.0))))
    assert losses[0] != losses[1]
    with noise.scope(0, 0, 0):
        assert float(hidden.validation_loss(x, None, None)[0]) == pytest.approx(losses[0], rel=1e-5)
    assert list(whole.calls()) == ["reconstruct", "encode"]
    assert list(whole.calls()["encode"].function(x)) == ["mean"]


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match=r"one class only.*--no-conditional"):
        VAE(num_classes=1, conditional=True)
    with pytest.raises(UsageError, match="latent_size is 0"):
        VAE(latent_size=0)
    with pytest.raises(UsageError, match="iwae has no rate"):
        VAE(objective="iwae", beta=4.0)
    with pytest.raises(UsageError, match="iwae has no rate"):
        VAE(objective="iwae", warmup_steps=10)
    for wrong in ({"beta": -1.0}, {"warmup_steps": -1}, {"objective": "ELBO"}, {"likelihood": "normal"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            VAE(**wrong)
    with pytest.raises(UsageError, match=r"corruption is 1\.5"):
        Autoencoder(corruption=1.5)
