"""Explains answers of a run, and keeps the explanations in a folder."""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kerasdl.data import passes
from kerasdl.errors import UsageError
from kerasdl.explain.characters import CharacterExplainer
from kerasdl.explain.explainer import Examples, Explainer, Explanations
from kerasdl.explain.forecasts import ForecastExplainer
from kerasdl.explain.images import ImageExplainer
from kerasdl.explain.page import FILE_NAME, about_of
from kerasdl.explain.regressions import RegressionExplainer
from kerasdl.explain.sentences import SentenceExplainer
from kerasdl.explain.texts import TextExplainer
from kerasdl.files import writing
from kerasdl.inference import latents, reading
from kerasdl.jobs.target import Target
from kerasdl.runs import record

#: One for each kind of answers that can be explained.
EXPLAINERS: tuple[Explainer, ...] = (
    ImageExplainer(), TextExplainer(), RegressionExplainer(), SentenceExplainer(), CharacterExplainer(),
    ForecastExplainer(),
)  # fmt: skip

_MOST_MISTAKES = 8

_log = logging.getLogger(__name__)


def explainer_of(target: Target) -> Explainer:
    """Return what explains the answers of a run.

    Raises:
        UsageError: when nothing does.
    """
    if latents.making(target.endpoints):
        raise UsageError(
            f"{target.path} makes images, so it has no answers that could be explained: kerasdl report "
            f"{target.path} shows what it makes, and kerasdl interpolate {target.path} how one image becomes "
            "another."
        )
    for explainer in EXPLAINERS:
        if explainer.takes(target.task, target.spec):
            return explainer
    raise UsageError(
        f"{target.path} cannot be explained, since its answers are those of {type(target.task).__name__}: "
        "only classes of images and texts, numbers of texts, tags of sentences, next characters and "
        f"forecasts are, but kerasdl report {target.path} shows how good its answers are."
    )


def examples_of(
    target: Target, explainer: Explainer, given: Sequence[str], text_column: str | None = None
) -> Examples:
    """Return the examples that a user gave or, without any, the run's worst mistakes.

    Of a run without mistakes they are the first examples of the test split; where the explainer has a place
    in the test split, it is the example there.

    Raises:
        UsageError: when they cannot be read, are too many, or the run was not evaluated.
    """
    if given:
        found = explainer.read(given, text_column, target.data, target.spec)
        found = target.read(given, text_column) if found is None else found
        if len(found) > explainer.most_examples:
            raise UsageError(
                f"{len(found):,} {explainer.name} are too many to explain at once. Give at most "
                f"{explainer.most_examples:,}."
            )
        features = reading.stack([example.features for example in found])
        return Examples(features, [_name(example.about, number) for number, example in enumerate(found, 1)])
    if explainer.test_place is not None:
        test = target.load_data().test
        place = explainer.test_place % len(test)
        features, targets, *_ = next(iter(passes.split_batches(test.select(np.array([place])))()))
        return Examples(features, [f"test example {place}"], targets)
    mistakes = record.read(target.path).arrays("mistakes.npz")
    if mistakes is None:
        raise UsageError(
            f"{target.path} was not evaluated, so there is nothing to explain by itself. Give "
            f"{explainer.given}."
        )
    if not len(mistakes["indices"]):
        _log.info("The run made no mistakes on its test split: the first examples of it are explained.")
        features, labels, *_ = next(iter(passes.test_batches(target.load_data(), limit=1)()))
        names = [f"test example {index}" for index in range(min(len(labels), _MOST_MISTAKES))]
        return Examples(features[: len(names)], names, labels[: len(names)])
    names = [f"test example {index}" for index in mistakes["indices"][:_MOST_MISTAKES]]
    true = mistakes["labels" if "labels" in mistakes else "targets"]
    return Examples(mistakes["features"][:_MOST_MISTAKES], names, true[:_MOST_MISTAKES])


def _name(about: Mapping[str, str | int], number: int) -> str:
    if "file" not in about:
        return f"text {number}"
    return Path(str(about["file"])).name + (f", row {about['row']}" if "row" in about else "")


def write(folder: Path, explainer: Explainer, arrays: Explanations) -> list[str]:
    """Write the arrays and the explainer's files; return the names of all.

    All are written beside their places first, then moved there. Files that an earlier call left there and
    this one did not write again are deleted; nothing else is.

    Raises:
        UsageError: when the folder cannot be written to.
        MachineError: when the disk is full.
    """
    with writing(folder, "Use --out."):
        folder.mkdir(parents=True, exist_ok=True)
        before = _files_of(folder / FILE_NAME)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            files = explainer.files(arrays)
            for name, write_to in files.items():
                write_to(Path(temporary) / name)
            about = {**about_of(arrays), "files": list(files)}
            with (Path(temporary) / FILE_NAME).open("wb") as file:
                np.savez_compressed(file, **{**arrays, "about": np.array(json.dumps(about))})
            for name in (*files, FILE_NAME):  # the arrays last: they name the others
                (Path(temporary) / name).replace(folder / name)
        for name in set(before) - set(files):
            (folder / name).unlink(missing_ok=True)
    return [*files, FILE_NAME]


def _files_of(path: Path) -> list[str]:
    """Return the plain names of the files that a call before this one wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names = about_of(file)["files"]
    except Exception:  # none, or a damaged one: damage has many faces
        return []
    return [name for name in names if name == Path(name).name and name.endswith((".png", ".html"))]
