"""Short opinions made by rules: texts without a download."""

import dataclasses
import itertools

import numpy as np

from kerasdl.data.dataset import Dataset
from kerasdl.data.text.source import Texts

_THINGS = ("film", "book", "hotel", "phone", "meal", "concert", "game", "teacher", "train", "garden")
_GOOD = ("good", "great", "lovely", "clever", "charming", "reliable", "wonderful", "pleasant")
_BAD = ("bad", "poor", "awful", "stupid", "boring", "useless", "terrible", "tiresome")
# What is said of a word, and whether that turns it into its opposite.
_FORMS = (
    ("the {thing} was {word}", False),
    ("a really {word} {thing}", False),
    ("i found this {thing} {word}", False),
    ("everyone says that the {thing} is {word} , and it is", False),
    ("the {thing} was not {word}", True),
    ("the {thing} was anything but {word}", True),
    ("nobody would call this {thing} {word}", True),
    ("everyone says that the {thing} is {word} , but it is not", True),
)
_ENDS = ("", " at all", " , to be honest", " , i think", " , said my sister")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phrases(Texts):
    """Some 6,000 short opinions, good or bad, that were made by rules, not by people.

    Half of them turn a word into its opposite ("not good", "anything but awful"), so that no word alone tells
    good from bad.
    """

    @classmethod
    def claim(cls, text: str) -> "Phrases | None":
        """Return the source for the word "phrases"."""
        return cls() if text == "phrases" else None

    def load(self) -> Dataset:
        """Return the texts, 3 to 14 words, and labels int32: 0 bad, 1 good."""
        texts, labels = [], []
        for (form, turned), thing, end in itertools.product(_FORMS, _THINGS, _ENDS):
            for words, good in ((_GOOD, True), (_BAD, False)):
                texts += [form.format(thing=thing, word=word) + end for word in words]
                labels += [good != turned] * len(words)
        order = np.random.RandomState(0).permutation(len(texts))
        texts, labels = [texts[index] for index in order], np.array(labels, np.int32)[order]
        return self.assembled({"train": (texts, labels)}, ("bad", "good"))
