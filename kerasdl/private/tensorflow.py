"""The private names of TensorFlow that kerasdl uses: an upgrade of TensorFlow is one look here.

Each is looked up when it is needed, so that nothing here imports TensorFlow by itself.
"""

import importlib
from typing import Any

from kerasdl.errors import RunFailedError

#: Module and name of each.
NAMES = (
    ("tensorflow.python.framework.config", "is_op_determinism_enabled"),
    ("tensorflow.python.util._pywrap_util_port", "IsMklEnabled"),
    ("tensorflow", "__internal__.distribute.interim.maybe_merge_call"),
)


def is_op_determinism_enabled() -> bool:
    """Tell whether operations are deterministic."""
    return _find(*NAMES[0])()


def has_mkl_kernels() -> bool:
    """Tell whether the fast CPU kernels (oneDNN) are in use."""
    return bool(_find(*NAMES[1])())


def maybe_merge_call(function, strategy, *arguments) -> Any:
    """Call a function once for all replicas; directly where the strategy has a single one."""
    return _find(*NAMES[2])(function, strategy, *arguments)


def _find(module: str, name: str) -> Any:
    """Look up a private name.

    Raises:
        RunFailedError: when this version of TensorFlow does not have it.
    """
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        version = importlib.import_module("tensorflow").__version__
        raise RunFailedError(
            f"TensorFlow {version} no longer has {module}.{name}. kerasdl supports TensorFlow 2.21: "
            'pip install "tensorflow>=2.21,<2.22".'
        ) from error
    return found
