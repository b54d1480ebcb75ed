"""The HTTP port: reads requests within limits, asks the protocol that their path means, writes answers."""

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kerasdl.serving import page, protocol_v2, rest
from kerasdl.serving.json_output import write
from kerasdl.serving.service import Service
from kerasdl.serving.status import Code, ServingError, invalid

_log = logging.getLogger(__name__)
_METRICS = "/monitoring/prometheus/metrics"
_LARGEST_HEAD = 2**16  # bytes
#: Tells of a request: method, path, status, model, seconds.
LogRequest = Callable[[Mapping[str, object]], None]
_JSON = {"content-type": "application/json"}


class App:
    """Answers HTTP requests.

    Args:
        service: what answers.
        log: is told of each request. Defaults to None.
    """

    def __init__(self, service: Service, log: LogRequest | None = None):
        self._service, self._log = service, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        path = scope["raw_path"].decode("latin-1")
        asked, close = _Request(scope["method"], path, Headers(scope=scope)), False
        try:
            response = await self._answer(asked, receive)
            code = Code.OK
        except ServingError as error:
            code, close = error.code, error.http in (408, 413)
            response = _error(error.message, error.http)
        except Exception:  # no detail of this process goes to a client
            _log.exception(f"{scope['method']} {path} failed.")
            code, response = Code.INTERNAL, _error("The server failed; its log says more.", 500)
        if close:
            response.headers["connection"] = "close"
        seconds = time.perf_counter() - started
        if asked.api:
            self._service.metrics.request(self._known(asked.model), asked.api, "REST", code, seconds)
        if self._log is not None:
            client = scope["client"][0] if scope.get("client") else ""
            about = {"method": scope["method"], "path": path, "status": response.status_code}
            about |= {
                "model": asked.model,
                "bytes": asked.size,
                "ms": round(1000 * seconds, 3),
                "client": client,
            }
            self._log(about)
        await response(scope, receive, send)

    def _known(self, model: str) -> str:
        return model if model in self._service.repository.models else ""

    async def _answer(self, asked: "_Request", receive: Receive) -> Response:
        verb, path, service = asked.verb, asked.path, self._service
        lower = path.lower()
        if lower.startswith("/v1/"):
            call = rest.parse(verb, path)
            asked.model, asked.api = call.asked.name, call.method.capitalize() or "GetModelStatus"
            with service.room_for(asked.declared()):
                body = await self._body(asked, receive)
                return Response(await rest.answer(service, call, body), headers=_JSON)
        if lower == "/v2" or lower.startswith("/v2/"):
            with service.room_for(asked.declared()):
                body = await self._body(asked, receive)
                parts = path.split("/")
                asked.model, asked.api = (
                    (parts[3] if len(parts) > 3 else ""),
                    "Infer" if verb == "POST" else "",
                )
                status, headers, content = await protocol_v2.answer(service, verb, path, asked.headers, body)
            return Response(content, status, headers=_JSON | headers)
        if verb in ("GET", "HEAD"):
            if path == _METRICS:
                return Response(service.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")
            if path == "/":
                return HTMLResponse(page.html(), headers=page.HEADERS)
            if path == "/page/models":
                return Response(write(page.models(service)), headers=_JSON)
        raise ServingError(Code.NOT_FOUND, f"Not found: {verb} {path}")

    async def _body(self, asked: "_Request", receive: Receive) -> bytes:
        """Read a request's body.

        Raises:
            ServingError: when it is too large, too slow or not whole.
        """
        most, parts, size = self._service.settings.limits.body, [], 0
        try:
            async with asyncio.timeout(self._service.settings.limits.timeout):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ServingError(Code.CANCELLED, "The client has gone.")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        text = f"The request is too large: at most {most} bytes are allowed."
                        raise ServingError(Code.RESOURCE_EXHAUSTED, text, http=413)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise ServingError(Code.DEADLINE_EXCEEDED, "The request came too slowly.", http=408) from None
        asked.size = size
        body = b"".join(parts)
        return _unpacked(body, most) if asked.headers.get("content-encoding") == "gzip" else body


class _Request:
    """What is known of a request."""

    def __init__(self, verb: str, path: str, headers: Headers):
        self.verb, self.path, self.headers = verb, path, headers
        self.model = self.api = ""
        self.size = 0

    def declared(self) -> int:
        """Return the bytes that its head announces; one that does not counts as 1 MiB."""
        length = self.headers.get("content-length", "")
        if self.verb == "GET":
            return 0
        return int(length) if length.isdecimal() and len(length) < 19 else 2**20


def _unpacked(body: bytes, most: int) -> bytes:
    stream = zlib.decompressobj(31)
    try:
        unpacked = stream.decompress(body, most + 1)
    except zlib.error:
        raise invalid("The body is not gzip, as Content-Encoding says.") from None
    if len(unpacked) > most:
        raise ServingError(
            Code.RESOURCE_EXHAUSTED, f"The request is too large: at most {most} bytes are allowed.", http=413
        )
    if not stream.eof:
        raise invalid("The gzip body is not whole.")
    if stream.unused_data:
        raise invalid(f"{len(stream.unused_data)} bytes lie behind the end of the gzip body.")
    return unpacked


def _error(message: str, status: int) -> Response:
    return Response(write({"error": message.encode("utf-8", "replace").decode()}), status, headers=_JSON)


def patient(limit: float) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol, which waits for slow clients for ever, with a limit to its patience.

    Args:
        limit: seconds in which the head of a request has to come, and in which a client has to take some of
            its answer.
    """

    class Patient(HttpToolsProtocol):
        _head = 0  # bytes of the head of a request so far
        _waiting: asyncio.TimerHandle | None = None
        _stuck: asyncio.TimerHandle | None = None

        def connection_made(self, transport):
            super().connection_made(transport)
            self._wait()

        def data_received(self, data):
            if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
                self._wait()
            super().data_received(data)
            if self._waiting is not None:
                self._head += len(data)
                if self._head > _LARGEST_HEAD:
                    self.transport.abort()

        def eof_received(self):
            # A client that has said all it wants to say may still listen.
            # TLS has no such half.
            if self.transport.get_extra_info("sslcontext") is not None:
                return False
            return self.cycle is not None and not (self.cycle.more_body or self.cycle.response_complete)

        def on_headers_complete(self):
            self._waiting, self._head = _cancelled(self._waiting), 0
            super().on_headers_complete()

        def connection_lost(self, exc):
            self._waiting, self._stuck = _cancelled(self._waiting), _cancelled(self._stuck)
            super().connection_lost(exc)

        def pause_writing(self):
            self._stuck = self._stuck or self.loop.call_later(limit, self.transport.abort)
            super().pause_writing()

        def resume_writing(self):
            self._stuck = _cancelled(self._stuck)
            super().resume_writing()

        def _wait(self):
            self._waiting = self.loop.call_later(limit, self.transport.close)

    return Patient


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
