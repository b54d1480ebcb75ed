"""Sentences with a tag at each token: the user's own, or sets that are shipped."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from kerasdl.data.dataset import Dataset, DataSpec, Spec
from kerasdl.data.labelled.assemble import assemble, digest
from kerasdl.data.source import Source
from kerasdl.data.splits import ArraySplit
from kerasdl.data.text import requests, restoration, tagged_files
from kerasdl.data.text.columns import Sentence
from kerasdl.data.text.corpus import Corpus
from kerasdl.errors import UsageError

_MADE = "requests"
_SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation",
           "dev": "validation", "test": "test"}  # fmt: skip
_OUTSIDE = "O"  # tag of tokens outside of all entities; the first one where there is such a tag
_MOST_TAGS = 500
_MOST_NAMED = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggedTokens(Source):
    """Sentences whose tokens have a tag each: a file in columns, a table, JSON lines, or a folder of these.

    In columns there is a token on each line, its tag in the last column, and an empty line between sentences.
    A table (.csv) has a token in each row, and a column that tells its sentence. In JSON lines each object
    has two lists, `tokens` and `tags`. Shipped are "requests" (made by rules, with names tagged) and
    "shakespeare" (capitals and punctuation of a text to be told from its bare words).
    """

    # Shipped set (requests, shakespeare), or the set tiny_shakespeare of tensorflow-datasets.
    name: Literal["requests", "shakespeare", "tiny_shakespeare"] = _MADE
    # File, or a folder with files called train, test and, if there is one, validation (or dev).
    path: str | None = None
    # Fetch tiny_shakespeare from the network when it is not prepared.
    download: bool = dataclasses.field(default=False, metadata={"permits": True})
    # Column of the tokens, a number from 1 on (default: the first); of a table or JSON its name.
    token_column: str | None = None
    # Column of the tags, a number from 1 on or -1 for the last (the default); of a table or JSON its name.
    label_column: str | None = None
    # Column of a table that tells its sentences apart; none for one called sentence, sentence_id, ...
    sentence_column: str | None = None
    # Names of the tags where a file has their numbers, from 0 on: O,B-PER,I-PER; none for tags as they are.
    tag_names: tuple[str, ...] | None = None
    # Tokens of a sentence at most; longer ones are divided.
    sentence_length: int = 200
    # Share of the training sentences that is kept for the test where there is no test file, 0 to 1.
    test_fraction: float = 0.2
    # Share of the remaining ones that is kept for validation where there is no such file, 0 to 1.
    validation_fraction: float = 0.1
    # Seed of the choice of test and validation sentences.
    split_seed: int = 0

    def __post_init__(self):
        for name in ("test_fraction", "validation_fraction"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name):g}, but it has to lie between 0 and 1.")
        if not 0 <= self.split_seed < 2**31:
            raise UsageError(f"split_seed is {self.split_seed}, but it has to lie between 0 and {2**31 - 1}.")
        if self.sentence_length < 1:
            raise UsageError(f"sentence_length is {self.sentence_length}, but it has to be 1 or more.")

    @classmethod
    def claim(cls, text: str) -> "TaggedTokens | None":
        """Return the source for a shipped set, a file of sentences, or a folder with one called train."""
        if text in (_MADE, "shakespeare", "tiny_shakespeare"):
            return cls(name=text)
        path = Path(text).expanduser()
        if path.suffix.lower() in tagged_files.SUFFIXES or (path.is_dir() and "train" in _files_in(path)):
            return cls(path=text)
        return None

    def like(self, spec: DataSpec) -> "TaggedTokens":
        """Return this source with the tags of a run."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(TaggedTokens)}
        return _WithTags(**fields, tags=spec.class_names)

    def load(self) -> Dataset:
        """Read all sentences: tokens (N, L), and numbers of tags (N, L) int32, from 1 on, 0 behind the end.

        Raises:
            UsageError: when there is no such file, or a line cannot be read.
        """
        given, notes = self._sentences()
        tags = self._tags(given)
        number = {tag: index for index, tag in enumerate(tags, 1)}
        sentences = {name: _divided(part, self.sentence_length) for name, part in given.items()}
        if cut := sum(len(sentences[name]) - len(given[name]) for name in given):
            length = self.sentence_length
            notes += (f"{cut:,} times a sentence is divided after {length} tokens (--sentence-length).",)
        longest = max(len(tokens) for part in sentences.values() for tokens, _ in part)
        splits, digests = {}, {}
        for name, part in sentences.items():
            features = np.full((len(part), longest), b"", object)
            targets = np.zeros((len(part), longest), np.int32)
            for row, (tokens, labels) in enumerate(part):
                features[row, : len(tokens)] = [token.encode() for token in tokens]
                targets[row, : len(tokens)] = [number[label] for label in labels]
            splits[name] = ArraySplit(features, targets)
            digests[name] = digest("\n".join(tokens) for tokens, _ in part)
        spec = DataSpec(Spec((None,), "string"), Spec((None,), "int32", tags))
        fractions = {"test": self.test_fraction, "validation": self.validation_fraction}
        found = assemble(splits, digests, fractions=fractions, seed=self.split_seed, spec=spec, notes=notes)
        return dataclasses.replace(found, notes=found.notes + _unseen(found, tags))

    def _sentences(self) -> tuple[Mapping[str, Sequence[Sentence]], tuple[str, ...]]:
        """Return the sentences of each split that there is, and notes."""
        if self.path is not None:
            return self._read(Path(self.path).expanduser())
        if self.name == _MADE:
            return requests.splits(), ()
        parts, notes = Corpus(name=self.name, download=self.download).parts()
        return {name: restoration.sentences(text) for name, text in parts.items()}, notes

    def _read(self, path: Path) -> tuple[Mapping[str, Sequence[Sentence]], tuple[str, ...]]:
        files = _files_in(path) if path.is_dir() else {"train": path}
        if "train" not in files or not files["train"].is_file():
            raise UsageError(
                f"There is no file {path}. Give a file with a token and its tag on each line, a .csv with "
                "both in each row, .jsonl with lists of them, or a folder of such files called train, test "
                "and validation."
            )
        found, notes = {}, ()
        for name, file in files.items():
            found[name], more = tagged_files.read(
                file, self.token_column, self.label_column, self.sentence_column
            )
            self._check_sentences(file, found[name])
            notes += more
        if self.tag_names is not None:
            found = {name: [self._named(one) for one in part] for name, part in found.items()}
        return found, notes + _numbers_note(found) + _odd_tags_note(found)

    def _check_sentences(self, file: Path, sentences: Sequence[Sentence]) -> None:
        """Raise a UsageError for tokens that nothing divides into sentences."""
        count = len(sentences[0][0])
        is_one = len(sentences) == 1 and file.suffix.lower() not in tagged_files.JSON
        if is_one and count > self.sentence_length:
            raise UsageError(
                f"{file} does not tell where sentences end, so that its {count:,} tokens are one. Put an "
                "empty line between sentences; in a table (.csv), name their column with --sentence-column."
            )

    def _named(self, sentence: Sentence) -> Sentence:
        """Return a sentence with the names of its tags in the place of their numbers."""
        names = {name: name for name in self.tag_names}
        names |= {str(number): name for number, name in enumerate(self.tag_names)}
        for tag in sentence[1]:
            if tag not in names:
                raise UsageError(
                    f"{self.path} has the tag {tag!r}, but --tag-names names the numbers 0 to "
                    f"{len(self.tag_names) - 1}. Give a name for each number, or leave it out."
                )
        return sentence[0], [names[tag] for tag in sentence[1]]

    def _tags(self, sentences: Mapping[str, Sequence[Sentence]]) -> tuple[str, ...]:
        """Return all tags, sorted, O first."""
        found = {tag for part in sentences.values() for _, tags in part for tag in tags}
        if len(found) < 2:
            raise UsageError(
                f"All tokens of {self.path} have the tag {next(iter(found))!r}, but a tagger needs two tags "
                "or more. Name the right column with --label-column."
            )
        if len(found) > _MOST_TAGS:
            raise UsageError(
                f"{self.path} has {len(found):,} different tags, such as {', '.join(sorted(found)[:5])}: "
                "that looks like a column of words. Name the column of the tags with --label-column."
            )
        as_numbers = all(map(str.isdecimal, found))
        return tuple(sorted(found, key=lambda tag: (tag != _OUTSIDE, int(tag) if as_numbers else 0, tag)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _WithTags(TaggedTokens):
    """Sentences whose tags get the numbers that they have in a run."""

    tags: tuple[str, ...]

    def _tags(self, sentences):
        found = {tag for part in sentences.values() for _, tags in part for tag in tags}
        if unknown := sorted(found - set(self.tags)):
            raise UsageError(
                f"{self.path or self.name} has the tag {unknown[0]!r}, which the network does not know: its "
                f"tags are {', '.join(self.tags[:20])}. Write tags alike."
            )
        return self.tags


def _files_in(folder: Path) -> dict[str, Path]:
    """Return the file of each split in a folder."""
    inside = sorted(path for path in folder.iterdir() if path.suffix.lower() in tagged_files.SUFFIXES)
    found = {_SPLITS[path.stem.lower()]: path for path in inside if path.stem.lower() in _SPLITS}
    return {name: found[name] for name in ("train", "validation", "test") if name in found}


def _divided(sentences: Sequence[Sentence], longest: int) -> list[Sentence]:
    """Return sentences of so many tokens at most."""
    return [
        (tokens[start : start + longest], tags[start : start + longest])
        for tokens, tags in sentences
        for start in range(0, len(tokens), longest)
    ]


def _unseen(data: Dataset, tags: Sequence[str]) -> tuple[str, ...]:
    """Return the sentence about tags that no training sentence has."""
    trained = set(np.unique(data.train.targets).tolist())
    missing = [tag for number, tag in enumerate(tags, 1) if number not in trained]
    if not missing:
        return ()
    named = ", ".join(missing[:_MOST_NAMED]) + (", ..." if len(missing) > _MOST_NAMED else "")
    return (f"No training sentence has the tag {named}: it cannot be learned, and counts as a mistake.",)


def _numbers_note(given: Mapping[str, Sequence[Sentence]]) -> tuple[str, ...]:
    """Return the sentence about tags that are numbers, as datasets of Hugging Face have them."""
    tags = {tag for part in given.values() for _, tags in part for tag in tags}
    if not all(map(str.isdecimal, tags)):
        return ()
    return (
        f"The tags are numbers up to {max(map(int, tags))}, whose names the file does not tell: entities are "
        "not counted. Name all from 0 on: --tag-names O,B-PER,I-PER",
    )


def _odd_tags_note(given: Mapping[str, Sequence[Sentence]]) -> tuple[str, ...]:
    """Return the sentence about tags that may be words, or the same tag in two ways."""
    pairs = [sentence for part in given.values() for sentence in part]
    tokens, tags = ({value for sentence in pairs for value in sentence[place]} for place in (0, 1))
    if len(tags) > len(tokens):
        return (
            f"There are {len(tags):,} different tags, but {len(tokens):,} different tokens. Where the "
            "columns are the other way round, give --token-column and --label-column.",
        )
    first: dict[str, str] = {}
    for tag in sorted(tags):
        if (other := first.setdefault(tag.casefold().replace("_", "-"), tag)) != tag:
            return (f"{other!r} and {tag!r} count as two tags. Write them alike if they are one.",)
    marking = sorted(filter(re.compile("[BIEMLSU]-.+").fullmatch, tags))
    others = sorted(tags - {*marking, _OUTSIDE})
    if _OUTSIDE in tags and marking and others:
        return (
            f"{others[0]!r} marks no entity as {marking[0]!r} does, nor is it O: F1 is the mean over tags, "
            "and entities are not counted. Write O in its place if it stands outside of all entities.",
        )
    return ()
