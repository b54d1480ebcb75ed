"""How the pixels of images are scaled before a model gets them: said by the user, or by the model itself."""

import logging

import keras

from kerasdl.data.dataset import Dataset, Spec
from kerasdl.errors import UsageError
from kerasdl.network.imported_parts import opaque
from kerasdl.training.foreign import inputs, judging, proof

_log = logging.getLogger(__name__)

_WHOLE = {"uint8", "int8", "int16", "int32", "int64"}


def settled(
    wanted: inputs.Scaling | None,
    model: keras.Model,
    data: Dataset,
    layouts: tuple[tuple[str, str, str], ...],
    judged: bool,
) -> inputs.Scaling:
    """Return how images are scaled; where nobody says so and the model does not, ask with what each gives.

    Args:
        wanted: what the user says; None for nothing.
        model: as plain Keras opens it.
        data: the examples.
        layouts: name in the data, layout and dtype of each input of the model.
        judged: whether the model has one output, which the targets of the data are compared with.

    Raises:
        UsageError: when it has to be said.
    """
    spec = data.spec.inputs
    if not (isinstance(spec, Spec) and spec.is_image):
        if wanted not in (None, "none"):
            raise UsageError("--preprocess is for images: others are given as they are. Leave it out.")
        return "none"
    if {one.dtype for one in inputs.of_model(model)} <= _WHOLE:
        if wanted not in (None, "none"):
            raise UsageError("The model takes whole numbers: pixels as they are. Leave --preprocess out.")
        return "none"
    words = [word for word in inputs.SCALINGS if spec.shape[-1] == 3 or word not in inputs.COLOURED]
    if wanted is not None:
        inputs.preprocessing(wanted, spec)  # checks it
        if wanted == "none" and not inputs.scales_itself(model):
            _log.warning(
                f"The network gets pixels 0..255 and {_unseen(model)}, as few networks are trained. If its "
                "answers are bad, try another --preprocess."
            )
        if wanted != "none" and inputs.scales_itself(model):
            _log.warning(
                f"The model scales pixels itself and gets those of --preprocess {wanted}: twice is "
                "right only if it was trained so."
            )
        return wanted
    if inputs.scales_itself(model):
        return "none"
    features, labels = proof.examples_of(data)
    tried = ""
    if judged and isinstance(data.spec.class_names, tuple) and data.spec.class_names:
        found = {word: proof.Asked(features, word, layouts).answers(model) for word in words}
        shown = [f"{word} {judging.accuracy(answers, labels):.0%}" for word, answers in found.items()]
        tried = f" Accuracy on {len(labels)} examples with each: {', '.join(shown)}."
    raise UsageError(
        "Say how pixels are scaled before the model gets them: --preprocess tf (-1..1), caffe, torch, unit "
        f"(0..1) or none (0..255); it {_unseen(model)}.{tried}"
    )


def _unseen(model: keras.Model) -> str:
    return "shows no layers, being a SavedModel" if opaque(model) else "has no layer that scales them"
