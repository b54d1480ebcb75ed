"""A bundle of an untrained network, to measure how fast its files answer."""

from pathlib import Path

import networks
import numpy as np

_CALIBRATION = 256  # images that int8 files are calibrated with, at least one of each class
_HELD_OUT = 32  # images that files are verified with


def make(name: str, folder: Path, *, dynamic_batch: bool = False) -> tuple[Path, Path]:
    """Make a run of a network, and export it in every format.

    Weights are those of the start, moving statistics those of one batch, and the last layer is scaled so that
    logits have a standard deviation of 1: else a deep network that has not trained answers with one class.

    Args:
        name: of the network.
        folder: where all of it goes.
        dynamic_batch: let TFLite files take any batch size.

    Returns: the run folder and the bundle.
    """
    from kerasdl import environment

    environment.import_tensorflow()
    import dataclasses

    import keras

    from kerasdl.data.npz.source import Npz
    from kerasdl.data.splits import ArraySplit
    from kerasdl.export.tflite import Converter
    from kerasdl.inference.labels import to_text
    from kerasdl.jobs import export
    from kerasdl.recipe import recipe
    from kerasdl.runs import folder as runs
    from kerasdl.training import build, preparation

    train = max(_CALIBRATION, networks.SPECS[name].num_classes)
    images, labels = networks.random_images(name, train + _HELD_OUT, seed=0)
    arrays = {"x_train": images[:train], "y_train": labels[:train]}
    arrays |= {"x_test": images[train:], "y_test": labels[train:]}
    np.savez(folder / "data.npz", x_val=images[train:], y_val=labels[train:], **arrays)
    described = recipe.replace(networks.recipe(name), name=name, data=Npz(path=str(folder / "data.npz")))
    splits = described.data.load()
    run = runs.create(folder / "runs", described)
    keras.utils.set_random_seed(0)
    network = build.make_network(
        described,
        splits,
        preparation.make_preprocessing(described.preprocessing, splits, described.batch_size),
    )
    _settle(network, images[:_HELD_OUT])
    network.save(run.model_file)
    # Accuracy of an untrained network is chance: with labels that are never its answers no file can lose any.
    answers = np.argmax(network.predict(splits.test.features, verbose=0), -1)
    wrong = ((answers + 1) % len(splits.spec.class_names)).astype(np.int32)
    splits = dataclasses.replace(splits, test=ArraySplit(splits.test.features, wrong))
    run.write("receipt.json", {"data": splits.describe()})
    run.write("labels.txt", to_text(splits.spec.class_names))
    with Converter() as converter:
        settings = export.Settings(exported_dir=folder / "exported", dynamic_batch=dynamic_batch)
        bundle = export.export_run(run, splits, converter, settings)
    for file, reason in bundle.failures.items():
        print(f"left out: {file}: {reason}")
    return run.path, bundle.path


def _settle(network, images: np.ndarray) -> None:
    """Make the statistics of these images the moving ones, and their logits moderate."""
    import keras

    layers = [
        layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    network(images, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    dense = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.Dense)]
    logits = network(images, training=False)
    dense[-1].kernel.assign(dense[-1].kernel / keras.ops.std(logits))
