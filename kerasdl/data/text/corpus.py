"""One long text by characters: the user's own, tiny Shakespeare, or a part of it that is shipped."""

import codecs
import collections
import dataclasses
import hashlib
import json
import lzma
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from kerasdl.data import encodings
from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.order import Contiguous, Shuffled
from kerasdl.data.source import Source
from kerasdl.data.text.windows import WindowSplit
from kerasdl.errors import RunFailedError, UsageError

#: Name of the characters that the training part does not have; their id is 0.
UNKNOWN = "<unknown>"

_BUNDLED = "shakespeare"
_PREPARED = "tiny_shakespeare"
# Numbers that the answers to a held-out part may have: one for each character of it and of the vocabulary.
_MOST_ANSWERS = 2**26


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corpus(Source):
    """A text to be continued: windows of character ids, and as targets the characters one place further.

    Validation and test are the last parts of the text. The vocabulary has the characters of the training
    part; all others are unknown and share the id 0. The set "shakespeare" is shipped: the first 100,000
    characters of "tiny Shakespeare" (plays in the public domain, collected by A. Karpathy).
    """

    gives: ClassVar = DataSpec(Spec((None,), "int32", (UNKNOWN, "a")), Spec((None,), "int32"))

    # Shipped set (shakespeare), or the set tiny_shakespeare of tensorflow-datasets, 1.1 million characters.
    name: Literal["shakespeare", "tiny_shakespeare"] = _BUNDLED
    # Text file, or a folder whose .txt files follow each other in the order of their names.
    path: str | None = None
    # Fetch tiny_shakespeare from the network when it is not prepared.
    download: bool = dataclasses.field(default=False, metadata={"permits": True})
    # Characters of a window in training.
    window: int = 64
    # Characters of a window in evaluation, each of which begins without a past.
    evaluation_window: int = 256
    # Order of training: continued (each place of a batch reads on through a part of its own, and a network
    # with states carries them on) or shuffled (each window begins without a past).
    order: Literal["continued", "shuffled"] = "continued"
    # Encoding of the files; auto for UTF-8, or what a byte-order mark says.
    encoding: str = "auto"
    # Characters that occur fewer times in the training part are unknown.
    min_count: int = 1
    # Share of the text that is kept for validation, 0 to 1; tiny_shakespeare has a validation part.
    validation_fraction: float = 0.05
    # Share of the text that is kept for the test, 0 to 1; tiny_shakespeare has a test part.
    test_fraction: float = 0.05

    def __post_init__(self):
        for name in ("window", "evaluation_window", "min_count"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, but it has to be 1 or more.")
        fractions = self.validation_fraction, self.test_fraction
        if min(fractions) <= 0 or sum(fractions) >= 1:
            raise UsageError(
                f"validation_fraction and test_fraction are {fractions[0]:g} and {fractions[1]:g}, but both "
                "have to be above 0 and leave something to train on, for example 0.05 each."
            )
        try:
            known = self.encoding == "auto" or codecs.lookup(self.encoding)._is_text_encoding
        except LookupError:
            known = False
        if not known:
            raise UsageError(
                f"Python knows no text encoding {self.encoding!r}. Give auto, or one such as utf-8, latin-1, "
                "cp1252, utf-16, shift_jis or gb18030."
            )

    @classmethod
    def claim(cls, text: str) -> "Corpus | None":
        """Return the source for `shakespeare`, `tiny_shakespeare`, a .txt file, or a folder of such files."""
        if text in (_BUNDLED, _PREPARED):
            return cls(name=text)
        path = Path(text).expanduser()
        if text.lower().endswith(".txt") or (path.is_dir() and _is_folder_of_texts(path)):
            return cls(path=text)
        return None

    def like(self, spec: DataSpec) -> "Corpus":
        """Return this source with the vocabulary of a run."""
        if not isinstance(spec.inputs, Spec) or spec.inputs.class_names[:1] != (UNKNOWN,):
            return self
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(Corpus)}
        return CorpusWithVocabulary(**fields, vocabulary=spec.inputs.class_names)

    def load(self) -> Dataset:
        """Read the text: windows of ids and their targets, int32.

        Raises:
            UsageError: when there is no such text, it is too short, or its encoding is another one.
            RunFailedError: when the download that was asked for fails.
        """
        parts, notes = self.parts()
        vocabulary = self._vocabulary(parts["train"])
        ids = {name: _encode(text, vocabulary) for name, text in parts.items()}
        unknown = {name: int((part == 0).sum()) for name, part in ids.items() if name != "train"}
        if any(unknown.values()):
            told = " and ".join(f"{count:,} characters of {name}" for name, count in unknown.items() if count)
            notes += (f"{told} are not in the vocabulary of the training part: they count as unknown.",)
        ordering = Contiguous() if self.order == "continued" else Shuffled()
        splits = {"train": WindowSplit(ids["train"], self.window, ordering)}
        for name in unknown:
            splits[name] = WindowSplit(ids[name], self.evaluation_window)
        digest = hashlib.sha256(repr((self.window, self.evaluation_window, vocabulary)).encode())
        for part in ids.values():
            digest.update(len(part).to_bytes(8, "little") + part.tobytes())
        spec = DataSpec(
            Spec((None,), "int32", class_names=vocabulary),
            Spec((None,), "int32"),
            assets={"vocab.txt": vocabulary_text(vocabulary)},
        )
        return Dataset(**splits, spec=spec, fingerprint=digest.hexdigest(), notes=notes)

    def _vocabulary(self, training_text: str) -> tuple[str, ...]:
        counts = collections.Counter(training_text)
        kept = sorted(character for character, count in counts.items() if count >= self.min_count)
        if not kept:
            raise UsageError(
                f"No character occurs {self.min_count} times in the training part. Give a smaller "
                "--min-count."
            )
        return (UNKNOWN, *kept)

    def parts(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the text of each split, and notes."""
        if self.path is None and self.name == _PREPARED:
            return _prepared(self.download), ()
        text = _bundled() if self.path is None else self._read(Path(self.path).expanduser())
        return self._split(text)

    def _split(self, text: str) -> tuple[dict[str, str], tuple[str, ...]]:
        notes, most = (), max(_MOST_ANSWERS // len(set(text)), self.evaluation_window + 1) if text else 0
        sizes = {}
        for name, fraction in (("validation", self.validation_fraction), ("test", self.test_fraction)):
            sizes[name] = max(int(fraction * len(text)), self.evaluation_window + 1)
            if sizes[name] > most:
                sizes[name] = most
                notes = (f"Validation and test have {most:,} characters at most; the others are trained on.",)
        num_train = len(text) - sum(sizes.values())
        if num_train <= self.window:
            raise UsageError(
                f"The text of {self.path or self.name} has {len(text):,} characters, but training needs more "
                f"than {self.window}, validation and test more than {self.evaluation_window} each. Give a "
                "longer text, or shorter windows: --window 32 --evaluation-window 32."
            )
        ends = num_train, num_train + sizes["validation"]
        parts = {"train": text[: ends[0]], "validation": text[slice(*ends)], "test": text[ends[1] :]}
        return parts, notes

    def _read(self, path: Path) -> str:
        """Return the text of a file, or of the .txt files of a folder."""
        if not path.exists():
            raise UsageError(f"There is no {path}. Give a text file, or a folder of .txt files.")
        files = _texts(path) if path.is_dir() else [path]
        if not files:
            raise UsageError(f"There is no .txt file in {path}. Give a text file, or a folder of .txt files.")
        return "\n".join(self._decoded(file) for file in files)

    def _decoded(self, file: Path) -> str:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
        encoding = (encodings.marked(content) or "utf-8") if self.encoding == "auto" else self.encoding
        try:
            text = content.decode(encoding)
        except UnicodeError as error:
            where = f" at byte {error.start:,}" if isinstance(error, UnicodeDecodeError) else ""
            raise UsageError(
                f"{file} is not {encoding.removesuffix('-sig').upper()} text{where}. Say in which encoding "
                "it is, for example --encoding cp1252 (Western Windows) or --encoding gb18030."
            ) from error
        return re.sub("\r\n?", "\n", text)  # as Python reads texts everywhere


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusWithVocabulary(Corpus):
    """A corpus whose characters get the ids of a given vocabulary."""

    vocabulary: tuple[str, ...]

    def _vocabulary(self, training_text: str) -> tuple[str, ...]:
        return self.vocabulary


def vocabulary_text(vocabulary: Sequence[str]) -> str:
    """Return the content of `vocab.txt`: a line for each id, with its character as a JSON string."""
    return "".join(f"{json.dumps(character, ensure_ascii=False)}\n" for character in vocabulary)


def _encode(text: str, vocabulary: Sequence[str]) -> np.ndarray:
    """Return the id of each character, 0 where it is unknown, in the smallest type that holds them."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    known = np.array([ord(character) for character in vocabulary[1:]], np.uint32)  # ascending
    place = np.minimum(np.searchsorted(known, points), len(known) - 1)
    ids = np.where(known[place] == points, place + 1, 0)
    return ids.astype(np.min_scalar_type(len(vocabulary)))


def _is_folder_of_texts(path: Path) -> bool:
    """Tell whether a folder has .txt files and no folders, which would be classes."""
    return bool(_texts(path)) and not any(
        entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir()
    )


def _texts(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.suffix.lower() == ".txt" and file.is_file())


def _bundled() -> str:
    file = resources.files("kerasdl.data.text") / "shakespeare.txt.xz"
    return lzma.decompress(file.read_bytes()).decode()


def _prepared(download: bool) -> Mapping[str, str]:
    """Return the parts of tiny Shakespeare, prepared on this machine or downloaded on demand."""
    import tensorflow_datasets as tfds

    folder = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    builder = tfds.builder(_PREPARED, data_dir=folder)
    if not builder.is_prepared() and not download:
        raise UsageError(
            f"The data set {_PREPARED!r} is not prepared in {folder}. Either add --download to fetch it "
            "(needs a network), or set TFDS_DATA_DIR to a folder where it is prepared; a tenth of it is "
            "shipped (--data shakespeare)."
        )
    if not builder.is_prepared():
        try:
            builder.download_and_prepare()
        except Exception as error:  # a foreign downloader: any server, checksum or disk may fail
            raise RunFailedError(
                f"Downloading {_PREPARED!r} failed: {type(error).__name__}: {error}. Try again, or set "
                "TFDS_DATA_DIR to a folder where the set is prepared."
            ) from error
    read = {name: builder.as_dataset(split=name) for name in ("train", "validation", "test")}
    return {
        name: "".join(part["text"].decode() for part in dataset.as_numpy_iterator())
        for name, dataset in read.items()
    }
