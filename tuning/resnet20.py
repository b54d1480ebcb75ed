"""What of ResNet-20 is worth searching: its shape, how images are changed, and how fast it learns.

    kerasdl tune resnet20 --max-trials 20

The network itself is `kerasdl/models/resnet.py`: what is tuned is what ships.
"""

import dataclasses

from kerasdl import optimization, own_choice, replace


def space(hp, recipe):
    """Return the recipe with the values of a trial; its own are the defaults."""
    model = recipe.model.replace(
        width=own_choice(hp, "width", [8, 16, 24, 32], recipe.model.width),
        shortcut=own_choice(hp, "shortcut", ["A", "B"], recipe.model.shortcut),
        version=own_choice(hp, "version", ["v1", "v2"], recipe.model.version),
    )
    augmentation = dataclasses.replace(
        recipe.augmentation,
        crop=own_choice(hp, "crop", [0, 2, 4], recipe.augmentation.crop),
        cutout=own_choice(hp, "cutout", [0, 4, 8, 12], recipe.augmentation.cutout),
    )
    return replace(
        recipe,
        model=model,
        augmentation=augmentation,
        **optimization(hp, recipe, optimizers=["sgd", "adamw"], most=512),
    )


if __name__ == "__main__":
    from kerasdl import tune_file

    tune_file(__file__)
