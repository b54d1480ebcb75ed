"""What is exported: endpoints over one float32 network, and the samples they are checked with."""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from kerasdl.inference.endpoint import Endpoint


@dataclasses.dataclass(frozen=True, eq=False)
class ExportSpec:
    """Everything a format needs to be written.

    Attributes:
        name: file stem of the artefacts: "lenet5".
        model: the built float32 network whose variables the endpoints use.
        endpoints: what can be called. All are verified, the first of each file on the whole test split.
        labels: class names in the order of the outputs; empty where there are none.
        calibration: real training samples for int8 ranges, for every endpoint that TFLite files have:
            endpoint name -> input name -> (N, ...).
    """

    name: str
    model: keras.Model
    endpoints: tuple[Endpoint, ...]
    labels: tuple[str, ...]
    calibration: Mapping[str, Mapping[str, np.ndarray]]
