"""KServe's Open Inference Protocol (V2) over gRPC: `inference.GRPCInferenceService`."""

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc import service_pb2_grpc

from kerasdl import __version__
from kerasdl.serving.engine import Signature
from kerasdl.serving.service import Answer, Asked, Service, signature_of
from kerasdl.serving.servicer import Servicer
from kerasdl.serving.status import ServingError, invalid
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

_NAME = "inference.GRPCInferenceService"
#: Field of `InferTensorContents` that holds values of a dtype; float16 comes as bytes alone.
_FIELDS = {
    "bool": "bool_contents", "int8": "int_contents", "int16": "int_contents", "int32": "int_contents",
    "int64": "int64_contents", "uint8": "uint_contents", "uint16": "uint_contents",
    "uint32": "uint_contents", "uint64": "uint64_contents", "float32": "fp32_contents",
    "float64": "fp64_contents", "string": "bytes_contents",
}  # fmt: skip


def add_to(server: grpc.aio.Server, service: Service) -> str:
    """Let a server answer this protocol too; returns the name of its service."""
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Inference(service), server)
    return _NAME


class _Inference(Servicer, service_pb2_grpc.GRPCInferenceServiceServicer):
    async def ServerLive(self, request, context):  # noqa: N802
        return messages.ServerLiveResponse(live=True)

    async def ServerReady(self, request, context):  # noqa: N802
        return messages.ServerReadyResponse(ready=self.service.ready)

    async def ModelReady(self, request, context):  # noqa: N802
        async def work():
            asked = _asked(request.name, request.version)
            try:
                with self.service.repository.using(asked.name, asked.version):
                    return messages.ModelReadyResponse(ready=True)
            except ServingError:
                return messages.ModelReadyResponse(ready=False)

        return await self.answer("ModelReady", request.name, context, work)

    async def ServerMetadata(self, request, context):  # noqa: N802
        return messages.ServerMetadataResponse(name="kerasdl", version=__version__)

    async def ModelMetadata(self, request, context):  # noqa: N802
        async def work():
            asked = _asked(request.name, request.version)
            with self.service.repository.using(asked.name, asked.version) as version:
                signature = signature_of(version, default_signature(version.engine.signatures))
                numbers = [str(one.number) for one in self.service.model(asked.name).available()]
                return messages.ModelMetadataResponse(
                    name=asked.name, versions=numbers, platform=PLATFORMS[version.engine.kind],
                    inputs=described(signature.inputs), outputs=described(signature.outputs),
                )  # fmt: skip

        return await self.answer("ModelMetadata", request.name, context, work)

    async def ModelInfer(self, request, context):  # noqa: N802
        async def work():
            asked, size = _asked(request.model_name, request.model_version), request.ByteSize()
            with self.service.repository.using(asked.name, asked.version) as version:
                default = default_signature(version.engine.signatures)
            name = request.parameters["signature_name"].string_param if request.parameters else ""
            asked = Asked(asked.name, asked.version, signature=name or default)
            most = self.service.settings.limits.body
            with self.service.room_for(size):
                found = await self.service.predict(
                    asked, lambda signature: _arrays(request, most, signature), size=size,
                    only=tuple(one.name for one in request.outputs), timeout=context.time_remaining(),
                )  # fmt: skip
            return _response(request, found)

        return await self.answer("ModelInfer", request.model_name, context, work)


def _asked(name: str, version: str) -> Asked:
    if version and not (version.isdecimal() and len(version) < 19):
        raise invalid(f"The version is {version[:50]!r}: it has to be a number.")
    return Asked(name, int(version) if version else None)


def _arrays(request: messages.ModelInferRequest, most: int, signature: Signature) -> dict[str, np.ndarray]:
    raw, arrays = request.raw_input_contents, {}
    if raw and len(raw) != len(request.inputs):
        raise invalid(f"{len(raw)} raw_input_contents do not belong to {len(request.inputs)} inputs.")
    for index, one in enumerate(request.inputs):
        dtype = check_input(one.name, list(one.shape), one.datatype, signature, most)
        if one.name in arrays:
            raise invalid(f"Input {one.name} is given twice.")
        if raw and one.HasField("contents"):
            raise invalid(f"Input {one.name} has both 'contents' and 'raw_input_contents'.")
        array = from_bytes(one.name, raw[index], dtype) if raw else _contents(one, dtype)
        arrays[one.name] = shaped(one.name, array, one.shape)
    return arrays


def _contents(one: messages.ModelInferRequest.InferInputTensor, dtype: str) -> np.ndarray:
    if dtype not in _FIELDS:
        raise invalid(f"Input {one.name} of {TYPES[dtype]} has to come as raw_input_contents.")
    values = getattr(one.contents, _FIELDS[dtype])
    if dtype == "string":
        array = np.empty(len(values), object)
        array[:] = values
        return array
    kind = np.dtype(dtype).kind
    wide = np.array(values, {"i": "i8", "u": "u8"}.get(kind, dtype))
    array = wide.astype(dtype)
    if kind in "iu" and (array != wide).any():
        raise invalid(f"Input {one.name} has values out of the range of {TYPES[dtype]}.")
    return array


def _response(request: messages.ModelInferRequest, found: Answer) -> messages.ModelInferResponse:
    """Return an answer; its values come as those of the request did: as bytes, or in fields of their type."""
    response = messages.ModelInferResponse(
        model_name=request.model_name, model_version=str(found.version), id=request.id
    )
    dtypes = {name: found.signature.outputs[name][1] for name in found.outputs}
    as_bytes = bool(request.raw_input_contents) or not set(dtypes.values()) <= _FIELDS.keys()
    for name, array in found.outputs.items():
        dtype = dtypes[name]
        output = response.outputs.add(name=name, datatype=TYPES[dtype], shape=array.shape)
        if as_bytes:
            response.raw_output_contents.append(bytes_of(array, dtype))
        else:
            getattr(output.contents, _FIELDS[dtype]).extend(array.ravel().tolist())
    return response
