"""What should be known of generated images, and of the training that led to them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.tasks.task import Verdict

_FEW = 0.3  # of its share among real images, below which a class is hardly made
_MOST_NAMED = 5
_ALIKE = 0.5  # of the spread of real images
_MEMORISED = 0.5  # of the samples
_ASKED = 0.8
_GREY = 0.5  # MNIST has 0.07, scikit-learn's digits 0.28, CIFAR-10 0.75
_CERTAIN = 0.99  # part of the images that a discriminator tells apart
_ONE_IMAGE = 0.01  # standard deviation of a pixel over images, of its range
_LATE = 0.2  # part of the last epochs


def of_samples(figures: Mapping[str, Any]) -> list[Verdict]:
    """Return verdicts from the figures of `figures.figures`."""
    found = []
    shares = figures.get("class_balance", {})
    real = figures.get("real_class_balance") or dict.fromkeys(shares, 1 / max(1, len(shares)))
    rare = [name for name, share in shares.items() if share < _FEW * real[name]]
    if rare and len(shares) > 1:
        named = ", ".join(f"{name} ({shares[name]:.1%})" for name in rare[:_MOST_NAMED])
        if len(rare) > _MOST_NAMED:
            named += f" and {len(rare) - _MOST_NAMED} more"
        found.append(
            Verdict(
                text=f"Modes are missing: of {len(shares)} classes, the judge hardly sees {named} among "
                f"{figures['num_samples']:,} samples.",
                # a network that was asked for classes is conditional already
                flags="--epochs 50" if "asked_class_rate" in figures else "--conditional",
            )
        )
    if figures.get("diversity", 1.0) < _ALIKE:
        found.append(
            Verdict(
                text="The samples are alike: their features spread "
                f"{figures['diversity']:.0%} as far as those of real images.",
                flags="--seed 1",
            )
        )
    if figures.get("active_units") == 0:
        found.append(
            Verdict(
                text=f"None of the {figures['latents']} latents is active: images do not depend on them. The "
                "posterior has collapsed, by a large beta or a large learning rate.",
                flags="--learning-rate 3e-4",
            )
        )
    if figures.get("greyness", 0.0) > _GREY:
        found.append(
            Verdict(
                text="Pixels are drawn black or white, but most of these images lie between: what is learned "
                "are speckles.",
                flags="--likelihood gaussian",
            )
        )
    if figures.get("memorised", 0.0) > _MEMORISED:
        found.append(
            Verdict(
                text=f"{figures['memorised']:.0%} of the samples lie as close to a training image as 5 % of "
                "unseen images do: the network repeats its training images, or blurs them.",
                flags="--epochs 10",
            )
        )
    if figures.get("asked_class_rate", 1.0) < _ASKED:
        found.append(
            Verdict(
                text=f"Only {figures['asked_class_rate']:.0%} of the samples are of the class that was asked "
                "for.",
                flags="--epochs 50",
            )
        )
    return found


def of_training(history: Sequence[Mapping[str, float]]) -> list[Verdict]:
    """Return verdicts from the figures of each epoch."""
    found = []
    last = history[-max(1, round(_LATE * len(history))) :]
    accuracies = [
        [row.get(name) for row in last if row.get(name) is not None]
        for name in ("real_accuracy", "fake_accuracy")
    ]
    if all(values and np.mean(values) > _CERTAIN for values in accuracies):
        found.append(
            Verdict(
                text="The discriminator tells every real image from every generated one: the generator "
                "learns nothing from it any more.",
                flags="--objective hinge",
            )
        )
    spreads = [row["pixel_spread"] for row in last if row.get("pixel_spread") is not None]
    if spreads and max(spreads) < _ONE_IMAGE:
        found.append(
            Verdict(
                text="The generator has collapsed: it makes one image whatever the noise is (its pixels "
                f"differ by {max(spreads):.1g} of their range between images).",
                flags="--discriminator-rate 0.5",
            )
        )
    fids = [row.get("val_fid") for row in history if row.get("val_fid") is not None]
    if len(fids) > 2 and fids[-1] > 3 * min(fids):
        found.append(
            Verdict(
                text=f"Training diverged: the FID was {min(fids):.4g} at epoch {int(np.argmin(fids)) + 1}, "
                f"and {fids[-1]:.4g} at the end. The best epoch was kept.",
                flags="--ema-momentum 0.999",
            )
        )
    return found
