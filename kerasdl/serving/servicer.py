"""Methods of gRPC services: errors become statuses, and calls are counted."""

import logging
import time
from collections.abc import Awaitable, Callable

import grpc
from google.protobuf.message import Message

from kerasdl.serving.service import Service
from kerasdl.serving.status import Code, ServingError

_log = logging.getLogger(__name__)


class Servicer:
    """Turns errors into statuses of gRPC, and counts.

    Args:
        service: answers.
    """

    def __init__(self, service: Service):
        self.service = service

    async def answer(
        self, api: str, name: str, context: grpc.aio.ServicerContext, work: Callable[[], Awaitable[Message]]
    ) -> Message:
        """Return what `work` returns; end the call with a status where it raises.

        Args:
            api: name of the method, for the metrics.
            name: of the model.
            context: of the call.
            work: makes the response.
        """
        started, code = time.perf_counter(), Code.OK
        try:
            return await work()
        except ServingError as error:
            code = error.code
            await context.abort(grpc.StatusCode[code.name], error.message[:4000])
        except Exception:  # no detail of this process goes to a client
            code = Code.INTERNAL
            _log.exception(f"A {api} request failed.")
            await context.abort(grpc.StatusCode.INTERNAL, "The server failed; its log says more.")
        finally:
            known = name if name in self.service.repository.models else ""
            self.service.metrics.request(known, api, "GRPC", code, time.perf_counter() - started)
