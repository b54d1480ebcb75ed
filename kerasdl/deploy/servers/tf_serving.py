"""TensorFlow Serving: configuration, containers, Kubernetes, and a client that tries them."""

from collections.abc import Mapping
from pathlib import Path

from kerasdl.deploy.description import Content, Described
from kerasdl.deploy.template import render

_TEMPLATES = Path(__file__).parent / "templates"


def generate(bundle: Described, out: Path) -> Mapping[str, Content]:
    """Return the files that serve a bundle by TensorFlow Serving."""
    values = {
        "name": bundle.name,
        "base_path": f"/models/{bundle.name}",
        "versions": sorted({bundle.version, bundle.newest}),
        "stable": bundle.version,
        "canary": bundle.newest,
        "poll": 30,
    }
    return {"config/models.config": render(_TEMPLATES, "models.config", **values)}
