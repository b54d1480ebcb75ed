"""Sources of data. `--data TEXT` becomes one of `SOURCES`; importing this costs no TensorFlow."""

import logging
import os
from pathlib import Path

from kerasdl.data.images.digits import Digits
from kerasdl.data.images.folder import ImageFolder
from kerasdl.data.npz.source import Npz
from kerasdl.data.series.source import Series
from kerasdl.data.source import Source
from kerasdl.data.table.source import Table
from kerasdl.data.text.corpus import Corpus
from kerasdl.data.text.folder import TextFolder
from kerasdl.data.text.phrases import Phrases
from kerasdl.data.text.table import TextTable
from kerasdl.data.text.tagged import TaggedTokens
from kerasdl.data.tfds import builder
from kerasdl.data.tfds.source import Tfds
from kerasdl.errors import UsageError, did_you_mean

_log = logging.getLogger(__name__)

#: In the order in which they are asked for a word on the command line.
SOURCES: dict[str, type[Source]] = {
    "digits": Digits, "phrases": Phrases, "npz": Npz, "corpus": Corpus, "texts": TextTable, "series": Series,
    "text_folder": TextFolder, "folder": ImageFolder, "tagged": TaggedTokens, "tfds": Tfds, "table": Table,
}  # fmt: skip


def from_text(text: str, like: Source | None = None) -> Source:
    """Return the source that a word on the command line stands for, with its default fields.

    In this order: what the source of the recipe at hand takes it for; `digits`; `phrases`; a file name that
    ends in `.npz`; `shakespeare`, `tiny_shakespeare`, a file name that ends in `.txt`, or a folder of such
    files alone; one that ends in `.csv`, `.tsv` or `.jsonl` (texts), or a folder with such a file called
    train; `demand`, or a file name that ends in `.parquet` (series); an existing folder, with texts or images
    in it; a name of tensorflow-datasets (`mnist`, `emnist/letters`, `mnist:3.0.1`); any other path, as a
    folder of images. Where a name is taken and a folder or file is called the same, it is said.

    Args:
        text: the word.
        like: the source of a recipe, whose kind is asked first. Defaults to None.

    Raises:
        UsageError: for an unknown name; near names are offered. No network is asked.
    """
    if (source := _claimed(text, like)) is not None:
        if source.place is None and Path(text).exists():
            _log.warning(f"{text} is the data set of that name. For what lies here, give --data ./{text}.")
        return source
    if Path(text).expanduser().is_file():
        raise UsageError(
            f"{text} is not a kind of file that holds data. {_advice(Path(text).suffix.lower())}"
        )
    if any(separator in text for separator in (os.sep, os.altsep) if separator):
        return ImageFolder(path=text)
    local = [path.name for path in Path.cwd().iterdir() if path.is_dir() or path.suffix == ".npz"]
    raise UsageError(
        f"There is no data set {text!r}. Give digits, a folder with one sub-folder per class, an .npz or "
        ".csv file, or a name that tensorflow-datasets knows, such as mnist or cifar10."
        + did_you_mean(text, ["digits", *local, *builder.written_names()])
    )


def _claimed(text: str, like: Source | None) -> Source | None:
    if type(like) is Tfds and (built_in := Digits.claim(text) or Phrases.claim(text)):
        return built_in  # whose names are none of tensorflow-datasets, which takes half a second to ask
    kinds = [*([] if like is None else [type(like)]), *SOURCES.values()]
    return next(filter(None, (kind.claim(text) for kind in kinds)), None)


def _advice(suffix: str) -> str:
    if suffix in (".xls", ".xlsx", ".ods"):
        return "Save the sheet as .csv."
    if suffix in (".zip", ".gz", ".tar", ".tgz", ".7z"):
        return "Unpack it, and give the folder or file inside."
    if suffix in (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"):
        return "Give the folder that has one sub-folder of images for each class."
    return (
        "Give a folder with one sub-folder per class, or an .npz, .csv, .tsv, .jsonl, .txt or .parquet file."
    )
