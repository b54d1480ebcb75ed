"""Which models and versions are served: what lies in their folders, loaded and unloaded as it changes."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.serving import neighbours, readiness
from kerasdl.serving.batching import Batcher
from kerasdl.serving.engine import Engine, file_of, open_engine
from kerasdl.serving.settings import Settings
from kerasdl.serving.status import Code, ServingError
from kerasdl.serving.versions import Model, ModelConfig, State, Version, not_found
from kerasdl.serving.warm_up import warm_up

_log = logging.getLogger(__name__)

_ENDED = 100  # versions of a model that are remembered after their end


class Repository:
    """All models. Everything but opening files happens in the event loop.

    Args:
        settings: of the server.
        observe: takes a model's name and returns what is told of its calls (`Batcher`).
    """

    def __init__(self, settings: Settings, observe: Callable[[str], Callable[[str, int, list[float]], None]]):
        self.models: dict[str, Model] = {}
        self._settings, self._observe = settings, observe
        self._loader = ThreadPoolExecutor(1, "loader")
        self._unloading: set[asyncio.Task] = set()
        self._polling = asyncio.Lock()

    @contextlib.contextmanager
    def using(self, name: str, version: int | None = None, label: str = "") -> Iterator[Version]:
        """Give the version that a request means; it is not unloaded before the block has ended.

        Raises:
            ServingError: when there is none.
        """
        if name not in self.models:
            raise not_found(name, version)
        found = self.models[name].find(version, label)
        found.in_use += 1
        try:
            yield found
        finally:
            found.in_use -= 1
            if not found.in_use:
                found.idle.set()

    async def configure(self, configs: list[ModelConfig]) -> None:
        """Serve these models and no others; returns when what can be loaded of them is loaded."""
        async with self._polling:
            wanted = {config.name: config for config in configs}
            for name in [name for name in self.models if name not in wanted]:
                self._unload_all(self.models.pop(name))
            for name, config in wanted.items():
                old = self.models.get(name)
                if old is not None and old.config.path != config.path:
                    self._unload_all(old)
                    old = None
                if old is None:
                    self.models[name] = Model(config)
                else:
                    old.config = config
        await self.poll(first=True)

    async def watch(self) -> None:
        """Look for new and vanished versions until cancelled."""
        while True:
            await asyncio.sleep(self._settings.poll_seconds)
            try:
                await self.poll()
            except Exception as error:  # whatever a file system does, what is loaded goes on
                _log.warning(f"Could not look for new versions: {type(error).__name__}: {error}")

    async def poll(self, *, first: bool = False) -> None:
        """Load and unload versions as their folders say.

        Args:
            first: take a folder that says nothing about its files as it is, without waiting whether somebody
                still writes it.
        """
        async with self._polling:
            for model in list(self.models.values()):
                found = await self._in_loader(model.config.found)
                if found is None:
                    continue  # a disk that is away for a moment
                chosen = await self._choose(model, found, first)
                for version in model.available():
                    if version.number not in chosen:
                        self._unload(model, version)

    async def close(self) -> None:
        """Unload everything; waits for requests that are being answered."""
        for model in self.models.values():
            self._unload_all(model)
        while self._unloading:
            await asyncio.wait(self._unloading)
        self._loader.shutdown(wait=False)

    async def _choose(self, model: Model, found: dict[int, Path], first: bool) -> set[int]:
        """Return the versions to keep; those that are wanted and not there yet are loaded."""
        config, chosen = model.config, set()
        for number in sorted(found, reverse=True):
            by_number = number in config.labels.values() or number in config.specific
            wanted = config.latest is None and not config.specific
            latest = config.latest is not None and len(chosen - set(config.labels.values())) < config.latest
            if not (by_number or wanted or latest):
                continue
            loaded = model.versions.get(number)
            if (loaded is not None and loaded.state is State.AVAILABLE) or await self._load(
                model, number, found[number], first
            ):
                chosen.add(number)
        return chosen

    async def _load(self, model: Model, number: int, folder: Path, first: bool) -> bool:
        """Load a version; returns whether it answers. One that was refused is tried again once changed."""
        looks = await self._in_loader(readiness.fingerprint, folder)
        settled = first or await self._in_loader(readiness.has_card, folder)
        if model.refused.get(number) == looks:
            return False
        if not settled and model.seen.get(number) != looks:
            model.seen[number] = looks  # somebody may still be writing: wait until it stays as it is
            return False
        old = model.versions.get(number)
        if old is not None and old.state is State.UNLOADING:
            return False
        version = Version(number)
        model.versions[number] = version
        try:
            version.engine = await self._in_loader(self._open, folder)
        except (UsageError, RunFailedError) as error:
            text = str(error).replace(f"{folder.parent}/", "")  # where it lies is nothing for clients
            version.error = ServingError(Code.FAILED_PRECONDITION, text)
        except Exception as error:  # whatever a runtime says about a damaged file
            version.error = ServingError(Code.INTERNAL, f"{type(error).__name__}: {error}".split("\n")[0])
        name = f"{model.config.name} version {number}"
        if version.error is not None:
            version.state = State.END
            model.refused[number] = looks
            _log.warning(f"{name} is not served: {version.error.message}")
            return False
        model.refused.pop(number, None)
        version.batcher = Batcher(version.engine, self._settings.batching, self._observe(model.config.name))
        version.state = State.AVAILABLE
        _log.info(
            f"{name} is served ({version.engine.path.name if folder.is_file() else version.engine.kind})."
        )
        return True

    def _open(self, folder: Path) -> Engine:
        path = file_of(folder, self._settings.engine)
        if problem := readiness.problem(path):
            raise RunFailedError(f"{folder}: {problem}.")
        engine = open_engine(path, self._settings.num_threads)
        if self._settings.batching.on and not readiness.has_card(path):
            neighbours.keep_apart(engine)
        warm_up(engine, folder, self._settings.batching.warm_sizes)
        return engine

    def _unload_all(self, model: Model) -> None:
        for version in model.available():
            self._unload(model, version)

    def _unload(self, model: Model, version: Version) -> None:
        version.state = State.UNLOADING
        task = asyncio.get_running_loop().create_task(self._end(model, version))
        self._unloading.add(task)
        task.add_done_callback(self._unloading.discard)

    async def _end(self, model: Model, version: Version) -> None:
        while version.in_use:
            version.idle.clear()
            await version.idle.wait()
        version.batcher.close()
        version.engine = version.batcher = None
        version.state = State.END
        for number in sorted(number for number, one in model.versions.items() if one.state is State.END)[
            :-_ENDED
        ]:
            del model.versions[number]
        await self._in_loader(gc.collect)
        _log.info(f"{model.config.name} version {version.number} is no longer served.")

    async def _in_loader(self, function: Callable, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self._loader, function, *arguments)
