"""Quality of generated images while a network trains, and of those of exported files beside Keras's."""

import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.dataset import Dataset, Tree
from kerasdl.errors import RunFailedError
from kerasdl.inference import latents
from kerasdl.inference.endpoint import Arrays, Endpoint
from kerasdl.tasks.generation import frechet, samples
from kerasdl.tasks.generation.judge import Judge

if TYPE_CHECKING:
    from kerasdl.network.generative import GenerativeNetwork

_log = logging.getLogger(__name__)

#: Largest FID of an exported file, measured against that of Keras on the same noise.
WORSE = 1.2

_MOST_REAL = 10_000
_EXPORTED = 1000  # samples of a file
_TIMED = 25  # of which the first ones tell how long the others take
_SECONDS = 30.0  # that the samples of a file may take, about


def validator(
    judge: Judge, network: "GenerativeNetwork", data: Dataset, count: int
) -> Callable[[], dict[str, float]] | None:
    """Return a function that measures a network's images as it is at the time of the call.

    Args:
        judge: looks at the images.
        network: the network that trains.
        data: its data; samples are compared with validation images, or with training images where there are
            fewer of the former than two for each feature of the judge.
        count: number of samples, always of the same noise.

    Returns:
        A function that returns `val_fid`, `val_diversity` and, of a conditional network,
        `val_asked_class_rate`; None where the network makes no images of noise, or there are too few.
    """
    calls, needed = network.calls(), frechet.least_samples(judge.num_features)
    name = latents.making(calls)
    split = data.validation if len(data.validation) >= needed else data.train
    if name is None or min(len(split), count) < needed:
        return None
    images, classes = samples.real(split, _MOST_REAL)
    expected = frechet.moments(judge.look(images).features)
    asked = samples.asked(classes, count)
    make, inputs = _traced(calls[name].function, calls[name].inputs)

    def measure() -> dict[str, float]:
        seen = judge.look(samples.draw(make, inputs, asked, seed=1))
        found = frechet.moments(seen.features)
        spread = np.trace(found.covariance) / np.trace(expected.covariance)
        figures = {"val_fid": frechet.distance(found, expected), "val_diversity": float(np.sqrt(spread))}
        of_data = judge.classes_of(seen, data.spec.class_names)
        if network.conditional and of_data is not None:
            figures["val_asked_class_rate"] = float((of_data == asked).mean())
        return figures

    return measure


def probed(endpoints: Sequence[Endpoint], judge: Judge, num_classes: int) -> tuple[Endpoint, ...]:
    """Return endpoints of which the one that makes images measures that of a file; see `probe`."""
    name = latents.making([one.name for one in endpoints])
    return tuple(
        dataclasses.replace(one, probe=probe(judge, one, num_classes)) if one.name == name else one
        for one in endpoints
    )


def probe(judge: Judge, endpoint: Endpoint, num_classes: int) -> Callable[..., Mapping[str, float]]:
    """Return the `probe` of an endpoint that makes images: the FID of a file beside that of Keras.

    Args:
        judge: looks at the images.
        endpoint: with the function of the network.
        num_classes: classes that labels are drawn from.
    """
    import tensorflow as tf

    make, inputs = _traced(endpoint.function, endpoint.inputs)
    asked = np.random.default_rng(0).integers(0, num_classes, _EXPORTED)
    known: list[np.ndarray] = []
    needed = frechet.least_samples(judge.num_features)

    def keras_features() -> np.ndarray:
        if not known:
            with tf.device("CPU:0"):
                known.append(judge.look(samples.draw(make, inputs, asked, seed=2)).features)
        return known[0]

    @functools.cache
    def enough(count: int) -> bool:
        """Tell whether there are enough real images to measure with; where not, say it once."""
        if count < needed:
            _log.warning(
                f"The FID of exported files is not measured: it takes {needed:,} test images (two for each "
                f"feature of the judge), but {count:,} are looked at."
            )
        return count >= needed

    def measure(call: Callable[[Arrays], Arrays], features: Tree) -> dict[str, Any]:
        if not enough(len(features)):
            return {}
        begun = time.monotonic()
        samples.draw(call, inputs, asked[:_TIMED], seed=2)
        affordable = int(_TIMED * _SECONDS / max(time.monotonic() - begun, 1e-9))
        count = min(_EXPORTED, max(needed, affordable))
        seen = judge.look(samples.draw(call, inputs, asked[:count], seed=2)).features
        real = frechet.moments(judge.look(features).features)
        fid, keras = (
            frechet.distance(frechet.moments(part), real) for part in (seen, keras_features()[:count])
        )
        if fid > WORSE * keras:
            raise RunFailedError(
                f"{endpoint.name}: its images are worse than those of the network: their FID is {fid:.4g}, "
                f"against {keras:.4g} (at most {WORSE} times, {count:,} samples of the same noise)"
            )
        ratio = fid / keras if keras else 1.0
        return {"fid": fid, "keras_fid": keras, "fid_ratio": ratio, "num_samples": count}

    return measure


def _traced(function: Callable, specs: Mapping[str, Any]):
    """Return a function of arrays by name to arrays by name, and shape and dtype of its inputs by name."""
    import tensorflow as tf

    named = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()]
    traced = tf.function(function, input_signature=named, autograph=False).get_concrete_function()

    def make(given: Mapping[str, np.ndarray]) -> Arrays:
        outputs = traced(*(tf.constant(given[name]) for name in specs))
        return {name: value.numpy() for name, value in outputs.items()}

    return make, {name: (tuple(spec.shape.as_list()), spec.dtype.name) for name, spec in specs.items()}
