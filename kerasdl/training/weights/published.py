"""The ImageNet weights that `keras.applications` publishes, by layer name in HDF5, and their preprocessing.

How they differ from a network of ours, and what is made of that:

* Convolutions of ResNet have biases before batch normalisation, which takes them away again: they are
  subtracted from the moving mean.
* Its batch normalisation has an epsilon of 1.001e-5: the difference from ours is added to the moving variance
  (a variance near 0 may become negative; only its sum with epsilon is ever used).
* They were trained on BGR channels less a mean, without a scale, as Caffe did it.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.network import parts as backbone
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.private.keras import own_weights
from kerasdl.recipe import Config

_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
_EPSILON = 1.001e-5
_HEAD = {"fc1", "fc2", "predictions"}  # not in the files named _notop
#: What images go through before these networks; the same as `preprocess_input` of `keras.applications`.
PREPROCESSING = Config(
    ImagePreprocessing, channels=3, channel_order="bgr", scale=1.0, mean=(103.939, 116.779, 123.68)
)


@dataclasses.dataclass(frozen=True)
class Published:
    """The files of one network.

    Attributes:
        network: name of our class.
        arguments: what it has to be built with.
        layers: names in the file, in the order in which our network makes its layers with weights.
        file: begin of the files' names, with their folder on the server.
        md5: of the file with the head and of that without, as `keras.applications` states them.
        head: arguments that a network has to have besides to take the layers between backbone and head too.
    """

    network: str
    arguments: Mapping[str, Any]
    layers: tuple[str, ...]
    file: str
    md5: tuple[str, str]
    head: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _vgg(*counts: int) -> tuple[str, ...]:
    convolutions = [
        f"block{stage}_conv{number}"
        for stage, count in enumerate(counts, 1)
        for number in range(1, count + 1)
    ]
    return (*convolutions, "fc1", "fc2", "predictions")


def _resnet(*counts: int) -> tuple[str, ...]:
    names = ["conv1_conv", "conv1_bn"]
    for stage, count in enumerate(counts, 2):
        for number in range(1, count + 1):
            parts = ["1_conv", "2_conv", "3_conv", "1_bn", "2_bn", "3_bn"]
            parts += ["0_conv", "0_bn"] if number == 1 else []  # the projection
            names += [f"conv{stage}_block{number}_{part}" for part in parts]
    return (*names, "predictions")


NETWORKS = {
    "vgg16": Published(
        "VGG",
        {"depth": 16, "batch_normalization": False},
        _vgg(2, 2, 3, 3, 3),
        "vgg16/vgg16",
        ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
        {"head_units": (4096, 4096)},
    ),
    "vgg19": Published(
        "VGG",
        {"depth": 19, "batch_normalization": False},
        _vgg(2, 2, 4, 4, 4),
        "vgg19/vgg19",
        ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
        {"head_units": (4096, 4096)},
    ),
    "resnet50": Published(
        "ResNet",
        {"depth": 50, "version": "v1", "stem": "imagenet", "shortcut": "B"},
        _resnet(3, 4, 6, 3),
        "resnet/resnet50",
        ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    ),
}


def download(model: Config, *, fetch: bool = True) -> Path:
    """Fetch the published weights of a network, or find them where Keras has kept them.

    Args:
        model: the network.
        fetch: use the network where Keras has not kept them.

    Raises:
        UsageError: when there are none of this network, or they would have to be fetched and must not.
        RunFailedError: when the server does not answer.
    """
    found = [one for one in NETWORKS.values() if _misfit(one, model.target.__name__, model) is None]
    if not found:
        raise UsageError(
            f"There are no published weights for {model}: there are some for {_listed()}. Give a run or a "
            "file."
        )
    published = found[0]
    is_whole = all(getattr(model, name) == value for name, value in published.head.items())
    name = f"{published.file}_weights_tf_dim_ordering_tf_kernels{'' if is_whole else '_notop'}.h5"
    try:
        return Path(
            keras.utils.get_file(
                name.rpartition("/")[2],
                f"{_URL}/{name}" if fetch else "file:///not/fetched",
                cache_subdir="models",
                file_hash=published.md5[0 if is_whole else 1],
            )
        )
    except Exception as error:  # a server, a proxy, a checksum or a disk; Keras wraps none of them
        if not fetch:
            raise UsageError(
                "The recipe asks for published weights, which are not on this machine. A file alone does not "
                "use the network: give --weights imagenet to fetch them."
            ) from error
        raise RunFailedError(
            f"The weights cannot be downloaded from {_URL}/{name} ({error}). Check the network or the proxy, "
            f"or fetch the file elsewhere and give its path: --weights {name.rpartition('/')[2]}."
        ) from error


def is_published(file: h5py.File) -> bool:
    """Tell whether an HDF5 file is of the old kind, with weights by the name of their layer."""
    return "layer_names" in _weights_of(file).attrs


def load(file: h5py.File, path: Path, network: keras.Model) -> list[keras.Layer]:
    """Load the weights of a published file into a network.

    Args:
        file: for which `is_published` is true.
        path: of the file, for messages.
        network: built.

    Returns:
        The layers that were left as they are: a head for other classes, and what the file does not have.

    Raises:
        UsageError: when the file is of another network.
    """
    arrays = _read(file)
    published = _named(arrays, path)
    if (misfit := _misfit(published, type(network).__name__, network)) is not None:
        raise UsageError(f"{path} holds weights of {_described(published)}, but {misfit}.")
    layers = backbone.layers(network)
    heads = {id(layer) for layer in backbone.head(network)}
    # The head is the last of both; of dense layers before it, a network may have others than the file.
    names = [*published.layers[: len(layers) - 1], published.layers[-1]]
    loaded, left = [], []
    for layer, name in zip(layers, names, strict=False):
        values = _fitted(arrays, name, layer)
        shapes = [tuple(weight.shape) for weight in own_weights(layer)]
        if values is None or (id(layer) in heads and [value.shape for value in values] != shapes):
            left.append(layer)
        elif [value.shape for value in values] != shapes:
            raise UsageError(
                f"{path} has weights of the shape {values[0].shape} for {layer.path}, which has {shapes[0]}. "
                "The dense layers of VGG need --size 224,224 (or take the file without them, _notop.h5), and "
                "every network here 3 channels and the width of the paper."
            )
        else:
            loaded.append((layer, values))
    for layer, values in loaded:
        for weight, value in zip(own_weights(layer), values, strict=True):
            weight.assign(value)
    return left + layers[len(names) :]


def _weights_of(file: h5py.File) -> h5py.Group:
    """Return where the weights are: files of whole models have them in a group."""
    return file.get("model_weights", file)


def _read(file: h5py.File) -> dict[str, list[np.ndarray]]:
    """Read kernel, bias; gamma, beta, mean, variance of every layer with weights, by its name."""
    groups = _weights_of(file)
    found = {}
    for name in _texts(groups.attrs, "layer_names"):
        if weights := _texts(groups[name].attrs, "weight_names"):
            found[name] = [np.asarray(groups[name][weight]) for weight in weights]
    return found


def _texts(attributes: Mapping[str, Any], name: str) -> list[str]:
    """Read a list of names; long ones are in several pieces: layer_names0, layer_names1."""
    pieces = [attributes[name]] if name in attributes else []
    while f"{name}{len(pieces)}" in attributes:
        pieces.append(attributes[f"{name}{len(pieces)}"])
    return [text.decode() if isinstance(text, bytes) else str(text) for piece in pieces for text in piece]


def _named(arrays: Mapping[str, Any], path: Path) -> Published:
    for published in NETWORKS.values():
        if set(arrays) - _HEAD == set(published.layers) - _HEAD:
            return published
    raise UsageError(
        f"{path} has layers named {', '.join(list(arrays)[:3]) or '(none)'}, ..., which is none of the "
        f"published networks: {_listed()}. Give one of their files, a .keras file or a run."
    )


def _fitted(arrays: Mapping[str, list[np.ndarray]], name: str, layer: keras.Layer) -> list[np.ndarray] | None:
    """Return the file's values in the layout of a layer; None where it has none."""
    if name not in arrays:
        return None
    if name.endswith("_conv"):
        return arrays[name][:1]  # its bias is in the mean below
    if not name.endswith("_bn"):
        return arrays[name]
    gamma, beta, mean, variance = arrays[name]
    bias = arrays[f"{name.removesuffix('_bn')}_conv"][1]
    return [gamma, beta, mean - bias, variance + np.float32(_EPSILON - layer.epsilon)]


def _misfit(published: Published, network: str, arguments: Any) -> str | None:
    """Return the argument in which a network differs from the published one, or None."""
    if network != published.network:
        return f"this network is a {network}"
    for name, value in published.arguments.items():
        if (have := getattr(arguments, name)) != value:
            return f"{name} is {have}. Give --{name.replace('_', '-')} {value}"
    return None


def _described(published: Published) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in published.arguments.items())
    return f"{published.network}({arguments})"


def _listed() -> str:
    return " and ".join(map(_described, NETWORKS.values()))
