"""TensorFlow Serving's gRPC services, and gRPC's own for health."""

import contextlib
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from kerasdl.errors import UsageError
from kerasdl.serving import examples, tensors
from kerasdl.serving.service import Answer, Asked, Service
from kerasdl.serving.servicer import Servicer
from kerasdl.serving.status import Code, ServingError, invalid
from kerasdl.serving.tls import Tls
from kerasdl.serving.versions import ModelConfig

try:
    from kerasdl.serving import grpc_v2
except ImportError:  # tritonclient, which has the protocol, is not installed
    grpc_v2 = None

_SIGNATURES = "signature_def"


def _asked(spec: model_pb2.ModelSpec) -> Asked:
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    number = spec.version.value if spec.HasField("version") else None
    return Asked(spec.name, number, spec.version_label, spec.signature_name)


def _spec(asked: Asked, found: Answer) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=asked.name, signature_name=found.signature.name)
    spec.version.value = found.version
    return spec


class _Predictions(Servicer, prediction_service_pb2_grpc.PredictionServiceServicer):
    async def Predict(self, request, context):  # noqa: N802
        async def work():
            asked, most = _asked(request.model_spec), self.service.settings.limits.body

            def read(signature):
                return {name: tensors.array_of_proto(proto, most) for name, proto in request.inputs.items()}

            size, only = request.ByteSize(), tuple(request.output_filter)
            with self.service.room_for(size):
                found = await self.service.predict(
                    asked, read, only=only, timeout=context.time_remaining(), size=size
                )
            outputs = {
                name: tensors.proto_of_array(array, found.signature.outputs[name][1])
                for name, array in found.outputs.items()
            }
            return predict_pb2.PredictResponse(model_spec=_spec(asked, found), outputs=outputs)

        return await self.answer("Predict", request.model_spec.name, context, work)

    async def Classify(self, request, context):  # noqa: N802
        return await self._examples(
            request, context, examples.classify, classification_pb2.ClassificationResponse
        )

    async def Regress(self, request, context):  # noqa: N802
        return await self._examples(request, context, examples.regress, regression_pb2.RegressionResponse)

    async def _examples(self, request, context, ask, response):
        async def work():
            asked = _asked(request.model_spec)
            with self.service.room_for(request.ByteSize()):
                found, result = await ask(self.service, asked, request.input, context.time_remaining())
            return response(model_spec=_spec(asked, found), result=result)

        return await self.answer(ask.__name__.capitalize(), request.model_spec.name, context, work)

    async def GetModelMetadata(self, request, context):  # noqa: N802
        async def work():
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != _SIGNATURES:
                    raise invalid(f"Metadata field {field} is not supported")
            asked = _asked(request.model_spec)
            with self.service.repository.using(asked.name, asked.version, asked.label) as version:
                found = get_model_metadata_pb2.SignatureDefMap(signature_def=version.engine.definitions)
                response = get_model_metadata_pb2.GetModelMetadataResponse()
                response.model_spec.name = asked.name
                response.model_spec.version.value = version.number
                response.metadata[_SIGNATURES].Pack(found)
                return response

        return await self.answer("GetModelMetadata", request.model_spec.name, context, work)

    async def MultiInference(self, request, context):  # noqa: N802
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "MultiInference is not served here.")


class _Models(Servicer, model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, service: Service, roots: tuple[Path, ...]):
        super().__init__(service)
        self._roots = roots

    async def GetModelStatus(self, request, context):  # noqa: N802
        async def work():
            if not request.HasField("model_spec"):
                raise invalid("Missing ModelSpec")
            response = get_model_status_pb2.GetModelStatusResponse()
            for version in self.service.versions(_asked(request.model_spec)):
                status = response.model_version_status.add(version=version.number, state=version.state.value)
                status.status.error_code = (version.error.code if version.error else Code.OK).value
                status.status.error_message = version.error.message if version.error else ""
            return response

        return await self.answer("GetModelStatus", request.model_spec.name, context, work)

    async def HandleReloadConfigRequest(self, request, context):  # noqa: N802
        async def work():
            given = request.config.model_config_list.config
            if request.config.WhichOneof("config") != "model_config_list" or not given:
                raise invalid("Invalid ServerModelConfig: it has to have a model_config_list with models.")
            configs = [self._config(one) for one in given]
            if len({config.name for config in configs}) != len(configs):
                raise invalid("Illegal to list model more than once in config list.")
            self._check_labels(configs)
            await self.service.repository.configure(configs)
            return model_management_pb2.ReloadConfigResponse()

        return await self.answer("HandleReloadConfigRequest", "", context, work)

    def _config(self, given) -> ModelConfig:
        path = Path(given.base_path)
        if not given.name or not path.is_absolute():
            raise invalid(f"Expected model {given.name} to have an absolute path; got base_path()={path}")
        if not any(path.resolve().is_relative_to(root) for root in self._roots):
            raise ServingError(
                Code.PERMISSION_DENIED,
                f"{path} lies outside of the folders that this server was started with.",
            )
        if given.model_platform not in ("", "tensorflow"):
            raise invalid(f"Unsupported model_platform {given.model_platform}; it has to be tensorflow.")
        policy, kind = given.model_version_policy, given.model_version_policy.WhichOneof("policy_choice")
        return ModelConfig(
            name=given.name,
            path=path,
            latest=None if kind in ("all", "specific") else max(1, policy.latest.num_versions),
            specific=frozenset(policy.specific.versions),
            labels=dict(given.version_labels),
        )

    def _check_labels(self, configs: list[ModelConfig]) -> None:
        models = self.service.repository.models
        for config in configs:
            for label, number in config.labels.items():
                loaded = config.name in models and any(
                    one.number == number for one in models[config.name].available()
                )
                if not loaded:
                    raise ServingError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {number} of model {config.name}, which is not "
                        f"currently available for inference ({label})",
                    )


class GrpcServer:
    """The gRPC port.

    Args:
        service: answers.
        host: address to listen on.
        port: number, 0 for any that is free.
        roots: folders that `HandleReloadConfigRequest` may serve from.
        tls: certificate and key. Defaults to None: connections are not encrypted.

    Raises:
        UsageError: when the port is taken.
    """

    def __init__(
        self, service: Service, host: str, port: int, roots: tuple[Path, ...], tls: Tls | None = None
    ):
        limits = service.settings.limits
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", limits.body),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=limits.connections,
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            _Predictions(service), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(service, roots), self._server)
        self._services = ["", "tensorflow.serving.PredictionService"]
        if grpc_v2 is not None:
            self._services.append(grpc_v2.add_to(self._server, service))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.port = 0
        with contextlib.suppress(RuntimeError):
            place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self.port = (
                self._server.add_insecure_port(place) if tls is None
                else self._server.add_secure_port(place, tls.credentials())
            )  # fmt: skip
        if not self.port:
            raise UsageError(f"Port {port} of {host} is taken or not allowed. Give another --grpc-port.")

    async def start(self) -> None:
        """Answer requests from now on."""
        await self._server.start()
        for name in self._services:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace: float) -> None:
        """Take no further requests, and wait for those that are being answered."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)
