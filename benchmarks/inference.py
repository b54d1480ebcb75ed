"""How fast every artefact of a bundle answers, beside the same network in PyTorch.

    pip install -e ".[bench]"
    python benchmarks/inference.py exported/lenet5/1 [--rounds 5] [--seconds 0.2]
    python benchmarks/inference.py --network resnet20  # makes the bundle of an untrained one, and deletes it

Networks: those of `torch_networks.py`. Each arm is a process of its own that takes raw images, uint8 in a
NumPy array, and returns probabilities. Before anything is timed, the PyTorch network gets the weights of the
bundle and has to give its answers to the same images to 1e-4 of the highest probability. The arms take turns,
in a new order each round. A ratio above 1 says how many times faster than the fastest PyTorch arm an arm is:
the median over the rounds, and the lowest to the highest. With `--network` a column says what share that is
of the rate of matrix products in float32 with as many threads, measured before; integers go beyond 100 %.

Leave the machine alone meanwhile: other work slows PyTorch's two threads, which wait for each other, far more
than it slows one thread. The quietest rounds count, and the share of the machine that others used is printed.
"""

import argparse
import contextlib
import functools
import importlib.metadata
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import bundles
import inference_table
import machine
import networks
import numpy as np
import quiet

from kerasdl import environment
from kerasdl.cli.commands.benchmark import counts
from kerasdl.data import passes
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.inference.worker.script import time_calls
from kerasdl.jobs import verify

TOLERANCE = 1e-4  # between probabilities of SavedModel and PyTorch twin, as a part of the highest one
_TWINS = ("LeNet5", "MLP", "ResNet", "VGG")

Answer = Callable[[np.ndarray], np.ndarray]
_arm: dict[str, Answer] = {}  # of this process


def open_artefact(path: str, num_threads: int) -> Answer:
    """Open one artefact as `kerasdl.load` does."""
    environment.import_tensorflow()
    import tensorflow as tf

    from kerasdl.inference.runtimes import open_artifact

    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    predictor = open_artifact(path, num_threads=num_threads)
    return lambda images: predictor.predict(images)["probabilities"]


def open_function(path: str, num_threads: int) -> Answer:
    """Open the network of a run as a `tf.function`."""
    environment.import_tensorflow()
    import tensorflow as tf

    from kerasdl.jobs import open as loading

    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    predictor = loading.load(path).predictor
    return lambda images: predictor.predict(images)["probabilities"]


def open_torch(mode: str, num_threads: int, twin: Mapping[str, Any]) -> Answer:
    """Make the PyTorch twin: "eager", "channels-last", "compile" or "compile channels-last".

    For `twin` see `read_bundle`.
    """
    import torch
    import torch_networks

    class Served(torch.nn.Module):
        """What the bundle's graph holds besides the network: pixels in, probabilities out."""

        def __init__(self, network):
            super().__init__()
            self.network = network
            mean, std = (torch.tensor(twin[name]).reshape(1, -1, 1, 1) for name in ("mean", "std"))
            self.register_buffer("factor", twin["scale"] / std)
            self.register_buffer("offset", mean / std)

        def forward(self, images):
            x = images.permute(0, 3, 1, 2).float()  # (B, C, H, W), strides of channels-last
            if "channels-last" not in mode:
                x = x.contiguous()
            if twin["size"] and tuple(x.shape[2:]) != tuple(twin["size"]):
                x = torch.nn.functional.interpolate(x, tuple(twin["size"]), mode="bilinear", antialias=True)
            x = x * self.factor - self.offset
            return torch.softmax(self.network(x) / twin["temperature"], -1)

    torch.set_num_threads(num_threads)
    network = getattr(torch_networks, twin["network"])(**twin["arguments"])
    served = Served(torch_networks.copy_keras_weights(network, twin["weights"])).eval()
    if "channels-last" in mode:
        served = served.to(memory_format=torch.channels_last)
    if "compile" in mode:
        served = torch.compile(served, dynamic=False)  # one graph a batch size, which is the faster way

    def answer(images):
        with torch.inference_mode():
            return served(torch.from_numpy(images)).numpy()

    return answer


def read_bundle(path: Path) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Return what a PyTorch twin is made of, real images (N, H, W, C) uint8, and the answers to them.

    Runs in a process of its own: this one starts no TensorFlow.
    """
    from kerasdl.export import samples
    from kerasdl.export.card import read_card
    from kerasdl.inference import runtimes

    card = read_card(path)
    model = card["recipe"]["fields"]["model"]
    network = model["type"].rpartition(".")[2]
    if network not in _TWINS:
        raise UsageError(f"There is no PyTorch twin of {network}, only of {', '.join(_TWINS)}.")
    _, splits = verify.recorded_data(path, card)
    if splits is None:
        images = samples.inputs_of(card, "serving_default")["images"]
    else:
        images = next(iter(passes.test_batches(splits)()))[0][:256]
    predictor = runtimes.SavedModelPredictor(path)
    variables = predictor._signatures["serving_default"].variables  # in the order of the layers' calls
    names = ("activation", "pooling", "hidden_units", "dropout", "depth", "width", "stem", "shortcut")
    names += ("version", "batch_normalization", "head_units")
    preprocessing = card["recipe"]["fields"]["preprocessing"]["fields"]
    arguments = {name: value for name, value in model["fields"].items() if name in names}
    arguments["num_classes"] = len(card["data"]["class_names"])
    height, width, channels = images.shape[1:]
    channels = preprocessing["channels"] or channels
    if network in ("MLP", "VGG"):
        arguments["image_shape"] = (channels, *(preprocessing["size"] or (height, width)))
    else:
        arguments["channels"] = channels
    twin = {
        "network": network,
        "arguments": arguments,
        "weights": [variable.numpy() for variable in variables],
        **{name: preprocessing[name] for name in ("scale", "mean", "std")},
        "size": preprocessing["size"],
        "temperature": card.get("calibration", {}).get("temperature", 1.0),
    }
    return twin, images, predictor.predict(images)["probabilities"]


def flop(name: str) -> int:
    """Return the floating-point operations of a network's answer to one image.

    Runs in a process of its own, as `read_bundle` does.
    """
    import keras_networks

    return keras_networks.flop_per_sample(keras_networks.network(name, 0.0), training=False)


def start(open_arm: Callable[..., Answer], arguments: Sequence[Any]) -> None:
    """Open the arm of this process."""
    _arm["answer"] = open_arm(*arguments)


def difference(images: np.ndarray, expected: np.ndarray, batch_size: int) -> float:
    """Return how far this process's answers lie from those of the SavedModel, called as it will be timed.

    As a part of the highest probability: of many classes an untrained network gives each a small one.
    """
    starts = range(0, len(images) - batch_size + 1, batch_size)
    answers = [np.array(_arm["answer"](images[i : i + batch_size])) for i in starts]
    found = np.concatenate(answers)
    return float(np.abs(found - expected[: len(found)]).max() / expected.max())


def median_ms(images: np.ndarray, seconds: float) -> tuple[float, float]:
    """Return the median milliseconds of a call of this process's arm, warm, and the seconds of CPU used."""
    cpu = time.process_time()
    durations = time_calls(lambda: _arm["answer"](images), seconds)
    return 1000 * statistics.median(durations), time.process_time() - cpu


class Arm:
    """One way to answer, in a process that waits for its turn."""

    def __init__(self, name: str, open_arm: Callable[..., Answer], *arguments: Any):
        self.name = name
        self.is_torch = name.startswith("PyTorch")
        self.difference = math.nan  # from the SavedModel's probabilities, once checked
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), start, (open_arm, arguments))

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._pool.submit(function, *arguments).result()

    def close(self) -> None:
        self._pool.shutdown()


def make_arms(path: Path, run: Path | None, twin: Mapping[str, Any], num_threads: int) -> list[Arm]:
    """Return an arm for each artefact of a bundle, for its run where it is known, and for PyTorch."""
    files = sorted(file.name for file in path.iterdir() if file.suffix in (".tflite", ".onnx"))
    paths = {"saved_model": path, **{file: path / file for file in files}}
    modes = ("eager", "compile")
    if twin["network"] != "MLP":
        modes = ("eager", "channels-last", "compile", "compile channels-last")
    ours = [Arm(name, open_artefact, str(place), num_threads) for name, place in paths.items()]
    ours += [] if run is None else [Arm("tf.function", open_function, str(run), num_threads)]
    return ours + [Arm(f"PyTorch {mode}", open_torch, mode, num_threads, twin) for mode in modes]


def check(arms: Sequence[Arm], images: np.ndarray, expected: np.ndarray, sizes: Sequence[int]) -> None:
    """Compare every arm with the SavedModel at every batch size; stop if PyTorch computes something else."""
    for arm in arms:
        arm.difference = max(arm.ask(difference, images, expected, size) for size in sizes)
        if arm.is_torch and not arm.difference <= TOLERANCE:
            raise RunFailedError(
                f"{arm.name} differs from the bundle by {arm.difference:.1e}: no comparison."
            )


def one_round(arms: Sequence[Arm], images: np.ndarray, seconds: float) -> tuple[dict[str, float], float]:
    """Return the milliseconds of each arm by name, and the seconds of CPU that all took together."""
    cpu = time.process_time()
    answers = {arm.name: arm.ask(median_ms, images, seconds) for arm in random.sample(arms, len(arms))}
    found = {name: milliseconds for name, (milliseconds, _) in answers.items()}
    return found, time.process_time() - cpu + sum(used for _, used in answers.values())


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path, nargs="?", help="a bundle of LeNet5, MLP, ResNet or VGG")
    parser.add_argument("--network", choices=list(networks.SPECS), help="make the bundle of an untrained one")
    parser.add_argument("--dynamic-batch", action="store_true", help="its TFLite files take any batch size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each arm in each round (default: 0.2)")
    parser.add_argument("--threads", type=counts, default=(1, 2))
    parser.add_argument("--batch-sizes", type=counts, default=(1, 32))
    values = parser.parse_args()
    if (values.bundle is None) == (values.network is None):
        parser.error("give a bundle or --network")
    if values.network is None and not (values.bundle / "card.json").is_file():
        parser.error(
            f"{values.bundle} is no bundle (it has no card.json); give a folder like exported/lenet5/1"
        )
    return values


def _fewest_ms(network: str, num_threads: int) -> float:
    """Return the milliseconds of an answer to one image at the rate of matrix products in float32."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    rates = machine.matrix_rates({**os.environ, **dict.fromkeys(names, str(num_threads))})
    print(f"\nMatrix products in float32, {num_threads} threads: {max(rates):,.0f} GFLOP/s")
    return alone(flop, network) / max(rates) / 1e6


def alone(function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Return what a function does in a process of its own that has TensorFlow."""
    with ProcessPoolExecutor(1, get_context("spawn"), environment.import_tensorflow) as pool:
        return pool.submit(function, *arguments, **more).result()


def main() -> None:
    values = parse()
    environment.import_tensorflow()
    for name, text in machine.describe().items():
        print(f"{name}: {text}")
    print(
        ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ai-edge-litert", "onnxruntime"))
    )
    with contextlib.ExitStack() as stack:
        run, path = None, values.bundle
        if values.network is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            run, path = alone(bundles.make, values.network, folder, dynamic_batch=values.dynamic_batch)
        measure(path, run, values)


def measure(path: Path, run: Path | None, values: argparse.Namespace) -> None:
    """Check and time all arms of a bundle, for every number of threads and batch size."""
    twin, images, expected = alone(read_bundle, path)
    name = values.network or ("lenet5" if twin["network"] == "LeNet5" else None)
    named, spec = values.network or str(path), networks.SPECS.get(name)
    images = np.ascontiguousarray(images)
    if len(images) < max(values.batch_sizes):  # the few examples of a card
        images, expected = (
            np.resize(array, (max(values.batch_sizes), *array.shape[1:])) for array in (images, expected)
        )
    for num_threads in values.threads:
        one_image = None if values.network is None else _fewest_ms(values.network, num_threads)
        arms = make_arms(path, run, twin, num_threads)
        try:
            check(arms, images, expected, values.batch_sizes)
            for size in values.batch_sizes:
                arguments = arms, images[:size], values.seconds
                found, noise = quiet.rounds(values.rounds, functools.partial(one_round, *arguments))
                fewest_ms = None if one_image is None else size * one_image
                title = f"{named}, batch {size}, threads {num_threads}"
                inference_table.show(arms, found, title, noise, spec, size, fewest_ms)
        finally:
            for arm in arms:
                arm.close()


if __name__ == "__main__":
    main()
