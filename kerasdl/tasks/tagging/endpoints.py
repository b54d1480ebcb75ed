"""How an exported tagger is called: with tokens, and with the numbers of them."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl.data.dataset import DataSpec
from kerasdl.errors import UsageError
from kerasdl.inference import sentences, stepwise
from kerasdl.inference.answers import Answers
from kerasdl.inference.endpoint import ALL_FORMATS, Arrays, Endpoint
from kerasdl.preprocessing import tokens
from kerasdl.preprocessing.tokens import TokenNumbers
from kerasdl.tasks.tagging import figures
from kerasdl.tasks.tagging.entities import Scheme

if TYPE_CHECKING:
    import keras

_log = logging.getLogger(__name__)


def endpoints(
    network: "keras.Model | None", data: DataSpec, *, streaming: bool = False
) -> tuple[Endpoint, ...]:
    """Return `serving_default` (tokens) and, of a network with such a vocabulary, `serving_ids`.

    Only a SavedModel can take tokens: phones and ONNX have no operators for texts.

    Args:
        network: float32 network over tokens; None where nothing will be called.
        data: what is in each example.
        streaming: add an endpoint that takes ids token by token; see `inference.stepwise`.

    Raises:
        UsageError: for `streaming` and a network that cannot.
    """
    import tensorflow as tf

    shared: dict[str, Any] = {
        "compare": figures.compare,
        "tolerances": figures.tolerances,
        "judge": functools.partial(_judge, data.class_names, set()),
        "describe": functools.partial(describe, data.class_names),
        "reads": sentences.read_sentence,
        "reads_many": sentences.read_sentences,
        "example": "some words",
    }
    default = Endpoint(
        "serving_default",
        functools.partial(_answer, network),
        {"tokens": tf.TensorSpec((None, None), tf.string, "tokens")},
        formats=("saved_model",),
        inputs_of=lambda features, seed: {"tokens": trimmed(features)},
        of_length=_of_length,
        **shared,
    )
    numbers = _numbers(network, data)
    if numbers is None:
        if streaming:
            raise UsageError(
                "This network does not read tokens by TokenPreprocessing, so that it cannot tag them one by "
                "one, as --streaming asks for. Leave it out."
            )
        return (default,)
    width = len(tokens.FILES)
    of_ids = dataclasses.replace(
        default,
        name="serving_ids",
        inputs={"ids": tf.TensorSpec((None, None, width), tf.int32, "ids")},
        formats=ALL_FORMATS,
        inputs_of=functools.partial(_ids, numbers, numbers.phone_length),
        drawn=functools.partial(_of_file, numbers),
        phone_length=numbers.phone_length,
    )
    if not streaming:
        return default, of_ids
    step = stepwise.endpoint(
        dataclasses.replace(of_ids, inputs_of=functools.partial(_ids, numbers, None)),  # to the last token
        network,
        _tags_of,
        comparison=stepwise.PROBABILITIES,
        compare=_compare_last,
        tolerances=figures.tolerances,
        last=lambda outputs: outputs[:, -1],
    )
    return default, of_ids, step


def trimmed(features: np.ndarray) -> np.ndarray:
    """Return tokens (N, T) without the steps that no sentence has; one step is left."""
    there = np.flatnonzero((features != b"").any(axis=0) & (features != "").any(axis=0))
    return features[:, : int(there.max(initial=0)) + 1]


def describe(tags: Sequence[str], outputs: Arrays) -> list[dict[str, Any]]:
    """Return the tags of each sentence, how probable each is and, where they mark any, the entities."""
    scheme, found = Scheme.of(tags), []
    for numbers, probabilities in zip(outputs[figures.TAGS], outputs[figures.PROBABILITIES], strict=True):
        given = [int(number) for number in numbers if number]
        answer: dict[str, Any] = {
            "tags": [tags[number - 1] for number in given],
            "probabilities": [
                float(row[number - 1]) for number, row in zip(given, probabilities, strict=False)
            ],
        }
        if scheme.types:
            marked = scheme.entities(given)
            answer["entities"] = [
                {"type": kind, "first": first, "last": last} for kind, first, last in marked
            ]
        found.append(answer)
    return found


def _answer(network: "keras.Model", given):
    """Return the tags and their probabilities, of tokens or of ids."""
    import tensorflow as tf

    from kerasdl.network.network import logits
    from kerasdl.tasks.tagging.decoding import tags_of

    there = given != "" if given.dtype == tf.string else given[:, :, 0] != 0
    mask = tf.cumsum(tf.cast(there, tf.int32), axis=1, reverse=True) > 0  # up to the last token
    tags, probabilities = tags_of(logits(network, given), mask)
    return {figures.TAGS: tags, figures.PROBABILITIES: probabilities}


def _tags_of(outputs):
    """Return tags (N,) and their probabilities (N, num_tags), of outputs at one token (N, num_tags)."""
    import tensorflow as tf

    tags = 1 + tf.argmax(outputs, axis=-1, output_type=tf.int32)
    return {figures.TAGS: tags, figures.PROBABILITIES: tf.nn.softmax(outputs)}


def _compare_last(expected: Arrays, actual: Arrays, targets: np.ndarray) -> dict[str, float]:
    """Compare the outputs at the last token of each sentence."""
    ends = np.maximum((targets > 0).sum(axis=1) - 1, 0)
    one, other = (
        {name: part[name][:, None] for name in (figures.TAGS, figures.PROBABILITIES)}
        for part in (expected, actual)
    )
    return figures.compare(one, other, targets[np.arange(len(targets)), ends][:, None])


def _judge(tags: Sequence[str], told: set[int], answers: Answers) -> dict[str, Any]:
    """Return the figures of the answers; what a file does not read counts as wrong, and is told once."""
    targets, given = figures.unread_is_wrong(answers.targets, answers.outputs[figures.TAGS])
    steps = answers.outputs[figures.TAGS].shape[1]
    if (cut := int((targets[:, steps:] > 0).any(axis=1).sum())) and cut not in told:
        told.add(cut)
        _log.warning(
            f"{cut:,} of {len(targets):,} sentences have more than the {steps} tokens of TFLite files "
            "(--phone-length): what is behind them counts as wrong in the figures of these."
        )
    return figures.short(given, targets, tags)


def _numbers(network: "keras.Model | None", data: DataSpec) -> TokenNumbers | None:
    """Return what numbers tokens for a network or, without one, for the bundle that the assets are of."""
    assets = data.assets
    if network is not None:
        from kerasdl.network.network import Network

        layer = network.preprocessing if isinstance(network, Network) else None
        assets = layer.assets() if layer is not None else {}
    return TokenNumbers(assets) if {*tokens.FILES, tokens.SETTINGS} <= assets.keys() else None


def _ids(numbers: TokenNumbers, length: int | None, features: np.ndarray, seed: int) -> Arrays:
    """Return the inputs of `serving_ids` for tokens (N, L), or for ids as they are."""
    return {"ids": features if features.dtype.kind in "iu" else numbers.padded(features, length)}


def _of_file(numbers: TokenNumbers, specs: Mapping[str, Any]) -> Callable[[np.ndarray, int], Arrays]:
    """Return what makes the inputs of an opened file, which takes so many tokens or any number."""
    length = specs["ids"][0][1]

    def inputs(features: np.ndarray, seed: int) -> Arrays:
        cut = 0 if length is None else int((features[:, length:] != b"").any(axis=1).sum())
        if cut:
            _log.warning(
                f"{cut:,} of {len(features):,} sentences have more than the {length} tokens that this file "
                "takes: what is behind them has no tag. Use the SavedModel or the ONNX file, or export with "
                "a larger --phone-length."
            )
        return _ids(numbers, length, features, seed)

    return inputs


def _of_length(steps: int) -> np.ndarray:
    return np.full((1, steps), b"word", object)
