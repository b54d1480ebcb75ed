"""TensorFlow Serving: configuration, Docker, Kubernetes, and a client that tries it."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasdl.deploy.description import Called, Content, Described
from kerasdl.deploy.servers import images
from kerasdl.deploy.template import Templates
from kerasdl.errors import UsageError

_TEMPLATES = Templates(Path(__file__).parent / "templates")
_POLL = 30  # seconds
#: A black picture of 8 x 8 pixels, as a PNG file in base64.
_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAADElEQVR42mNgGB4AAADIAAGTvaWOAAAAAElFTkSuQmCC"


def generate(bundle: Described, out: Path) -> Mapping[str, Content]:
    """Return the files that serve the versions of a bundle where they lie.

    Raises:
        UsageError: when it holds no SavedModel.
    """
    source = bundle.folder.parent if bundle.is_numbered else bundle.folder
    values = values_of(bundle) | {
        "models": os.path.relpath(source, out.resolve()),
        "mounted": f"/models/{bundle.name}" + ("" if bundle.is_numbered else "/1"),
        "is_image": False,
    }
    files = server_files(values)
    values["configs"] = [name for name in files if name.startswith("config/")]
    templates = {
        "run.sh": "tf_serving_run.sh",
        "compose.yaml": "tf_serving_compose.yaml",
        "kustomization.yaml": "kustomization.yaml",
        "kubernetes/deployment.yaml": "deployment.yaml",
        "kubernetes/service.yaml": "service.yaml",
    }
    return files | _TEMPLATES.fill(templates, values)


def values_of(bundle: Described) -> dict[str, Any]:
    """Return what templates about TF Serving are filled with."""
    if not bundle.saved_model:
        raise UsageError(
            f"{bundle.folder} holds no SavedModel, which TF Serving needs. Export it with --formats "
            "saved_model, or deploy it --to triton."
        )
    endpoints = bundle.endpoints_of("saved_model")
    reasons = [reason for endpoint in endpoints if (reason := _why_not_batched(endpoint))]
    return {
        "bundle": bundle,
        "name": bundle.name,
        "slug": slug(bundle.name),
        "base_path": f"/models/{bundle.name}",
        "stable": bundle.version,
        "canary": bundle.newest,
        "versions": sorted({bundle.version, bundle.newest}),
        "poll": _POLL,
        "sizes": bundle.batch_sizes,
        "batches": not reasons,
        "unbatched": "; ".join(reasons),
        "warmed": bundle.has_warm_up,
        "image": images.TF_SERVING,
        "memory": memory(bundle, bundle.saved_model),
        "endpoints": endpoints,
        "signatures": {endpoint.name: _signature(endpoint) for endpoint in endpoints},
        "length": max(endpoint.length for endpoint in endpoints),
        "picture": _PICTURE,
        "flags": _flags(batches=not reasons),
    }


def server_files(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the configuration of a server, the clients that try it, and the README."""
    templates = {
        "config/models.config": "models.config",
        "config/monitoring.config": "monitoring.config",
        "smoke_test.py": "tf_serving_smoke_test.py.jinja",
        "smoke_test.sh": "tf_serving_smoke_test.sh",
        "README.md": "tf_serving_README.md",
    } | ({"config/batching.config": "batching.config"} if values["batches"] else {})
    return _TEMPLATES.fill(templates, values)


def slug(name: str) -> str:
    """Return a name as Kubernetes takes it: at most 40 of a-z, 0-9 and -, beginning with a letter."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (found if found[:1].isalpha() else f"model-{found}")[:40].strip("-")


def memory(bundle: Described, files: Sequence[str]) -> int:
    """Return the MiB to ask for, a first guess: TensorFlow's own, and the files three times."""
    size = sum((bundle.folder / file).stat().st_size for file in files if (bundle.folder / file).is_file())
    return 512 + 256 * math.ceil(3 * size / 2**28)


def _flags(*, batches: bool) -> list[str]:
    flags = [
        "--port=8500",
        "--rest_api_port=8501",
        "--model_config_file=/config/models.config",
        f"--model_config_file_poll_wait_seconds={_POLL}",
        # At the start no version is available yet: without this the server refuses its labels and ends.
        "--allow_version_labels_for_unavailable_models=true",
        "--monitoring_config_file=/config/monitoring.config",
    ]
    if batches:
        flags += ["--enable_batching=true", "--batching_parameters_file=/config/batching.config"]
    return flags


def _why_not_batched(endpoint: Called) -> str:
    """Return why requests must not be put together; "" where they may."""
    if not endpoint.takes_batches:
        return f"`{endpoint.name}` takes or gives something without an open first axis"
    if any(None in tensor.shape[1:] for tensor in endpoint.inputs):
        # TF Serving pads with the first value of the request, which changes answers, or refuses the batch.
        return f"requests to `{endpoint.name}` may differ in length, and TF Serving cannot batch those"
    return ""


def _signature(endpoint: Called) -> dict[str, Any]:
    return {
        part: {tensor.name: {"shape": list(tensor.shape), "dtype": tensor.dtype} for tensor in tensors}
        for part, tensors in (("inputs", endpoint.inputs), ("outputs", endpoint.outputs))
    }
