"""How fast the files of a recurrent language model answer, beside the same network in PyTorch, at batch 1.

    python benchmarks/recurrent_inference.py [--cells lstm,gru] [--units 256] [--num-layers 2] [--rounds 7]

For each cell a `CharLM` that has hardly been trained is exported. "pass" is one call over 200 characters,
"step" one character of a stream: 200 calls in a row, each with the states that the one before returned. Every
arm is a process of its own, which uses its runtime as the README of a bundle does, and is compared with
Keras's logits before it is timed. PyTorch steps by `nn.LSTM` over one character, and by a cell for each
layer, which `torch.compile` fuses better. The arms take turns, in a new order each round; ratios are those
within a round.
"""

import argparse
import functools
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inference
import inference_table
import machine
import numpy as np
import quiet
from inference import Answer, Arm, alone

from kerasdl.cli.commands.benchmark import counts

_LENGTH = 200
_ENDPOINTS = {"pass": "serving_default", "step": "step"}
_FILES = {
    "saved_model": ".",
    "float32.tflite": "char_lm.float32.tflite",
    "dynamic.tflite": "char_lm.dynamic.tflite",
    "onnx": "char_lm.{endpoint}.onnx",
}
_TORCH = {"pass": ("eager", "compile"), "step": ("eager", "compile", "eager cells", "compile cells")}

Call = Callable[..., dict[str, Any]]


def make(folder: Path, *, cell: str, units: int, num_layers: int) -> None:
    """Train a network by one batch, and export it."""
    command = [sys.executable, "-P", "-m", "kerasdl"]
    flags = ["--cell", cell, "--units", str(units), "--num-layers", str(num_layers), "--epochs", "1"]
    more = [
        "--limit-train-batches",
        "1",
        "--sample-length",
        "0",
        "--no-export",
        "--runs-dir",
        folder / "runs",
    ]
    files = ["--tflite-modes", "float32,dynamic", "--exported-dir", folder / "exported"]
    for arguments in (["train", "char_lm", *flags, *more], ["export", folder / "runs/char_lm/1", *files]):
        subprocess.run([*command, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def read(run: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return the weights of a network, ids (1, 200), int32, and the logits that it gives to them."""
    from kerasdl.runs.folder import open_run

    network = open_run(run).network()
    ids = np.random.default_rng(0).integers(0, network.vocabulary_size, (1, _LENGTH)).astype(np.int32)
    return network.get_weights(), ids, np.array(network.infer(ids))


def open_file(path: str, kind: str, num_threads: int) -> Answer:
    """Open an exported file in its own runtime."""
    endpoint = _ENDPOINTS[kind]
    if path.endswith(".tflite"):
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(path, num_threads=num_threads)
        call = interpreter.get_signature_runner(endpoint)
        shapes = {name: found["shape"] for name, found in call.get_input_details().items()}
    elif path.endswith(".onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = num_threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        call = lambda **inputs: dict(zip(names, session.run(names, inputs), strict=True))  # noqa: E731
        shapes = {given.name: given.shape for given in session.get_inputs()}
    else:
        from kerasdl import environment

        environment.import_tensorflow()
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(num_threads)
        tf.config.threading.set_inter_op_parallelism_threads(num_threads)
        model = tf.saved_model.load(path)
        signature = model.signatures[endpoint]
        call = lambda ids, _model=model, **inputs: signature(ids=tf.constant(ids), **inputs)  # noqa: E731
        shapes = {name: spec.shape for name, spec in signature.structured_input_signature[1].items()}
    if kind == "pass":
        return lambda ids: np.asarray(call(ids=ids)["logits"])
    zeros = {name: np.zeros((1, shape[-1]), np.float32) for name, shape in shapes.items() if name != "ids"}
    return functools.partial(stream, call, zeros)


def stream(call: Call, zeros: dict[str, np.ndarray], ids: np.ndarray) -> np.ndarray:
    """Return the logits of a text that is read step by step, states handed on as they were returned."""
    states, found = zeros, []
    for number in range(ids.shape[1]):
        outputs = call(ids=ids[:, number], **states)
        states = {name: outputs[f"next_{name}"] for name in states}
        found.append(outputs["logits"])
    return np.stack([np.asarray(logits) for logits in found], axis=1)


def open_torch(mode: str, kind: str, num_threads: int, weights: list[np.ndarray]) -> Answer:
    """Make the PyTorch twin; `mode` is "eager" or "compile", with " cells" stepping by cells."""
    import torch

    torch.set_num_threads(num_threads)
    embedding, *layers, kernel, bias = (torch.tensor(weight) for weight in weights)
    layers = [layers[start : start + 3] for start in range(0, len(layers), 3)]
    units, name = layers[0][1].shape[0], "LSTM" if layers[0][2].ndim == 1 else "GRU"

    def ordered(weight: torch.Tensor) -> torch.Tensor:
        """Return a weight (..., gates * units) as (gates * units, ...), gates in PyTorch's order."""
        if name == "GRU":
            z, r, h = weight.split(units, -1)
            weight = torch.cat([r, z, h], -1)
        return weight.t().contiguous() if weight.ndim == 2 else weight

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = torch.nn.Embedding(*embedding.shape), torch.nn.Linear(*kernel.shape)
            self.embedding.weight.data, self.head.weight.data, self.head.bias.data = (
                embedding,
                kernel.t(),
                bias,
            )
            sizes = [layer[0].shape[0] for layer in layers]
            self.whole = getattr(torch.nn, name)(sizes[0], units, len(layers), batch_first=True)
            self.cells = torch.nn.ModuleList(getattr(torch.nn, f"{name}Cell")(size, units) for size in sizes)
            for number, (inputs, state, biases) in enumerate(layers):
                pair = (biases, torch.zeros_like(biases)) if name == "LSTM" else biases
                values = (ordered(inputs), ordered(state), *(ordered(part) for part in pair))
                for part, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), values, strict=True):
                    getattr(self.whole, f"{part}_l{number}").data = value
                    getattr(self.cells[number], part).data = value

        def forward(self, ids, states):
            x, states = self.whole(self.embedding(ids), states)
            return self.head(x), states

        def step(self, ids, states):
            x, after = self.embedding(ids), []
            for cell, state in zip(self.cells, states, strict=True):
                after.append(cell(x, state))
                x = after[-1][0] if name == "LSTM" else after[-1]
            return self.head(x), after

    network = Network().eval()
    zeros = torch.zeros(len(layers), 1, units)
    begun = (zeros, zeros) if name == "LSTM" else zeros
    function = network.step if "cells" in mode else network.forward
    if "cells" in mode:
        begun = [(zeros[0], zeros[0]) if name == "LSTM" else zeros[0]] * len(layers)
    if "compile" in mode:
        function = torch.compile(function, dynamic=False)

    def answer(ids):
        with torch.inference_mode():
            ids = torch.from_numpy(ids).long()
            if kind == "pass":
                return function(ids, begun)[0].numpy()
            states, found = begun, []
            for number in range(ids.shape[1]):
                given = ids[:, number] if "cells" in mode else ids[:, number : number + 1]
                logits, states = function(given, states)
                found.append(logits if "cells" in mode else logits[:, 0])
            return torch.stack(found, 1).numpy()

    return answer


def measure(folder: Path, title: str, kind: str, values: argparse.Namespace) -> None:
    """Check and time all arms of a network, and print a table."""
    weights, ids, expected = alone(read, folder / "runs/char_lm/1")
    bundle = folder / "exported/char_lm/1"
    for num_threads in values.threads:
        places = {name: bundle / file.format(endpoint=_ENDPOINTS[kind]) for name, file in _FILES.items()}
        arms = [Arm(name, open_file, str(place), kind, num_threads) for name, place in places.items()]
        arms += [
            Arm(f"PyTorch {mode}", open_torch, mode, kind, num_threads, weights) for mode in _TORCH[kind]
        ]
        try:
            inference.check(arms, ids, expected, [1])
            one_round = functools.partial(inference.one_round, arms, ids, values.seconds)
            found, noise = quiet.rounds(values.rounds, one_round)
            if kind == "step":
                found = [{name: value / _LENGTH for name, value in times.items()} for times in found]
            inference_table.show(arms, found, f"{title}, {kind}, threads {num_threads}", noise, None, 1, None)
        finally:
            for arm in arms:
                arm.close()


def main() -> None:
    """Measure the networks of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", default="lstm,gru")
    parser.add_argument("--units", type=counts, default=(256,))
    parser.add_argument("--num-layers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each arm in each round (default: 0.3)")
    parser.add_argument("--threads", type=counts, default=(1, 2))
    values = parser.parse_args()
    for name, text in machine.describe().items():
        print(f"{name}: {text}")
    for cell in values.cells.split(","):
        for units in values.units:
            with tempfile.TemporaryDirectory() as folder:
                make(Path(folder), cell=cell, units=units, num_layers=values.num_layers)
                for kind in _TORCH:
                    measure(Path(folder), f"{cell} {values.num_layers}x{units}", kind, values)


if __name__ == "__main__":
    main()
