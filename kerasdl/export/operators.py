"""Finds operators of a network that exported files cannot have, before it is trained."""

import re
from collections.abc import Iterable, Sequence

import tensorflow as tf

from kerasdl.inference.endpoint import Endpoint, signature

#: Operators that call back into Python, which runs in no exported file.
PYTHON = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})

_WORD = re.compile(r"[A-Z][A-Za-z0-9]+")
_COMMON = ("Const", "Identity", "Placeholder", "StatefulPartitionedCall")

#: Loops, as over the steps of a sequence.
LOOPS = frozenset({"While", "StatelessWhile"})

#: Without a form in TFLite's builtin operators, tried by converting each alone (TensorFlow 2.21), nor
#: in ONNX: not among the operators of tf2onnx 1.17. What is not listed may still fail to be converted.
_IN_NEITHER = frozenset({
    "Angle", "BesselI0e", "BesselI1e", "Betainc", "Cholesky", "Cross", "CumulativeLogsumexp",
    "Digamma", "Dilation2D", "Erfinv", "FFT2D", "FFT3D", "FractionalMaxPool", "HSVToRGB",
    "HistogramFixedWidth", "IFFT", "IFFT2D", "IRFFT", "IRFFT2D", "Igamma", "Igammac",
    "ImageProjectiveTransformV3", "InTopKV2", "LogMatrixDeterminant", "LowerBound", "Lu",
    "MatrixSolve", "MatrixSquareRoot", "MatrixTriangularSolve", "Ndtri", "NextAfter", "Polygamma",
    "Qr", "RGBToHSV", "RandomGamma", "RandomPoissonV2", "ScaleAndTranslate", "SelfAdjointEigV2",
    "StatelessRandomNormalV2", "StatelessRandomUniformV2", "Svd", "TruncatedNormal", "Zeta",
})  # fmt: skip
_NOT_IN_TFLITE = _IN_NEITHER | frozenset({
    "Acos", "Acosh", "AdjustContrastv2", "AdjustHue", "AdjustSaturation", "Asin", "Asinh", "Atan",
    "Atanh", "AvgPool3D", "Cosh", "CropAndResize", "Cumprod", "DenseBincount",
    "ExtractImagePatches", "LeftShift", "MatrixDeterminant", "MatrixInverse", "MaxPool3D",
    "MaxPoolWithArgmax", "RandomShuffle", "ResizeArea", "ResizeBicubic", "Sinh", "Tan",
    "TensorScatterMax", "UniqueWithCounts",
})  # fmt: skip
_NOT_IN_ONNX = _IN_NEITHER | frozenset({
    "ApproxTopK", "Bucketize", "Erfc", "Expm1", "L2Loss", "Lgamma", "Log1p", "MulNoNan", "Xdivy",
    "Xlog1py", "Xlogy",
})  # fmt: skip


def operators_of(endpoints: Iterable[Endpoint]) -> set[str]:
    """Return the operators that endpoints run, those of functions and loops included."""
    found: set[str] = set()
    for endpoint in endpoints:
        traced = tf.function(endpoint.function, input_signature=signature(endpoint), autograph=False)
        graph = traced.get_concrete_function().graph.as_graph_def()
        for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
            found |= {node.op for node in nodes}
    return found


def located(reason: str, endpoints: Iterable[Endpoint]) -> str:
    """Add to the reason of a failed conversion which layers hold the operators that it names.

    Args:
        reason: what a converter said.
        endpoints: what was converted.
    """
    words, places = set(_WORD.findall(reason)), {}
    for endpoint in endpoints:
        traced = tf.function(endpoint.function, input_signature=signature(endpoint), autograph=False)
        for node in traced.get_concrete_function().graph.as_graph_def().node:
            if node.op in words and not node.op.startswith(_COMMON):
                places.setdefault(node.op, node.name.rpartition("/")[0])
    held = [f"{name} is in {place}" for name, place in places.items() if place]
    return f"{reason} ({'; '.join(held)})" if held else reason


def missing_forms(used: set[str], formats: Sequence[str]) -> dict[str, list[str]]:
    """Return the operators that formats do not have, by the name of the format.

    Args:
        used: operators of the network.
        formats: formats that are going to be written, some of "saved_model", "tflite", "onnx".
    """
    missing = {
        "TFLite": sorted(used & _NOT_IN_TFLITE) if "tflite" in formats else [],
        "ONNX": sorted(used & _NOT_IN_ONNX) if "onnx" in formats else [],
    }
    return {name: names for name, names in missing.items() if names}
