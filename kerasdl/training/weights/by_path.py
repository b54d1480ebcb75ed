"""Weights in files of Keras 3, which names each weight by the attributes that lead to it."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import keras

from kerasdl.errors import UsageError
from kerasdl.network import parts


def load(file: h5py.File, path: Path, network: keras.Model, other_classes: bool) -> list[keras.Layer]:
    """Load weights into a network, and return the layers of its head where those are not loaded.

    Which weight of a network has which name, only Keras knows: it writes them to a file, in which those that
    fit are replaced.

    Args:
        file: the weights.
        path: where they lie, for messages.
        network: built network, on one device.
        other_classes: whether the head is of other classes than the network's.

    Raises:
        UsageError: when the weights are those of another network.
    """
    head = tuple(f"{name}/" for name in parts.head_names(network))
    with tempfile.TemporaryDirectory() as folder:
        merged = Path(folder) / "merged.weights.h5"
        network.save_weights(merged)
        with h5py.File(merged, "r+") as ours:
            mine, theirs = dict(_datasets(ours)), dict(_datasets(file))
            fits = {name: name in theirs and theirs[name].shape == mine[name].shape for name in mine}
            odd = [name for name in theirs if name not in mine and not name.startswith(head)]
            odd += [name for name, good in fits.items() if not good and not name.startswith(head)]
            if odd:
                raise UsageError(_misfit(odd, mine, theirs, path, network))
            # One weight of a head that does not fit, and all of it is another one.
            is_other = other_classes or not all(fits.values())
            for name in mine:
                if not (is_other and name.startswith(head)):
                    mine[name][...] = theirs[name][...]
        network.load_weights(merged)
    return parts.head(network) if is_other else []


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield the weights in a file by name, without optimizers and random seeds."""
    found: list[str] = []
    file.visititems(lambda name, part: found.append(name) if isinstance(part, h5py.Dataset) else None)
    for name in found:
        if not name.startswith("optimizer/") and "seed_generator" not in name:
            yield name, file[name]


def _misfit(
    odd: list[str],
    mine: Mapping[str, h5py.Dataset],
    theirs: Mapping[str, h5py.Dataset],
    path: Path,
    network: keras.Model,
) -> str:
    """Return the message about weights that the network or the file lacks, or that differ in shape."""
    name = odd[0].removesuffix("/vars/0")
    if odd[0] in mine and odd[0] in theirs:
        what = f"{name} has the shape {theirs[odd[0]].shape} there and {mine[odd[0]].shape} here"
    else:
        what = f"{name} is only {'there' if odd[0] in theirs else 'here'}"
    return (
        f"{path} holds weights of another network than this {type(network).__name__}: {what} "
        f"({len(odd)} such weights). Use the same pipeline and arguments, and images of the same --size and "
        "--channels."
    )
