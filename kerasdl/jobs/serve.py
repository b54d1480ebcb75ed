"""Serves exported models over HTTP and gRPC."""

import asyncio
import dataclasses
import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from kerasdl.errors import UsageError
from kerasdl.serving.engine import check_engine
from kerasdl.serving.server import Place, Running, serve
from kerasdl.serving.settings import Settings
from kerasdl.serving.versions import ModelConfig

_log = logging.getLogger(__name__)

_SUFFIXES = (".tflite", ".onnx")
_LABEL = re.compile(r"(?:(?P<model>[^:=]+):)?(?P<label>[^:=/]+)=(?P<version>\d{1,18})")


def run(
    targets: Sequence[str],
    settings: Settings,
    place: Place,
    *,
    versions: str = "latest",
    labels: Sequence[str] = (),
) -> None:
    """Serve exported models until the process is told to stop.

    Args:
        targets: folders of versions (`exported/lenet5`), one version (`exported/lenet5/1`) or one file; with
            a name of its own `NAME=PATH`.
        settings: of the server.
        place: where it listens.
        versions: "latest", "latest:N", "all", or numbers with commas.
        labels: `[MODEL:]LABEL=VERSION`.

    Raises:
        UsageError: for what cannot be served.
    """
    check_engine(settings.engine)
    configs = [_with_versions(config_of(target), versions) for target in targets]
    names = [config.name for config in configs]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"Two models would be named {double}. Name one: NAME=PATH.")
    configs = _with_labels(configs, labels)
    for config in configs:
        for number in sorted(config.specific - (config.found() or {}).keys()):
            _log.warning(f"{config.path} has no version {number}: it is served once it is there.")
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:  # there is none for Windows
        runner = asyncio.Runner()
    with runner:
        runner.run(serve(configs, settings, place, lambda running: _tell(place, running)))
    _log.info("Stopped: every request that had come was answered.")


def config_of(target: str) -> ModelConfig:
    """Return what is to be served of a target of the command line, by default its latest version.

    Raises:
        UsageError: when there is nothing to serve.
    """
    name, path = "", Path(target)
    if "=" in target and not path.exists():
        name, _, rest = target.partition("=")
        path = Path(rest)
    if not path.exists():
        raise UsageError(
            f"There is no {path}. Give a folder like exported/lenet5, or one version or file of it."
        )
    path = path.absolute()
    folder = path.parent if path.is_file() else path
    number = int(folder.name) if folder.name.isdecimal() and len(folder.name) < 19 else None
    if path.is_file():
        if path.suffix not in _SUFFIXES:
            raise UsageError(f"{path} is not an exported model. Give a folder, a .tflite or an .onnx file.")
        name = name or (folder.parent.name if number is not None else path.stem.partition(".")[0])
        return ModelConfig(name=_checked(name), path=path, version=1 if number is None else number)
    if (path / "card.json").is_file() or (path / "saved_model.pb").is_file():
        name = name or (path.parent.name if number is not None else _name_in(path) or path.name)
        return ModelConfig(name=_checked(name), path=path, version=1 if number is None else number)
    numbers = [one.name for one in path.iterdir() if one.name.isdecimal() and one.is_dir()]
    if not numbers:
        raise UsageError(
            f"{path} holds no versions (folders named 1, 2, ...) and is not a bundle. Give a folder like "
            "exported/lenet5."
        )
    if len(set(map(int, numbers))) < len(numbers):
        raise UsageError(
            f"{path} holds two folders of one version: {', '.join(sorted(numbers))}. Move one away."
        )
    return ModelConfig(name=_checked(name or path.name), path=path)


def _name_in(folder: Path) -> str:
    try:
        name = json.loads((folder / "card.json").read_bytes())["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) else ""


def _checked(name: str) -> str:
    if not name or set(name) & set("/:") or not name.isprintable():
        raise UsageError(f"{name!r} cannot be the name of a model: it is a part of paths. Give NAME=PATH.")
    return name


def _with_versions(config: ModelConfig, text: str) -> ModelConfig:
    kind, colon, number = text.partition(":")
    if text == "all":
        return dataclasses.replace(config, latest=None)
    if kind == "latest" and (not colon or (number.isdecimal() and int(number[:9]) > 0)):
        return dataclasses.replace(config, latest=int(number[:9]) if colon else 1)
    parts = text.split(",")
    if not all(part.isdecimal() and len(part) < 19 for part in parts):
        raise UsageError(
            f"--versions is {text!r}; it takes latest, latest:N, all, or numbers with commas: 1,3."
        )
    return dataclasses.replace(config, latest=None, specific=frozenset(map(int, parts)))


def _with_labels(configs: list[ModelConfig], texts: Sequence[str]) -> list[ModelConfig]:
    by_name = {config.name: config for config in configs}
    for text in texts:
        found = _LABEL.fullmatch(text)
        if not found:
            raise UsageError(f"--version-label is {text!r}; it takes LABEL=VERSION or MODEL:LABEL=VERSION.")
        if found["model"] is None and len(by_name) > 1:
            raise UsageError(
                f"--version-label {text} needs the model, since there are several: MODEL:{text}."
            )
        name = found["model"] or configs[0].name
        if name not in by_name:
            raise UsageError(
                f"--version-label {text}: there is no model {name}; there are {', '.join(by_name)}."
            )
        number = int(found["version"])
        if number not in (by_name[name].found() or {}):
            raise UsageError(f"--version-label {text}: {name} has no version {number}.")
        labels = {**by_name[name].labels, found["label"]: number}
        by_name[name] = dataclasses.replace(by_name[name], labels=labels)
    return list(by_name.values())


def _tell(place: Place, running: Running) -> None:
    host = f"[{place.host}]" if ":" in place.host else place.host
    where = f"http{'s' * (place.tls is not None)}://{host}:{running.port}"
    grpc = f", gRPC on {host}:{running.grpc_port}" if running.grpc_port else ""
    _log.info(f"Serving on {where} (try it there){grpc}.")
    for name, model in running.service.repository.models.items():
        if model.available():
            _log.info(f"  {where}/v1/models/{name}:predict")
        else:
            _log.warning(f"  {name} has no version that can be served yet.")
