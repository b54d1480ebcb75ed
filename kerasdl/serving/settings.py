"""What the server is set to: batching, limits, times."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batching:
    """How requests that wait at the same time share a call of the model.

    Attributes:
        max_batch_size: most examples in a call; a larger request is cut into several.
        timeout_micros: how long a call waits for more examples, microseconds; at 0 it takes what is there.
        allowed_sizes: numbers of examples that calls may have, rising; they are filled up with copies of an
            example. Defaults to any.
        max_enqueued: most full batches that wait.
        threads: calls at a time, of a model that bears several.
        on: False gives every request a call of its own.
    """

    max_batch_size: int = 32
    timeout_micros: int = 0
    allowed_sizes: tuple[int, ...] = ()
    max_enqueued: int = 100
    threads: int = 1
    on: bool = True

    @property
    def warm_sizes(self) -> tuple[int, ...]:
        """The batch sizes to warm up with."""
        return self.allowed_sizes or (1,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may take.

    Attributes:
        body: bytes of a request.
        pending: bytes of all requests that are being read or answered.
        pixels: of all pictures of a request, decoded.
        timeout: seconds for reading a request, and for answering it.
        header_timeout: seconds in which a client has to send a request's head.
        connections: open connections; further ones are answered with 503.
    """

    body: int = 64 * 2**20
    pending: int = 256 * 2**20
    pixels: int = 64_000_000
    timeout: float = 30.0
    header_timeout: float = 10.0
    connections: int = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the server is set to.

    Attributes:
        batching: of requests.
        limits: of requests.
        engine: which file of a version answers, one of `ENGINES`.
        num_threads: threads of a TFLite or ONNX runtime; None leaves it to the runtime.
        poll_seconds: time between two looks for new versions.
        grace: seconds that requests may take to end after the server was told to stop.
    """

    batching: Batching = Batching()
    limits: Limits = Limits()
    engine: str = "saved_model"
    num_threads: int | None = None
    poll_seconds: float = 1.0
    grace: float = 30.0
