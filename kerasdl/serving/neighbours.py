"""Finds signatures whose answers depend on other examples of a batch; bundles were verified for that."""

import dataclasses
import logging

import numpy as np

from kerasdl.inference.answers import depends_on_batch
from kerasdl.inference.predictor import InputSpec
from kerasdl.serving.engine import Engine

_log = logging.getLogger(__name__)

_LENGTH = 5  # of an open axis behind the batch
_TEXTS = (b"some text", b"x", b"a text of some more words than the others have")


def keep_apart(engine: Engine) -> None:
    """Give requests calls of their own where made-up examples answer otherwise among others, or not at all.

    Args:
        engine: a model that nobody has verified; its signatures are changed.
    """
    for name, signature in engine.signatures.items():
        if not signature.merges:
            continue
        inputs = {key: _made_up(spec) for key, spec in signature.inputs.items()}
        try:
            way = depends_on_batch(lambda given, name=name: engine.call(name, given), inputs)
        except Exception:  # it takes something else: whether examples are apart cannot be told
            way = "perhaps"
        if way:
            engine.signatures[name] = dataclasses.replace(signature, merges=False)
            why = "could not be tried" if way == "perhaps" else f"gives an example another answer {way}"
            _log.warning(f"{engine.path.name}: {name} {why}: each request gets a call of its own.")


def _made_up(spec: InputSpec) -> np.ndarray:
    shape, dtype = spec
    sizes = (len(_TEXTS), *(_LENGTH if size is None else size for size in shape[1:]))
    if dtype == "string":
        rows = np.array(_TEXTS, object).reshape(-1, *[1] * (len(sizes) - 1))
        return np.broadcast_to(rows, sizes).copy()
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=sizes) if np.dtype(dtype).kind == "f" else draw.integers(0, 2, sizes)
    return numbers.astype(dtype)
