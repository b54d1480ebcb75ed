"""Which kind of data a path stands for, where several kinds have files of that ending."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data import from_text
from kerasdl.data.dataset import Dataset
from kerasdl.data.images.folder import ImageFolder
from kerasdl.data.npz import file
from kerasdl.data.npz.source import Npz
from kerasdl.data.series.source import Series
from kerasdl.data.source import Source
from kerasdl.data.table.source import Table
from kerasdl.data.text import table, tagged_files, token_table
from kerasdl.data.text.corpus import Corpus
from kerasdl.data.text.table import TextTable
from kerasdl.data.text.tagged import TaggedTokens
from kerasdl.errors import UsageError

_READ_AS = {
    TextTable: "texts with classes", Series: "a series", Table: "a table of numbers",
    TaggedTokens: "sentences with tags", Corpus: "a text to be continued",
}  # fmt: skip
_TAKEN_BY = {TextTable: "lstm", Series: "forecast", TaggedTokens: "tagger", Corpus: "char_lm"}
_SUFFIXES = (*table.SUFFIXES, *tagged_files.COLUMNS, ".txt", ".parquet")  # of files that may be named
_MOST_CLASSES = 20  # whole numbers of more values are numbers to predict, where examples are not images


def kinds(text: str) -> tuple[Source, ...]:
    """Return the sources that a word or path may stand for, in the order in which they are tried.

    Raises:
        UsageError: for an unknown name.
    """
    source = from_text(text)
    if isinstance(source, ImageFolder):
        return (dataclasses.replace(source, skip_bad_images=True),)
    if not isinstance(source, TextTable):
        return (source,)
    path = Path(text).expanduser()
    if path.suffix.lower() in token_table.SUFFIXES and path.is_file() and token_table.is_one(path):
        return (TaggedTokens(path=text),)
    # A .tsv file may have anything in its last column: only lists in JSON are plainly tokens and tags.
    tagged = [TaggedTokens] if path.suffix.lower() == ".jsonl" else []
    others = (kind.claim(text) for kind in (Series, Table, *tagged))
    return (source, *(other for other in others if other is not None))


def load(text: str, given: Mapping[str, Any]) -> tuple[Source, Dataset]:
    """Read data as the first kind that fits.

    Args:
        text: what `--data` takes.
        given: fields of the source by name; kinds without them are not tried.

    Raises:
        UsageError: when it cannot be read as any; the reasons of all are told.
    """
    fitting = [
        kind for kind in kinds(text) if set(given) <= {field.name for field in dataclasses.fields(kind)}
    ]
    if not fitting:
        raise UsageError(f"{' and '.join(map(_flag, given))} belong to different kinds of data. Give one.")
    reasons = {}
    for kind in fitting:
        kind = dataclasses.replace(kind, **given)
        try:
            if isinstance(kind, Table) and "targets" not in given:
                kind = kind.with_meaning()
            return kind, kind.load()
        except UsageError as error:
            reasons[type(kind)] = str(error)
        if (closer := _closer(kind, given)) is not None:
            return closer, closer.load()
    if len(reasons) == 1:
        raise UsageError(*reasons.values())
    told = dict.fromkeys(f"- as {_READ_AS[kind]}: {reason}" for kind, reason in reasons.items())
    raise UsageError("\n".join([f"{text} cannot be read", *told]))


def fitting(place: str | None, but: type[Source] | None = None) -> list[str]:
    """Return the sentence that names what takes a file, or the one file of a folder; none where nothing does.

    Args:
        place: the path of the file or the folder; None for data that lies in none.
        but: kind of data that is not named, since the file could not be read as that. Defaults to none.
    """
    try:
        if place is None or (file := _one_file(Path(place).expanduser())) is None:
            return []
        source, _ = load(place := str(file), {})
    except (UsageError, OSError):
        return []
    kind = type(source)
    if kind is but or kind not in _READ_AS:
        return []
    if kind not in _TAKEN_BY:
        command = ["kerasdl", "init", place]
    else:
        command = ["kerasdl", "train", _TAKEN_BY[kind], "--data", place]
        usual = kind.claim(place)
        for name in ("context", "horizon") if isinstance(source, Series) else ():
            if (value := getattr(source, name)) != getattr(usual, name):
                command += [_flag(name), str(value)]
    return [f"It can be read as {_READ_AS[kind]}: {shlex.join(command)}"]


def _one_file(path: Path) -> Path | None:
    """Return a file that may hold data: the path itself, or the only one in a folder; None without."""
    inside = [path] if path.is_file() else [*path.iterdir()] if path.is_dir() else []
    found = [file for file in inside if file.is_file() and file.suffix.lower() in _SUFFIXES]
    return found[0] if len(found) == 1 else None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _closer(source: Source, given: Mapping[str, Any]) -> Source | None:
    """Return a source that could not be read as it is with fields that fit its file; None where none do."""
    if isinstance(source, Npz):
        return _npz(source, given)
    if isinstance(source, Series) and not {"context", "horizon"} & set(given):
        return _short(source)
    return None


def _npz(source: Npz, given: Mapping[str, Any]) -> Npz | None:
    arrays = file.read(Path(source.path).expanduser())
    if not {"x_train", "y_train"} <= set(arrays):
        return None
    x, y = arrays["x_train"], arrays["y_train"]
    fields = {}
    pixels = x.ndim in (3, 4) and x.min() >= 0 and x.max() <= 2**16
    if "features" not in given and x.dtype.kind in "buif" and not pixels:
        fields["features"] = "numbers"
    is_flat = y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)
    if "targets" not in given and y.dtype.kind in "uif" and is_flat and _are_amounts(y):
        fields["targets"] = "numbers"
    return dataclasses.replace(source, **fields) if fields else None


def _short(source: Series) -> Series | None:
    """Return a series that is too short for the usual windows with shorter ones."""
    try:
        count = len(source.read().values)
    except UsageError:
        return None
    horizon, context = min(source.horizon, count // 20), min(source.context, count // 6)
    closer = dataclasses.replace(source, horizon=max(1, horizon), context=max(1, context))
    try:
        closer.load()
    except UsageError:
        return None
    return closer


def _are_amounts(values: np.ndarray) -> bool:
    """Return whether numbers are to be predicted, rather than names of classes."""
    different = len(np.unique(values))
    return different > _MOST_CLASSES or bool((values != np.round(values)).any())
