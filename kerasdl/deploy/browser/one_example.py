"""A TFLite file that takes one example, made of one that takes any number: LiteRT.js opens no other."""

from pathlib import Path

import numpy as np

from kerasdl.errors import RunFailedError

_CLOSE = 1e-4  # of float32, whose kernels differ between fixed and open shapes


def of_one_example(file: Path) -> bytes:
    """Return a TFLite file for batches of one.

    Shapes are those that LiteRT works out for one example. The weights and operators stay, and both files are
    asked, so that nothing depends on it that nobody thought of.

    Args:
        file: TFLite file with an open batch.

    Raises:
        RunFailedError: when LiteRT does not answer the same.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    expected, shapes = _asked(file.read_bytes())
    model = schema.ModelT.InitFromPackedBuf(bytearray(file.read_bytes()), 0)
    for number, graph in enumerate(model.subgraphs):
        for index, tensor in enumerate(graph.tensors):
            signature = [] if tensor.shapeSignature is None else list(tensor.shapeSignature)
            known = shapes.get(index, []) if number == 0 else []  # those of loops come while they run
            if -1 in signature and len(known) == len(signature):
                tensor.shape = known
            tensor.shapeSignature = None
    builder = flatbuffers.Builder(file.stat().st_size)
    builder.Finish(model.Pack(builder), b"TFL3")
    made = bytes(builder.Output())
    try:
        found, _ = _asked(made)
    except (RuntimeError, ValueError) as error:
        raise RunFailedError(f"{file} cannot take one example alone: {error}") from error
    pairs = zip(expected, found, strict=True)
    if not all(np.allclose(one, other, _CLOSE, _CLOSE, equal_nan=True) for one, other in pairs):
        raise RunFailedError(f"{file} answers otherwise when it takes one example alone.")
    return made


def _asked(content: bytes) -> tuple[list[np.ndarray], dict[int, list[int]]]:
    """Return what a file answers to one made-up example, and the shapes of the tensors of its first graph."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    for given in interpreter.get_input_details():
        interpreter.resize_tensor_input(given["index"], [1, *given["shape"][1:]])
    interpreter.allocate_tensors()
    draw = np.random.default_rng(0)
    for given in interpreter.get_input_details():
        values = draw.integers(0, 2, given["shape"])  # numbers that are pixels, and words of every vocabulary
        interpreter.set_tensor(given["index"], values.astype(given["dtype"]))
    interpreter.invoke()
    answers = [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
    shapes = {one["index"]: list(map(int, one["shape"])) for one in interpreter.get_tensor_details()}
    return answers, shapes
