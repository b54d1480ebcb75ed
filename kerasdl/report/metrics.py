"""The names of metrics: how they are written, and the direction in which each improves."""

import re
from typing import Literal

MAXIMISED = ("accuracy", "acc", "auc", "precision", "recall", "f1", "r2", "agreement", "elbo")
MINIMISED = (
    "loss", "error", "mae", "mse", "rmse", "mase", "fid", "kid", "kb", "latency_ms", "weights", "seconds",
    "difference", "crossentropy", "ece", "nll", "nats", "bits", "perplexity",
)  # fmt: skip
_TITLES = {
    "ece": "calibration error (ECE)", "roc_auc": "ROC AUC", "macro_f1": "macro F1", "mae": "MAE",
    "mse": "MSE", "crossentropy": "cross-entropy", "rmse": "RMSE", "r2": "R2", "mase": "MASE", "fid": "FID",
    "kid": "KID", "elbo": "ELBO", "nll": "-log p(x)", "mae_raw": "MAE in the targets' units",
}  # fmt: skip


def words(name: str) -> str:
    """Return the name of a metric or hyperparameter in words: "val_loss" is "validation loss"."""
    base = name.removeprefix("val_").replace(" ", "_")
    return ("validation " if name.startswith("val_") else "") + _TITLES.get(base, base.replace("_", " "))


def direction(name: str) -> Literal["min", "max"] | None:
    """Return in which direction a metric improves; None where its name does not tell."""
    base = re.sub(r"_\d+$", "", name.replace(" ", "_"))
    for found, known in (("max", MAXIMISED), ("min", MINIMISED)):
        if any(base == word or base.endswith(f"_{word}") for word in known):
            return found
    return None
