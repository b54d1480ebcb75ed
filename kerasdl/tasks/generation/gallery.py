"""What is shown of a generative network: samples, reconstructions, ways between images, latents."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec
from kerasdl.inference import latents
from kerasdl.inference.endpoint import Arrays
from kerasdl.inference.predictor import Predictor
from kerasdl.inference.runtimes import EndpointPredictor
from kerasdl.report import pictures
from kerasdl.tasks.generation import samples
from kerasdl.tasks.generation.endpoints import endpoints

if TYPE_CHECKING:
    from kerasdl.network.generative import GenerativeNetwork

_SEED = 0
_DESCRIBED = 2000  # test images whose latents are looked at
_SHOWN = 10  # of them, reconstructed
_WAYS, _STEPS = 4, 9  # ways between two images, and the images of each
_UNITS = 16  # latents that are traversed, those that tell most
_REACH = 2.5  # how far, in standard deviations of the noise


def sampler(network: "GenerativeNetwork", data: DataSpec) -> Callable[[], np.ndarray] | None:
    """Return a function that makes a grid of images, always of the same noise; None where none is made.

    Args:
        network: the network that trains.
        data: what is in each example.
    """
    found = [endpoint for endpoint in endpoints(network, data) if endpoint.name in latents.MAKING]
    if not found:
        return None
    predictor = EndpointPredictor(Path("the network"), found, ())

    def sample() -> np.ndarray:
        made, labels = _samples(predictor, len(data.class_names))
        return pictures.arranged(made, labels)

    return sample


def make(predictor: Predictor, data: Dataset) -> dict[str, np.ndarray]:
    """Make what the report shows; what the endpoints do not give is left out.

    Args:
        predictor: the best network.
        data: the data of the run.

    Returns:
        Images are uint8. `made` (N, H, W, C), and of a conditional network `made_labels` (N,); `between`
        (R, S, H, W, C), ways between two images; `originals`, `reconstructions` (K, H, W, C); `means` (M, Z),
        of the latents of test images, their `mean_labels` (M,), and `unit_rates` (Z,), what each latent tells
        of an image, in nats; `traversed` (U,), latents, and `traversal` (U, S, H, W, C), one image with each
        of them changed.
    """
    found: dict[str, np.ndarray] = {}
    if latents.making(predictor.inputs) is None and "reconstruct" not in predictor.inputs:
        return found
    images, labels = _some(data)
    if "reconstruct" in predictor.inputs:
        few = _of_each_class(labels)
        answer = _call(predictor, "reconstruct", {"images": images[few]}, labels[few])
        found |= {
            "originals": images[few],
            "reconstructions": pictures.as_uint8(next(iter(answer.values()))),
        }
    described = _described(predictor, images, labels) if "encode" in predictor.inputs else {}
    found |= described
    if latents.making(predictor.inputs) is None:
        return found
    made, made_labels = _samples(predictor, len(data.spec.class_names))
    found |= {"made": made} | ({} if made_labels is None else {"made_labels": made_labels})
    return found | _ways(predictor, described.get("means"), labels)


def _some(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return test images and their classes, spread evenly over the split."""
    return samples.real(data.test, _DESCRIBED)


def _of_each_class(labels: np.ndarray) -> np.ndarray:
    """Return places of a few images: the first of each class, and then those that follow."""
    _, first = np.unique(labels, return_index=True)
    return np.array(list(dict.fromkeys([*first, *range(len(labels))]))[:_SHOWN])


def _call(predictor: Predictor, endpoint: str, given: Arrays, labels: np.ndarray) -> Arrays:
    """Call an endpoint, with classes (N,) where it takes any."""
    more = {"labels": labels.astype(np.int32)} if "labels" in predictor.inputs[endpoint] else {}
    return predictor.call(endpoint, {**given, **more})


def _samples(predictor: Predictor, num_classes: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return images (N, H, W, C), uint8, of fixed noise, and their classes where any are asked for."""
    endpoint = latents.making(predictor.inputs)
    specs = predictor.inputs[endpoint]
    name, shape = latents.noise_input(specs)
    count = latents.default_count(num_classes if "labels" in specs else 0)
    labels = latents.in_turn(count, num_classes) if "labels" in specs else None
    call = functools.partial(predictor.call, endpoint)
    made = latents.images_of(call, name, latents.normal(_SEED, count, shape), labels)
    return pictures.as_uint8(np.concatenate(list(made))), labels


def _described(predictor: Predictor, images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    found = _call(predictor, "encode", {"images": images}, labels)
    mean = found["mean"].reshape(len(images), -1)
    arrays = {"means": mean.astype(np.float32), "mean_labels": labels}
    if "log_variance" in found:
        log_variance = found["log_variance"].reshape(len(images), -1)
        rates = 0.5 * (np.square(mean) + np.exp(log_variance) - 1 - log_variance)
        arrays["unit_rates"] = rates.mean(axis=0).astype(np.float32)
    return arrays


def _ways(predictor: Predictor, means: np.ndarray | None, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return ways between test images, or where these have no latents between samples; and a traversal."""
    endpoint = latents.making(predictor.inputs)
    name, shape = latents.noise_input(predictor.inputs[endpoint])

    def images(noise: np.ndarray, of: np.ndarray) -> np.ndarray:
        given = noise.reshape(-1, *shape)
        classes = of.astype(np.int32) if "labels" in predictor.inputs[endpoint] else None
        made = latents.images_of(functools.partial(predictor.call, endpoint), name, given, classes)
        made = pictures.as_uint8(np.concatenate(list(made)))
        return made.reshape(*noise.shape[:2], *made.shape[1:])

    few = _of_each_class(labels)[: 2 * _WAYS]  # a folder of images is in order of its classes
    ends = latents.normal(_SEED, 2 * _WAYS, shape) if means is None else means[few]
    count = len(ends) // 2
    shares = np.linspace(0, 1, _STEPS)
    ways = [latents.spherical(ends[2 * way], ends[2 * way + 1], shares) for way in range(count)]
    found = (
        {"between": images(np.stack(ways), np.repeat(labels[few][: 2 * count : 2], _STEPS))} if ways else {}
    )
    if means is None:
        return found
    units = np.argsort(-means.var(axis=0), kind="stable")[:_UNITS]
    changed = np.tile(means[0], (len(units), _STEPS, 1))
    changed[np.arange(len(units)), :, units] = np.linspace(-_REACH, _REACH, _STEPS)
    return found | {
        "traversed": units,
        "traversal": images(changed, np.full(len(units) * _STEPS, labels[0])),
    }
