"""The networks that `training.py` and `inference.py` measure: what they see, and what is wanted of them."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
    """One network.

    Attributes:
        shape: (height, width, channels) of an image.
        num_classes: number of classes.
        batch_size: in training. Defaults to None: the recipe's own.
        optimizer: in training. Defaults to None: the recipe's own.
        is_large: an update takes so long that what is between two of them (steps per execution, the
            optimizer's kernel) does not show, and is not tried.
        training: times the fastest PyTorch arm (required, aim), by precision.
        to_keras: times Keras with oneDNN on (required), if it counts.
        inference: times torch.compile (required), by batch size, of the best file of `files`.
        files: "all", or "float32": those that compute in float32, as PyTorch does.
        int8: times our own best float32 file (required, where the processor has VNNI), if it counts.
    """

    shape: tuple[int, int, int] = (32, 32, 3)
    num_classes: int = 10
    batch_size: int | None = None
    optimizer: str | None = None
    is_large: bool = False
    training: dict[str, tuple[float, float]]
    to_keras: float | None = None
    inference: dict[int, float] = dataclasses.field(default_factory=dict)
    files: str = "float32"
    int8: float | None = None


_LARGE = {"optimizer": "sgd", "is_large": True}
SPECS = {
    "lenet5": Spec(
        shape=(28, 28, 1), training={"float32": (1.2, 1.5)}, to_keras=1.6, inference={1: 8.0}, files="all"
    ),
    "mlp": Spec(shape=(28, 28, 1), training={"float32": (1.0, 1.3)}, to_keras=1.4),
    "resnet20": Spec(
        batch_size=128, training={"float32": (1.0, 1.1), "bfloat16": (1.0, 1.0)},
        inference={1: 2.0, 32: 1.05}, int8=3.0, **_LARGE,
    ),
    "vgg16": Spec(
        batch_size=64, training={"float32": (1.05, 1.05), "bfloat16": (1.0, 1.0)},
        inference={1: 2.0, 32: 1.05}, int8=3.0, **_LARGE,
    ),
    "resnet50": Spec(
        shape=(224, 224, 3), num_classes=1000, batch_size=16,
        training={"float32": (1.05, 1.05), "bfloat16": (1.0, 1.0)}, **_LARGE,
    ),
}  # fmt: skip


def recipe(name: str):
    """Return the recipe of a network: that of its pipeline where there is one, without augmentation.

    Networks of colour images take floats 0..1 as they are: none of the arms standardises.
    """
    import kerasdl
    from kerasdl.recipe import replace

    if name != "resnet50":
        found = kerasdl.load_recipe(name)
        plain = found.preprocessing.replace(mean=(0.0,), std=(1.0,))
        return replace(found, preprocessing=plain, augmentation=None, nesterov=False)
    from kerasdl.data.npz.source import Npz
    from kerasdl.models.resnet import ResNet
    from kerasdl.preprocessing.image import ImagePreprocessing
    from kerasdl.recipe import Config, Recipe
    from kerasdl.tasks.classification.task import Classification

    return Recipe(
        name=name,
        model=Config(ResNet),
        data=Npz(path="data.npz"),
        task=Classification(),
        preprocessing=Config(ImagePreprocessing),
        optimizer="sgd",
    )


def random_images(name: str, count: int, seed: int):
    """Return images (N, H, W, C) uint8 of a few colour patches each, and labels (N,) int32 of every class.

    Of pure noise a network makes one and the same answer, so that nothing could be compared.
    """
    import numpy as np

    spec, rng = SPECS[name], np.random.default_rng(seed)
    height, width, channels = spec.shape
    patches = rng.integers(0, 256, (count, 4, 4, channels), np.uint8)
    images = patches.repeat(height // 4, 1).repeat(width // 4, 2)
    return images, (np.arange(count) % spec.num_classes).astype(np.int32)
