"""Train subclassed Keras 3 models and ship them, verified, to servers and phones.

    recipe = kerasdl.load_recipe("lenet5", data="digits", epochs=5)
    result = kerasdl.train(recipe)
    kerasdl.load(result.bundle.path).predict(images)["class_ids"]

All that a recipe, a search space or a notebook needs is imported from here:

* Functions: load_recipe, train, resume, tune; load opens a run, a bundle or an exported file.
* Recipes: Recipe, Config, replace; train_file and tune_file for the main guard of a file.
* Networks: AlexNet, Autoencoder, CharLM, ConvNet, DLinear, FlowMatching, Forecaster, GAN, GoogLeNet,
  LeNet5, MLP, NLinear, RecurrentNetwork, ResNet, VAE, VGG; Network, or GenerativeNetwork, to write your own.
* Layers: AttentionPooling, BatchNormalization, Conv2D, ConvolutionBlock, Dropout,
  LocalResponseNormalization, Maxout, Recurrent.
* Data: Corpus, Digits, ImageFolder, Npz, Phrases, Series, TextFolder, TextTable, Tfds; Stripes, the synthetic
  images of `kerasdl check`.
* Data of your own: Source, Dataset, DataSpec, Spec, ArraySplit, FileSplit, StreamSplit.
* Augmentation: ImageAugmentation, RandomAffine; Augmentation to write your own.
* Preprocessing: ImagePreprocessing, SequencePreprocessing, SeriesPreprocessing, Standardization;
  Preprocessing to write your own.
* Tasks: Classification, Forecast, Generation, LanguageModel, Regression.
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

from collections.abc import Sequence  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

from kerasdl import environment, public  # noqa: E402
from kerasdl.errors import UsageError, did_you_mean  # noqa: E402

if TYPE_CHECKING:  # what `__getattr__` imports, for editors and type checkers
    from kerasdl.cli import train_file, tune_file
    from kerasdl.data.dataset import Dataset, DataSpec, Spec
    from kerasdl.data.images.augment import ImageAugmentation, RandomAffine
    from kerasdl.data.images.digits import Digits
    from kerasdl.data.images.folder import ImageFolder
    from kerasdl.data.npz.source import Npz
    from kerasdl.data.series.source import Series
    from kerasdl.data.source import Augmentation, Source
    from kerasdl.data.splits import ArraySplit, FileSplit, StreamSplit
    from kerasdl.data.text.corpus import Corpus
    from kerasdl.data.text.folder import TextFolder
    from kerasdl.data.text.phrases import Phrases
    from kerasdl.data.text.table import TextTable
    from kerasdl.data.tfds.source import Tfds
    from kerasdl.errors import RunFailedError, UsageError
    from kerasdl.inference.answers import Answers
    from kerasdl.inference.endpoint import Endpoint
    from kerasdl.jobs.check import Stripes
    from kerasdl.jobs.open import load
    from kerasdl.jobs.train import resume, train
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
    from kerasdl.models.vae import VAE, Autoencoder
    from kerasdl.models.vgg import VGG
    from kerasdl.network.generative import GenerativeNetwork
    from kerasdl.network.network import Network
    from kerasdl.preprocessing.image import ImagePreprocessing
    from kerasdl.preprocessing.preprocessing import Preprocessing
    from kerasdl.preprocessing.sequence import SequencePreprocessing
    from kerasdl.preprocessing.series import SeriesPreprocessing
    from kerasdl.preprocessing.standardization import Standardization
    from kerasdl.recipe import Config, Recipe, replace
    from kerasdl.search.drawing import optimization, own_choice
    from kerasdl.search.record import SearchRecord
    from kerasdl.tasks.classification.task import Classification
    from kerasdl.tasks.forecast.task import Forecast
    from kerasdl.tasks.generation.task import Generation
    from kerasdl.tasks.language.task import LanguageModel
    from kerasdl.tasks.regression.task import Regression
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


def load_recipe(
    pipeline: str, *, data: "str | Source | None" = None, trust: bool = False, **fields: Any
) -> "Recipe":
    """Load the recipe of a pipeline, with changes.

    Args:
        pipeline: name in `kerasdl list`, or path of a .py file, a recipe.json or a run.
        trust: run the Python code beside a recipe.json although somebody else made it, and remember that.
        data: source, or text that `--data` takes ("digits", a folder, an .npz file, the name of a set).
            Defaults to the recipe's own.
        **fields: fields of the recipe to replace: epochs=5, batch_size=64, ...

    Raises:
        UsageError: for an unknown pipeline, data set, field or value.
    """
    environment.import_tensorflow()
    from kerasdl.data import from_text
    from kerasdl.recipe import catalog, replace
    from kerasdl.recipe import trust as trusting

    with trusting.accepting(trust):
        loaded, _ = catalog.load(pipeline)
    if data is not None:
        fields["data"] = from_text(data, loaded.data) if isinstance(data, str) else data
    return replace(loaded, **fields)


def tune(
    space: str,
    *,
    recipe: "Recipe | None" = None,
    workers: int | None = None,
    gpus: Sequence[str] = (),
    **options: Any,
) -> "SearchRecord":
    """Search hyperparameters, or resume the newest unfinished search with the same settings.

    Trials run in processes of their own: call it below `if __name__ == "__main__":` in a script.

    Args:
        space: name of a shipped space ("lenet5"), or path of a .py file with a function `space(hp, recipe)`
            and a RECIPE.
        recipe: recipe whose values are the defaults. Defaults to that of the space.
        workers: number of trials at the same time. Defaults to one, or one for each of `gpus`.
        gpus: GPUs to use, one trial on each.
        **options: fields of `kerasdl.search.definition.Search`: max_trials=50, objectives=("val_loss",), ...

    Returns:
        The trials; `best()` is the best one, `ranked()` all that count.

    Raises:
        UsageError: for a space, recipe or option that does not work.
        RunFailedError: when no trial completed, or none keeps to the constraints.
    """
    import multiprocessing  # half of the time of `import kerasdl`

    if multiprocessing.parent_process() is not None:
        raise UsageError(
            "kerasdl.tune was called in the process of a trial. In a script, call it below\n"
            '    if __name__ == "__main__":'
        )
    environment.import_tensorflow()
    from kerasdl.jobs import train
    from kerasdl.recipe import catalog
    from kerasdl.search import session
    from kerasdl.search.definition import Search

    own, source, space_file = catalog.load_space(space)
    search = Search(
        recipe=train.judged(own if recipe is None else recipe),
        space=catalog.space_in(space_file),
        space_file=space_file,
        recipe_source=source,
        **options,
    )
    return session.tune(search, session.make_slots(workers, gpus))
