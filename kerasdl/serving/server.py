"""Listens on both ports, watches the models, and ends without losing a request."""

import asyncio
import contextlib
import dataclasses
import json
import logging
import logging.handlers
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import uvicorn
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from kerasdl.errors import UsageError
from kerasdl.serving.grpc_api import GrpcServer
from kerasdl.serving.http import App, patient
from kerasdl.serving.metrics import Metrics
from kerasdl.serving.protocol_v2 import HEADER
from kerasdl.serving.service import Service
from kerasdl.serving.settings import Settings
from kerasdl.serving.tls import Tls
from kerasdl.serving.versions import ModelConfig

_log = logging.getLogger(__name__)
_LOG_BYTES = 64 * 2**20  # of a file of requests, before the next is begun
_LOG_FILES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where the server listens.

    Attributes:
        host: address.
        port: of HTTP; 0 for any that is free.
        grpc_port: of gRPC, likewise; None for no gRPC.
        request_log: file that gets a line of JSON for each HTTP request; None for no log.
        tls: certificate and key of both ports; None for connections that are not encrypted.
        cors: origins of web pages whose scripts may ask; "*" for all. Defaults to none.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int | None = 8500
    request_log: Path | None = None
    tls: Tls | None = None
    cors: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Running:
    """A server that answers.

    Attributes:
        port: of HTTP.
        grpc_port: of gRPC; None where there is none.
        service: what answers.
        stop: lets the server end as a signal does; to be called in its event loop.
    """

    port: int
    grpc_port: int | None
    service: Service
    stop: Callable[[], None]


class _Http(uvicorn.Server):
    """uvicorn without its own handling of signals: both ports end together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    configs: list[ModelConfig], settings: Settings, place: Place, started: Callable[[Running], None]
) -> None:
    """Serve models until SIGINT or SIGTERM; the requests that are being answered then are finished.

    Args:
        configs: the models.
        settings: of the server.
        place: where it listens.
        started: is called once, when both ports answer.

    Raises:
        UsageError: when a port is taken, or nothing can be served.
    """
    if place.tls is not None:
        place.tls.check()
    service = Service(settings, Metrics())
    listening = _listen(place.host, place.port)
    roots = tuple(
        {(one.path if one.version is None else one.path.parent).resolve().parent for one in configs}
    )
    grpc_server = None
    if place.grpc_port is not None:
        grpc_server = GrpcServer(service, place.host, place.grpc_port, roots, place.tls)
    limits = settings.limits
    with _requests_log(place.request_log) as log:
        http = _Http(uvicorn.Config(
            _shared(App(service, log), place.cors), http=patient(limits.header_timeout), lifespan="off",
            log_config=None, access_log=False, limit_concurrency=limits.connections, server_header=False,
            ws="none", timeout_graceful_shutdown=int(settings.grace), backlog=2048,
            ssl_certfile=place.tls and place.tls.certificate, ssl_keyfile=place.tls and place.tls.key,
        ))  # fmt: skip
        stop = _stopping(http)
        await service.repository.configure(configs)
        _check_something(service)
        service.ready = True
        watching = asyncio.create_task(service.repository.watch())
        running = asyncio.create_task(http.serve(sockets=[listening]))
        try:
            if grpc_server is not None:
                await grpc_server.start()
            while not http.started and not running.done():
                await asyncio.sleep(0.01)
            ports = listening.getsockname()[1], grpc_server and grpc_server.port
            started(Running(*ports, service, stop))
            while not http.should_exit and not running.done():
                await asyncio.sleep(0.05)
            if running.done():
                running.result()  # raises what ended it
        finally:
            service.ready = False
            watching.cancel()
            http.should_exit = True
            stopping = [running] if grpc_server is None else [running, grpc_server.stop(settings.grace)]
            await asyncio.gather(*stopping, return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.grace):
                    await service.repository.close()


def _shared(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Let scripts of pages from elsewhere ask an app, where that is wanted."""
    if not origins:
        return app
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=["*"],
        expose_headers=[HEADER],
    )  # fmt: skip


def _check_something(service: Service) -> None:
    """Raise a UsageError with the reasons where no model has a version that answers."""
    models = service.repository.models.values()
    if any(model.available() for model in models):
        return
    errors = [one.error.message for model in models for one in model.versions.values() if one.error]
    raise UsageError("\n".join(["There is nothing that can be served.", *errors]))


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"Cannot listen on port {port} of {host}: {reason}. Give another --port.") from None


def _stopping(http: uvicorn.Server) -> Callable[[], None]:
    """Return what ends the server; signals do so too, where this thread may catch them."""

    def stop() -> None:
        http.force_exit = http.should_exit  # the second time it does not wait
        http.should_exit = True

    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # Windows; another thread
            loop.add_signal_handler(signum, stop)
    return stop


@contextlib.contextmanager
def _requests_log(path: Path | None) -> Iterator[Callable[[Mapping[str, object]], None] | None]:
    """Give what writes a line for each request; begin a new file before one grows without end."""
    if path is None:
        yield None
        return
    try:
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8"
        )
    except OSError as error:
        raise UsageError(f"--request-log {path} cannot be written: {error.strerror}.") from None
    handler.setFormatter(logging.Formatter('{"time": "%(asctime)s", %(message)s', "%Y-%m-%dT%H:%M:%S%z"))

    def note(about: Mapping[str, object]) -> None:
        text = json.dumps(about)[1:]
        handler.handle(logging.LogRecord("requests", logging.INFO, "", 0, text, None, None))

    try:
        yield note
    finally:
        handler.close()
