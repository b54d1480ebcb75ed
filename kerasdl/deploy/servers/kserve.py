"""KServe: an InferenceService of TensorFlow Serving, and one of Triton for the ONNX files."""

from collections.abc import Mapping
from pathlib import Path

from kerasdl.deploy.description import Content, Described
from kerasdl.deploy.servers import images, tf_serving, triton
from kerasdl.deploy.template import Templates

_TEMPLATES = Templates(Path(__file__).parent / "templates")


def generate(bundle: Described, out: Path) -> Mapping[str, Content]:
    """Return manifests for what the bundle holds: a SavedModel, ONNX files, or both.

    Raises:
        UsageError: when it holds neither.
    """
    triton.check(bundle)
    onnx = [file for file, kind in bundle.files.items() if kind == "onnx"]
    values = {
        "bundle": bundle,
        "name": bundle.name,
        "slug": tf_serving.slug(bundle.name),
        "stable": bundle.version,
        "version": images.TF_SERVING_VERSION,
        "triton_version": images.TRITON_VERSION,
        "memory": tf_serving.memory(bundle, bundle.saved_model or onnx),
        "saved_model": bool(bundle.saved_model),
        "onnx": bool(onnx),
    }
    templates = {"README.md": "kserve_README.md"}
    templates |= {"inference_service.yaml": "inference_service.yaml"} if bundle.saved_model else {}
    templates |= {"inference_service_onnx.yaml": "inference_service_onnx.yaml"} if onnx else {}
    return _TEMPLATES.fill(templates, values)
