"""Explains the next character of a text by what each character before it adds to it."""

import json
import re

import numpy as np

from kerasdl.errors import UsageError
from kerasdl.explain.explainer import Examples, answers, not_exact
from kerasdl.explain.texts import TextExplainer, scores_of
from kerasdl.explain.words import WordNetwork
from kerasdl.inference import labels
from kerasdl.inference.texts import texts_in
from kerasdl.report import terminal
from kerasdl.tasks.language.task import LanguageModel, vocabulary_of

_MOST = 256  # characters that are read: as many as a window of an evaluation has by default
_UNKNOWN, _ANY = 0, "\ufffd"  # id of a character that the training text does not have, and how one is written


class NextCharacter(WordNetwork):
    """A language model as a classifier of the character that follows a text."""

    unknown, padding = _UNKNOWN, -1  # no id is padding

    def logits(self, outputs):
        return super().logits(outputs)[:, -1]


class CharacterExplainer(TextExplainer):
    """Explains language models: what each character of a text adds to the logit of the next one."""

    name = "texts"
    given = "a text, or a file with one"
    methods = ("integrated-gradients", "occlusion")
    test_place = 0

    def takes(self, task, data):
        return isinstance(task, LanguageModel)

    def class_names(self, data):
        return [shown(character) for character in vocabulary_of(data)]

    def class_number(self, text, data):
        return labels.class_number(shown(text), self.class_names(data))

    def read(self, given, text_column, source, data):
        return texts_in(given, text_column)

    def explain(self, network, data, examples, asked):
        """Return `about` like `TextExplainer`; `words` are characters, with their `place` from the end, -1.

        Examples are texts, or ids (N, T) with those one place further as `true`.
        """
        vocabulary = vocabulary_of(data)
        numbers = {character: number for number, character in enumerate(vocabulary) if number != _UNKNOWN}
        asking, rows, notes = NextCharacter(network), [], []
        for index, (given, name) in enumerate(zip(examples.features, examples.names, strict=True)):
            whole = given if isinstance(given, str) else _written(given, vocabulary)
            whole = re.sub("\r\n?", "\n", whole)  # as training texts are read
            if not whole:
                raise UsageError(f"{name} is empty: there is no character to explain the next one by.")
            text = whole[-_MOST:]
            ids = np.array([numbers.get(character, _UNKNOWN) for character in text], np.int32)
            found = asking.answers(ids[None])
            true = None if examples.true is None else examples.true[index][-1:]
            (class_id,), (row,) = answers(found["logits"], Examples(ids[None], [name], true), asked)
            scores = scores_of(asking, ids, found, int(class_id), asked, row)
            row |= {"unit": "character", "text": text}
            row["words"] = [
                {"word": shown(character), "place": place - len(text), "known": bool(ids[place] != _UNKNOWN),
                 **{method: float(part[place]) for method, part in scores.items()}}
                for place, character in enumerate(text)
            ]  # fmt: skip
            rows.append(row)
            notes += [*not_exact(row), *_notes(name, whole, row)]
        about = {"texts": rows, "methods": list(asked.methods or self.methods), "notes": notes}
        return {"about": np.array(json.dumps(about))}


def shown(text: str) -> str:
    r"""Return a character as it can be seen: an open box for a space, `\n` for a new line."""
    if text == " ":
        return "\u2423"
    return text.encode("unicode_escape").decode() if text.isspace() else terminal.line(text)


def _written(ids: np.ndarray, vocabulary: tuple[str, ...]) -> str:
    return "".join(_ANY if number == _UNKNOWN else vocabulary[number] for number in ids)


def _notes(name: str, whole: str, row: dict) -> list[str]:
    """Return what should be known of the explanation of a text."""
    found = []
    if unknown := sorted({word["word"] for word in row["words"] if not word["known"]}):
        found.append(
            f"{name}: the network does not know {' '.join(unknown[:10])}, which its training text did not "
            "have: the score is 0."
        )
    if len(whole) > _MOST:
        found.append(f"{name}: the last {_MOST} of {len(whole):,} characters are read and explained.")
    return found
