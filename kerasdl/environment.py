"""What must be set before TensorFlow is imported; the only place that sets it.

Every value is a default: what the user has set in the environment stays.

* `TF_ENABLE_ONEDNN_OPTS=1`: TensorFlow turns its fast CPU kernels on by itself only on some processors;
  elsewhere convolutions run two to four times slower (docs/benchmarks.md).
* `TF_FORCE_GPU_ALLOW_GROWTH=true`: take GPU memory as it is needed, not all of it at once.
* `TF_CPP_MIN_LOG_LEVEL=3`: what fails raises an exception; TensorFlow's C++ notes (among its "errors":
  that there is no GPU, that one kernel is slower for uint8) bury what a user has to read.
* `KERAS_BACKEND=tensorflow`: the only backend this package supports.
* `TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1`, where TensorFlow neither trains nor is timed (`allocator`): its own
  allocator is up to three times faster, but keeps the memory of what is freed as long as the process lives.
"""

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator

DEFAULTS = {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

_ALLOCATOR = "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"
_chosen = os.environ.get(_ALLOCATOR)  # by the user

#: True when TensorFlow was already there as this module was imported, so that the defaults came too late.
too_late = "tensorflow" in sys.modules
#: True while TensorFlow is being imported, and what is called when that begins.
loading = False
on_loading: Callable[[], None] | None = None
#: True while a command of the command line runs: advice names commands then, and calls from Python elsewhere.
is_command = False


def set_defaults() -> None:
    """Set every variable of `DEFAULTS` that the user has not set."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def allocator(*, gives_back: bool) -> dict[str, str]:
    """Return the variable that lets TensorFlow give freed memory back to the system, or keep it for speed."""
    return {_ALLOCATOR: _chosen or str(int(gives_back))}


def give_back() -> None:
    """Let TensorFlow, before its import, give back what it frees: in a process where nothing trains."""
    os.environ.update(allocator(gives_back=True))


def limit(num_threads: int | None = None, gpus: str | None = None) -> None:
    """Keep what TensorFlow starts in this process, and has not started yet, to some threads and GPUs."""
    if num_threads is not None:
        for pool in ("INTRAOP", "INTEROP"):
            os.environ.setdefault(f"TF_NUM_{pool}_THREADS", str(num_threads))
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus


def describe() -> dict[str, str]:
    """Return the variables as they are now, and say if they were set too late to count."""
    state = {name: os.environ.get(name, "") for name in DEFAULTS}
    if too_late:
        state["note"] = (
            "tensorflow was imported before kerasdl: import kerasdl first for its settings to count"
        )
    return state


def import_tensorflow(*, look_for_devices: bool = True) -> None:
    """Import TensorFlow and Keras and look for devices, quietly: notes come before the log level counts.

    The garbage collector waits meanwhile: it would look through the hundreds of thousands of objects that the
    imports make and that stay, again and again (a fifth of the time). It need not look at them later either.

    Args:
        look_for_devices: a process that is to be forked must not: drivers of GPUs do not survive it.
    """
    global loading
    collecting = gc.isenabled()
    gc.disable()
    loading = "keras" not in sys.modules
    if loading and on_loading is not None:
        on_loading()
    try:
        with quiet():
            import keras  # noqa: F401
            import tensorflow as tf

            if look_for_devices:
                tf.config.list_physical_devices()
    finally:
        loading = False
        gc.freeze()
        if collecting:
            gc.enable()


@contextlib.contextmanager
def quiet(*, show_on_error: bool = True):
    """Hold back what C++ code writes straight to file descriptor 2.

    Args:
        show_on_error: write it after all when the block raises.
    """
    import tempfile  # takes milliseconds, which `import kerasdl` need not

    try:
        terminal = os.dup(2)
    except OSError:  # there is none to keep quiet: it was closed (2>&-)
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except Exception:
            if show_on_error:
                notes.seek(0)
                os.write(terminal, notes.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextlib.contextmanager
def quiet_logger(name: str) -> Iterator[None]:
    """Log nothing under a name inside: what matters shows when the result is opened, or all is done again."""
    import logging

    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def isolated_children() -> Iterator[None]:
    """Let Python processes that are started in here not import from the current folder.

    It may hold files of somebody else's, and a process of `multiprocessing` looks there first.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before
