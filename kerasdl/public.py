"""The public names: users import them from `kerasdl`, and files name classes by them.

A recipe, a card or a checkpoint names a class by its public name, `kerasdl>LeNet5`, so that code may move.
"""

import contextlib
import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from typing import Any

#: Module -> the public names in it.
_MODULES = {
    "kerasdl.errors": ("RunFailedError", "UsageError"),
    "kerasdl.recipe": ("Config", "Recipe", "replace"),
    "kerasdl.python.opening": ("load", "open_run"),
    "kerasdl.python.searching": ("tune",),
    "kerasdl.python.recipes": ("load_recipe",),
    "kerasdl.python.training": ("resume", "train"),
    "kerasdl.layers": (
        "AttentionPooling", "BatchNormalization", "Conv2D", "ConvolutionBlock", "Dropout",
        "LocalResponseNormalization", "Maxout", "Recurrent",
    ),
    "kerasdl.layers.linear_chain": ("LinearChain",),
    "kerasdl.preprocessing.image": ("ImagePreprocessing",),
    "kerasdl.preprocessing.preprocessing": ("Preprocessing",),
    "kerasdl.preprocessing.sentence": ("TokenPreprocessing",),
    "kerasdl.preprocessing.sequence": ("SequencePreprocessing",),
    "kerasdl.preprocessing.series": ("SeriesPreprocessing",),
    "kerasdl.preprocessing.standardization": ("Standardization",),
    "kerasdl.network.imported": ("Imported",),
    "kerasdl.inference.saved_model_layer": ("SavedModelLayer",),
    "kerasdl.network.network": ("Network",),
    "kerasdl.network.generative": ("GenerativeNetwork",),
    "kerasdl.models.alexnet": ("AlexNet",),
    "kerasdl.models.char_lm": ("CharLM",),
    "kerasdl.models.convnet": ("ConvNet",),
    "kerasdl.models.dlinear": ("DLinear",),
    "kerasdl.models.flow_matching": ("FlowMatching",),
    "kerasdl.models.forecaster": ("Forecaster",),
    "kerasdl.models.gan": ("GAN",),
    "kerasdl.models.googlenet": ("GoogLeNet",),
    "kerasdl.models.lenet5": ("LeNet5",),
    "kerasdl.models.mlp": ("MLP",),
    "kerasdl.models.recurrent": ("RecurrentNetwork",),
    "kerasdl.models.nlinear": ("NLinear",),
    "kerasdl.models.resnet": ("ResNet",),
    "kerasdl.models.tagger": ("Tagger",),
    "kerasdl.models.vae": ("VAE", "Autoencoder"),
    "kerasdl.models.vgg": ("VGG",),
    "kerasdl.data.source": ("Augmentation", "Source"),
    "kerasdl.data.dataset": ("DataSpec", "Dataset", "Spec"),
    "kerasdl.data.splits": ("ArraySplit",),
    "kerasdl.data.file_split": ("FileSplit",),
    "kerasdl.data.stream_split": ("StreamSplit",),
    "kerasdl.data.images.affine": ("RandomAffine",),
    "kerasdl.data.images.augment": ("ImageAugmentation",),
    "kerasdl.data.images.digits": ("Digits",),
    "kerasdl.data.images.folder": ("ImageFolder",),
    "kerasdl.data.npz.source": ("Npz",),
    "kerasdl.data.table.source": ("Table",),
    "kerasdl.data.text.corpus": ("Corpus",),
    "kerasdl.data.text.folder": ("TextFolder",),
    "kerasdl.data.text.phrases": ("Phrases",),
    "kerasdl.data.text.tagged": ("TaggedTokens",),
    "kerasdl.data.text.table": ("TextTable",),
    "kerasdl.data.series.source": ("Series",),
    "kerasdl.data.tfds.source": ("Tfds",),
    "kerasdl.jobs.check": ("Stripes",),
    "kerasdl.inference.endpoint": ("Endpoint",),
    "kerasdl.inference.answers": ("Answers",),
    "kerasdl.tasks.classification.task": ("Classification",),
    "kerasdl.tasks.forecast.task": ("Forecast",),
    "kerasdl.tasks.generation.task": ("Generation",),
    "kerasdl.tasks.language.task": ("LanguageModel",),
    "kerasdl.tasks.outputs.task": ("Outputs",),
    "kerasdl.tasks.regression.task": ("Regression",),
    "kerasdl.tasks.tagging.task": ("Tagging",),
    "kerasdl.tasks.task": ("Evaluation", "RunDifference", "Task", "Verdict"),
    "kerasdl.search.drawing": ("optimization", "own_choice"),
    "kerasdl.cli": ("train_file", "tune_file"),
}  # fmt: skip

PLACES = {name: module for module, names in _MODULES.items() for name in names}


def _import(name: str) -> Any:
    return getattr(importlib.import_module(PLACES[name]), name)


_find = _import


def find(name: str) -> Any:
    """Return the object of a public name; it is imported for that."""
    return _find(name)


def is_importing() -> bool:
    """Tell whether `find` returns the objects themselves."""
    return _find is _import


@contextlib.contextmanager
def finding(find: Callable[[str], Any]) -> Iterator[None]:
    """Let `find` return other objects inside: sketches of classes, say."""
    global _find
    _find = find
    try:
        yield
    finally:
        _find = _import


def current_name(name: str) -> str:
    """Return the public name of a class that an earlier version named by its module; else the name itself."""
    last = name.rpartition(".")[2]
    return f"kerasdl>{last}" if name.startswith("kerasdl.") and last in PLACES else name


def name_of(target: type) -> str | None:
    """Return the public name of a class; None for a class without one."""
    name = target.__qualname__
    return name if name in PLACES and find(name) is target else None


#: Where the classes are that a `.keras` file may hold.
_IN_FILES = (
    "kerasdl.layers", "kerasdl.preprocessing.", "kerasdl.network.imported", "kerasdl.models.",
    "kerasdl.inference.saved_model_layer",
)  # fmt: skip


def register_with_keras() -> None:
    """Let `keras.saving.load_model` find kerasdl's classes: now, or as soon as Keras is imported."""
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _register() -> None:
    """Import the modules whose classes register themselves with Keras."""
    with contextlib.suppress(ImportError):  # Keras without TensorFlow
        for module in _MODULES:
            if module.startswith(_IN_FILES):
                importlib.import_module(module)


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Registers the classes when Keras has been imported; then it is gone."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                _register()

            spec.loader.exec_module = exec_module
        return spec
