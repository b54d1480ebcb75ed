"""How fast networks train: plain Keras, kerasdl and PyTorch on the same machine, in one interleaved run.

    python benchmarks/training.py lenet5 mlp [--rounds 5] [--epochs 8] [--arms kerasdl,torch] [--json FILE]
    python benchmarks/training.py resnet20 --precision bfloat16

All arms train the same network (same shapes, distribution of initial weights, dropout) on the same
images with the same batch size, optimizer and constant learning rate, without augmentation; uint8 images
become floats 0..1 inside the timed part. Each arm of each round is a process of its own, in an order that is
drawn anew each round; whole epochs from the second on count, slow ones too. kerasdl's arm is
`kerasdl.jobs.train.train` with all that it records; only the forward passes of validation are left out.
Settings that have to be tried (PyTorch's optimizer kernels, ...) are tried first, and the fastest are taken.
Of the large networks (resnet20, vgg16, resnet50) one kernel of the optimizer serves, and an epoch is some
batches of random images. In bfloat16 weights and loss stay float32, as in every framework's mixed precision.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

_FOLDER = Path(__file__).resolve().parent
_ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}  # as it was before kerasdl set its defaults
_ENVIRONMENT.pop("TF_ENABLE_ONEDNN_OPTS", None)

from kerasdl import environment  # noqa: E402

environment.import_tensorflow()

import keras_networks  # noqa: E402
import machine  # noqa: E402
import networks  # noqa: E402
import training_table  # noqa: E402
from training_arms import Settings  # noqa: E402

from kerasdl.errors import UsageError  # noqa: E402

_KERNELS = ({"fused": True}, {"foreach": True}, {})
_TRIAL_EPOCHS, _TRIAL_EXAMPLES = 3, 16_384
_LARGE_TRIAL_EPOCHS = 1
_HELD_OUT, _LARGE_HELD_OUT = 256, 16  # images of the validation and the test split
_LARGE_BATCHES = 16  # of an epoch, unless --examples says otherwise


@dataclasses.dataclass(frozen=True)
class Arm:
    """One line of the table: what runs (`training_arms.ARMS`), how, and the variants that are tried."""

    title: str
    kind: str
    onednn: bool = False  # set TF_ENABLE_ONEDNN_OPTS=1; without it nothing is set
    variants: tuple[dict[str, Any], ...] = ({},)
    large: tuple[dict[str, Any], ...] = ({},)  # variants of large networks; none: they have no such arm
    not_of: tuple[str, ...] = ()  # networks without this arm


ARMS = {
    "keras": Arm("Keras fit, as it comes", "keras"),
    "keras-onednn": Arm("Keras fit, oneDNN on", "keras", onednn=True),
    "keras-best": Arm(
        "Keras fit, best settings", "keras", onednn=True, large=(),
        variants=tuple(
            {"steps_per_execution": 16, "jit_compile": False, "cache": False, "autotune": False, **change}
            for change in ({"steps_per_execution": 1}, {}, {"steps_per_execution": 128}, {"cache": True},
                           {"jit_compile": True})
        ),
    ),
    "kerasdl": Arm("kerasdl", "kerasdl"),
    "torch": Arm("PyTorch, eager", "torch", variants=_KERNELS, large=_KERNELS[:1]),
    "torch-channels-last": Arm(
        "PyTorch, channels-last", "torch", not_of=("mlp",),
        variants=tuple({"channels_last": True, **kernel} for kernel in _KERNELS),
        large=({"channels_last": True, "fused": True},),
    ),
    "torch-compile": Arm(
        "PyTorch, torch.compile", "torch",
        variants=(
            *({"compile": "network", **kernel} for kernel in _KERNELS), {"compile": "loss", "fused": True},
            *({"compile": what, "channels_last": True, "fused": True} for what in ("network", "loss")),
        ),
        large=tuple({"compile": "network", "channels_last": last, "fused": True} for last in (True, False)),
    ),
}  # fmt: skip


def run_arm(arm: Arm, settings: Settings) -> dict[str, Any]:
    """Run one arm in a process of its own.

    Returns:
        `seconds` of its epochs, `loss` of the last one, `others`: what `machine.run` says of others.

    Raises: RuntimeError when it fails; the message ends with the last line it wrote.
    """
    text = json.dumps(dataclasses.asdict(settings))
    variables = {**_ENVIRONMENT, **({"TF_ENABLE_ONEDNN_OPTS": "1"} if arm.onednn else {})}
    done, others = machine.run([sys.executable, _FOLDER / "training_arms.py", arm.kind, text], variables)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"{arm.title} ended with exit code {done.returncode}: {lines[-1]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "others": others}


def choose_variant(arm: Arm, settings: Settings) -> dict[str, Any]:
    """Try the variants of an arm, in short and in turn, and return that with the fastest single epoch.

    The fastest, not the mean: whatever else runs makes epochs longer, never shorter, and must not choose.

    Raises:
        RuntimeError: when all of them fail.
    """
    if len(arm.variants) == 1:
        return arm.variants[0]
    examples = min(_TRIAL_EXAMPLES, settings.examples)
    epochs = _LARGE_TRIAL_EPOCHS if networks.SPECS[settings.network].is_large else _TRIAL_EPOCHS
    short = dataclasses.replace(settings, epochs=epochs, examples=examples)
    speeds, problem = {}, None
    for number in range(len(arm.variants)):
        try:
            result = run_arm(arm, dataclasses.replace(short, variant=arm.variants[number]))
        except RuntimeError as error:
            problem = error
            continue
        speeds[number] = max(speeds.get(number, 0.0), examples / min(result["seconds"]))
    if not speeds:
        raise problem
    best = arm.variants[max(speeds, key=speeds.get)]
    shown = "; ".join(f"{_words(arm.variants[number])}: {value:,.0f}" for number, value in speeds.items())
    print(f"  {arm.title}: {_words(best)} (tried, samples/s: {shown})", flush=True)
    return best


def _words(variant: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in variant.items() if value) or "defaults"


def measure(arms: dict[str, Arm], settings: Settings, rounds: int) -> dict[str, Any]:
    """Run all arms `rounds` times, in a new order each time."""
    variants = {}
    for name, arm in list(arms.items()):
        try:
            variants[name] = choose_variant(arm, settings)
        except RuntimeError as error:
            print(f"  left out: {error}")
            del arms[name]
    results: dict[str, list] = {name: [] for name in arms}
    rates, shuffled = [], random.Random(0)
    for number in range(rounds):
        onednn = {**_ENVIRONMENT, "TF_ENABLE_ONEDNN_OPTS": "1"}
        rates += machine.matrix_rates(onednn, settings.precision)
        for name in shuffled.sample(list(arms), len(arms)):
            now = dataclasses.replace(settings, seed=number, variant=variants[name])
            results[name].append(run_arm(arms[name], now))
        print(f"  round {number + 1} of {rounds} done", file=sys.stderr, flush=True)
    return {"variants": variants, "results": results, "matrix_gflops": max(rates)}


def load_data(network: str, folder: Path, multiple: int, most: int) -> tuple[Path, int, str]:
    """Write the data that all arms train on.

    Args:
        network: MNIST's 28x28 images are those of MNIST where it is prepared; the others are random.
        folder: where the file goes.
        multiple: divides the number of training images, so that all arms make the same updates.
        most: the highest number of them.

    Returns: the .npz file, the number of training images of an epoch, and what they are.
    """
    spec = networks.SPECS[network]
    held_out = _LARGE_HELD_OUT if spec.is_large else _HELD_OUT
    source = f"random images {spec.shape}"
    if spec.is_large:
        # A data source has to show every class, even if an epoch is shorter.
        images, labels = networks.random_images(network, max(most, spec.num_classes) + held_out, seed=0)
    else:
        from kerasdl.data.tfds.source import Tfds

        try:
            train = Tfds(name="mnist").load().train
            images, labels, source = train.features, train.targets, "MNIST"
        except UsageError:  # it is not prepared here
            images, labels = networks.random_images(network, 54_001, seed=0)
    count = min(len(images) - held_out, most) // multiple * multiple
    stored = max(count, spec.num_classes)
    few = {"x_val": images[-held_out:], "y_val": labels[-held_out:]}
    few |= {"x_test": few["x_val"], "y_test": few["y_val"]}
    np.savez(folder / "data.npz", x_train=images[:stored], y_train=labels[:stored], **few)
    return folder / "data.npz", count, source


def make_settings(network: str, values: argparse.Namespace, folder: Path) -> tuple[Settings, str]:
    """Settle what all arms of one do: the values of its spec and recipe unless a flag says otherwise."""
    spec, recipe = networks.SPECS[network], networks.recipe(network)
    batch_size = values.batch_size or spec.batch_size or recipe.batch_size
    optimizer = values.optimizer or spec.optimizer or recipe.optimizer
    own = optimizer == recipe.optimizer and spec.optimizer is None
    multiple = batch_size if spec.is_large else 16 * batch_size
    most = values.examples or (_LARGE_BATCHES * batch_size if spec.is_large else 10**9)
    if most < multiple:
        raise UsageError(f"--examples has to be at least {multiple} for {network}.")
    data, examples, source = load_data(network, folder, multiple, most)
    settings = Settings(
        network=network,
        data=str(data),
        examples=examples,
        epochs=values.epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        precision=values.precision,
        learning_rate=recipe.learning_rate if own else 0.01,
        weight_decay=recipe.weight_decay if own else 0.0,
        dropout=recipe.model.dropout,
        seed=0,
    )
    return settings, source


def choose_arms(network: str, wanted: list[str]) -> dict[str, Arm]:
    """Return the arms that a network has, and say what is left out."""
    arms = {name: ARMS[name] for name in wanted if network not in ARMS[name].not_of}
    if networks.SPECS[network].is_large:
        arms = {name: dataclasses.replace(arm, variants=arm.large) for name, arm in arms.items() if arm.large}
    if importlib.util.find_spec("torch") is None and any(arm.kind == "torch" for arm in arms.values()):
        print('PyTorch is not installed, so its arms are left out: pip install -e ".[bench]"')
        arms = {name: arm for name, arm in arms.items() if arm.kind != "torch"}
    return arms


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="+", choices=list(networks.SPECS), metavar="NETWORK",
                        help=", ".join(networks.SPECS))  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="times every arm runs (default: 5)")
    parser.add_argument("--epochs", type=int, default=8, help="counted epochs of a process (default: 8)")
    parser.add_argument("--arms", default=",".join(ARMS), help="some of %(default)s")
    help_examples = f"most images of an epoch (default: all; {_LARGE_BATCHES} batches of the large)"
    parser.add_argument("--examples", type=int, help=help_examples)
    parser.add_argument(
        "--batch-size", type=int, help="default: 128, 64 and 16 of the large, else the recipe's"
    )
    parser.add_argument("--optimizer", choices=("adamw", "sgd"), help="default: sgd of the large, else adamw")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32",
                        help="of the layers (default: float32)")  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write all raw numbers there")
    values = parser.parse_args()
    values.arms = values.arms.split(",")
    if unknown := set(values.arms) - set(ARMS):
        parser.error(f"there is no arm {', '.join(sorted(unknown))}; there are {', '.join(ARMS)}")
    if values.precision == "bfloat16" and not machine.flags() & {"avx512_bf16", "amx_bf16"}:
        parser.error("this processor has no bfloat16 (avx512_bf16, amx_bf16): emulated, it never ends")
    if min(values.rounds, values.epochs, values.batch_size or 1) < 1 or (values.batch_size or 1) > 3000:
        parser.error("--rounds and --epochs have to be at least 1, --batch-size 1 to 3000")
    return values


def main() -> None:
    values, everything = parse(), {"machine": machine.describe(), "networks": {}}
    print("\n".join(f"{name}: {text}" for name, text in everything["machine"].items()))
    for network in values.networks:
        arms, spec = choose_arms(network, values.arms), networks.SPECS[network]
        target = (*spec.training.get(values.precision, (None, None)), spec.to_keras)
        with tempfile.TemporaryDirectory() as folder:
            try:
                settings, source = make_settings(network, values, Path(folder))
            except UsageError as error:
                sys.exit(f"training.py: error: {error}")
            print(f"\n{training_table.title(settings, source, values.rounds)}", flush=True)
            measured = measure(arms, settings, values.rounds)
        measured |= {"settings": dataclasses.asdict(settings), "data": source}
        network_of_keras = keras_networks.network(network, settings.dropout)
        measured["flop_per_sample"] = keras_networks.flop_per_sample(network_of_keras, training=True)
        titles = {name: arm.title for name, arm in arms.items()}
        print(f"\n{training_table.render(titles, measured, target)}", flush=True)
        everything["networks"][network] = measured
    if values.json:
        Path(values.json).write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
