"""Writes the files of a page that runs a bundle in the browser."""

import base64
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from kerasdl.deploy.app import VOCABULARY, App, app_of
from kerasdl.deploy.browser.one_example import of_one_example
from kerasdl.deploy.description import Content, Described
from kerasdl.errors import RunFailedError, UsageError

_log = logging.getLogger(__name__)

_PAGE = Path(__file__).parent / "page"
_EXAMPLES = 20

#: LiteRT.js imports its second package by its bare name.
_IMPORTS = {"@litertjs/core": "litert/index.js", "@litertjs/wasm-utils": "litert/wasm-utils.js"}


def generate(bundle: Described, *, mode: str | None = None, examples: bool = True) -> dict[str, Content]:
    """Return the files of the page, but for the runtimes, by relative path.

    Args:
        bundle: the bundle.
        mode: mode of the TFLite file. Defaults to the one that is closest to Keras.
        examples: show the test examples that the bundle holds, if it does. Defaults to True.

    Raises:
        UsageError: when its files take neither a picture nor a text, or there is no such mode.
        RunFailedError: when a file of it has changed since the export.
    """
    app = app_of(bundle, "The demo")
    files, contents = _files(app, mode)
    settings = _settings(app, files, examples)
    pages = [path for path in sorted(_PAGE.iterdir()) if path.suffix in (".js", ".css")]
    if app.words is not None:
        pages = [path for path in pages if path.name not in ("pictures.js",)]
    return {
        "index.html": _index(app, draws="ink" in settings),
        "settings.json": json.dumps(settings, indent=1) + "\n",
        "README.md": (_PAGE / "README.md").read_text(encoding="utf-8"),
        **{path.name: path for path in pages},
        **contents,
        **({VOCABULARY: app.checked(VOCABULARY)} if app.words is not None else {}),
    }


def _files(app: App, mode: str | None) -> tuple[dict[str, str], dict[str, Content]]:
    """Return the file that each runtime opens, by the runtime's name, and what is in each.

    Raises:
        UsageError: when there is no such mode, or the only file is one that LiteRT.js does not take.
    """
    tflite = app.tflite_file(mode) if mode or app.tflite else None
    contents: dict[str, Content] = {name: app.checked(name) for name in (tflite, app.onnx) if name}
    if tflite and app.bundle.card.get("dynamic_batch"):
        try:
            contents[tflite] = of_one_example(app.checked(tflite))
        except (RunFailedError, RuntimeError, ValueError) as error:
            said = f"LiteRT.js takes no file with an open batch, and {tflite} bears no other ({error})"
            advice = (
                "export the run again without --dynamic-batch, and recurrent networks with --tflite-unroll"
            )
            if app.onnx is None or mode:
                raise UsageError(f"{said}: {advice}.") from error
            _log.warning(f"{said}, so that the page has the ONNX file alone. For both, {advice}.")
            del contents[tflite]
            tflite = None
    files = {"LiteRT.js": tflite, "ONNX Runtime Web": app.onnx}
    return {engine: file for engine, file in files.items() if file}, contents


def _index(app: App, *, draws: bool) -> str:
    imports = json.dumps({"imports": {name: f"./runtimes/{file}" for name, file in _IMPORTS.items()}})
    digest = base64.b64encode(hashlib.sha256(imports.encode()).digest()).decode()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("index.html").render(
        name=app.bundle.name,
        what="a picture that you give" if app.picture else "a text that you type",
        takes_pictures=app.picture is not None,
        draws=draws,
        import_map=Markup(imports),
        import_map_hash=f"'sha256-{digest}'",
    )


def _settings(app: App, files: Mapping[str, str], examples: bool) -> dict[str, Any]:
    """Return what the page's scripts read."""
    settings = {
        "endpoint": app.endpoint.name,
        "input": {"name": app.input.name, "dtype": app.input.dtype, "shape": app.shape},
        "output": {"name": app.output.name},
        "labels": app.bundle.labels,
        "files": [{"engine": engine, "file": file} for engine, file in files.items()],
        "examples": [],
    }
    if app.picture is None:
        return {**settings, "words": app.words}
    _, height, width, channels = app.shape
    settings["picture"] = {
        "height": height,
        "width": width,
        "channels": channels,
        "fit": app.picture.fit,
        "background": app.picture.background,
        "orientation": app.picture.orientation,
    }
    pixels, expected = _samples(app)
    if channels == 1:
        settings["ink"] = "black" if len(pixels) and np.median(pixels) > 127 else "white"
    if examples:
        settings["examples"] = [
            {
                "label": _label(app, row),
                "pixels": base64.b64encode(image.tobytes()).decode(),
                "expected": row.tolist(),
            }
            for image, row in zip(pixels[:_EXAMPLES], expected[:_EXAMPLES], strict=True)
        ]
    return settings


def _samples(app: App) -> tuple[np.ndarray, np.ndarray]:
    """Return the test examples that the bundle holds, (N, H, W, C) uint8, and Keras's answers to them."""
    samples = (app.bundle.card.get("samples") or {}).get("endpoints", {}).get(app.endpoint.name)
    if samples is None:
        return np.empty((0, *app.shape[1:]), np.uint8), np.empty((0, 0), np.float32)
    encoded = samples["inputs"][app.input.name], samples["outputs"]["keras"][app.output.name]
    pixels, expected = (
        np.frombuffer(base64.b64decode(one["base64"]), np.dtype(one["dtype"]).newbyteorder("<")).reshape(
            one["shape"]
        )
        for one in encoded
    )
    return pixels, expected.reshape(len(expected), -1)


def _label(app: App, row: np.ndarray) -> str:
    labels = app.bundle.labels
    return labels[int(row.argmax())] if labels and app.output.name == "probabilities" else "answer of Keras"
