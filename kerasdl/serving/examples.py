"""Classify and regress: signatures that take serialized `tf.Example`s, as TensorFlow Serving calls them."""

from collections.abc import Mapping

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from kerasdl.serving.engine import Signature
from kerasdl.serving.json_output import write
from kerasdl.serving.json_tensors import Json, array_of_json, is_base64, kind_of, shown
from kerasdl.serving.service import Answer, Asked, Service
from kerasdl.serving.status import ServingError, invalid

_KINDS = {bool: "int64_list", int: "int64_list", float: "float_list", str: "bytes_list", dict: "bytes_list"}
_TYPES = {"int64_list": "int64", "float_list": "float", "bytes_list": "bytes"}


async def answer_json(service: Service, asked: Asked, method: str, document: Mapping[str, Json]) -> bytes:
    """Answer a classify or regress request of REST; returns the JSON document."""
    given = document.get("examples")
    if "examples" not in document:
        raise invalid(
            f"JSON Value: {shown(document)} When method is classify, key 'examples' is expected and "
            "was not found"
        )
    if not isinstance(given, list):
        raise invalid(f"JSON Value: {shown(document)} Expecting 'examples' value to be an list/array")
    if not given:
        raise invalid(f"JSON Value: {shown(document)} 'examples' value is an empty array")
    request = input_pb2.Input()
    if "context" in document:
        request.example_list_with_context.context.CopyFrom(_example(document["context"]))
        request.example_list_with_context.examples.extend(map(_example, given))
    else:
        request.example_list.examples.extend(map(_example, given))
    if method == "classify":
        _, result = await classify(service, asked, request)
        found = [
            [[one.label, np.float32(one.score)] for one in row.classes] for row in result.classifications
        ]
    else:
        _, result = await regress(service, asked, request)
        found = [np.float32(one.value) for one in result.regressions]
    return write({"results": found})


async def classify(
    service: Service, asked: Asked, request: input_pb2.Input, timeout: float | None = None
) -> tuple[Answer, classification_pb2.ClassificationResult]:
    """Classify examples by a signature with the outputs `classes`, `scores` or both."""
    found = await _ask(service, asked, request, timeout, classes_of)
    classes, scores = found.outputs.get("classes"), found.outputs.get("scores")
    for array in filter(lambda one: one is not None, (classes, scores)):
        if array.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}")
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise invalid(
            "Tensors class and score should match in dim_size(1). Got "
            f"{classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = classification_pb2.ClassificationResult()
    for index in range(len(classes if classes is not None else scores)):
        row = result.classifications.add()
        for place in range((classes if classes is not None else scores).shape[1]):
            one = row.classes.add()
            if classes is not None:
                one.label = bytes(classes[index, place]).decode("utf-8", "replace")
            if scores is not None:
                one.score = scores[index, place]
    return found, result


async def regress(
    service: Service, asked: Asked, request: input_pb2.Input, timeout: float | None = None
) -> tuple[Answer, regression_pb2.RegressionResult]:
    """Predict a number for each example by a signature with the output `outputs`."""
    found = await _ask(service, asked, request, timeout, numbers_of)
    array = found.outputs["outputs"]
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] != 1):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{list(array.shape)}"
        )
    result = regression_pb2.RegressionResult()
    for value in array.ravel().tolist():
        result.regressions.add(value=value)
    return found, result


def classes_of(signature: Signature) -> ServingError | None:
    """Return why a signature cannot classify; None where it can."""
    if len(signature.inputs) != 1:
        return invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        return invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if not _takes_examples(signature):
        return invalid(f"No classification inputs found in SignatureDef: {_shown(signature)}")
    if not {"classes", "scores"} & signature.outputs.keys():
        return invalid(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {_shown(signature)}"
        )
    return None


def numbers_of(signature: Signature) -> ServingError | None:
    """Return why a signature cannot regress; None where it can."""
    if len(signature.inputs) != 1:
        return invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        return invalid("Expected one output Tensor.")
    if not _takes_examples(signature):
        return invalid(f"No regression inputs found in SignatureDef: {_shown(signature)}")
    if "outputs" not in signature.outputs:
        return invalid(f"No regression outputs found in SignatureDef: {_shown(signature)}")
    return None


def _takes_examples(signature: Signature) -> bool:
    return signature.inputs.get("inputs", ((), ""))[1] == "string"


def _shown(signature: Signature) -> str:
    return f"{signature.name}({', '.join(signature.inputs)}) -> {', '.join(signature.outputs)}"


async def _ask(service: Service, asked: Asked, request: input_pb2.Input, timeout, problem) -> Answer:
    def read(signature: Signature) -> dict[str, np.ndarray]:
        if error := problem(signature):
            raise error
        return {"inputs": _serialized(request)}

    return await service.predict(asked, read, timeout=timeout)


def _serialized(request: input_pb2.Input) -> np.ndarray:
    with_context = request.WhichOneof("kind") == "example_list_with_context"
    given = request.example_list_with_context if with_context else request.example_list
    context = given.context.SerializeToString() if with_context else b""
    texts = [context + one.SerializeToString() for one in given.examples]  # joined messages are one message
    if not texts:
        raise invalid("Input is empty.")
    return np.array(texts, object)


def _example(value: Json) -> example_pb2.Example:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {kind_of(value)}")
    features = {name: _feature(name, content) for name, content in value.items()}
    return example_pb2.Example(features=feature_pb2.Features(feature=features))


def _feature(name: str, content: Json) -> feature_pb2.Feature:
    values = content if isinstance(content, list) else [content]
    feature, kind = feature_pb2.Feature(), ""
    for value in values:
        found = _KINDS.get(type(value), "")
        if not found or (isinstance(value, dict) and not is_base64(value)):
            raise invalid(f"Feature: {name} has element with unexpected JSON type: {kind_of(value)}")
        if kind not in ("", found):
            raise invalid(f"Unexpected element type in feature: {name} expecting type: {_TYPES[kind]}")
        kind = found
        if kind == "bytes_list":
            value = array_of_json(value, "string")[()]
        try:
            getattr(feature, kind).value.append(value)
        except ValueError:
            raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.") from None
    return feature
