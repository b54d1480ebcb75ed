"""What a model takes, which data suits it, and how raw examples become its inputs."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from kerasdl.data import from_text
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.npz.source import Npz
from kerasdl.data.source import Source
from kerasdl.data.table.source import Table
from kerasdl.data.text.table import TextTable
from kerasdl.errors import UsageError
from kerasdl.network.imported_parts import LAYOUTS
from kerasdl.private.keras import all_parts_of
from kerasdl.recipe import Config

Scaling = Literal["tf", "caffe", "torch", "unit", "none"]
#: Word of `--preprocess` -> arguments of ImagePreprocessing that do the same.
SCALINGS: dict[str, dict[str, Any]] = {
    "tf": {"scale": 1 / 127.5, "mean": (1.0,)},
    "caffe": {"scale": 1.0, "mean": (103.939, 116.779, 123.68), "channel_order": "bgr"},
    "torch": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "unit": {},
    "none": {"scale": 1.0},
}
#: Of images with three channels.
COLOURED = ("caffe", "torch")
_TABLES = (".csv", ".tsv")


@dataclasses.dataclass(frozen=True)
class Input:
    """One input of a model: shape without the batch axis, None where any size will do."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    def of_size(self, size: tuple[int, int]) -> "Input":
        """Return the input taking images of one size.

        Raises:
            UsageError: when it takes no images, or those of another size.
        """
        if self.image is None or self.image[0] not in (None, size):
            raise UsageError(f"The model takes {_shown(self.shape)}. Leave --size out, it has no choice.")
        first = self.shape[0] == self.image[1] and self.shape[-1] != self.image[1]
        channels = self.image[1]
        return dataclasses.replace(self, shape=(channels, *size) if first else (*size, channels))

    @property
    def image(self) -> tuple[tuple[int, int] | None, int] | None:
        """Size and channels, where it may be an image; the size is None where any will do."""
        if len(self.shape) != 3 or self.dtype == "string":
            return None
        for height, width, channels in (self.shape, (*self.shape[1:], self.shape[0])):
            if channels in (1, 3):
                return (None if None in (height, width) else (height, width)), channels
        return None


def of_model(model: keras.Model) -> tuple[Input, ...]:
    """Return the inputs of a model; none where it does not tell them, as one that was never called."""
    tensors = getattr(model, "inputs", None)
    if tensors:
        return tuple(Input(one.name, tuple(one.shape[1:]), str(one.dtype)) for one in tensors)
    config = model.get_build_config() or {}
    shape = config.get("input_shape") or next(iter((config.get("shapes_dict") or {}).values()), None)
    if isinstance(shape, Mapping):
        return tuple(Input(name, tuple(one[1:]), "float32") for name, one in shape.items())
    if isinstance(shape, list | tuple) and shape and isinstance(shape[0], int | None):
        return (Input("", tuple(shape[1:]), "float32"),)
    return ()


def source_of(text: str, inputs: tuple[Input, ...], task: str, classes: tuple[str, ...]) -> Source:
    """Return the source of a word of `--data` that gives what a model takes.

    Args:
        text: a folder, a file, or a name of a data set.
        inputs: those of the model.
        task: "classification" or "regression".
        classes: names of the outputs in their order; () for the order of the data.

    Raises:
        UsageError: when there is no such data.
    """
    single = inputs[0] if len(inputs) == 1 else None
    texts = single is not None and single.dtype == "string"
    if Path(text).suffix.lower() in _TABLES:
        source: Source = TextTable(path=text) if texts else Table(path=text, targets=_TARGETS[task])
    elif text.lower().endswith(".npz"):
        kind = "images" if single is not None and _holds_images(text, single) else "numbers"
        source = Npz(path=text, features=kind, targets=_TARGETS[task])
    else:
        source = from_text(text)
    if classes:
        if not any(field.name == "classes" for field in dataclasses.fields(source)):
            raise UsageError(f"--labels orders the classes of data, but {text} has none to choose from.")
        source = dataclasses.replace(source, classes=classes)
    if single is not None and single.image is not None:
        source = source.sized_for(*single.image)
    return source


_TARGETS = {"classification": "classes", "regression": "numbers", "outputs": "numbers"}


def _holds_images(path: str, given: Input) -> bool:
    """Tell whether the arrays of a file are pixels that suit an input: whole numbers, or an image's shape."""
    try:
        with np.load(Path(path).expanduser()) as arrays:
            example = arrays["x_train"] if "x_train" in arrays.files else np.zeros(0)
    except (OSError, ValueError):
        return False  # the source says it
    whole = example.dtype.kind in "u" and len(given.shape) in (1, 2, 3)
    return example.ndim in (3, 4) and (whole or (given.image is not None and example.dtype.kind == "f"))


def arranged(inputs: tuple[Input, ...], data: DataSpec) -> tuple[tuple[str, str, str], ...]:
    """Return name in the data, layout and dtype of each input of a model.

    Raises:
        UsageError: when the data has other features than the model takes.
    """
    specs = data.inputs if isinstance(data.inputs, Mapping) else {"": data.inputs}
    if not inputs:
        return tuple((name, "same", spec.dtype) for name, spec in specs.items())
    if len(inputs) != len(specs) or (len(inputs) > 1 and {one.name for one in inputs} != set(specs)):
        raise UsageError(
            f"The model takes {listed(inputs)}, but the data has {', '.join(filter(None, specs)) or 'one'}. "
            f"Give an .npz file with the arrays {', '.join(f'x_train_{one.name}' for one in inputs)}, "
            "y_train, and the same with test."
        )
    found = []
    for one in inputs:
        name = one.name if one.name in specs else ""
        spec = specs[name] if name in specs else next(iter(specs.values()))
        found.append((name, _layout(one, spec), one.dtype))
    return tuple(found)


def _layout(given: Input, spec: Spec) -> str:
    fitting = [name for name in LAYOUTS if _fits(_shape_of(name, spec.shape), given.shape)]
    if (given.dtype == "string") != (spec.dtype == "string") or not fitting:
        raise UsageError(
            f"The model takes {given.dtype} of shape {_shown(given.shape)}, but the data has {spec.dtype} of "
            f"shape {_shown(spec.shape)} in each example. Give data of that shape."
        )
    return fitting[0]


def _shape_of(layout: str, shape: tuple[int | None, ...]) -> tuple[int | None, ...] | None:
    if layout == "without_channel":
        return shape[:-1] if shape and shape[-1] == 1 else None
    if layout == "with_axis":
        return (*shape, 1)
    if layout == "flat":
        return (int(np.prod(shape)),) if len(shape) > 1 and None not in shape else None
    if layout == "channels_first":
        return (shape[-1], *shape[:-1]) if len(shape) == 3 else None
    return shape


def _fits(shape: tuple[int | None, ...] | None, wanted: tuple[int | None, ...]) -> bool:
    return (
        shape is not None
        and len(shape) == len(wanted)
        and all(None in (one, other) or one == other for one, other in zip(shape, wanted, strict=True))
    )


def scales_itself(model: keras.Model) -> bool:
    """Tell whether a model has a layer that scales raw values."""
    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    return any(isinstance(layer, kinds) for layer in all_parts_of(model))


def preprocessing(scaling: Scaling, spec: Spec) -> Config | None:
    """Return the layer that scales images as a word of `--preprocess` says; None for other examples.

    Raises:
        UsageError: for a scaling of colours where images are grey.
    """
    from kerasdl.preprocessing.image import ImagePreprocessing

    if not (isinstance(spec, Spec) and spec.is_image):
        return None
    if scaling in COLOURED and spec.shape[-1] != 3:
        raise UsageError(f"--preprocess {scaling} is for colour images, but these have one channel.")
    return Config(ImagePreprocessing, **SCALINGS[scaling])


def as_keras_does(scaling: Scaling, features: Any) -> Any:
    """Return raw images as `keras.applications` preprocesses them; other features as they are.

    This is the other side of the proof: it shares nothing with `ImagePreprocessing`.
    """
    if isinstance(features, Mapping) or features.dtype != np.uint8 or features.ndim != 4:
        return features
    pixels = features.astype(np.float32)
    if scaling in ("unit", "none"):
        return pixels / 255 if scaling == "unit" else pixels
    return keras.applications.imagenet_utils.preprocess_input(
        pixels, mode=scaling, data_format="channels_last"
    )


def listed(inputs: tuple[Input, ...]) -> str:
    """Return names and shapes of inputs as a text."""
    return ", ".join(f"{one.name} {_shown(one.shape)}" for one in inputs)


def _shown(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
