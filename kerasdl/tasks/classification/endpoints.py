"""How an exported classifier is called."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasdl.data.dataset import DataSpec
from kerasdl.inference import reading, stepwise, word_numbers
from kerasdl.inference.answers import Answers
from kerasdl.inference.endpoint import Endpoint
from kerasdl.tasks.classification import figures, files, images
from kerasdl.tasks.classification.attention import ATTENTION

if TYPE_CHECKING:
    import keras


def endpoints(
    network: "keras.Model | None", data: DataSpec, fitted: Mapping[str, Any], *, streaming: bool = False
) -> tuple[Endpoint, ...]:
    """Return the endpoint of raw examples, and one of encoded files or of numbers of words.

    Args:
        network: the classifier; None where nothing is called.
        data: what is in each example.
        fitted: the `temperature` where the probabilities are calibrated.
        streaming: add an endpoint that takes sequences step by step; see `inference.stepwise`.
    """
    import tensorflow as tf
    from keras import ops

    from kerasdl.network.network import main_output, outputs_of

    single = not isinstance(data.inputs, Mapping)
    only = "images" if reading.are_images(data.inputs) else "inputs"
    specs = {only: data.inputs} if single else data.inputs

    def answer_of(logits):
        scaled = logits / fitted["temperature"] if fitted else logits
        class_ids = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return {"probabilities": ops.softmax(scaled), "class_ids": class_ids}

    def classify(*tensors):
        features = tensors[0] if single else dict(zip(specs, tensors, strict=True))
        outputs = outputs_of(network, features)
        answer = answer_of(main_output(network, outputs))
        if isinstance(outputs, Mapping) and ATTENTION in outputs:
            answer[ATTENTION] = outputs[ATTENTION]
        return answer

    shared = {
        "compare": files.compare,
        "tolerances": files.tolerances,
        "describe": functools.partial(files.describe, data.class_names),
        "derived": ("class_ids", ATTENTION),
        **reading.reader(data.inputs),
    }
    default = Endpoint(
        "serving_default",
        classify,
        {name: tf.TensorSpec((None, *spec.shape), spec.dtype, name) for name, spec in specs.items()},
        inputs_of=lambda features, seed: {only: features} if single else dict(features),
        judge=_judge,
        **shared,
    )
    if reading.are_images(data.inputs):
        found = images.endpoints(default, data.inputs)
    elif (tokenizer := word_numbers.tokenizer(network, data)) is not None:
        found = word_numbers.endpoints(default, tokenizer)
    elif any(spec.dtype == "string" for spec in specs.values()):
        found = (dataclasses.replace(default, formats=("saved_model",)),)
    else:
        found = (default,)
    if not streaming:
        return found
    whole = default if found[-1].name != "serving_ids" else found[-1]
    return *found, stepwise.endpoint(
        whole,
        network,
        answer_of,
        comparison=stepwise.PROBABILITIES,
        compare=files.compare,
        tolerances=files.tolerances,
        derived=("class_ids",),
    )


def _judge(answers: Answers) -> dict[str, Any]:
    outputs = answers.outputs
    return figures.short_figures(outputs["probabilities"], answers.targets, files.class_ids(outputs))
