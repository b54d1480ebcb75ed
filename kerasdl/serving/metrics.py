"""What is counted, under TensorFlow Serving's names where it means the same."""

from collections.abc import Callable

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Histogram

from kerasdl.serving.status import Code

_NAME = ":tensorflow:serving:"
_MICROS = tuple(10 * 1.8**power for power in range(33))  # TensorFlow Serving's buckets
_SIZES = tuple(2**power for power in range(15))


class Metrics:
    """Counters and histograms of one server."""

    def __init__(self):
        prometheus_client.disable_created_metrics()
        self._registry = registry = CollectorRegistry()
        # Counters of this library end in _total, which those of TensorFlow Serving do not.
        self._requests = Gauge(
            f"{_NAME}request_count", "Requests.", ["model_name", "status"], registry=registry
        )
        self._latency = Histogram(
            f"{_NAME}request_latency", "Microseconds of a request.", ["model_name", "API", "entrypoint"],
            registry=registry, buckets=_MICROS,
        )  # fmt: skip
        self._runtime = Histogram(
            f"{_NAME}runtime_latency", "Microseconds in the queue and the model.",
            ["model_name", "API", "runtime"], registry=registry, buckets=_MICROS,
        )  # fmt: skip
        self._queuing = Histogram(
            f"{_NAME}batching_session:queuing_latency", "Microseconds in the queue.", ["model_name"],
            registry=registry, buckets=_MICROS,
        )  # fmt: skip
        self._batches = Histogram(
            ":kerasdl:serving:batch_size", "Examples of a call.", ["model_name"], registry=registry,
            buckets=_SIZES,
        )  # fmt: skip
        self._cells: dict[tuple, Histogram | Gauge] = {}

    def request(self, model: str, api: str, entrypoint: str, code: Code, seconds: float) -> None:
        """Count a request; `model` has to be one that is served, or "": names of clients are without end."""
        self._cell(self._requests, model, code.name).inc()
        if code is Code.OK:
            self._cell(self._latency, model, api, entrypoint).observe(1e6 * seconds)

    def runtime(self, model: str, runtime: str, seconds: float) -> None:
        """Note how long a model took, waiting included."""
        self._cell(self._runtime, model, "Predict", runtime).observe(1e6 * seconds)

    def of_calls(self, model: str) -> Callable[[str, int, list[float]], None]:
        """Return what notes the calls of a model."""
        queuing, batches = self._queuing.labels(model), self._batches.labels(model)

        def note(signature: str, size: int, waited: list[float]) -> None:
            batches.observe(size)
            for seconds in waited:
                queuing.observe(1e6 * seconds)

        return note

    def page(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        text = prometheus_client.generate_latest(self._registry)
        name = f"{_NAME}request_count".encode()
        return text.replace(b"# TYPE " + name + b" gauge", b"# TYPE " + name + b" counter")

    def _cell(self, family: Histogram | Gauge, *labels: str) -> Histogram | Gauge:
        key = (family, *labels)
        if key not in self._cells:
            self._cells[key] = family.labels(*labels)
        return self._cells[key]
