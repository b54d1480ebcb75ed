"""Initial weights, from another run, a Keras file or published weights, with their preprocessing."""

import dataclasses
import json
import logging
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from kerasdl.errors import UsageError
from kerasdl.files import hash_file, parsing
from kerasdl.network import parts
from kerasdl.preprocessing.preprocessing import Preprocessing
from kerasdl.private import keras_config
from kerasdl.private.keras import own_trainable_weights, own_weights
from kerasdl.recipe import Config, Recipe, python_file, type_of
from kerasdl.recipe.document import Unpermitted
from kerasdl.runs.folder import Run, open_run
from kerasdl.training.weights import by_path, published
from kerasdl.training.weights.storage import check_storage

_log = logging.getLogger(__name__)

_MEMBER = "model.weights.h5"  # of a .keras file
_ADVICE = "Give a run, a .keras, .weights.h5 or published .h5 file, or imagenet."
_FREE_ARGUMENTS = (
    "num_classes", "dropout", "preprocessing", "name", "dtype", "trainable", "file", "parts",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Source:
    """Initial weights of a recipe.

    Attributes:
        path: the file.
        run: the run whose network it is; None for a file of its own.
    """

    path: Path
    run: Run | None = None

    def describe(self) -> dict[str, str]:
        """Return path and hash for the receipt."""
        return {"path": str(self.path), "sha256": hash_file(self.path)}

    def adopt(self, recipe: Recipe) -> Recipe:
        """Return the recipe with the preprocessing that the weights were trained with.

        Size and channels stay the recipe's own where it gives them. Adopting twice changes nothing.
        """
        with parsing(self.path, _ADVICE, UsageError):
            theirs = self._preprocessing()
        if theirs is None or recipe.preprocessing == (adopted := _adopted(recipe.preprocessing, theirs)):
            return recipe
        changes = _changes(recipe.preprocessing, adopted)
        _log.info(f"The preprocessing is that of the weights in {self.path}{changes}.")
        return dataclasses.replace(recipe, preprocessing=adopted)

    def load(self, network: keras.Model, class_names: tuple[str, ...]) -> list[keras.Layer]:
        """Load the weights into a network, and return the layers they do not cover.

        Args:
            network: built network, on one device.
            class_names: names of its classes; the head of a run with others is not loaded.

        Returns:
            The layers that stay as initialised.

        Raises:
            UsageError: when the weights are not those of such a network, or the file is damaged.
        """
        with parsing(self.path, "Copy it again.", UsageError):
            left = self._load(network, class_names)
        count = len(parts.layers(network))
        names = f"; left as initialised: {', '.join(layer.path for layer in left)}" if left else ""
        _log.info(f"Loaded {count - len(left)} of {count} layers with weights from {self.path}{names}")
        return left

    def _load(self, network: keras.Model, class_names: tuple[str, ...]) -> list[keras.Layer]:
        if self.path.suffix == ".keras":
            _warn_of_other_arguments(self.path, self._config()["config"], network)
            with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(self.path) as archive:
                file = h5py.File(archive.extract(_MEMBER, folder))
                return self._load_file(file, network, class_names)
        return self._load_file(h5py.File(self.path), network, class_names)

    def _load_file(self, file, network, class_names) -> list[keras.Layer]:
        with file:
            check_storage(file, self.path)
            if published.is_published(file):
                return published.load(file, self.path, network)
            other_classes = self.run is not None and self.run.labels() != class_names
            return by_path.load(file, self.path, network, other_classes)

    def _preprocessing(self) -> Config | None:
        """Return the preprocessing of the weights; None where it is not known."""
        if self.path.suffix == ".keras":
            encoded = self._config()["config"].get("preprocessing")
            if encoded is None:
                return None
            own = [] if self.run is None else python_file.classes_beside(type_of(self.run.recipe().model))
            names = {keras.saving.get_registered_name(kind): kind for kind in own}
            keras_config.check(encoded, str(self.path), names)
            with keras.saving.custom_object_scope(names):
                layer = keras.saving.deserialize_keras_object(encoded)
            return Config(type(layer)).replace(
                **{name: getattr(layer, name) for name in Config(type(layer)).values}
            )
        try:
            with h5py.File(self.path) as file:
                return published.PREPROCESSING if published.is_published(file) else None
        except OSError as error:
            raise UsageError(f"{self.path} is damaged, or no HDF5 file ({error}). {_ADVICE}") from error

    def _config(self) -> dict[str, Any]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                return json.loads(archive.read("config.json"))
        except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
            raise UsageError(
                f"{self.path} is damaged, or no .keras file ({error}). Copy it again, or train it again."
            ) from error


def find(recipe: Recipe) -> Source | None:
    """Return the initial weights that a recipe names; None where it names none.

    Raises:
        UsageError: when there are none, or something is frozen that would stay random.
        RunFailedError: when the download that `imagenet` asks for fails.
    """
    text = recipe.weights
    if text is None:
        if recipe.freeze != "none":
            raise UsageError(
                f"freeze is {recipe.freeze}, but nothing is loaded: what is frozen would stay random. Give "
                "--weights RUN, or --freeze none."
            )
        return None
    if text == "imagenet":
        return Source(published.download(recipe.model, fetch=not isinstance(text, Unpermitted)))
    path = Path(text).expanduser()
    if path.is_dir():
        run = open_run(path)
        if not run.is_finished():
            raise UsageError(f"{path} is not finished. Go on with it first: {run.resume_command}")
        if not run.model_file.is_file():
            raise UsageError(f"{path} holds no {run.model_file.name}. Train it again, or give another run.")
        return Source(run.model_file, run)
    if not path.is_file():
        raise UsageError(f"There are no weights {text}. {_ADVICE}")
    if path.suffix not in (".keras", ".h5"):
        raise UsageError(f"{path} is no file of weights: its name ends in {path.suffix!r}. {_ADVICE}")
    return Source(path)


def check_frozen(network: keras.Model, left: list[keras.Layer]) -> None:
    """Check that no frozen layer would stay as initialised.

    Raises:
        UsageError: names the first one.
    """
    for layer in left:
        weights = own_weights(layer)
        if own_trainable_weights(layer) and not any(weight.trainable for weight in weights):
            found = parts.layers(network)
            count = min(index for index, one in enumerate(found) if one in left)
            raise UsageError(
                f"{layer.path} is frozen, but the weights have none for it: it would stay random. Give "
                f"--freeze {count} for the layers before it, or --freeze none."
            )


def _adopted(ours: Config | None, theirs: Config) -> Config:
    """Return the preprocessing of the weights, with the recipe's own size and channels."""
    if "standardize" in theirs.values:  # what it measured is in its mean and std
        theirs = theirs.replace(standardize=False)
    if ours is None or ours.target is not theirs.target:
        return theirs
    tied = theirs.target.OF_WEIGHTS if issubclass(theirs.target, Preprocessing) else None
    tied = theirs.values if tied is None else tied
    own = {name: value for name, value in ours.values.items() if name not in tied and value is not None}
    return theirs.replace(**own)


def _changes(ours: Config | None, adopted: Config) -> str:
    """Describe the changes of a recipe's preprocessing, for the log."""
    if ours is None or ours.target is not adopted.target:
        return f" ({adopted.target.__name__})"
    before, after = ours.values, adopted.values
    # What was measured is told by the setting that asked for it.
    names = [name for name in after if before[name] != after[name] and name != "directions"]
    return "".join(f", {name} {after[name]} instead of {before[name]}" for name in names)


def _warn_of_other_arguments(path: Path, config: Mapping[str, Any], network: keras.Model) -> None:
    """Warn of different arguments that shapes do not show, such as an activation."""
    ours = json.loads(json.dumps(keras.saving.serialize_keras_object(network)["config"]))
    for name in ours.keys() & config.keys() - set(_FREE_ARGUMENTS):
        if ours[name] != config[name]:
            _log.warning(f"{path} was trained with {name}={config[name]!r}; here it is {ours[name]!r}.")
