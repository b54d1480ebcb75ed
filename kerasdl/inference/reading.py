"""Reads one raw example from what `kerasdl predict` is given: an image file, or numbers."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.dataset import Spec, Tree
from kerasdl.errors import UsageError
from kerasdl.inference import rows, texts
from kerasdl.inference.endpoint import Endpoint, Example

_log = logging.getLogger(__name__)


def are_images(inputs: Tree) -> bool:
    """Tell whether examples are images: (height, width, 1 or 3) uint8."""
    return isinstance(inputs, Spec) and inputs.is_image


def reader(inputs: Tree) -> dict[str, Any]:
    """Return how an endpoint over examples of a kind reads them; empty where no way is known."""
    if are_images(inputs):
        return _both(inputs, read_image) | {"example": "some.png"}
    if isinstance(inputs, Spec) and inputs.shape == () and inputs.dtype == "string":
        return {"reads": texts.read_text, "reads_many": texts.read_texts, "example": "some text"}
    if isinstance(inputs, Spec) and len(inputs.shape) == 1 and inputs.dtype != "string":
        return _both(inputs, read_numbers) | {"example": ",".join(["0.5"] * inputs.shape[0])}
    return {}


def _both(inputs: Spec, read_one: Callable[[Spec, str], np.ndarray]) -> dict[str, Any]:
    """Return how one example is read, and how all are."""
    one = functools.partial(read_one, inputs)
    return {"reads": one, "reads_many": functools.partial(rows.read_rows, inputs, one)}


def read(endpoint: Endpoint, given: Sequence[str], text_column: str | None = None) -> list[Example]:
    """Read all that is given on a command line for an endpoint that can read.

    Args:
        endpoint: with `reads`.
        given: paths or texts.
        text_column: column of the texts in tables. Defaults to one of a usual name.

    Raises:
        UsageError: for what cannot be read, and for a column where there are no texts.
    """
    if endpoint.reads_many is not None:
        return list(endpoint.reads_many(given, text_column))
    if text_column is not None:
        raise UsageError("--text-column is for networks that read texts. Leave it out.")
    return [Example({"file": text}, endpoint.reads(text)) for text in given]


def read_image(inputs: Spec, file: str) -> np.ndarray:
    """Read an image file as people see it, brought to the trained size.

    Raises:
        UsageError: when there is no such image, or it is too large.
    """
    import tensorflow as tf

    from kerasdl.preprocessing import pillow
    from kerasdl.preprocessing.decoding import decode_image

    path = Path(file)
    if not path.is_file():
        raise UsageError(f"There is no image {file}.")
    others = pillow.reader(inputs.picture)
    try:
        if pillow.header(path).is_deep:
            _check_range(inputs, path, pillow.deep_values(path))
        return decode_image(path.read_bytes(), *inputs.shape, picture=inputs.picture, others=others).numpy()
    except (tf.errors.OpError, OSError, ValueError) as error:
        reason = f": {error}" if type(error) is ValueError else ""
        raise UsageError(f"{file} is not a readable image{reason}. Give a {pillow.NAMES}.") from error


def _check_range(inputs: Spec, path: Path, values: np.ndarray) -> None:
    """Warn of a picture of 16 bits that uses another range than the training pictures did."""
    white, highest = 2**inputs.picture.bits - 1, int(values.max())
    if 4 * highest < white:
        what = f"nearly black, since {white:,} is white for this network"
    elif highest > white:
        share = np.mean(values > white)
        what = f"{share:.1%} of them are cut off at {white:,}, which is white for this network"
    else:
        return
    _log.warning(
        f"{path} has 16 bits a pixel and values up to {highest:,}: {what}. Scale its values as those of the "
        "training images are."
    )


def read_numbers(inputs: Spec, text: str) -> np.ndarray:
    """Read numbers that are separated by commas.

    Raises:
        UsageError: for what is not a number that the network can take, and for more or fewer of them.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(
            f"{text!r} is not a list of numbers, nor an existing .csv, .tsv, .npy or .npz file. This network "
            f"reads {inputs.shape[0]} numbers: give them with commas (0.1,2,3.5), or such a file."
        ) from None
    if len(values) != inputs.shape[0]:
        raise UsageError(f"{text!r} has {len(values)} numbers, but the network takes {inputs.shape[0]}.")
    return rows.fitted(inputs, np.array(values), repr(text))


def check_pixels(inputs: Spec, features: np.ndarray) -> None:
    """Refuse images with pixels from 0 to 1, which files that take float32 cannot tell from dark ones.

    Raises:
        UsageError: says which pixels are right.
    """
    if are_images(inputs) and features.dtype.kind in "bf" and features.size and 0 < features.max() <= 1:
        raise UsageError(
            f"Pixels are 0 to 255, but these are {features.dtype} from 0 to 1. Multiply them by 255, "
            "and give them as uint8."
        )


def warn_of_gaps(inputs: Mapping[str, np.ndarray]) -> None:
    """Warn of examples with NaN or infinite numbers: some runtimes make sound-looking answers of them."""
    for name, value in ((name, np.asarray(value)) for name, value in inputs.items()):
        if value.dtype.kind == "f" and not (finite := np.isfinite(value)).all():
            count = int((~finite.reshape(len(value), -1).all(axis=1)).sum())
            _log.warning(
                f"{count} of {len(value)} examples hold NaN or infinite numbers ({name}), which training "
                "data never does: what is answered to them means nothing."
            )


def stack(examples: list[Tree]) -> Tree:
    """Stack examples, arrays or dicts of arrays, into a batch."""
    if isinstance(examples[0], dict):
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}
    if examples[0].dtype == object and examples[0].ndim:  # sentences, with "" behind their ends
        longest = max(map(len, examples))
        examples = [np.pad(one, (0, longest - len(one)), constant_values=b"") for one in examples]
    return np.stack(examples)
