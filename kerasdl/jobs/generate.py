"""Lets a run, a bundle or an exported file continue a text."""

import functools
import logging
from typing import Any

from kerasdl.data.dataset import Spec
from kerasdl.errors import UsageError
from kerasdl.inference import generation, steps
from kerasdl.inference.generation import Settings
from kerasdl.inference.steps import STEP
from kerasdl.jobs.target import Target

_log = logging.getLogger(__name__)


def generate(target: Target, prompt: str, settings: Settings) -> dict[str, Any]:
    """Continue a text with the network of a run, a bundle or an exported file, through its endpoint `step`.

    Args:
        target: the run, the bundle (its SavedModel) or the file.
        prompt: text to be continued; where it is empty, the network begins as after a new line.
        settings: how the text is written; equal ones give equal texts.

    Returns:
        `prompt` and `text`, which continues it, and the settings that were used, by name.

    Raises:
        UsageError: when it has no such endpoint, or knows no character of the prompt.
    """
    predictor = target.predictor
    inputs = target.spec.inputs
    vocabulary = inputs.class_names if isinstance(inputs, Spec) else ()
    if STEP not in predictor.inputs or not vocabulary:
        beside = sorted(file.name for file in target.path.parent.glob(f"*.{STEP}.onnx"))
        hint = f" Give {beside[0]}, which lies beside it." if beside and target.kind == "onnx" else ""
        raise UsageError(
            f"{target.path} cannot continue a text, nor make images: it has the endpoints "
            f"{', '.join(predictor.inputs)}, but not {STEP} over characters, which language models have, nor "
            f"generate or decode, which generative networks have.{hint}"
        )
    states = steps.zeros_of(predictor.inputs[STEP], "ids", 1)
    step = functools.partial(predictor.call, STEP)
    written = generation.write(step, states, _ids(prompt, vocabulary), settings)
    text = "".join(vocabulary[one] for one in written)
    return {"prompt": prompt, "text": text, **settings.used()}


def _ids(prompt: str, vocabulary: tuple[str, ...]) -> list[int]:
    """Return the id of each character; of an empty text that of a new line, or of the first character."""
    places = {character: number for number, character in enumerate(vocabulary)}
    prompt = prompt.replace("\r\n", "\n")
    if not prompt:
        return [places.get("\n", 1)]
    if unknown := sorted({character for character in prompt if character not in places}):
        shown = " ".join(map(repr, unknown[:10]))
        if len(unknown) == len(set(prompt)):
            raise UsageError(
                f"The network knows no character of the prompt ({shown}): its training text had "
                "none of them. Give a prompt like that text."
            )
        _log.warning(f"The network does not know {shown}: its training text had none of them.")
    return [places.get(character, 0) for character in prompt]
