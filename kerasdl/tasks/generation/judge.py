"""The judge: a trained classifier in whose features generated images are compared with real ones."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerasdl.data.dataset import DataSpec
from kerasdl.errors import UsageError
from kerasdl.runs.folder import Run, open_run

if TYPE_CHECKING:
    import keras

_BATCH = 500


class Seen(NamedTuple):
    """What a judge sees in images.

    Attributes:
        features: (N, D) float32, the inputs of its head.
        class_ids: (N,) int32, the classes that it names.
    """

    features: np.ndarray
    class_ids: np.ndarray


class Judge:
    """A classifier run that looks at raw images.

    Args:
        run: the run.

    Attributes:
        path: folder of the run.
        sha256: hash of its weights, that of its receipt.
        class_names: names of its classes.
        image_shape: (H, W, C) of the images that it takes.
        num_features: D, the size of what its head takes.

    Raises:
        UsageError: when the run is no classifier of images.
    """

    def __init__(self, run: Run):
        self.path = run.path
        spec = DataSpec.from_description(run.data())
        self.class_names = spec.class_names
        classifies = spec.class_names and "accuracy" in run.recipe().task.columns
        if not classifies or not getattr(spec.inputs, "is_image", False):
            raise UsageError(
                f"The judge {run.path} is no classifier of images. Give --judge the run of one, such as that "
                "of kerasdl train lenet5 on the same data."
            )
        self.image_shape = tuple(spec.inputs.shape)
        from kerasdl.runs.receipt import hash_weights

        network = run.network()
        self.sha256 = hash_weights(network)
        self._look = _looking(network, self.image_shape)
        self.num_features = int(self._look.structured_outputs[0].shape[-1])

    def look(self, images: np.ndarray) -> Seen:
        """Return features and classes of raw images (N, H, W, C), uint8.

        Raises:
            UsageError: for images of another shape than those it was trained on.
        """
        if images.shape[1:] != self.image_shape:
            given, wanted = ("x".join(map(str, shape)) for shape in (images.shape[1:], self.image_shape))
            raise UsageError(
                f"The judge {self.path} takes images of {wanted}, but these are {given}. Give --judge a run "
                "on images of their size, or leave it out."
            )
        import tensorflow as tf

        found = [
            self._look(tf.constant(images[start : start + _BATCH])) for start in range(0, len(images), _BATCH)
        ]
        return Seen(*(np.concatenate([part[number].numpy() for part in found]) for number in range(2)))

    def classes_of(self, seen: Seen, class_names: Sequence[str]) -> np.ndarray | None:
        """Return the classes that the judge names (N,) as numbers among other names of them.

        Args:
            seen: what it saw.
            class_names: those of the data, in any order; the judge may know further ones, which become -1.

        Returns:
            None where the judge does not know all of them.
        """
        if set(class_names) - set(self.class_names):
            return None
        numbers = {name: number for number, name in enumerate(class_names)}
        return np.array([numbers.get(name, -1) for name in self.class_names], np.int32)[seen.class_ids]

    def describe(self) -> dict[str, Any]:
        """Return what tells this judge from others, as JSON."""
        return {"run": shown(str(self.path)), "sha256": self.sha256, "features": self.num_features}


def shown(path: str) -> str:
    """Return the path of a judge as cards and figures show it: without the folders of this machine."""
    return "/".join(Path(path).parts[-2:]) if Path(path).is_absolute() else path


def open_judge(path: str) -> Judge | None:
    """Open the run of a judge; None where it is not there.

    Args:
        path: the run; one that is not there is looked for below `runs`, where a bundle names it so.

    Raises:
        UsageError: when it is no classifier of images.
    """
    for place in (Path(path), Path("runs") / path):
        if (place / "model.keras").exists():
            return _opened(place, str(place.resolve()), (place / "model.keras").stat().st_mtime_ns)
    return None


@functools.lru_cache(maxsize=1)
def _opened(path: Path, place: str, changed: int) -> Judge:
    return Judge(open_run(path))


def _looking(network: "keras.Model", shape: tuple[int, ...]):
    """Return a TensorFlow function from raw images to features and classes."""
    import tensorflow as tf

    from kerasdl.network.features import features_and_logits

    @tf.function(input_signature=[tf.TensorSpec((None, *shape), tf.uint8)], autograph=False)
    def look(images):
        features, found = features_and_logits(network, images)
        return features, tf.argmax(found, axis=-1, output_type=tf.int32)

    return look.get_concrete_function()
