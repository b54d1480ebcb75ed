"""Endpoints to a TensorFlow SavedModel that needs neither Keras nor kerasdl to be loaded."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf
from keras.export import ExportArchive

from kerasdl import environment
from kerasdl.errors import RunFailedError
from kerasdl.inference import graph
from kerasdl.inference.endpoint import Endpoint, signature
from kerasdl.layers import export_mode


def write_saved_model(
    endpoints: Iterable[Endpoint],
    folder: Path,
    kind: export_mode.Kind = "saved_model",
    resources: Iterable[Any] = (),
    unroll: bool = False,
) -> None:
    """Write endpoints as signatures of a SavedModel.

    Args:
        endpoints: what can be called. Keras makes the first one `serving_default` too, if none has that name.
        folder: where `saved_model.pb` and `variables/` go; made if it is not there.
        kind: what the graph is for: itself, or a conversion to "tflite".
        resources: parts with tables that the endpoints look things up in.
        unroll: write every step of recurrent layers out instead of a loop. Defaults to False.

    Raises:
        RunFailedError: when TensorFlow cannot trace or write an endpoint.
    """
    archive = ExportArchive()
    try:
        for resource in resources:
            archive.track(resource)
        for endpoint in endpoints:
            # No track(model): it would store every weight twice. What an endpoint uses is found anyway.
            archive.add_endpoint(endpoint.name, endpoint.function, input_signature=signature(endpoint))
        # It traces here. Of tables it says that TensorFlow 1 has no way to write them, which nobody needs.
        with export_mode.exporting(kind, unroll), environment.quiet_logger("tensorflow"):
            archive.write_out(str(folder), verbose=False)
        graph.trust_own(folder)
    except (TypeError, ValueError, AssertionError, NotImplementedError, tf.errors.OpError) as error:
        reason = str(error).strip().split("\n")[0]
        raise RunFailedError(f"TensorFlow cannot trace it: {reason[:500]}") from error
