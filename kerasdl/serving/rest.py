"""TensorFlow Serving's REST calls: paths, requests, answers."""

import dataclasses
import functools
import math
import re
import urllib.parse
from collections.abc import Mapping

import numpy as np
import orjson
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import get_model_metadata_pb2

from kerasdl.serving import examples
from kerasdl.serving.engine import Signature
from kerasdl.serving.json_numbers import Numbers
from kerasdl.serving.json_output import columns, rows
from kerasdl.serving.json_tensors import Json, array_of_json, is_base64, read_json, shown
from kerasdl.serving.service import Asked, Service
from kerasdl.serving.status import Code, ServingError, invalid
from kerasdl.serving.versions import Version

_PLACE = r"(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
_CALL = re.compile(rf"(?i)/v1/models/([^/:]+){_PLACE}:(classify|regress|predict)")
_LOOK = re.compile(rf"(?i)/v1/models(?:/([^/:]+))?{_PLACE}(?:/(metadata))?")
_LARGEST_VERSION = 2**63 - 1
_ONE = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "


@dataclasses.dataclass(frozen=True)
class Call:
    """A request's path.

    Attributes:
        asked: which model it means.
        method: "predict", "classify", "regress", "metadata" or "" (states).
    """

    asked: Asked
    method: str


def parse(verb: str, path: str) -> Call:
    """Read a path below /v1, still quoted.

    Raises:
        ServingError: when there is no such call.
    """
    pattern = {"POST": _CALL, "GET": _LOOK}.get(verb)
    found = pattern and pattern.fullmatch(path)
    if not found:
        raise invalid(f"Malformed request: {verb} {path}")
    name, number, label, method = found.groups()
    if number and int(number[:20]) > _LARGEST_VERSION:
        raise invalid(f"Failed to convert version: {number} to numeric.")
    if not name:
        raise invalid("Missing model name in request.")
    asked = Asked(
        urllib.parse.unquote(name), int(number) if number else None, urllib.parse.unquote(label or "")
    )
    return Call(asked, (method or "").lower())


async def answer(service: Service, call: Call, body: bytes) -> bytes:
    """Answer a request; returns the JSON document.

    Raises:
        ServingError: for whatever is wrong.
    """
    if call.method == "":
        return orjson.dumps({"model_version_status": [_status(one) for one in service.versions(call.asked)]})
    if call.method == "metadata":
        return _metadata(service, call.asked)
    with service.repository.using(call.asked.name, call.asked.version, call.asked.label):
        pass  # that there is no such model is said before what else is wrong
    read = functools.partial(read_json, with_numbers=call.method == "predict")
    document = await service.read(read, body, size=len(body))
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {shown(document)} Is not object")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {shown(document)} not formatted correctly. 'signature_name' key must be a "
            "string value."
        )
    asked = dataclasses.replace(call.asked, signature=name)
    if call.method != "predict":
        return await examples.answer_json(service, asked, call.method, document)
    by_rows = "instances" in document

    def inputs_for(signature: Signature) -> dict[str, np.ndarray]:
        inputs = inputs_of(document, signature)
        document.clear()  # lists take many times the memory of the arrays, and the queue may be long
        return inputs

    found = await service.predict(asked, inputs_for, size=len(body))
    return rows(found) if by_rows else columns(found)


def inputs_of(document: Mapping[str, Json], signature: Signature) -> dict[str, np.ndarray]:
    """Return the arrays of a predict request.

    Raises:
        ServingError: in TensorFlow Serving's words.
    """
    specs = signature.inputs
    if "instances" in document:
        instances = document["instances"]
        if "inputs" in document:
            raise invalid(f"JSON Value: {shown(document)} {_ONE}")
        if isinstance(instances, Numbers):
            ((name, (_, dtype)), *others) = specs.items()
            if not others and (array := instances.array(dtype)) is not None:
                return {name: array}
            instances = instances.lists()
        if not isinstance(instances, list):
            raise invalid(f"JSON Value: {shown(document)} Expecting 'instances' to be an list/array")
        if not instances:
            raise invalid(f"JSON Value: {shown(document)} No values in 'instances' array")
        return _from_rows(instances, specs)
    if "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    value = document["inputs"]
    if not isinstance(value, dict) or is_base64(value):
        if len(specs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as "
                "per tensorinfo_map"
            )
        return {name: array_of_json(value, dtype) for name, (_, dtype) in specs.items()}
    for name in sorted(specs):
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: array_of_json(value[name], dtype) for name, (_, dtype) in specs.items()}


def _from_rows(instances: list[Json], specs: Mapping) -> dict[str, np.ndarray]:
    objects = [isinstance(one, dict) and not is_base64(one) for one in instances]
    if not isinstance(instances[0], dict) and len(specs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as "
            "per tensorinfo_map"
        )
    if objects[0] and not all(objects):
        raise invalid(f"Expecting object but got list at item {objects.index(False)} of input list")
    if not objects[0]:
        if any(objects):
            raise invalid(f"Expecting value/list but got object at item {objects.index(True)} of input list")
        ((name, (_, dtype)),) = specs.items()
        return {name: _column(instances, dtype, "")}
    for index, one in enumerate(instances):
        for name in one:
            if name not in specs:
                raise invalid(
                    f"Failed to process element: {index} key: {name} of 'instances' list. Error: "
                    f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
                )
        if one.keys() != specs.keys():
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{shown(one)} keys must be equal to: {','.join(sorted(specs))}"
            )
    return {
        name: _column([one[name] for one in instances], dtype, f" key: {name}")
        for name, (_, dtype) in specs.items()
    }


def _column(values: list[Json], dtype: str, key: str) -> np.ndarray:
    """Return the values of all instances as one array; where that fails say which one is wrong."""
    arrays = [one.array(dtype) if isinstance(one, Numbers) else None for one in values]
    if all(one is not None and one.shape == arrays[0].shape for one in arrays):
        return np.stack(arrays)
    values = [one.lists() if isinstance(one, Numbers) else one for one in values]
    try:
        return array_of_json(values, dtype)
    except ServingError as error:
        together = error
    sizes = None
    for index, value in enumerate(values):
        try:
            array = array_of_json(value, dtype)
            problem = ""
        except ServingError as error:
            problem = error.message
        if not problem and sizes not in (None, array.shape):
            size = math.prod(sizes)
            problem = (
                f"Expecting tensor size: {size} but got: {array.size}" if size != array.size else
                f"Expecting shape {_shape(sizes)} but got: {_shape(array.shape)}"
            )  # fmt: skip
        if problem:
            raise invalid(
                f"Failed to process element: {index}{key} of 'instances' list. Error: INVALID_ARGUMENT: "
                f"{problem}"
            )
        sizes = array.shape
    raise together


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _status(version: Version) -> dict[str, Json]:
    error = version.error
    return {
        "version": str(version.number),
        "state": version.state.name,
        "status": {
            "error_code": (error.code if error else Code.OK).name,
            "error_message": error.message if error else "",
        },
    }


def _metadata(service: Service, asked: Asked) -> bytes:
    with service.repository.using(asked.name, asked.version, asked.label) as version:
        found = get_model_metadata_pb2.SignatureDefMap(signature_def=version.engine.definitions)
        number = version.number
    described = MessageToDict(
        found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    spec = {"name": asked.name, "signature_name": "", "version": str(number)}
    return orjson.dumps({"model_spec": spec, "metadata": {"signature_def": described}})
