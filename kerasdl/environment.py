"""What must be set before TensorFlow is imported; the only place that sets it.

Every value is a default: what the user has set in the environment stays.

* `TF_ENABLE_ONEDNN_OPTS=1`: TensorFlow turns its fast CPU kernels on by itself only on some processors;
  elsewhere convolutions run two to four times slower (docs/benchmarks.md).
* `TF_FORCE_GPU_ALLOW_GROWTH=true`: take GPU memory as it is needed, not all of it at once.
* `TF_CPP_MIN_LOG_LEVEL=2`: errors only. TensorFlow's start-up notes bury what a user has to read.
* `KERAS_BACKEND=tensorflow`: the only backend this package supports.
"""

import contextlib
import os
import sys
import tempfile

DEFAULTS = {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}

#: True when TensorFlow was already there as this module was imported, so that the defaults came too late.
too_late = "tensorflow" in sys.modules


def set_defaults() -> None:
    """Set every variable of `DEFAULTS` that the user has not set."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def describe() -> dict[str, str]:
    """Return the variables as they are now, and say if they were set too late to count."""
    state = {name: os.environ.get(name, "") for name in DEFAULTS}
    if too_late:
        state["note"] = (
            "tensorflow was imported before kerasdl: import kerasdl first for its settings to count"
        )
    return state


def import_tensorflow() -> None:
    """Import TensorFlow and look for devices without the notes it prints while it does.

    They are written by C++ code before its log level counts, straight to file descriptor 2. If the import
    fails they are shown after all.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as notes, _restored_stderr() as terminal:
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            notes.seek(0)
            os.write(terminal, notes.read())
            raise


@contextlib.contextmanager
def _restored_stderr():
    """Give a copy of file descriptor 2, and put it back in its place afterwards."""
    terminal = os.dup(2)
    try:
        yield terminal
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
