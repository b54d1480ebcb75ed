"""A model and its versions: what is to be served, and what answers now."""

import asyncio
import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path

from kerasdl.serving import readiness
from kerasdl.serving.batching import Batcher
from kerasdl.serving.engine import Engine
from kerasdl.serving.status import Code, ServingError, invalid


class State(enum.Enum):
    """Where a version is in its life, by its number in TensorFlow Serving's protocol."""

    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclasses.dataclass(eq=False)
class Version:
    """One version of a model.

    Attributes:
        number: its number.
        state: where it is in its life.
        error: why it could not be loaded.
        engine: the opened model, while it is there.
        batcher: puts its requests together.
        in_use: requests that it is answering.
    """

    number: int
    state: State = State.LOADING
    error: ServingError | None = None
    engine: Engine | None = None
    batcher: Batcher | None = None
    in_use: int = 0
    idle: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What is to be served under a name.

    Attributes:
        name: the model's name in requests.
        path: folder of its versions; or the one version, a folder or a file.
        version: number of the one version; None where `path` holds versions.
        latest: how many of the latest versions; None for all, or those of `specific`.
        specific: numbers of versions. Defaults to none.
        labels: label -> version, which is served besides.
    """

    name: str
    path: Path
    version: int | None = None
    latest: int | None = 1
    specific: frozenset[int] = frozenset()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def found(self) -> dict[int, Path] | None:
        """Return the folders of versions that are there by number; None where the model's folder is not."""
        if self.version is not None:
            return {self.version: self.path} if self.path.exists() else {}
        try:
            there = [one for one in self.path.iterdir() if one.name.isdecimal() and one.is_dir()]
            # Of 1 and 001 it is 1, whichever the disk lists first.
            return {int(one.name): one for one in sorted(there, key=lambda one: (-len(one.name), one.name))}
        except OSError:
            return None


class Model:
    """A model and its versions.

    Attributes:
        config: what is to be served.
        versions: by number; those that have ended too.
    """

    def __init__(self, config: ModelConfig):
        self.config = config
        self.versions: dict[int, Version] = {}
        self.seen: dict[int, readiness.Fingerprint] = {}
        self.refused: dict[int, readiness.Fingerprint] = {}

    def available(self) -> list[Version]:
        """Return the versions that answer, the latest first."""
        return sorted(
            (one for one in self.versions.values() if one.state is State.AVAILABLE),
            key=lambda one: -one.number,
        )

    def find(self, version: int | None, label: str) -> Version:
        """Return the version that a request means.

        Raises:
            ServingError: when there is none.
        """
        if label:
            if label not in self.config.labels:
                raise invalid(f"Unrecognized servable version label: {label}")
            version = self.config.labels[label]
        if version == 0 and 0 not in self.versions:
            version = None  # how clients of OpenVINO's server ask for the latest
        for one in self.available():
            if version in (None, one.number):
                return one
        raise not_found(self.config.name, version)


def not_found(name: str, version: int | None) -> ServingError:
    """Return the error for a version that is not served."""
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return ServingError(Code.NOT_FOUND, f"Servable not found for request: {asked}")
