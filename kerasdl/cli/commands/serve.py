"""`kerasdl serve`: serve exported models over HTTP and gRPC."""

import argparse
import importlib.util
import re
from pathlib import Path

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.errors import UsageError

_NEEDED = ("starlette", "uvicorn", "prometheus_client", "orjson", "grpc_health")


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    _add_options(parser)
    values = parser.parse(arguments)
    if (values.tls_cert is None) != (values.tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together: give both.")
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f'kerasdl serve needs {", ".join(missing)}. In the clone of kerasdl: pip install -e ".[serve]".'
        )
    for target in values.targets:  # before seconds of imports
        path = Path(target) if Path(target).exists() else Path(target.partition("=")[2] or target)
        if not path.exists():
            raise UsageError(
                f"There is no {path}. Give a folder like exported/lenet5, or one version or file of it."
            )
    environment.import_tensorflow()
    from kerasdl.jobs import serve
    from kerasdl.serving.server import Place
    from kerasdl.serving.tls import Tls

    place = Place(
        host=values.host,
        port=values.port,
        grpc_port=None if values.no_grpc else values.grpc_port,
        request_log=values.request_log,
        tls=None if values.tls_cert is None else Tls(certificate=values.tls_cert, key=values.tls_key),
        cors=tuple(values.cors),
    )
    serve.run(values.targets, _settings(values), place, versions=values.versions, labels=values.version_label)
    return 0


def _add_options(parser: Parser) -> None:
    parser.add_argument(
        "targets", nargs="+", metavar="MODEL",
        help="folder of versions, such as exported/lenet5; one version of it; one file; or NAME=PATH",
    )  # fmt: skip
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; 0.0.0.0 lets other machines in (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=_port, default=8501, help="port of HTTP, 0 for a free one (default: 8501)"
    )
    parser.add_argument("--grpc-port", type=_port, default=8500, metavar="PORT",
                        help="port of gRPC, 0 for a free one (default: 8500)")  # fmt: skip
    parser.add_argument("--no-grpc", action="store_true", help="no gRPC")
    parser.add_argument(
        "--engine",
        default="saved_model",
        metavar="ENGINE",
        help="what answers: saved_model, onnx, tflite, or tflite:MODE (default: saved_model)",
    )
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="threads of the TFLite or ONNX runtime"
    )
    parser.add_argument("--versions", default="latest", metavar="WHICH",
                        help="latest, latest:N, all, or numbers with commas (default: latest)")  # fmt: skip
    parser.add_argument("--version-label", action="append", default=[], metavar="LABEL=VERSION",
                        help="name for a version: stable=3; of several models MODEL:stable=3")  # fmt: skip
    parser.add_argument("--poll-seconds", type=_seconds, default=1.0, metavar="NUMBER",
                        help="seconds between two looks for new versions (default: 1)")  # fmt: skip
    _add_numbers(parser)
    parser.add_argument(
        "--request-log", type=Path, metavar="FILE", help="write a line of JSON for each HTTP request"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE",
                        help="certificate (PEM) for encrypted connections, REST and gRPC")  # fmt: skip
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM, no password)")
    parser.add_argument("--cors", action="append", default=[], type=_origin, metavar="ORIGIN",
                        help="web pages that may ask: https://my.site, several times, or '*'")  # fmt: skip


def _add_numbers(parser: Parser) -> None:
    title = "batching of requests that come at the same time"
    parser.add_to_group(
        title, "--no-batching", action="store_true", help="give each request a call of its own"
    )
    parser.add_to_group(
        title, "--allowed-batch-sizes", type=_sizes, default=(), metavar="N,N",
        help="sizes to fill calls up to (default: any)",
    )  # fmt: skip
    batching = (
        ("--max-batch-size", _positive, 32, "most examples of a call"),
        ("--batch-timeout-micros", _whole, 0, "how long a call waits for more; at 0 it takes what is there"),
        ("--max-enqueued-batches", _positive, 100, "most full batches that wait; further requests get 503"),
    )
    limits = (
        ("--max-body-mb", _positive, 64, "MiB of a request"),
        ("--max-pending-mb", _positive, 256, "MiB of all requests being answered; further ones get 429"),
        ("--max-megapixels", _positive, 64, "size of a request's pictures, decoded"),
        ("--timeout", _seconds, 30, "seconds to read a request, and to answer it"),
    )
    for group, rows in ((title, batching), ("limits", limits)):
        for option, kind, default, text in rows:
            parser.add_to_group(
                group, option, type=kind, default=default, metavar="N", help=f"{text} (default: {default})"
            )


def _settings(values: argparse.Namespace):
    import os

    from kerasdl.serving.settings import Batching, Limits, Settings

    sizes = values.allowed_batch_sizes
    if sizes and sizes[-1] != values.max_batch_size:
        raise UsageError(
            f"The last of --allowed-batch-sizes ({sizes[-1]}) has to be --max-batch-size "
            f"({values.max_batch_size})."
        )
    batching = Batching(
        max_batch_size=values.max_batch_size,
        timeout_micros=values.batch_timeout_micros,
        allowed_sizes=sizes,
        max_enqueued=values.max_enqueued_batches,
        threads=(os.cpu_count() or 1) if values.no_batching else 1,
        on=not values.no_batching,
    )
    limits = Limits(
        body=values.max_body_mb * 2**20,
        pending=max(values.max_pending_mb, values.max_body_mb) * 2**20,
        pixels=values.max_megapixels * 10**6,
        timeout=values.timeout,
    )
    return Settings(
        batching=batching,
        limits=limits,
        engine=values.engine,
        num_threads=values.threads,
        poll_seconds=values.poll_seconds,
        grace=values.timeout,
    )


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} has to be a whole number from 0 to 999,999,999")
    return int(text)


def _positive(text: str) -> int:
    if (number := _whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} has to be at least 1")
    return number


def _port(text: str) -> int:
    if (number := _whole(text)) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} has to be a port, 0 to 65535")
    return number


def _origin(text: str) -> str:
    if text != "*" and not re.fullmatch(r"https?://[^/\s:]+(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} has to be like https://my.site:8080, or '*'")
    return text


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(_positive(part) for part in text.split(","))
    if list(sizes) != sorted(set(sizes)):
        raise argparse.ArgumentTypeError(f"{text!r} has to rise: 1,8,32")
    return sizes


def _seconds(text: str) -> float:
    message = f"{text!r} has to be a number above 0 and at most 3,600"
    try:
        seconds = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(message) from error
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(message)
    return seconds
