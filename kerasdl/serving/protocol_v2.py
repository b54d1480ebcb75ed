"""KServe's Open Inference Protocol (V2) over REST, with the binary tensors that Triton's clients send."""

import functools
import re
import urllib.parse
from collections.abc import Mapping

import numpy as np

from kerasdl import __version__
from kerasdl.serving.engine import Signature
from kerasdl.serving.json_numbers import Numbers
from kerasdl.serving.json_output import json_of_array, write
from kerasdl.serving.json_tensors import Json, array_of_json, read_json
from kerasdl.serving.service import Answer, Asked, Service, signature_of
from kerasdl.serving.status import Code, ServingError, invalid
from kerasdl.serving.v2_tensors import (
    PLATFORMS,
    TYPES,
    bytes_of,
    check_input,
    default_signature,
    described,
    from_bytes,
    shaped,
)

_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/(\d{1,18}))?(?:/(ready|infer))?")
_READ = functools.partial(read_json, with_numbers=True)
HEADER = "inference-header-content-length"


async def answer(
    service: Service, verb: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Answer a request below /v2; returns HTTP status, further headers and body.

    Raises:
        ServingError: for whatever is wrong.
    """
    if verb == "GET" and path == "/v2":
        extensions = ["binary_tensor_data"]
        return (
            200,
            {},
            write({"name": "kerasdl", "version": __version__, "extensions": extensions}),
        )
    if verb == "GET" and path == "/v2/health/live":
        return 200, {}, write({"live": True})
    if verb == "GET" and path == "/v2/health/ready":
        return (200 if service.ready else 503), {}, write({"ready": service.ready})
    found = _PATH.fullmatch(path)
    if not found or (found[3] == "infer") != (verb == "POST"):
        raise ServingError(Code.NOT_FOUND, f"There is no {verb} {path}.")
    asked = Asked(urllib.parse.unquote(found[1]), int(found[2]) if found[2] else None)
    with _known_here(service, asked) as version:
        if found[3] == "ready":
            return 200, {}, write({"name": asked.name, "ready": True})
        if found[3] is None:
            signature = signature_of(version, default_signature(version.engine.signatures))
            numbers = [str(one.number) for one in service.model(asked.name).available()]
            about = {"name": asked.name, "versions": numbers, "platform": PLATFORMS[version.engine.kind]}
            about |= {"inputs": described(signature.inputs), "outputs": described(signature.outputs)}
            return 200, {}, write(about)
        default = default_signature(version.engine.signatures)
    return await _infer(service, asked, default, headers, body)


def _known_here(service: Service, asked: Asked):
    return service.repository.using(asked.name, asked.version)


async def _infer(
    service: Service, asked: Asked, default: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    length = headers.get(HEADER, "")
    if length and not (length.isdecimal() and len(length) < 12 and int(length) <= len(body)):
        raise invalid(f"{HEADER} is {length!r}: it has to be at most the length of the body.")
    head, binary = (body[: int(length)], body[int(length) :]) if length else (body, b"")
    document = await service.read(_READ, head, size=len(head))
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise invalid("A request has to be an object with a list 'inputs'.")
    wanted = document.get("outputs", [])
    if not isinstance(wanted, list) or not all(isinstance(_of(one, "name"), str) for one in wanted):
        raise invalid("'outputs' has to be a list of objects with a 'name'.")
    options = document.get("parameters") if isinstance(document.get("parameters"), dict) else {}
    name = options.get("signature_name", default)
    if not isinstance(name, str):
        raise invalid("The parameter 'signature_name' has to be a text.")
    found = await service.predict(
        Asked(asked.name, asked.version, signature=name),
        functools.partial(_inputs, document["inputs"], binary, service.settings.limits.body),
        only=tuple(one["name"] for one in wanted),
        size=len(head),
    )
    everything = options.get("binary_data_output") is True
    flags = [_of(_of(one, "parameters"), "binary_data") for one in wanted]
    asks = {
        one["name"]: everything if flag is None else flag is True
        for one, flag in zip(wanted, flags, strict=True)
    }
    as_bytes = {key for key in found.outputs if asks.get(key, everything)}
    return _written(asked, document.get("id"), found, as_bytes)


def _of(value: Json, key: str) -> Json:
    return value.get(key) if isinstance(value, dict) else None


def _inputs(given: list[Json], binary: bytes, most: int, signature: Signature) -> dict[str, np.ndarray]:
    arrays, start = {}, 0
    for one in given:
        name, shape = _of(one, "name"), _of(one, "shape")
        if not isinstance(name, str) or not isinstance(shape, list):
            raise invalid("Each input has to have a 'name', a 'shape', a 'datatype' and 'data'.")
        dtype = check_input(name, shape, _of(one, "datatype"), signature, most)
        if name in arrays:
            raise invalid(f"Input {name} is given twice.")
        size = _of(_of(one, "parameters"), "binary_data_size")
        if size is None:
            array = _array(name, _of(one, "data"), dtype)
            if array.ndim > 1 and list(array.shape) != shape:
                raise invalid(
                    f"Input {name} has data of shape {list(array.shape)}, but its shape is {shape}."
                )
        else:
            if type(size) is not int or not 0 <= size <= len(binary) - start:
                raise invalid(f"binary_data_size of input {name} is not the size of its data.")
            if _of(one, "data") is not None:
                raise invalid(f"Input {name} has both 'data' and 'binary_data_size'.")
            array = from_bytes(name, binary[start : start + size], dtype)
            start += size
        arrays[name] = shaped(name, array, shape)
    if start < len(binary):
        raise invalid(f"{len(binary) - start} bytes behind the inputs belong to none of them.")
    return arrays


def _array(name: str, data: Json, dtype: str) -> np.ndarray:
    if not isinstance(data, (list, Numbers)):
        raise invalid(f"Input {name} has no list 'data'.")
    return array_of_json(data, dtype)


def _written(
    asked: Asked, identity: Json, found: Answer, as_bytes: set[str]
) -> tuple[int, dict[str, str], bytes]:
    outputs, binary = [], []
    for name, array in found.outputs.items():
        dtype = found.signature.outputs[name][1]
        one = {"name": name, "datatype": TYPES[dtype], "shape": list(array.shape)}
        if name in as_bytes:
            binary.append(bytes_of(array, dtype))
            one["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            one["data"] = json_of_array(array.ravel(), name)
        outputs.append(one)
    document = {"model_name": asked.name, "model_version": str(found.version), "outputs": outputs}
    if isinstance(identity, str):
        document["id"] = identity
    head = write(document)
    if not binary:
        return 200, {}, head
    headers = {HEADER: str(len(head)), "content-type": "application/octet-stream"}
    return 200, headers, b"".join([head, *binary])
