"""Checks a network of the user's before its first step, so that no hours of training are lost on it."""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasdl.data.passes import split_batches
from kerasdl.data.trees import Tree, map_leaves
from kerasdl.errors import UsageError
from kerasdl.export import operators
from kerasdl.inference.answers import same
from kerasdl.inference.endpoint import Arrays, Endpoint
from kerasdl.network.generative import GenerativeNetwork
from kerasdl.network.network import Network, main_output_of
from kerasdl.private.keras import all_parts_of
from kerasdl.recipe.document import encode
from kerasdl.runs import network_file
from kerasdl.training.making import check_making
from kerasdl.training.neighbours import check_neighbours
from kerasdl.training.plan import Plan
from kerasdl.training.probe import answers_of, random_weights

_log = logging.getLogger(__name__)

_NUM_EXAMPLES = 5  # odd, and enough to tell what a batch of them mixes
_NUM_DRAWS = 4  # of random weights: outputs that lie between 0 and 1 for all of them are no logits

_passed: set[tuple[Any, ...]] = set()


def check_network(plan: Plan, network: keras.Model, *, exports: bool) -> None:
    """Refuse a network that would not be the same after saving, alone or in a bundle.

    The network gets random weights, all of them distinct, and answers for a few real validation examples: in
    memory, after it was saved and loaded, alone, in batches, and in another order. Then its weights are
    restored. What has passed is not checked again in this process.

    Args:
        plan: the plan of the run.
        network: the network of the plan's recipe, float32 and on one device, as it will be saved.
        exports: whether files are exported after training.

    Raises:
        UsageError: says in one sentence what is wrong, and how to mend it.
    """
    recipe = plan.recipe
    key = (
        type(network),
        repr((encode(recipe.model), recipe.preprocessing, recipe.task, plan.data.spec)),
        exports,
    )
    if key in _passed:
        return
    given = {**recipe.model.arguments, **recipe.task.network_arguments(plan.data.spec)}
    _check_arguments(network, given)
    _check_variables(network)
    features, targets = (
        map_leaves(lambda part: part[:_NUM_EXAMPLES], part)
        for part in next(split_batches(plan.data.validation, 1)())[:2]
    )
    with random_weights(network) as draw:
        draw(0)
        answers = [answers_of(network, features)]
        if _may_be_probabilities(answers[0]):
            for number in reversed(range(_NUM_DRAWS)):
                draw(number)
                answers.append(answers_of(network, features))
        outputs = map_leaves(lambda *parts: np.concatenate(parts), *answers)
        recipe.task.check_outputs(outputs.get("", outputs), plan.data.spec, main_output_of(network))
        _check_owned(network, features)
        check_neighbours(network, features)
        if isinstance(network, GenerativeNetwork):
            check_making(network, features, targets)
        _check_file(network, recipe.model, features)
    endpoints = recipe.task.endpoints(network, plan.data.spec, {})  # which refuses what it cannot answer
    if exports:
        _check_operators(network, endpoints)
    _passed.add(key)


def _check_arguments(network: keras.Model, given: Mapping[str, Any]) -> None:
    """Refuse a network whose `get_config` leaves out arguments that it was made with."""
    config = network.get_config()
    plain = (bool, int, float, str)
    left_out = [name for name in given if name not in config]
    changed = [
        name
        for name, value in given.items()
        if isinstance(value, plain) and isinstance(config.get(name), plain) and config[name] != value
    ]
    if left_out or changed:
        kind, names = type(network).__name__, " and ".join(left_out + changed)
        lines = "".join(f', "{name}": self.{name}' for name in left_out + changed)
        raise UsageError(
            f"{kind}.get_config does not give back {names}, so that the saved network would be made with "
            f"another value. Write: def get_config(self): return {{**super().get_config(){lines}}}"
        )


def _check_variables(network: keras.Model) -> None:
    """Refuse variables that Keras neither trains nor saves."""
    hidden = [
        f"{type(layer).__name__}.{name}"
        for layer in all_parts_of(network)
        if not type(layer).__module__.startswith("keras.")  # whose own layers save what they hold
        for name, value in vars(layer).items()
        if not name.startswith("_self_")  # TensorFlow's own list of what an attribute holds
        and any(isinstance(part, (tf.Variable, tf.Module)) and _variables(part) for part in _parts(value))
    ]
    if hidden:
        raise UsageError(
            f"{' and '.join(hidden)} holds a tf.Variable, which Keras neither trains nor saves. Use "
            "self.add_weight(...) in __init__ or build."
        )


def _parts(value: Any) -> Iterator[Any]:
    """Yield what an attribute of a layer holds, in lists and dicts too, but for parts of Keras."""
    if isinstance(value, (keras.Layer, keras.Variable, keras.Optimizer)):
        return
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _parts(part)
    else:
        yield value


def _variables(part: "tf.Variable | tf.Module") -> bool:
    return isinstance(part, tf.Variable) or bool(part.variables)


def _check_owned(network: keras.Model, features: Tree) -> None:
    """Refuse a network that computes with variables which are not its own."""
    infer = network.infer if isinstance(network, Network) else network
    traced = tf.function(lambda given: infer(given), autograph=False)
    used = traced.get_concrete_function(map_leaves(tf.constant, features)).variables
    own = {id(variable.value) for variable in network.variables}
    if foreign := sorted({variable.name for variable in used if id(variable) not in own}):
        raise UsageError(
            f"{type(network).__name__} computes with weights that are not its own, so that they are neither "
            f"trained nor saved: {', '.join(foreign[:5])}. Make each layer an attribute of the network, or "
            "of a layer of it, in __init__: Keras sees none at module level or in objects of other classes."
        )
    test_step = type(network).test_step
    if test_step is not Network.test_step and not test_step.__module__.startswith("kerasdl."):
        _log.warning(
            f"{type(network).__name__} has a test_step of its own: its validation figures are not those of "
            "forward alone, which is what is exported."
        )


def _may_be_probabilities(outputs: Arrays) -> bool:
    return any(leaf.min() >= 0 and leaf.max() <= 1 for leaf in outputs.values())


def _check_file(network: keras.Model, model: Any, features: Tree) -> None:
    """Refuse a network whose file is not the same network."""
    kind = type(network).__name__
    mend = (
        "Make every layer in __init__, and let get_config of each layer of your own return its arguments; "
        "kerasdl check tries it in seconds."
    )
    with tempfile.TemporaryDirectory(prefix="kerasdl-") as folder:
        file = Path(folder) / "model.keras"
        try:
            network.save(file)
            loaded = network_file.load(file, model)
        except Exception as error:  # whatever the user's classes and Keras raise
            raise UsageError(
                f"{kind} cannot be loaded from its own file ({_first_line(error)}). {mend}"
            ) from error
    if not same(answers_of(network, features), answers_of(loaded, features)):
        raise UsageError(f"{kind} answers otherwise once it is saved and loaded. {mend}")


def _check_operators(network: keras.Model, endpoints: Sequence[Endpoint]) -> None:
    """Refuse operators that no exported file can have; warn of those that some formats lack."""
    used = operators.operators_of(endpoints[:1])
    kind = type(network).__name__
    if python := sorted(used & operators.PYTHON):
        raise UsageError(
            f"{kind} calls back into Python ({', '.join(python)}, from tf.py_function or numpy_function), "
            "which no exported file can. Use operations of keras.ops or TensorFlow, or train with "
            "--no-export."
        )
    for name, missing in operators.missing_forms(used, endpoints[0].formats).items():
        _log.warning(
            f"{kind} uses {', '.join(missing)}, which {name} files cannot have: they will be missing from "
            "the bundle. Use other operations, or export the other formats alone (kerasdl export RUN "
            "--formats)."
        )


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text[:200]}"
