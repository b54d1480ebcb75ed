"""Gradient-based explanations: maps over the pixels, for any network over raw images.

All of them explain the logit of a class: a probability also changes when another class does. Images are raw
ones, 0..255 of any numeric type, (N, height, width, channels); the network's own preprocessing is a part of
what is explained. Maps have the height and width of the images.
"""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from kerasdl.errors import RunFailedError
from kerasdl.explain import feature_maps
from kerasdl.explain.integral import integrate
from kerasdl.network import network as deployed

BATCH = 32  # images in a call


def logits(network: keras.Model, images):
    """Return the logits (N, num_classes), float32, that a deployed network gives."""
    return tf.cast(deployed.logits(network, images), tf.float32)


def logits_of(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the logits (N, num_classes), float32, of any number of images."""
    images = floats(images)
    return np.concatenate([
        logits(network, tf.constant(images[start : start + BATCH])).numpy()
        for start in range(0, len(images), BATCH)
    ])  # fmt: skip


@dataclasses.dataclass(frozen=True)
class GradCam:
    """Maps of Grad-CAM.

    Attributes:
        maps: (N, height, width), 0 and more.
        layer: whose feature maps they are made of.
        convolution: the last one; it is `layer`, or lies in it or before it.
        extent: height and width of the feature maps.
    """

    maps: np.ndarray
    layer: str
    convolution: str
    extent: tuple[int, int]


def grad_cam(network: keras.Model, images: np.ndarray, class_ids: np.ndarray) -> GradCam | None:
    """Weigh the last feature maps by how much the logit rises with each of them.

    Reference: Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
    localization", 2017, https://arxiv.org/abs/1610.02391, equations 1 and 2.

    The maps are stretched bilinearly to where their cells look in the image (`feature_maps.centres`).

    Args:
        network: any network.
        images: raw.
        class_ids: class to explain for each image, (N,).

    Returns:
        None where no convolution is on the way to the logits.
    """
    found, maps = None, []
    for start in range(0, len(images), BATCH):
        batch = tf.constant(floats(images[start : start + BATCH]))
        with feature_maps.watching(network) as calls, tf.GradientTape() as tape:
            tape.watch(batch)  # weights may be frozen
            target = _target(network, batch, class_ids[start : start + BATCH])
        found = feature_maps.last_map(calls, target, tape)
        if found is None:
            return None
        call, gradient, _ = found
        weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)  # (B, 1, 1, C)
        cam = tf.nn.relu(tf.reduce_sum(weights * call.output, axis=-1))  # (B, h, w)
        maps.append(tf.cast(cam, tf.float32).numpy())
    call, _, convolution = found
    answer, number = functools.partial(logits, network), calls.index(call)
    places = feature_maps.centres(answer, network, images.shape[1:], number)
    stretched = feature_maps.stretch(np.concatenate(maps), *places, images.shape[1:3])
    return GradCam(stretched, call.name, convolution.name, call.extent)


@dataclasses.dataclass(frozen=True)
class Attributions:
    """Integrated gradients, and how well they add up.

    Attributes:
        maps: (N, height, width, channels), what each value adds to the logit.
        differences: (N,), logit of the image less that of the baseline.
        errors: (N,), how far the sum of a map is from that, as a part of it.
        steps: (N,), intervals of the path.
    """

    maps: np.ndarray
    differences: np.ndarray
    errors: np.ndarray
    steps: np.ndarray


def integrated_gradients(
    network: keras.Model,
    images: np.ndarray,
    class_ids: np.ndarray,
    *,
    baseline: float | np.ndarray = 0.0,
    steps: int = 32,
    most_steps: int = 1024,
    tolerance: float = 0.01,
) -> Attributions:
    """Divide what an image adds to the logit among its values.

    Reference: Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", 2017,
    https://arxiv.org/abs/1703.01365, equation 1 and proposition 1: the map sums to the difference of the
    logits of the image and of the baseline.

    The integral is taken by the trapezoidal rule; while the sum is too far off, each interval is halved.

    Args:
        network: any network.
        images: raw.
        class_ids: class to explain for each image, (N,).
        baseline: image where the path begins, 0..255. Defaults to 0.0: black.
        steps: intervals of the path to begin with, 1 or more. Defaults to 32.
        most_steps: intervals that are not halved again. Defaults to 1024.
        tolerance: error, as a part of the difference, that is good enough. Defaults to 0.01.
    """
    images, rows = floats(images), []
    for image, class_id in zip(images, class_ids, strict=True):
        start = np.broadcast_to(np.float32(baseline), image.shape)
        ends = logits_of(network, np.stack([start, image]))[:, class_id].astype(np.float64)
        rows.append(_integrate(network, start, image, class_id, ends[1] - ends[0],
                               steps, most_steps, tolerance))  # fmt: skip
    maps, differences, errors, used = zip(*rows, strict=True)
    return Attributions(np.stack(maps), np.array(differences), np.array(errors), np.array(used))


def _integrate(network, start, image, class_id, difference, steps, most_steps, tolerance):
    way = (image - start).astype(np.float64)

    def total(places):
        images = (start + place * (image - start) for place in places)
        return way * _sum_of_gradients(network, images, class_id)

    return integrate(total, difference, steps=steps, most_steps=most_steps, tolerance=tolerance)


def saliency(
    network: keras.Model,
    images: np.ndarray,
    class_ids: np.ndarray,
    *,
    noise: float = 0.15,
    samples: int = 32,
    seed: int = 0,
) -> np.ndarray:
    """Return how much the logit moves with each pixel, averaged over noisy copies (SmoothGrad).

    Reference: Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017,
    https://arxiv.org/abs/1706.03825. Of the channels' averages the largest magnitude is taken, as Simonyan
    et al. do.

    Args:
        network: any network.
        images: raw.
        class_ids: class to explain for each image, (N,).
        noise: standard deviation of the noise, as a part of the range of values in the image.
            Defaults to 0.15.
        samples: noisy copies of each image. Defaults to 32.
        seed: of the noise; each image is given the same. Defaults to 0.

    Returns:
        (N, height, width), 0 and more.
    """
    maps = []
    for image, class_id in zip(floats(images), class_ids, strict=True):
        draw, width = np.random.default_rng(seed), noise * np.ptp(image)
        copies = (image + draw.normal(0, 1, image.shape) * width for _ in range(samples))
        mean = _sum_of_gradients(network, copies, class_id) / samples
        maps.append(np.abs(mean).max(-1).astype(np.float32))
    return np.stack(maps)


def first_filters(network: keras.Model, image: np.ndarray) -> tuple[str, np.ndarray] | None:
    """Return name and kernel (height, width, channels, filters) of the convolution that is called first.

    Args:
        network: any network.
        image: one raw image, to call it with.

    Returns:
        None where the network has no convolution.
    """
    with feature_maps.watching(network) as calls:
        logits(network, tf.constant(floats(image[None])))
    return feature_maps.first_kernel(calls)


def _sum_of_gradients(network: keras.Model, images, class_id: int) -> np.ndarray:
    """Return the sum over some images of the logit's gradient, (height, width, channels), float64.

    Raises:
        RunFailedError: when no gradient reaches the pixels.
    """
    total, images = 0.0, list(images)
    for start in range(0, len(images), BATCH):
        batch = tf.constant(floats(images[start : start + BATCH]))
        with tf.GradientTape() as tape:
            tape.watch(batch)
            target = _target(network, batch, np.full(len(batch), class_id))
        gradient = tape.gradient(target, batch)
        if gradient is None:
            raise RunFailedError(
                "No gradient reaches the pixels: something on their way has none, such as a cast to integers "
                "in the preprocessing. Occlusion needs no gradients: --methods occlusion."
            )
        total = total + gradient.numpy().astype(np.float64).sum(0)
    return total


def _target(network: keras.Model, batch, class_ids: np.ndarray):
    """Return the sum of the logits to explain: the gradient of each image is that of its own."""
    return tf.reduce_sum(tf.gather(logits(network, batch), class_ids, axis=1, batch_dims=1))


def floats(images) -> np.ndarray:
    """Return raw images as networks are called with them here: float32, 0..255."""
    return np.asarray(images, np.float32)
