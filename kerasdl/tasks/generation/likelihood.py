"""The likelihood of images under a network with latents, by importance sampling."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.passes import Batches
from kerasdl.tasks.generation import samples

if TYPE_CHECKING:
    from kerasdl.network.generative import GenerativeNetwork

#: Seed of the draws, and of the black and white pixels that stand for grey ones.
SEED = 0

_ROWS = 5000  # latents that are decoded at once
_MOST_DRAWS = 250  # of them for one image
_ACTIVE = 0.01  # variance of the mean of a latent over images, above which it tells something (IWAE, 3.3)


def figures(network: "GenerativeNetwork", batches: Batches, draws: int, most: int) -> dict[str, Any]:
    """Measure how well a network tells images, in nats for each image.

    Reference: Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2015,
    https://arxiv.org/abs/1509.00519, section 5.

    Args:
        network: one with `log_weights`.
        batches: returns the batches of the split: raw images, and their classes.
        draws: draws of latents for each image, k.
        most: images to measure, spread evenly over the split; 0 for all.

    Returns:
        `nll`: the negative log likelihood, an upper bound that falls with k, and `nll_stderr`, its standard
        error over images; `elbo`: the evidence lower bound; `likelihood_draws`, `likelihood_images`;
        `active_units`: latents that tell something, of `latents`; `binarized`: whether grey pixels were drawn
        black or white, once for each image, and then `greyness`: the mean of 4 p (1 - p) over pixels p, 0
        where all are black or white, 1 where all are half way.
    """
    import tensorflow as tf

    @tf.function(autograph=False)
    def summed(pixels, labels, seed, count):
        """Return log of the sum of weights, and the sum of log weights, (B,) each."""
        shape = (pixels.shape[0], count, *network.noise_shape)
        drawn = tf.random.stateless_normal(shape, seed)
        weights = network.log_weights(pixels, labels, drawn)
        return tf.reduce_logsumexp(weights, axis=1), tf.reduce_sum(weights, axis=1)

    chunk = min(draws, _MOST_DRAWS)
    size, last = max(1, _ROWS // chunk), draws % chunk
    generator = np.random.default_rng(SEED)
    counts = [chunk] * (draws // chunk) + ([last] if last else [])
    likelihoods, bounds, means, greys = [], [], [], []
    with tf.device("CPU:0"):
        for number, (given, classes) in enumerate(_images(batches, size, most)):
            labels = tf.constant(classes)
            pixels = tf.constant(_drawn(given, generator) if network.binarizes else given)
            greys.append(4 * (given * (1 - given)).mean(axis=(1, 2, 3)))
            parts = [
                summed(pixels, labels, tf.constant([SEED, number * len(counts) + place]), count)
                for place, count in enumerate(counts)
            ]
            logs, sums = (np.stack([part[n].numpy() for part in parts]).astype(np.float64) for n in range(2))
            likelihoods.append(np.logaddexp.reduce(logs, axis=0) - np.log(draws))
            bounds.append(sums.sum(axis=0) / draws)
            means.append(network.encode(pixels, labels)[0].numpy())
    found, bound = np.concatenate(likelihoods), np.concatenate(bounds)
    return {
        "nll": float(-found.mean()),
        "nll_stderr": float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else 0.0,
        "elbo": float(bound.mean()),
        "likelihood_draws": draws,
        "likelihood_images": len(found),
        "active_units": int((np.concatenate(means).var(axis=0) > _ACTIVE).sum()),
        "latents": int(np.prod(network.noise_shape)),
        "binarized": network.binarizes,
        **({"greyness": float(np.concatenate(greys).mean())} if network.binarizes else {}),
    }


def _drawn(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return pixels drawn black, 0, or white, 1, by how bright they are."""
    return (generator.random(pixels.shape, np.float32) < pixels).astype(np.float32)


def _images(batches: Batches, size: int, most: int):
    """Yield pixels (B, H, W, C), 0 to 1, and classes (B,)."""
    first, wanted = 0, None
    if most:  # a folder of images is in order of classes: the first ones would be of one
        total = sum(len(images) for images, *_ in batches())
        wanted = samples.spread(total, most)
    for images, labels, _ in batches():
        if wanted is not None:
            here = wanted[(wanted >= first) & (wanted < first + len(images))] - first
            first += len(images)
            images, labels = images[here], labels[here]
        for start in range(0, len(images), size):
            part = slice(start, start + size)
            yield images[part].astype(np.float32) / 255, labels[part]
