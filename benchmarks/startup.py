"""From the command line to the first training step, against what Keras alone needs for one.

    python benchmarks/startup.py [--rounds 5] [--json FILE]

Three processes in turn, from their start to the end of the first training step on digits:

* bare: `import keras`, the network of `kerasdl train lenet5` in Keras's own layers, one step of `fit`;
* train: `kerasdl train lenet5 --data digits --no-export`;
* train and export: `kerasdl train lenet5 --data digits`, as it ships.

A first round only warms the disk's cache. Then one run with `python -X importtime` names the heavy imports.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import machine

LIMIT = 1.3
_ARMS = {"bare": [], "train": ["--no-export"], "train and export": []}
#: What passes between one mark and the next; the first begins with the process.
_PARTS = {
    "bare": {
        "interpreter": "begun",
        "TensorFlow and Keras": "keras",
        "network": "built",
        "first step": "step",
    },
    "train": {
        "interpreter, command line": "parsed",
        "TensorFlow and Keras": "keras",
        "other imports, recipe, flags": "imported",
        "data": "data",
        "network and optimizer": "built",
        "run folder, receipt, callbacks, data pipeline": "epoch",
        "first step: tracing, compiling, running": "step",
    },
}
_marks: dict[str, float] = {}


def mark(name: str) -> None:
    """Note when something was done, the first time it was."""
    _marks.setdefault(name, time.monotonic())


def end() -> None:
    """The first step is done: tell the marks, and end this process and its children at once."""
    import psutil

    mark("step")
    for child in psutil.Process().children():
        child.kill()
        child.wait()  # so that its seconds count as this process's, not as those of others
    print(f"\n{json.dumps(_marks)}", flush=True)
    os._exit(0)


def bare() -> None:
    mark("begun")
    import keras
    import numpy as np
    from keras import layers

    mark("keras")
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1), dtype="uint8"), layers.Rescaling(1 / 255), layers.Resizing(28, 28),
            layers.Conv2D(6, 5, padding="same", activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
            layers.Dense(120, activation="relu"), layers.Dropout(0.1),
            layers.Dense(84, activation="relu"), layers.Dropout(0.1), layers.Dense(10),
        ]
    )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.AdamW(2e-3, weight_decay=0.01), loss, metrics=["accuracy"])
    mark("built")
    hook = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: end())
    images, labels = np.zeros((64, 8, 8, 1), np.uint8), np.zeros(64, np.int32)
    network.fit(images, labels, batch_size=64, verbose=0, callbacks=[hook])


def train(arguments: list[str]) -> None:
    """Run the command with marks put between its stages."""
    from kerasdl import cli, environment

    import_tensorflow = environment.import_tensorflow
    if "importtime" in sys._xoptions:
        environment.quiet = contextlib.nullcontext  # it would hide what the interpreter writes

    def marked():
        mark("parsed")
        import_tensorflow()
        mark("keras")  # Keras comes with TensorFlow
        from kerasdl.training.callbacks.position import Position

        Position.on_train_batch_end = lambda *_, **__: end()
        _before(Position, "on_epoch_begin", "epoch")

    def watch(parsed):
        from kerasdl.jobs import train as trainer
        from kerasdl.training import build

        _before(trainer, "load_data", "imported")
        _before(trainer, "plan_run", "data")
        _after(build, "make_pair", "built")
        return parsed

    environment.import_tensorflow = marked
    from kerasdl.cli import recipe_arguments

    parse = recipe_arguments.parse
    recipe_arguments.parse = lambda *given: watch(parse(*given))
    sys.exit(cli.main(["train", "lenet5", "--data", "digits", *arguments]))


def _before(owner, name: str, what: str) -> None:
    function = getattr(owner, name)
    setattr(owner, name, lambda *given, **named: (mark(what), function(*given, **named))[1])


def _after(owner, name: str, what: str) -> None:
    function = getattr(owner, name)
    setattr(owner, name, lambda *given, **named: (function(*given, **named), mark(what))[0])


def run(name: str, folder: str, *options: str) -> tuple[dict[str, float], float, str]:
    """Run one arm; return its marks in seconds since its start, what others used, and its standard error."""
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}
    folders = ["--runs-dir", f"{folder}/runs", "--exported-dir", f"{folder}/exported"]
    arguments = [name] if name == "bare" else ["train", *_ARMS[name], *folders]
    began = time.monotonic()
    done, others = machine.run([sys.executable, *options, __file__, "--one", *arguments], variables)
    if done.returncode:
        raise RuntimeError(f"{name} ended with exit code {done.returncode}: {done.stderr[-500:]}")
    marks = json.loads(done.stdout.splitlines()[-1])
    return {mark: seconds - began for mark, seconds in marks.items()}, others, done.stderr


def imports(text: str) -> list[tuple[str, float]]:
    """Return the seconds that each package's own modules took, from `-X importtime`, the longest first."""
    seconds: Counter[str] = Counter()
    for own, module in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", text, re.MULTILINE):
        seconds[module.partition(".")[0]] += int(own) / 1e6
    return seconds.most_common(14)


def report(measured: dict[str, list[dict[str, float]]], others: list[float]) -> None:
    """Print seconds, ratios and parts; whether the target is met only where the machine was quiet."""
    busy = statistics.median(others)
    for name, rounds in measured.items():
        total = [marks["step"] for marks in rounds]
        ratios = [one / marks["step"] for one, marks in zip(total, measured["bare"], strict=True)]
        value = statistics.median(ratios)
        spread = f"{value:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of bare"
        print(f"\n{name}: {statistics.median(total):.2f} s, {spread}")
        before = None
        for part, end_mark in _PARTS["bare" if name == "bare" else "train"].items():
            spent = [marks[end_mark] - (marks[before] if before else 0.0) for marks in rounds]
            print(f"  {statistics.median(spent):6.2f}  {part}")
            before = end_mark
        if name != "bare" and busy <= machine.QUIET:
            print(f"  {'met' if value <= LIMIT else 'NOT MET'}: {value:.2f}; at most {LIMIT} is required")
    print(f"\nOther processes used {busy:.0%} of the machine (median), {max(others):.0%} at most.")
    if busy > machine.QUIET:
        print(f"NO VERDICT: the machine was not quiet (above {machine.QUIET:.0%}); run it again when it is.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write all raw numbers there")
    values = parser.parse_args()
    measured, others = {name: [] for name in _ARMS}, []
    print("\n".join(f"{name}: {text}" for name, text in machine.describe().items()))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(values.rounds + 1):
            for name in list(_ARMS)[number % 3 :] + list(_ARMS)[: number % 3]:
                marks, share, _ = run(name, folder)
                if number:  # the first round is the warm-up
                    measured[name].append(marks)
                    others.append(share)
        heavy = imports(run("train", folder, "-X", "importtime")[2])
    report(measured, others)
    print("\nimports, own seconds of each package (measuring makes them longer):")
    print("  " + ", ".join(f"{package} {seconds:.2f}" for package, seconds in heavy))
    if values.json:
        Path(values.json).write_text(
            json.dumps({"marks": measured, "others": others, "imports": heavy}, indent=1)
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        bare() if sys.argv[2] == "bare" else train(sys.argv[3:])
    else:
        main()
