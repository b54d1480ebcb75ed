"""Simple classifiers of texts, fitted on the same training texts: what a network has to be better than."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasdl.data.dataset import Dataset, Spec
from kerasdl.data.splits import ArraySplit, Split

_log = logging.getLogger(__name__)

_MOST_LETTERS = 200_000_000  # of texts that are in memory as counts of words, with all else


def of_texts(data: Dataset, split: Split) -> dict[str, dict[str, float]]:
    """Return the accuracy (0..1) of simple classifiers on a split by name; none where examples are no texts.

    References: TF-IDF with logistic regression as in scikit-learn's user guide; NB-SVM: Wang, Manning,
    "Baselines and bigrams: simple, good sentiment and topic classification", 2012,
    https://aclanthology.org/P12-2018 (without the interpolation of weights).
    """
    if data.spec.inputs != Spec((), "string") or not all(
        isinstance(part, ArraySplit) for part in (data.train, split)
    ):
        return {}
    train, test = ([_decoded(text) for text in part.features] for part in (data.train, split))
    if sum(map(len, train)) + sum(map(len, test)) > _MOST_LETTERS:
        return {}
    labels, wanted = data.train.targets, split.targets
    if len(np.unique(labels)) < 2:
        return {}
    _log.info("Fitting linear classifiers of word counts to the same texts, to compare with ...")
    found = {}
    for name, fit in _CLASSIFIERS.items():
        try:
            found[name] = {"accuracy": float((fit(train, labels, test) == wanted).mean())}
        except ValueError as error:  # there is no word in the texts
            _log.info(f"{name} cannot be fitted: {error}")
    return found


def _tf_idf(train: Sequence[str], labels: np.ndarray, test: Sequence[str]) -> np.ndarray:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(sublinear_tf=True)
    model = LogisticRegression(C=5.0, max_iter=200).fit(words.fit_transform(train), labels)
    return model.predict(words.transform(test))


def _nb_svm(train: Sequence[str], labels: np.ndarray, test: Sequence[str]) -> np.ndarray:
    """Return the classes of texts by linear SVMs over words and pairs, weighted by naive Bayes's ratios."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.svm import LinearSVC

    words = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=r"(?u)\b\w+\b")
    counts, asked = words.fit_transform(train).astype(np.float32), words.transform(test).astype(np.float32)
    classes = np.unique(labels)
    scores = []
    for one in classes[1:] if len(classes) == 2 else classes:
        of_class, others = (
            np.asarray(counts[labels == one].sum(0)) + 1,
            np.asarray(counts[labels != one].sum(0)) + 1,
        )
        ratio = np.log(of_class / of_class.sum()) - np.log(others / others.sum())
        model = LinearSVC(C=0.01).fit(counts.multiply(ratio).tocsr(), labels == one)
        scores.append(model.decision_function(asked.multiply(ratio).tocsr()))
    if len(classes) == 2:
        return classes[(scores[0] > 0).astype(int)]
    return classes[np.argmax(scores, axis=0)]


_CLASSIFIERS: dict[str, Callable[[Sequence[str], np.ndarray, Sequence[str]], Any]] = {
    "TF-IDF with logistic regression": _tf_idf,
    "NB-SVM with pairs of words": _nb_svm,
}


def _decoded(text: bytes | str) -> str:
    return text if isinstance(text, str) else text.decode(errors="replace")
