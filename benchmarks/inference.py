"""How fast every artefact of a LeNet-5 or MLP bundle answers, beside the same network in PyTorch.

    pip install -e ".[bench]"
    python benchmarks/inference.py exported/lenet5/1 [--rounds 5] [--seconds 0.2]

Each arm is a process of its own that takes raw images, uint8 in a NumPy array, and returns probabilities.
Before anything is timed, the PyTorch network gets the weights of the bundle and has to give its answers to
real images to 1e-4. The arms take turns, in a new order each round. A ratio above 1 says how many times
faster than the fastest PyTorch arm an arm is: the median over the rounds, and the lowest to the highest.

Leave the machine alone meanwhile: other work slows PyTorch's two threads, which wait for each other, far more
than it slows one thread. The quietest rounds count, and the share of the machine that others used is printed.
"""

import argparse
import functools
import importlib.metadata
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import machine
import numpy as np
import quiet

from kerasdl import environment
from kerasdl.commands.benchmark import counts
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export.worker import time_calls

TOLERANCE = 1e-4  # between probabilities of the bundle's SavedModel and of its PyTorch twin
TARGET = 8.0  # times torch.compile: LeNet-5's best artefact, one image

Answer = Callable[[np.ndarray], np.ndarray]
_arm: dict[str, Answer] = {}  # of this process


def open_artefact(path: str, num_threads: int) -> Answer:
    """Open one artefact as `kerasdl.load` does."""
    import tensorflow as tf

    from kerasdl.export.runtime import open_artifact

    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    predictor = open_artifact(path, num_threads=num_threads)
    return lambda images: predictor.predict(images)["probabilities"]


def open_torch(mode: str, num_threads: int, twin: Mapping[str, Any]) -> Answer:
    """Make the PyTorch twin: "eager", "channels-last" or "compile"; see `read_bundle` for `twin`."""
    import torch
    import torch_networks

    class Served(torch.nn.Module):
        """What the bundle's graph holds besides the network: pixels in, probabilities out."""

        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images):
            x = images.permute(0, 3, 1, 2).float() * twin["scale"]  # (B, C, H, W), strides of channels-last
            if mode == "eager":
                x = x.contiguous()
            if twin["size"] and tuple(x.shape[2:]) != tuple(twin["size"]):
                x = torch.nn.functional.interpolate(x, tuple(twin["size"]), mode="bilinear", antialias=True)
            return torch.softmax(self.network(x) / twin["temperature"], -1)

    torch.set_num_threads(num_threads)
    network = getattr(torch_networks, twin["network"])(**twin["arguments"])
    served = Served(torch_networks.copy_keras_weights(network, twin["weights"])).eval()
    if mode == "channels-last":
        served = served.to(memory_format=torch.channels_last)
    if mode == "compile":
        served = torch.compile(served, dynamic=False)  # one graph a batch size, which is the faster way

    def answer(images):
        with torch.inference_mode():
            return served(torch.from_numpy(images)).numpy()

    return answer


def read_bundle(path: Path) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Return what a PyTorch twin is made of, real images (N, H, W, C) uint8, and the answers to them.

    Runs in a process of its own: this one starts no TensorFlow.
    """
    from kerasdl import shipping
    from kerasdl.export import recheck, runtime
    from kerasdl.export.card import read_card

    card = read_card(path)
    model = card["recipe"]["fields"]["model"]
    network = model["type"].rpartition(".")[2]
    if network not in ("LeNet5", "MLP"):
        raise UsageError(f"There is no PyTorch twin of {network}, only of LeNet5 and MLP.")
    _, splits = shipping.recorded_data(path, card)
    if splits is None:
        images = recheck.sample_inputs(card, "serving_default")["images"]
    else:
        images = next(iter(shipping.test_batches(splits)()))[0][:256]
    predictor = runtime.SavedModelPredictor(path)
    variables = predictor._signatures["serving_default"].variables  # in the order of the layers' calls
    names = ("activation", "pooling", "hidden_units", "dropout", "num_classes")
    preprocessing = card["recipe"]["fields"]["preprocessing"]["fields"]
    arguments = {name: value for name, value in model["fields"].items() if name in names}
    if network == "MLP":
        height, width, channels = images.shape[1:]
        arguments["image_shape"] = (channels, *(preprocessing.get("size") or (height, width)))
    twin = {
        "network": network,
        "arguments": arguments,
        "weights": [variable.numpy() for variable in variables],
        "scale": preprocessing["scale"],
        "size": preprocessing["size"],
        "temperature": card.get("calibration", {}).get("temperature", 1.0),
    }
    return twin, images, predictor.predict(images)["probabilities"]


def start(open_arm: Callable[..., Answer], arguments: Sequence[Any]) -> None:
    """Open the arm of this process."""
    if open_arm is open_artefact:
        environment.import_tensorflow()
    _arm["answer"] = open_arm(*arguments)


def difference(images: np.ndarray, expected: np.ndarray, batch_size: int) -> float:
    """Return how far this process's answers lie from those of the SavedModel, called as it will be timed."""
    starts = range(0, len(images) - batch_size + 1, batch_size)
    answers = [np.array(_arm["answer"](images[i : i + batch_size])) for i in starts]
    found = np.concatenate(answers)
    return float(np.abs(found - expected[: len(found)]).max())


def median_ms(images: np.ndarray, seconds: float) -> tuple[float, float]:
    """Return the median milliseconds of a call of this process's arm, warm, and the seconds of CPU used."""
    cpu = time.process_time()
    durations = time_calls(lambda: _arm["answer"](images), seconds)
    return 1000 * statistics.median(durations), time.process_time() - cpu


class Arm:
    """One way to answer, in a process that waits for its turn."""

    def __init__(self, name: str, open_arm: Callable[..., Answer], *arguments: Any):
        self.name = name
        self.is_torch = open_arm is open_torch
        self.difference = math.nan  # from the SavedModel's probabilities, once checked
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), start, (open_arm, arguments))

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._pool.submit(function, *arguments).result()

    def close(self) -> None:
        self._pool.shutdown()


def make_arms(path: Path, twin: Mapping[str, Any], num_threads: int) -> list[Arm]:
    files = sorted(file.name for file in path.iterdir() if file.suffix in (".tflite", ".onnx"))
    paths = {"saved_model": path, **{file: path / file for file in files}}
    modes = ("eager", "channels-last", "compile") if twin["network"] == "LeNet5" else ("eager", "compile")
    return [Arm(name, open_artefact, str(place), num_threads) for name, place in paths.items()] + [
        Arm(f"PyTorch {mode}", open_torch, mode, num_threads, twin) for mode in modes
    ]


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


def show(arms: Sequence[Arm], found: Sequence[Mapping[str, float]], title: str, target: float | None) -> None:
    """Print a line for each arm, from the milliseconds by name of each round."""
    middle = {arm.name: statistics.median(times[arm.name] for times in found) for arm in arms}
    reference = min((arm.name for arm in arms if arm.is_torch), key=middle.get)
    print(f"\n{title}; ratio to {reference}")
    print(f"{'arm':<28}{'median ms':>10}{'ratio':>8}  {'lowest to highest':<20}{'max difference':>14}")
    for arm in arms:
        ratio, low, high = ratios(found, reference, arm.name)
        spread = f"{low:.2f} to {high:.2f}"
        print(f"{arm.name:<28}{middle[arm.name]:>10.4f}{ratio:>8.2f}  {spread:<20}{arm.difference:>14.1e}")
    best = min((arm.name for arm in arms if not arm.is_torch), key=middle.get)
    ratio, low, high = ratios(found, "PyTorch compile", best)
    aim = f"; to reach: {target:.0f}" if target else ""
    print(f"Best artefact: {best}, {ratio:.1f} times torch.compile ({low:.1f} to {high:.1f}){aim}")


def ratios(found: Sequence[Mapping[str, float]], reference: str, name: str) -> tuple[float, float, float]:
    """Return how many times faster than the reference an arm is: median, lowest and highest of the rounds."""
    each = [times[reference] / times[name] for times in found]
    return statistics.median(each), min(each), max(each)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path, help="a bundle of LeNet-5 or MLP")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each arm in each round (default: 0.2)")
    parser.add_argument("--threads", type=counts, default=(1, 2))
    parser.add_argument("--batch-sizes", type=counts, default=(1, 32))
    values = parser.parse_args()
    if not (values.bundle / "card.json").is_file():
        parser.error(
            f"{values.bundle} is no bundle (it has no card.json); give a folder like exported/lenet5/1"
        )
    environment.import_tensorflow()
    for name, text in machine.describe().items():
        print(f"{name}: {text}")
    print(
        ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ai-edge-litert", "onnxruntime"))
    )
    with ProcessPoolExecutor(1, get_context("spawn"), environment.import_tensorflow) as pool:
        twin, images, expected = pool.submit(read_bundle, values.bundle).result()
    images = np.ascontiguousarray(images)
    if len(images) < max(values.batch_sizes):  # the few examples of a card
        images, expected = (
            np.resize(array, (max(values.batch_sizes), *array.shape[1:])) for array in (images, expected)
        )
    for num_threads in values.threads:
        arms = make_arms(values.bundle, twin, num_threads)
        try:
            check(arms, images, expected, values.batch_sizes)
            for size in values.batch_sizes:
                arguments = arms, images[:size], values.seconds
                found, about = quiet.rounds(values.rounds, functools.partial(one_round, *arguments))
                target = TARGET if twin["network"] == "LeNet5" and size == 1 else None
                show(arms, found, f"{values.bundle}, batch {size}, threads {num_threads}, {about}", target)
        finally:
            for arm in arms:
                arm.close()


if __name__ == "__main__":
    main()
