"""Sources of data. `--data TEXT` becomes one of `SOURCES`; importing this costs no TensorFlow."""

import os
from pathlib import Path

from kerasdl.data.images.digits import Digits
from kerasdl.data.images.folder import ImageFolder
from kerasdl.data.npz.source import Npz
from kerasdl.data.source import Source
from kerasdl.data.tfds import builder
from kerasdl.data.tfds.source import Tfds
from kerasdl.errors import UsageError, did_you_mean

#: In the order in which they are asked for a word on the command line.
SOURCES: dict[str, type[Source]] = {"digits": Digits, "npz": Npz, "folder": ImageFolder, "tfds": Tfds}


def from_text(text: str) -> Source:
    """Return the source that a word on the command line stands for, with its default fields.

    In this order: `digits`; a file name that ends in `.npz`; an existing folder; a name of
    tensorflow-datasets (`mnist`, `emnist/letters`, `mnist:3.0.1`); any other path, as a folder.

    Raises:
        UsageError: for an unknown name; near names are offered. No network is asked.
    """
    for kind in SOURCES.values():
        if (source := kind.claim(text)) is not None:
            return source
    if any(separator in text for separator in (os.sep, os.altsep) if separator):
        return ImageFolder(path=text)
    local = [path.name for path in Path.cwd().iterdir() if path.is_dir() or path.suffix == ".npz"]
    raise UsageError(
        f"There is no data set {text!r}. Give digits, a folder with one sub-folder per class, an .npz file, "
        "or a name that tensorflow-datasets knows, such as mnist or cifar10."
        + did_you_mean(text, ["digits", *local, *builder.known_names()])
    )
