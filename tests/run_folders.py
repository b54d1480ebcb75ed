"""Run folders written by hand, as training leaves them, without training."""

import csv
import json

import numpy as np

from kerasdl.runs.folder import Run

EPOCHS = 15


def write_run(
    path, *, num_classes=10, seed=0, epochs=EPOCHS, accuracy=0.97, names=None, image=(28, 28, 1), **recipe
):
    """Write a finished run of a classifier that is right in `accuracy` of 1,000 answers; returns it.

    Args:
        path: the folder.
        num_classes: number of classes.
        seed: of what is drawn; the true labels are the same for all.
        epochs: in the history.
        accuracy: about.
        names: of the classes.
        image: shape of the mistaken examples.
        **recipe: fields of the recipe that differ.
    """
    path.mkdir(parents=True)
    run, draw = Run(path), np.random.default_rng(seed)
    names = names or [f"class {index}" for index in range(num_classes)]
    labels = np.random.default_rng(99).integers(0, num_classes, 1000).astype(np.int32)
    right = draw.random(1000) < accuracy
    wrong = (labels + draw.integers(1, num_classes, 1000)) % num_classes
    class_ids = np.where(right, labels, wrong).astype(np.int32)
    confidence = np.where(right, draw.beta(20, 1, 1000), draw.beta(3, 2, 1000)).astype(np.float32)
    run.write("recipe.json", {"type": "kerasdl>Recipe", "fields": {**_RECIPE, **recipe}})
    run.write("labels.txt", "".join(f"{name}\n" for name in names))
    run.write("receipt.json", _receipt(names, image))
    write_history(run, epochs, draw)
    run.write(
        "metrics.json",
        {"best_epoch": 12, "epochs": epochs, "test": figures(labels, class_ids, confidence, names)},
    )
    write_status(run, stage="finished", epoch=epochs)
    np.savez(path / "predictions.npz", labels=labels, class_ids=class_ids, confidence=confidence)
    worst = np.flatnonzero(class_ids != labels)
    worst = worst[np.argsort(-confidence[worst])][:24]
    np.savez(
        path / "mistakes.npz",
        features=_pictures(len(worst), image, draw),
        indices=worst,
        labels=labels[worst],
        class_ids=class_ids[worst],
        confidence=confidence[worst],
    )
    return run


def write_status(run, **fields):
    """Write a status file: of a run that was interrupted in its third epoch, but for some fields."""
    run.write("status.json", {
        "stage": "training", "epoch": 3, "epochs": EPOCHS, "step": 30, "steps_per_epoch": 10,
        "elapsed_seconds": 754.2, "started": "2026-11-21T15:52:41+00:00",
        "updated": "2026-11-21T16:05:00+00:00", "stopped": None, "error": None,
        **fields,
    })  # fmt: skip


def write_history(run, epochs, draw=None):
    """Write a history of so many epochs."""
    draw = draw or np.random.default_rng(0)
    rows = []
    for epoch in range(1, epochs + 1):
        loss, noise = 2.1 * epoch**-1.4, draw.normal(0, 0.01, 2)
        rows.append({
            "epoch": epoch, "accuracy": 1 - 0.3 * loss, "loss": loss,
            "val_accuracy": 0.98 - 0.3 * loss + noise[0],
            "val_loss": loss + 0.08 + abs(noise[1]) + 0.002 * epoch,
            "optimizer_learning_rate": 1e-3 * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2,
            "seconds": 50 + draw.random(),
        })  # fmt: skip
    with (run.path / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def figures(labels, class_ids, confidence, names):
    """Return the figures of a classification, as metrics.json has them."""
    matrix = np.zeros((len(names), len(names)), int)
    np.add.at(matrix, (labels, class_ids), 1)
    support, predicted, right = matrix.sum(1), matrix.sum(0), np.diag(matrix)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + predicted, 1)
    correct, bins = class_ids == labels, []
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            bins.append({
                "low": low, "high": low + 1 / 15, "count": int(inside.sum()),
                "confidence": float(confidence[inside].mean()), "accuracy": float(correct[inside].mean()),
            })  # fmt: skip
    accuracy = float(correct.mean())
    return {
        "accuracy": accuracy,
        "accuracy_interval": [accuracy - 0.01, min(accuracy + 0.01, 1.0)],
        "top_k_accuracy": {str(k): 1 - (1 - accuracy) / k for k in (2, 3, 5) if k < len(names)},
        "crossentropy": 0.1234,
        "examples": len(labels),
        "roc_auc": 0.9987,
        "ece": float(sum(b["count"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / len(labels)),
        "temperature": 1.0,
        "reliability": bins,
        "per_class": [
            {"class": name, "precision": precision[i], "recall": recall[i], "f1": f1[i],
             "support": int(support[i]), "roc_auc": None if i == 1 else 0.99}
            for i, name in enumerate(names)
        ],
        "macro_f1": float(f1.mean()),
        "confusion_matrix": matrix.tolist(),
        "mistakes": [],
    }  # fmt: skip


def write_bundle(path, run):
    """Write a bundle's card, and its hashes into the run's receipt."""
    path.mkdir(parents=True)
    rows = [
        {"file": f"tiny.{kind}.tflite", "kind": kind, "bytes": size, "sha256": f"{size:064x}",
         "accuracy": 0.97, "max_difference": 1.5e-7, "latency_ms": 0.0131}
        for kind, size in (("float32", 156486), ("int8", 49194))
    ]  # fmt: skip
    rows.append({"file": "tiny.onnx", "kind": "onnx", "error": "an operator is not known"})
    files = {row["file"]: {"bytes": row["bytes"], "sha256": row["sha256"]} for row in rows if "bytes" in row}
    (path / "card.json").write_text(json.dumps({"artefacts": rows, "files": files, "examples": 1000}))
    receipt = run.read_json("receipt.json")
    hashes = {name: file["sha256"] for name, file in files.items()}
    run.write("receipt.json", {**receipt, "artefacts": {str(path): hashes}})


def _pictures(count, shape, draw):
    """Draw rings, so that one sees whether a picture is whole."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] / shape[0] - 0.5
    distance = np.hypot(rows, columns)[None] - draw.uniform(0.15, 0.4, (count, 1, 1))
    grey = 255 * np.exp(-200 * distance**2)
    tint = draw.uniform(0.4, 1, (count, 1, 1, shape[2]))
    return (grey[..., None] * tint).astype(np.uint8)


def _receipt(names, image):
    return {
        "command": ["kerasdl", "train", "tiny", "--data", "some folder"],
        "started": "2026-11-21T15:52:41+00:00",
        "versions": {"python": "3.11.7", "kerasdl": "0.1.0", "tensorflow": "2.21.0"},
        "git_revision": None,
        "hardware": {"processor": "Intel(R) Xeon(R) Processor", "cores": 2, "memory_gib": 23.5, "gpus": []},
        "devices": "one device (CPU), no strategy",
        "seed": 0,
        "deterministic": False,
        "data": {
            "fingerprint": "428ba142cd0e",
            "features": {"shape": list(image), "dtype": "uint8"},
            "class_names": names,
            "examples": {"train": 6000, "validation": 500, "test": 1000},
        },
        "parameters": 61706,
        "artefacts": {},
    }


_RECIPE = {
    "name": "tiny",
    "model": {"type": "kerasdl>LeNet5", "fields": {"num_classes": 10, "dropout": 0.2}},
    "data": {
        "type": "kerasdl>Tfds",
        "fields": {"name": "mnist", "path": None, "validation_fraction": 0.1},
    },
    "task": {
        "type": "kerasdl>Classification",
        "fields": {"label_smoothing": 0.0, "class_weights": None},
    },
    "augmentation": None,
    "epochs": EPOCHS,
    "batch_size": 128,
    "optimizer": "adamw",
    "learning_rate": 0.001,
    "seed": 0,
    "deterministic": False,
}
