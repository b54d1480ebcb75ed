"""A first recipe for somebody's data: which network, how long, and why."""

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kerasdl.data.dataset import Dataset, Spec
from kerasdl.data.series.source import Series
from kerasdl.data.source import Source
from kerasdl.data.splits import ArraySplit
from kerasdl.data.text.corpus import Corpus
from kerasdl.data.text.tagged import TaggedTokens
from kerasdl.errors import UsageError
from kerasdl.preprocessing.image import ImagePreprocessing
from kerasdl.preprocessing.standardization import Standardization
from kerasdl.recipe import catalog, python_text, replace
from kerasdl.recipe.config import Config
from kerasdl.recipe.recipe import Recipe
from kerasdl.tasks.classification import verdicts
from kerasdl.tasks.regression.task import Regression

_UPDATES = 8000  # of a training that takes a few minutes to an hour on two cores
_SMALL_SERIES = 2000  # training windows, below which a linear network is hard to beat


@dataclasses.dataclass(frozen=True, kw_only=True)
class Proposal:
    """A recipe for some data.

    Attributes:
        recipe: the recipe.
        pipeline: name of the pipeline that it was made from.
        reasons: why it is as it is, a sentence each.
    """

    recipe: Recipe
    pipeline: str
    reasons: tuple[str, ...]


def propose(source: Source, dataset: Dataset) -> Proposal:
    """Choose a recipe by looking at the data.

    Args:
        source: where the data was read from.
        dataset: what was read.

    Raises:
        UsageError: when no shipped pipeline fits.
    """
    spec, train = dataset.spec.inputs, dataset.train
    if isinstance(source, Series):
        choose = _series
    elif isinstance(source, Corpus):
        choose = _corpus
    elif isinstance(source, TaggedTokens):
        choose = _tagged
    elif not isinstance(spec, Spec):
        raise UsageError(
            "The examples have several inputs, which no pipeline takes. See docs/own-network.md."
        )
    elif spec.is_image and dataset.spec.class_names:
        choose = _small_images if max(spec.shape[:2]) <= 32 and spec.shape[2] == 1 else _photos
    elif spec.dtype == "string" and dataset.spec.class_names:
        choose = _texts
    elif spec.dtype != "string" and spec.shape and None not in spec.shape:
        choose = _numbers
    else:
        raise UsageError("No pipeline fits these examples and targets. See docs/own-network.md.")
    pipeline, change = choose(dataset, len(train))
    recipe, reasons = change(replace(catalog.load(pipeline)[0], name="", data=source))
    return Proposal(recipe=recipe, pipeline=pipeline, reasons=tuple(reasons))


def write(proposal: Proposal, path: Path, about: str) -> None:
    """Write the recipe file.

    Args:
        proposal: what was chosen.
        path: of a file that is not there yet.
        about: the data, in a few words.

    Raises:
        UsageError: when there is a file already, or it cannot be written.
    """
    if not re.fullmatch(r"\w[\w-]*\.py", path.name):
        raise UsageError(f"{path} has to be called like a Python file: letters, digits, _ and -, then .py.")
    reasons = "\n".join(f"* {reason}" for reason in proposal.reasons)
    typed = path if path.is_absolute() else f"./{path}"
    docstring = (
        f"{about}\n\n    kerasdl train {typed}\n\n"
        f"Made by `kerasdl init` from the pipeline `{proposal.pipeline}`:\n\n{reasons}\n"
    )
    text = python_text.write(proposal.recipe, docstring)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"There is a {path} already. Give another name with --out.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


_Change = Callable[[Recipe], tuple[Recipe, list[str]]]


def _small_images(dataset: Dataset, count: int) -> tuple[str, _Change]:
    height, width, _ = dataset.spec.inputs.shape
    return "lenet5", lambda recipe: (
        recipe,
        [
            f"The images are small and grey ({height}x{width}): LeNet-5 is enough for them, and fast.",
            _of_updates(recipe),
        ],
    )


def _photos(dataset: Dataset, count: int) -> tuple[str, _Change]:
    height, width, channels = dataset.spec.inputs.shape
    side = 32 if max(height, width) <= 48 else 64 if max(height, width) <= 1024 else 96
    batch_size = 25 if count < 2000 else 64 if count < 20_000 else 128
    epochs = int(np.clip(round(_UPDATES / math.ceil(count / batch_size)), 5, 300))

    def change(recipe: Recipe) -> tuple[Recipe, list[str]]:
        layer = Config(ImagePreprocessing, size=(side, side), channels=channels, standardize=True)
        changed = replace(recipe, preprocessing=layer, epochs=epochs, batch_size=batch_size)
        return changed, [
            "A network of convolutions for small sets of photos.",
            f"The images ({height}x{width}) are brought to {side}x{side}: larger is slower, and may be "
            "better where small things matter (size).",
            f"{count:,} training images: {epochs} epochs of batches of {batch_size}, "
            f"{epochs * math.ceil(count / batch_size):,} updates.",
            "Images are mirrored and shifted at random: take the mirroring out where left and right mean "
            "something, as in letters (augmentation).",
        ]

    return "transfer", change


def _texts(dataset: Dataset, count: int) -> tuple[str, _Change]:
    texts = dataset.train.part(slice(0, 10_000))[0] if isinstance(dataset.train, ArraySplit) else []
    words = [len(text.split()) for text in texts] or [400]
    length = int(np.clip(math.ceil(np.quantile(words, 0.95) / 8) * 8, 16, 600))

    def change(recipe: Recipe) -> tuple[Recipe, list[str]]:
        layer = recipe.preprocessing.replace(max_length=length)
        return dataclasses.replace(recipe, preprocessing=layer), [
            "Texts with a class each: a bidirectional LSTM. The report shows linear classifiers beside it, "
            "which are hard to beat on short texts.",
            f"95 % of the texts have at most {np.quantile(words, 0.95):,.0f} words: {length} are read.",
            _of_updates(recipe),
        ]

    return "lstm", change


def _corpus(dataset: Dataset, count: int) -> tuple[str, _Change]:
    return "char_lm", lambda recipe: (recipe, ["A text to be continued: a language model of characters."])


def _tagged(dataset: Dataset, count: int) -> tuple[str, _Change]:
    return "tagger", lambda recipe: (
        recipe,
        [
            f"A tag at each token, of {len(dataset.spec.class_names)}: an LSTM that reads from both ends.",
            "Where a tag depends on those beside it, as in names, try --crf: the best sequence as a whole.",
            _of_updates(recipe),
        ],
    )


def _series(dataset: Dataset, count: int) -> tuple[str, _Change]:
    pipeline = "nlinear" if count < _SMALL_SERIES else "forecast"
    why = {
        "nlinear": f"{count:,} training windows are few: a linear network is hard to beat there.",
        "forecast": f"{count:,} training windows: an LSTM; compare it with `kerasdl train nlinear`.",
    }
    past, ahead = dataset.spec.inputs.shape[0], dataset.spec.targets.shape[0]
    windows = f"{past} rows are seen, the next {ahead} forecast (--context, --horizon)."
    return pipeline, lambda recipe: (
        recipe,
        [why[pipeline], windows, "The report shows naive forecasts beside it."],
    )


def _numbers(dataset: Dataset, count: int) -> tuple[str, _Change]:
    classes = len(dataset.spec.class_names)

    def change(recipe: Recipe) -> tuple[Recipe, list[str]]:
        task = recipe.task if classes else Regression()
        changed = dataclasses.replace(
            recipe, task=task, preprocessing=Config(Standardization), augmentation=None
        )
        return changed, [
            f"Numbers that tell {f'one of {classes} classes' if classes else 'other numbers'}: a network of "
            "dense layers.",
            *_of_doubt(dataset.spec.class_names),
            "Each feature is standardised by its mean and deviation over the training examples, in every "
            "exported file too.",
            _of_updates(recipe),
        ]

    return "mlp", change


def _of_doubt(names: Sequence[str]) -> list[str]:
    """Return a sentence where numbers were taken for the names of classes."""
    if len(names) < 3 or not all(name.isdecimal() for name in names):
        return []
    return [f"The values {verdicts.listed(names)} are taken for classes; for amounts give --targets numbers."]


def _of_updates(recipe: Recipe) -> str:
    return (
        f"{recipe.epochs} epochs of batches of {recipe.batch_size}; small sets get more epochs, at least "
        f"{recipe.min_steps:,} updates."
    )
