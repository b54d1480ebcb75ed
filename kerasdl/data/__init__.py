"""Sources of labelled data. `--data TEXT` becomes one of `SOURCES`; importing this costs no TensorFlow."""

import os
from pathlib import Path

from kerasdl.data.images.digits import Digits
from kerasdl.data.images.folder import ImageFolder
from kerasdl.data.images.npz import Npz
from kerasdl.data.tfds import builder
from kerasdl.data.tfds.source import Tfds
from kerasdl.errors import UsageError, did_you_mean

SOURCES = {"digits": Digits, "folder": ImageFolder, "npz": Npz, "tfds": Tfds}


def from_text(text: str) -> Digits | ImageFolder | Npz | Tfds:
    """Return the source that a word on the command line stands for, with its default fields.

    In this order: `digits`; a file name that ends in `.npz`; an existing folder; a name of
    tensorflow-datasets (`mnist`, `emnist/letters`, `mnist:3.0.1`); any other path, as a folder.

    Raises:
        UsageError: for a name that nobody knows; near names are offered. No network is asked.
    """
    if text == "digits":
        return Digits()
    if text.lower().endswith(".npz"):
        return Npz(path=text)
    if text and Path(text).expanduser().is_dir():
        return ImageFolder(path=text)
    if builder.is_known(text):
        return Tfds(name=text)
    if any(separator in text for separator in (os.sep, os.altsep) if separator):
        return ImageFolder(path=text)
    local = [path.name for path in Path.cwd().iterdir() if path.is_dir() or path.suffix == ".npz"]
    raise UsageError(
        f"There is no data set {text!r}. Give digits, a folder with one sub-folder per class, an .npz file, "
        "or a name that tensorflow-datasets knows, such as mnist or cifar10."
        + did_you_mean(text, ["digits", *local, *builder.known_names()])
    )
