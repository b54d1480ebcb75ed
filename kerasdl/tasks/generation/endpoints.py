"""How an exported generative network is called."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kerasdl.data.dataset import DataSpec, Spec, Tree
from kerasdl.errors import UsageError
from kerasdl.inference.endpoint import ALL_FORMATS, Arrays, Endpoint
from kerasdl.inference.predictor import InputSpec

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasdl.network.generative import GenerativeNetwork


def endpoints(network: "GenerativeNetwork | None", data: DataSpec) -> tuple[Endpoint, ...]:
    """Return an endpoint for each call of a network.

    Args:
        network: float32 network over raw images; None where nothing will be called: all names are there then.
        data: what is in each example.
    """
    if network is None:
        return tuple(_endpoint(name, lambda *given: {}, {}, data) for name in _NAMES)
    return tuple(
        _endpoint(name, call.function, call.inputs, data, call.on_servers_only)
        for name, call in network.calls().items()
    )


_OF_EXAMPLES = ("reconstruct", "encode")
_NAMES = ("reconstruct", "encode", "decode", "sample", "generate", "velocity")


def _endpoint(
    name: str,
    function,
    inputs: "Mapping[str, tf.TensorSpec]",
    data: DataSpec,
    on_servers_only: bool = False,
) -> Endpoint:
    shapes = {key: (tuple(spec.shape), spec.dtype.name) for key, spec in inputs.items()}
    num_classes = max(1, len(data.class_names))

    def drawn(specs: Mapping[str, InputSpec]) -> Callable[[Tree, int], Arrays]:
        return lambda features, seed: drawn_inputs(specs, features, seed, num_classes)

    return Endpoint(
        name,
        function,
        inputs,
        formats=("saved_model",) if on_servers_only else ALL_FORMATS,
        inputs_of=drawn(shapes),
        drawn=drawn,
        takes_examples=name in _OF_EXAMPLES,
        integers_may_fail=True,
    )


def drawn_inputs(inputs: Mapping[str, InputSpec], images: np.ndarray, seed: int, num_classes: int) -> Arrays:
    """Return the inputs of a call, one for each image: the images themselves, and what is drawn.

    Args:
        inputs: shape and dtype by name, as `kerasdl.network.generative.Call` explains them.
        images: raw images (N, H, W, C) uint8.
        seed: seed of the draws; equal ones give equal inputs.
        num_classes: classes that labels are drawn from.
    """
    generator, count, found = np.random.default_rng(seed), len(images), {}
    for name, (shape, _) in sorted(inputs.items()):  # files have them in other orders
        shape = (count, *shape[1:])
        if name == "images":
            found[name] = images
        elif name == "labels":
            found[name] = generator.integers(0, num_classes, shape).astype(np.int32)
        elif name == "times":
            found[name] = generator.random(shape, np.float32)
        elif name == "seeds":
            found[name] = generator.integers(0, 2**31 - 1, shape).astype(np.int32)
        else:
            found[name] = generator.standard_normal(shape, np.float32)
    return found


def images_of(data: DataSpec) -> Spec:
    """Return the specification of the images of some data.

    Raises:
        UsageError: for data without them, or with more than one image an example.
    """
    if not isinstance(data.inputs, Spec) or not data.inputs.is_image:
        raise UsageError(
            "The data has no images to make others like them. Give --data digits, --data mnist, or a "
            "folder of images."
        )
    return data.inputs
