"""How fast masked recurrent layers are in ONNX: its own operator, as kerasdl writes it, and tf2onnx's loop.

    python benchmarks/recurrent_onnx.py [--units 64] [--steps 200] [--rounds 7]

Both files hold the same weights and read the same texts of different lengths, the last of them empty, on one
thread, by turns; they have to give the same states, and the median of the rounds counts.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

_KINDS, _BATCHES, _SIZE = ("lstm", "gru"), (1, 32), 64


def written(kind: str, units: int, folder: Path) -> dict[str, Path]:
    """Write both files of a layer; return their paths by name."""
    import keras
    import tensorflow as tf

    from kerasdl import Endpoint, Recurrent
    from kerasdl.export.onnx import write_onnx
    from kerasdl.export.spec import ExportSpec

    own = Recurrent(cell=kind, units=units)
    kerass = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[kind](units)
    for layer in (own, kerass):
        layer.build((None, None, _SIZE))
    kerass.set_weights(own.get_weights())
    calls = {
        "operator": (own, lambda x, mask: {"state": own(x, mask=mask)[1][0]}),
        "loop": (kerass, lambda x, mask: {"state": kerass(x, mask=mask)}),
    }
    inputs = {"x": tf.TensorSpec((None, None, _SIZE)), "mask": tf.TensorSpec((None, None), tf.bool)}
    paths = {}
    for name, (layer, call) in calls.items():
        endpoint = Endpoint("serving_default", call, inputs)
        paths[name] = folder / f"{kind}.{name}.onnx"
        write_onnx(ExportSpec(name, layer, (endpoint,), (), {}), endpoint, paths[name])
    return paths


def milliseconds(paths: dict[str, Path], given: dict[str, np.ndarray], rounds: int) -> dict[str, float]:
    """Return the median time of a call of each file, warm."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for name, path in paths.items()
    }
    found = {name: session.run(["state"], given)[0] for name, session in sessions.items()}
    np.testing.assert_allclose(found["operator"], found["loop"], atol=1e-5)
    times: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(rounds):
        for name, session in sessions.items():
            began = time.process_time()
            session.run(["state"], given)
            times[name].append(1000 * (time.process_time() - began))
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Measure all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    from kerasdl import environment

    environment.import_tensorflow()
    rng = np.random.default_rng(0)
    print("CPU-ms a call     operator      loop     ratio")
    for kind in _KINDS:
        with tempfile.TemporaryDirectory() as folder:
            paths = written(kind, asked.units, Path(folder))
            for count in _BATCHES:
                lengths = rng.integers(asked.steps // 2, asked.steps + 1, count)
                lengths[1:][-1:] = 0
                x = rng.normal(size=(count, asked.steps, _SIZE)).astype(np.float32)
                mask = np.arange(asked.steps) < lengths[:, None]
                took = milliseconds(paths, {"x": x, "mask": mask}, asked.rounds)
                ratio = took["loop"] / took["operator"]
                print(f"{kind:5} batch {count:3} {took['operator']:9.2f} {took['loop']:9.2f} {ratio:9.2f}")


if __name__ == "__main__":
    main()
