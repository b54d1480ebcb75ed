"""Explains the tag of one token of a sentence by what each token of the sentence adds to it."""

import json
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data.dataset import Spec
from kerasdl.errors import UsageError
from kerasdl.explain.explainer import Examples, answers
from kerasdl.explain.texts import TextExplainer, notes_of, scores_of, words_of
from kerasdl.explain.words import WordNetwork
from kerasdl.network import network as deployed
from kerasdl.preprocessing.sentence import TokenPreprocessing
from kerasdl.preprocessing.tokens import FILES, TokenNumbers
from kerasdl.report import terminal
from kerasdl.tasks.tagging import decoding

_LONGEST = 1_000  # tokens of a sentence: each of them is left out of it once
_LEAST = 1e-30  # probability whose logarithm is taken for that of 0


class TagNetwork(WordNetwork):
    """A tagger over numbers of tokens as a classifier of the token at `place`.

    The logit of a tag is the network's own; of a chain it is the logarithm of the tag's probability over all
    ways to tag the sentence.
    """

    shape = (None, None, len(FILES))

    def __init__(self, network: keras.Model):
        self.place = tf.Variable(0)
        super().__init__(network)

    def logits(self, outputs):
        outputs = super().logits(outputs)
        if decoding.is_chain(outputs):
            _, shares = decoding.tags_of(outputs, tf.ones(tf.shape(outputs)[:2], tf.bool))
            outputs = tf.math.log(tf.maximum(shares, _LEAST))
        return outputs[:, self.place]


class SentenceExplainer(TextExplainer):
    """Explains tags: what each token of a sentence adds to the logit of the tag of one of them."""

    name = "sentences"
    given = "a sentence, or a file with one"
    methods = ("integrated-gradients", "occlusion")
    picks = ("token",)

    def takes(self, task, data):
        return data.inputs == Spec((None,), "string") and bool(data.class_names)

    def explain(self, network, data, examples, asked):
        """Return `about` like `TextExplainer`; each text also has `token`, the number of the one explained.

        Examples are tokens (N, L), bytes; `true` the numbers of their tags (N, T), from 1 on.
        """
        layer = network.preprocessing
        if not isinstance(layer, TokenPreprocessing) or not layer.words:
            raise UsageError(
                "This network does not read sentences by TokenPreprocessing: nothing is known of its words."
            )
        asking, rows, notes = TagNetwork(network), [], []
        ids = TokenNumbers(layer.assets()).rows(examples.features)
        for index, numbers in enumerate(ids):
            _check_length(examples.names[index], len(numbers))
            sentence = [token.decode(errors="replace") for token in examples.features[index][: len(numbers)]]
            true = None if examples.true is None else examples.true[index][: len(numbers)] - 1
            given, sure = _answered(network, numbers)
            place = _place(sentence, given, sure, true, asked.token)
            if place is None:
                continue
            if again := [str(k) for k, word in enumerate(sentence) if word == asked.token][1:]:
                notes.append(
                    f"{examples.names[index]}: the first {asked.token!r} is explained. Of another one: "
                    f"--token {' or '.join(again)}."
                )
            asking.place.assign(place)
            found = asking.answers(numbers[None])
            name = f'{examples.names[index]}, token {place} "{terminal.line(sentence[place])}"'
            one = Examples(examples.features[[index]], [name], None if true is None else true[[place]])
            (class_id,), (row,) = answers(found["logits"], one, asked, given[[place]])
            scores = scores_of(asking, numbers, found, int(class_id), asked, row)
            pieces = list(zip(sentence, numbers.max(axis=1).tolist(), strict=True))
            row["words"], row["unread"] = words_of(pieces, scores, len(pieces))
            row["token"] = place
            rows.append(row)
            notes += notes_of(row)
        if len(rows) < len(ids):
            notes.append(_lacking(examples, len(rows), str(asked.token)))
        about = {"texts": rows, "methods": list(asked.methods or self.methods), "notes": notes}
        return {"about": np.array(json.dumps(about))}


def _check_length(name: str, length: int) -> None:
    if length > _LONGEST:
        raise UsageError(
            f"{name} has {length:,} tokens, but a sentence of {_LONGEST:,} at most is explained. Give a "
            "part of it, or a .txt file with a sentence on each line."
        )


def _answered(network: keras.Model, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the tag of each token (T,), from 0 on, and how sure the network is of it (T,), 0 to 1."""
    outputs = deployed.logits(network, ids[None])
    tags, shares = decoding.tags_of(outputs, tf.ones(outputs.shape[:2], tf.bool))
    given = tags.numpy()[0] - 1
    return given, shares.numpy()[0, np.arange(len(given)), given]


def _place(
    sentence: Sequence[str],
    given: np.ndarray,
    sure: np.ndarray,
    true: np.ndarray | None,
    token: str | None,
) -> int | None:
    """Return the number of the token to explain, from 0 on; None where the sentence has no such token.

    Without `token` it is the wrong one that the network is most sure of or, where none is known to be wrong,
    the one that it is least sure of.
    """
    if token is None:
        wrong = np.zeros(len(given), bool) if true is None else given != true
        return int(np.where(wrong, sure, -1).argmax() if wrong.any() else sure.argmin())
    if token in sentence:
        return sentence.index(token)
    if token.isdecimal() and int(token) < len(sentence):
        return int(token)
    return None


def _lacking(examples: Examples, explained: int, token: str) -> str:
    """Return the sentence about sentences without a token.

    Raises:
        UsageError: when none of them has it.
    """
    count = len(examples.features)
    if explained:
        return f"{count - explained:,} of {count:,} sentences have no token {token!r}: they are left out."
    words = [word.decode(errors="replace") for word in examples.features[0] if word]
    these = (
        f"this sentence of {len(words)} has no" if count == 1 else f"none of these {count:,} sentences has"
    )
    raise UsageError(
        f"--token is {token!r}, but {these} such token: {terminal.cut(' '.join(words), 60)}. Give a word of "
        "it, or an index from 0."
    )
