"""Train subclassed Keras 3 models and ship them, verified, to servers and phones.

    result = kerasdl.train("lenet5", data="digits", epochs=5)
    model = kerasdl.load(result.bundle.path)
    model.predict("photo.jpg")[0]["class"], model.predict(images)["class_ids"]

All that a recipe, a search space or a notebook needs is imported from here:

* Functions: load_recipe, train, resume, tune; load opens a run, a bundle or an exported file to predict
  with, and open_run a run to look at.
* Recipes: Recipe, Config, replace; train_file and tune_file for the main guard of a file.
* Networks: AlexNet, Autoencoder, CharLM, ConvNet, DLinear, FlowMatching, Forecaster, GAN, GoogLeNet,
  LeNet5, MLP, NLinear, RecurrentNetwork, ResNet, Tagger, VAE, VGG; Network, or GenerativeNetwork, to write
  your own; Imported, which wraps any Keras model; SavedModelLayer, which holds a SavedModel.
* Layers: AttentionPooling, BatchNormalization, Conv2D, ConvolutionBlock, Dropout, LinearChain,
  LocalResponseNormalization, Maxout, Recurrent.
* Data: Corpus, Digits, ImageFolder, Npz, Phrases, Series, Table, TaggedTokens, TextFolder, TextTable, Tfds;
  Stripes, the synthetic images of `kerasdl check`.
* Data of your own: Source, Dataset, DataSpec, Spec, ArraySplit, FileSplit, StreamSplit.
* Augmentation: ImageAugmentation, RandomAffine; Augmentation to write your own.
* Preprocessing: ImagePreprocessing, SequencePreprocessing, SeriesPreprocessing, Standardization,
  TokenPreprocessing; Preprocessing to write your own.
* Tasks: Classification, Forecast, Generation, LanguageModel, Outputs, Regression, Tagging.
* For a task of your own: Task, Evaluation, RunDifference, Verdict, Endpoint, Answers.
* Search spaces: optimization, own_choice.
* Errors: UsageError for input that cannot be used, RunFailedError for work that failed.

Each is imported when it is first used, since TensorFlow takes seconds; `help(kerasdl.train)` tells more.
"""

import os
import sys

_HERE = os.getcwd() if sys.argv[:1] == ["-m"] else None  # noqa: PTH109
if sys.path[:1] == [_HERE]:
    # `python -m kerasdl`: Python looks into the current folder first, which may be that of somebody else's
    # files. Of it kerasdl takes nothing, unless it lies there itself: then it comes last.
    del sys.path[0]
    if __file__ == os.path.join(_HERE, "kerasdl", "__init__.py"):  # noqa: PTH118
        sys.path.append(_HERE)

from typing import TYPE_CHECKING, Any  # noqa: E402

from kerasdl import environment, public  # noqa: E402
from kerasdl.errors import did_you_mean  # noqa: E402

if TYPE_CHECKING:  # what `__getattr__` imports, for editors and type checkers
    from kerasdl.cli import train_file, tune_file
    from kerasdl.data.dataset import Dataset, DataSpec, Spec
    from kerasdl.data.file_split import FileSplit
    from kerasdl.data.images.affine import RandomAffine
    from kerasdl.data.images.augment import ImageAugmentation
    from kerasdl.data.images.digits import Digits
    from kerasdl.data.images.folder import ImageFolder
    from kerasdl.data.npz.source import Npz
    from kerasdl.data.series.source import Series
    from kerasdl.data.source import Augmentation, Source
    from kerasdl.data.splits import ArraySplit
    from kerasdl.data.stream_split import StreamSplit
    from kerasdl.data.table.source import Table
    from kerasdl.data.text.corpus import Corpus
    from kerasdl.data.text.folder import TextFolder
    from kerasdl.data.text.phrases import Phrases
    from kerasdl.data.text.table import TextTable
    from kerasdl.data.text.tagged import TaggedTokens
    from kerasdl.data.tfds.source import Tfds
    from kerasdl.errors import RunFailedError, UsageError
    from kerasdl.inference.answers import Answers
    from kerasdl.inference.endpoint import Endpoint
    from kerasdl.inference.saved_model_layer import SavedModelLayer
    from kerasdl.jobs.check import Stripes
    from kerasdl.layers import (
        AttentionPooling,
        BatchNormalization,
        Conv2D,
        ConvolutionBlock,
        Dropout,
        LocalResponseNormalization,
        Maxout,
        Recurrent,
    )
    from kerasdl.layers.linear_chain import LinearChain
    from kerasdl.models.alexnet import AlexNet
    from kerasdl.models.char_lm import CharLM
    from kerasdl.models.convnet import ConvNet
    from kerasdl.models.dlinear import DLinear
    from kerasdl.models.flow_matching import FlowMatching
    from kerasdl.models.forecaster import Forecaster
    from kerasdl.models.gan import GAN
    from kerasdl.models.googlenet import GoogLeNet
    from kerasdl.models.lenet5 import LeNet5
    from kerasdl.models.mlp import MLP
    from kerasdl.models.nlinear import NLinear
    from kerasdl.models.recurrent import RecurrentNetwork
    from kerasdl.models.resnet import ResNet
    from kerasdl.models.tagger import Tagger
    from kerasdl.models.vae import VAE, Autoencoder
    from kerasdl.models.vgg import VGG
    from kerasdl.network.generative import GenerativeNetwork
    from kerasdl.network.imported import Imported
    from kerasdl.network.network import Network
    from kerasdl.preprocessing.image import ImagePreprocessing
    from kerasdl.preprocessing.preprocessing import Preprocessing
    from kerasdl.preprocessing.sentence import TokenPreprocessing
    from kerasdl.preprocessing.sequence import SequencePreprocessing
    from kerasdl.preprocessing.series import SeriesPreprocessing
    from kerasdl.preprocessing.standardization import Standardization
    from kerasdl.python.opening import load, open_run
    from kerasdl.python.recipes import load_recipe
    from kerasdl.python.searching import tune
    from kerasdl.python.training import resume, train
    from kerasdl.recipe import Config, Recipe, replace
    from kerasdl.search.drawing import optimization, own_choice
    from kerasdl.tasks.classification.task import Classification
    from kerasdl.tasks.forecast.task import Forecast
    from kerasdl.tasks.generation.task import Generation
    from kerasdl.tasks.language.task import LanguageModel
    from kerasdl.tasks.outputs.task import Outputs
    from kerasdl.tasks.regression.task import Regression
    from kerasdl.tasks.tagging.task import Tagging
    from kerasdl.tasks.task import Evaluation, RunDifference, Task, Verdict

__version__ = "0.1.0"

environment.set_defaults()
public.register_with_keras()


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in public.PLACES:
        raise AttributeError(f"module 'kerasdl' has no attribute {name!r}." + did_you_mean(name, __dir__()))
    if not public.is_importing():
        return public.find(name)
    if public.PLACES[name].startswith("kerasdl.jobs."):
        environment.import_tensorflow()
    globals()[name] = found = public.find(name)
    return found


def __dir__() -> list[str]:
    # There is no `__all__`: with it, `help(kerasdl)` shows all that each network inherits from Keras.
    return sorted({*globals(), *public.PLACES})
