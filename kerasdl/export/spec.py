"""What is exported: endpoints over one float32 network, and the samples they are checked with."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasdl.export.modes import INTEGER
from kerasdl.inference.endpoint import Endpoint


@dataclasses.dataclass(frozen=True, eq=False)
class ExportSpec:
    """Everything a format needs to be written.

    Attributes:
        name: file stem of the artefacts: "lenet5".
        model: the built float32 network whose variables the endpoints use.
        endpoints: what can be called. All are verified, the first of each file on the whole test split.
        labels: class names in the order of the outputs; empty where there are none.
        representative: real training examples for the ranges of integer files, for every endpoint that TFLite
            files have: endpoint name -> input name -> (N, ...).
        assets: content of the text files that belong to the network (`labels.txt`, a vocabulary), by name.
        resources: parts of the network with tables that are not weights.
        expendable: kinds of files that are left out where they come by default and are too far from the
            network; others stop the export.
    """

    name: str
    model: keras.Model
    endpoints: tuple[Endpoint, ...]
    labels: tuple[str, ...]
    representative: Mapping[str, Mapping[str, np.ndarray]]
    assets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    resources: tuple[Any, ...] = ()
    expendable: tuple[str, ...] = INTEGER
