"""The page at `/` that tries the models in a browser: one file, no network but this server."""

import functools
from pathlib import Path

from kerasdl.inference.predictor import InputSpec
from kerasdl.serving.engine import Signature
from kerasdl.serving.json_tensors import Json
from kerasdl.serving.service import Service
from kerasdl.serving.versions import Version

#: What the page may do: run what it holds, ask this server, show pictures of the user.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@functools.cache
def html() -> str:
    """Return the page."""
    return Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def models(service: Service) -> dict[str, Json]:
    """Return what the page knows of each model: versions, labels, signatures."""
    found = []
    for name, model in sorted(service.repository.models.items()):
        versions = model.available()
        found.append({
            "name": name,
            "versions": [one.number for one in versions],
            "labels": dict(model.config.labels),
            **(_about(versions[0]) if versions else {"signatures": []}),
        })  # fmt: skip
    return {"models": found}


def _about(version: Version) -> dict[str, Json]:
    engine = version.engine
    return {
        "engine": engine.path.name if engine.path.is_file() else engine.kind,
        "classes": list(engine.labels),
        "signatures": [_signature(one) for one in engine.signatures.values()],
    }


def _signature(signature: Signature) -> dict[str, Json]:
    return {
        "name": signature.name,
        "inputs": _described(signature.inputs),
        "outputs": _described(signature.outputs),
    }


def _described(specs: dict[str, InputSpec]) -> list[Json]:
    return [{"name": name, "shape": list(shape), "dtype": dtype} for name, (shape, dtype) in specs.items()]
