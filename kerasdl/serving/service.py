"""What the server does, whichever protocol asks: predict, describe, tell states."""

import asyncio
import contextlib
import dataclasses
import io
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kerasdl.serving import tensors
from kerasdl.serving.engine import Signature
from kerasdl.serving.metrics import Metrics
from kerasdl.serving.models import Repository
from kerasdl.serving.settings import Settings
from kerasdl.serving.status import Code, ServingError, invalid
from kerasdl.serving.versions import Model, Version

_DEFAULT = "serving_default"
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
_LONG = 2**18  # bytes: reading as much JSON takes milliseconds
_LARGE = 16_000_000  # pixels: requests with more are not put together with others


@dataclasses.dataclass(frozen=True)
class Asked:
    """Which model a request means.

    Attributes:
        name: the model's name.
        version: number of the version; None for the latest.
        label: label of the version; "" for none.
        signature: name of the signature; "" for the default.
    """

    name: str
    version: int | None = None
    label: str = ""
    signature: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        version: number of the version.
        signature: what was called.
        outputs: arrays by name.
    """

    version: int
    signature: Signature
    outputs: Mapping[str, np.ndarray]


class Service:
    """Answers requests of every protocol.

    Args:
        settings: of the server.
        metrics: what is counted.
    """

    def __init__(self, settings: Settings, metrics: Metrics):
        self.settings, self.metrics = settings, metrics
        self.repository = Repository(settings, metrics.of_calls)
        self.ready = False
        self._pending = 0
        self._reader = ThreadPoolExecutor(1, "reader")

    @contextlib.contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        """Keep memory for a request of so many bytes while it is answered.

        Raises:
            ServingError: when it is too large, or too much is being answered.
        """
        limits = self.settings.limits
        if size > limits.body:
            text = f"The request is too large: at most {limits.body} bytes are allowed."
            raise ServingError(Code.RESOURCE_EXHAUSTED, text, http=413)
        if self._pending + size > limits.pending:
            raise ServingError(
                Code.RESOURCE_EXHAUSTED, "Too many requests are being answered. Try again later."
            )
        self._pending += size
        try:
            yield
        finally:
            self._pending -= size

    async def predict(
        self,
        asked: Asked,
        read: Callable[[Signature], Mapping[str, np.ndarray]],
        *,
        only: tuple[str, ...] = (),
        timeout: float | None = None,
        size: int = 0,
    ) -> Answer:
        """Call a model.

        Args:
            asked: which.
            read: returns the inputs for a signature.
            only: names of the outputs that are wanted. Defaults to all.
            timeout: seconds, at most those of the settings.
            size: bytes of what is read; much is read in a thread, so that others are answered meanwhile.

        Raises:
            ServingError: for whatever is wrong.
        """
        limit = self.settings.limits.timeout
        with self.repository.using(asked.name, asked.version, asked.label) as version:
            signature = signature_of(version, asked.signature)
            inputs = await self.read(read, signature, size=size)
            tensors.check(inputs, signature.inputs)
            _check_outputs(only, signature)
            pixels = self._pixels(inputs)
            try:
                async with asyncio.timeout(min(limit, timeout or limit)):
                    started = time.perf_counter()
                    outputs = await version.batcher.run(signature.name, inputs, alone=pixels > _LARGE)
            except TimeoutError:
                raise ServingError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification") from None
            self.metrics.runtime(asked.name, version.engine.kind, time.perf_counter() - started)
            return Answer(
                version.number, signature, {name: outputs[name] for name in only} if only else outputs
            )

    async def read(self, function: Callable, *arguments, size: int):
        """Return what a function makes of a request; that of a large one is done in a thread."""
        if size < _LONG:
            return function(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._reader, function, *arguments)

    def model(self, name: str) -> Model:
        """Return a model by name.

        Raises:
            ServingError: when there is none.
        """
        if name not in self.repository.models:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        return self.repository.models[name]

    def versions(self, asked: Asked) -> list[Version]:
        """Return the versions that a question about states means.

        Raises:
            ServingError: when there are none.
        """
        model = self.model(asked.name)
        number = asked.version
        if asked.label:
            if asked.label not in model.config.labels:
                raise invalid(f"Unrecognized servable version label: {asked.label}")
            number = model.config.labels[asked.label]
        if number == 0 and 0 not in model.versions:
            number = None
        found = [one for one in model.versions.values() if number in (None, one.number)]
        if not found and number is not None:
            text = f"Could not find version {number} of model {asked.name}"
            raise ServingError(Code.NOT_FOUND, text)
        if not found:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {asked.name}")
        return sorted(found, key=lambda one: one.number)

    def _pixels(self, inputs: Mapping[str, np.ndarray]) -> int:
        """Return how many pixels the pictures in a request have.

        Raises:
            ServingError: when they are more than are allowed.
        """
        most = self.settings.limits.pixels
        found = 0
        for array in inputs.values():
            if array.dtype.kind == "O":
                found += sum(_pixels_of(value) for value in array.ravel() if isinstance(value, bytes))
        if found > most:
            raise invalid(f"The pictures of the request are too large: at most {most} pixels are allowed.")
        return found


def signature_of(version: Version, name: str) -> Signature:
    """Return a signature of a version.

    Raises:
        ServingError: when there is none.
    """
    name = name or _DEFAULT
    signatures = version.engine.signatures
    if name not in signatures:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    return signatures[name]


def _check_outputs(only: tuple[str, ...], signature: Signature) -> None:
    for name in only:
        if name not in signature.outputs:
            known = ",".join(sorted(signature.outputs))
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                f"{{{known}}}."
            )
        if only.count(name) > 1:
            raise invalid(f"duplicate output tensor alias: {name}")


def _pixels_of(value: bytes) -> int:
    if not value.startswith(_PICTURES):
        return 0
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(value)) as picture:  # reads its head alone
            return picture.width * picture.height
    except Image.DecompressionBombError:
        return 2**40  # so many that they are not even counted
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return 0  # what decodes it says so
