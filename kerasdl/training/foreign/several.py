"""Models with several outputs: their names, and a model of one of them."""

import re
from typing import Any

import keras

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.network.imported_parts import ALL, Parts
from kerasdl.training.foreign import inputs
from kerasdl.training.foreign.outputs import Head


def names_of(model: keras.Model, found: Any) -> tuple[str, ...]:
    """Return a name for each output of a model, in the order of `keras.tree`.

    These are the keys of a dict, else the names of the layers that the outputs come from, where Keras knows
    them and they differ; else numbers.

    Args:
        model: the model.
        found: what it gives: a tensor, or a structure of them.
    """
    paths = [path for path, _ in keras.tree.flatten_with_path(found)]
    names = ["_".join(map(str, path)) for path in paths]
    if all(isinstance(part, int) for path in paths for part in path):
        names = list(getattr(model, "output_names", None) or ())
    names = [re.sub(r"\W+", "_", name) for name in names]
    if len(set(names)) != len(paths) or not all(names):
        names = [f"output_{number}" for number in range(len(paths))]
    return tuple(names)


def listed(model: keras.Model, found: Any) -> str:
    """Return names and shapes of the outputs of a model as a text."""
    parts = keras.tree.flatten(found)
    shown = [
        f"{name} {tuple(part.shape[1:])}" for name, part in zip(names_of(model, found), parts, strict=True)
    ]
    return ", ".join(shown)


def only(model: keras.Model, wanted: str) -> keras.Model:
    """Return a model with one output of another.

    Raises:
        UsageError: when it has no output of that name.
    """
    if getattr(model, "inputs", None):
        given, found = model.inputs, model.output
    else:
        known = inputs.of_model(model)
        if not known:
            raise UsageError(
                "Keras does not know the inputs of this model, so that no output of it can be taken."
            )
        given = [keras.Input(one.shape, dtype=one.dtype, name=one.name or None) for one in known]
        found = model(
            {one.name: x for one, x in zip(known, given, strict=True)} if known[0].name else given[0]
        )
    names = names_of(model, found)
    if wanted not in names:
        raise UsageError(
            f"The model has no output {wanted!r}. Give --output with one of {listed(model, found)}."
            + did_you_mean(wanted, names)
        )
    output = keras.tree.flatten(found)[names.index(wanted)]
    return keras.Model(given[0] if len(given) == 1 else given, output, name=model.name)


def of_all(model: keras.Model, names: tuple[str, ...]) -> Head:
    """Return a model that answers with all of its outputs."""
    parts = Parts(backbone=model, outputs=ALL, names=names)
    return Head(parts, ALL, f"Its outputs are {', '.join(names)}: taken as they are, and not judged.")
