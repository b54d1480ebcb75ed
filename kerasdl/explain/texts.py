"""Explains answers to texts by what each word adds to them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.errors import UsageError
from kerasdl.explain import words_page
from kerasdl.explain.explainer import Examples, Explainer, Question, answers, not_exact
from kerasdl.explain.page import about_of, page_of
from kerasdl.explain.words import ATTENTION, WordNetwork
from kerasdl.inference.word_numbers import tokenizer
from kerasdl.preprocessing.words import UNKNOWN
from kerasdl.report import terminal

_LONGEST_WORD = 60  # characters of a word that are kept
_SHOWN = 6  # words for and against a class, in a terminal


class TextExplainer(Explainer):
    """Explains answers to texts: what each word adds to the logit of a class."""

    name = "texts"
    given = "a text, or a file with one"
    methods = ("integrated-gradients", "occlusion", ATTENTION)
    first_file = ("Page", "explanation.html")
    most_examples = 100

    def takes(self, task, data):
        return data.inputs == Spec((), "string") and bool(data.class_names)

    def asking(self, network: keras.Model, data: DataSpec, asked: Question) -> WordNetwork:
        """Return a network in the ways in which explanations ask it."""
        return WordNetwork(network)

    def answers(
        self, logits: np.ndarray, examples: Examples, asked: Question
    ) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """Return what to explain of each example (N,), and a row about each answer."""
        return answers(logits, examples, asked)

    def explain(self, network, data, examples, asked):
        """Return `about`, whose `texts` hold the answer and the words of each text with their scores.

        A word has `word`, as it is written, and where the network reads it `known`, whether it is in the
        vocabulary, and a score by method.
        """
        splitter = tokenizer(network, data)
        if splitter is None:
            raise UsageError(
                "This network does not read texts by SequencePreprocessing, so nothing is known of its words."
            )
        asking, methods = self.asking(network, data, asked), asked.methods or self.methods
        spelled = [splitter.spelled(text) for text in examples.features]
        read = [[number for _, number in pieces if number is not None] for pieces in spelled]
        ids = [np.array(numbers or [0], np.int32) for numbers in read]
        found = [asking.answers(row[None]) for row in ids]
        logits = np.concatenate([answer["logits"] for answer in found])
        class_ids, rows = self.answers(logits, examples, asked)
        if asked.methods and ATTENTION in methods and ATTENTION not in found[0]:
            raise UsageError(f"This network has no attention. Use --methods {','.join(self.methods[:-1])}.")
        notes: list[str] = []
        for row, pieces, numbers, answer, class_id in zip(rows, spelled, ids, found, class_ids, strict=True):
            scores = scores_of(asking, numbers, answer, int(class_id), asked, row)
            row["words"], row["unread"] = words_of(pieces, scores, splitter.max_length)
            notes += notes_of(row)
        about = {"texts": rows, "methods": [name for name in methods if name in scores], "notes": notes}
        return {"about": np.array(json.dumps(about))}

    def files(self, arrays):
        about = about_of(arrays)
        return {self.first_file[1]: page_of("Why it answers so", "Explanations of answers to texts", about)}

    def tables(self, about):
        return [line for row in about["texts"] for line in _lines(row, about["methods"])]


def scores_of(
    asking: WordNetwork,
    ids: np.ndarray,
    answer: Mapping[str, np.ndarray],
    class_id: int,
    asked: Question,
    row: dict[str, Any],
) -> dict[str, np.ndarray]:
    """Return the score of each word by method; what integrated gradients tell beside them goes into `row`."""
    methods, found = asked.methods or TextExplainer.methods, {}
    if "integrated-gradients" in methods:
        scores, difference, error, used = asking.integrated_gradients(ids, class_id, steps=asked.steps)
        found["integrated-gradients"] = scores
        row |= {"difference": float(difference), "error": float(error), "steps": used}
    if "occlusion" in methods:
        found["occlusion"] = asking.occlusion(ids, class_id)
    if ATTENTION in methods and ATTENTION in answer:
        found[ATTENTION] = answer[ATTENTION][0]
    return found


def words_of(
    pieces: Sequence[tuple[str, int | None]], scores: Mapping[str, np.ndarray], most: int
) -> tuple[list[dict[str, Any]], int]:
    """Return the words of a text with their scores, and how many are behind the `most` that are read."""
    rows: list[dict[str, Any]] = []
    place = 0
    for written, number in pieces:
        if place == most:
            break
        cut = "..." if len(written) > _LONGEST_WORD else ""
        rows.append({"word": terminal.line(written[:_LONGEST_WORD]) + cut})
        if number is not None:
            rows[-1] |= {
                "known": number != UNKNOWN,
                **{name: float(part[place]) for name, part in scores.items()},
            }
            place += 1
    return rows, len(pieces) - len(rows)


def notes_of(row: Mapping[str, Any]) -> list[str]:
    """Return what should be known of the explanation of a text."""
    found = not_exact(row)
    known = [word["known"] for word in row["words"] if "known" in word]
    if not any(known):
        why = "it knows none of them" if known else "there is none"
        found.append(f"{row['name']}: the answer does not come from words of the text: {why}.")
    if row["unread"]:
        found.append(f"{row['name']}: the network does not read the last {row['unread']:,} words of it.")
    return found


def _lines(row: Mapping[str, Any], methods: Sequence[str]) -> list[Any]:
    """Return the lines of a terminal about a text: its answer, and the words that count most."""
    from rich.padding import Padding
    from rich.text import Text

    words = [word["word"] for word in row["words"]]
    if words_page.unit_of(row) == "character":  # the last ones count most: the first ones are cut off
        text = terminal.cut("".join(words)[::-1], 76)[::-1]
    else:
        text = terminal.cut(" ".join(words), 76)
    told = words_page.described(row)
    found: list[Any] = [Text(f"{row['name']}: {told}", "bold")]
    if text:
        found.append(Text(f"  {text}", "dim"))
    for method in methods if text else ():
        found.append(Padding(_scored(row, method), (0, 0, 0, 2), expand=False))
    return found


def _scored(row: Mapping[str, Any], method: str) -> Any:
    """Return the line of a terminal with the words that count most by a method."""
    from rich.text import Text

    line = Text(f"{words_page.TITLES[method]}: ")
    decimals = words_page.decimals_of(row) if "target" in row and method != ATTENTION else 2
    form, least = f"{'' if method == ATTENTION else '+'},.{decimals}f", 0.5 * 10.0**-decimals
    scored = sorted((word for word in row["words"] if "known" in word), key=lambda word: -word[method])
    for word in scored[:_SHOWN]:
        if word[method] >= least:
            told = f" {words_page.named(word)} {word[method]:{form}}"
            line.append(told, "" if method == ATTENTION else "green")
    for word in scored[::-1][:_SHOWN]:
        if word[method] <= -least:
            line.append(f" {words_page.named(word)} {word[method]:{form}}", "red")
    return line
