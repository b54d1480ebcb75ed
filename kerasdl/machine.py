"""The machine and its software: versions, processor, GPUs."""

import contextlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

_PACKAGES = (
    "kerasdl", "tensorflow", "keras", "numpy", "tensorflow-datasets", "tf2onnx", "onnx", "onnxruntime",
    "ai-edge-litert", "scikit-learn",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages a result depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def hardware() -> dict[str, Any]:
    """Return processor, cores, memory and GPUs."""
    import psutil
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus],
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:(.*)$", cpuinfo(), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def processor_flags(cpuinfo: str) -> set[str]:
    """Return the flags (x86) or features (ARM) of the first processor in the text of /proc/cpuinfo."""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    return set(found[1].split()) if found else set()


def cpuinfo() -> str:
    """Return what Linux says of the processors, nothing elsewhere."""
    file = Path("/proc/cpuinfo")
    return file.read_text() if file.is_file() else ""
