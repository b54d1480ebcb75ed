"""The private names of Keras that kerasdl uses: an upgrade of Keras is one look here."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras.src.saving import serialization_lib

from kerasdl.errors import RunFailedError
from kerasdl.private.tensorflow import maybe_merge_call

#: Methods that Keras calls and the classes below override: renamed, they would silently no longer be called.
OVERRIDDEN = ("_all_reduce_sum_gradients", "_apply_weight_decay", "_backend_update_step")
#: Attributes of a built layer.
OF_LAYERS = ("_layers", "_trainable_variables", "_non_trainable_variables", "_flatten_layers")
#: Attributes of a compiled model.
OF_MODELS = ("_compile_loss", "_compile_metrics")
#: Attributes of every built optimizer, of one with averages, and of those with the slots of Adam.
OF_OPTIMIZERS = (
    "_use_weight_decay", "_distribution_strategy", "_get_variable_index", "_trainable_variables",
    "_model_variables_moving_average", "_momentums", "_velocities",
)  # fmt: skip


def attribute(owner: Any, name: str) -> Any:
    """Return a private attribute of an object of Keras.

    Raises:
        RunFailedError: when this version of Keras does not have it.
    """
    try:
        return getattr(owner, name)
    except AttributeError as error:
        raise _missing(type(owner), name) from error


def check_overridden() -> None:
    """Raise a RunFailedError unless Keras's optimizers have the methods that are overridden here."""
    for name in OVERRIDDEN:
        if not hasattr(keras.Optimizer, name):
            raise _missing(keras.Optimizer, name)


def _missing(kind: type, name: str) -> RunFailedError:
    return RunFailedError(
        f"Keras {keras.__version__} no longer has {kind.__name__}.{name}. kerasdl supports Keras 3.15: "
        'pip install "keras>=3.15,<3.16".'
    )


def parts_of(layer: keras.Layer) -> list[keras.Layer]:
    """Return the layers that are attributes of a layer."""
    return attribute(layer, "_layers")


def all_parts_of(layer: keras.Layer, *, include_self: bool = True) -> list[keras.Layer]:
    """Return all layers within a layer, at any depth."""
    return list(attribute(layer, "_flatten_layers")(include_self=include_self))


def own_trainable_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Return the weights of a layer that may train, without those of its parts."""
    return attribute(layer, "_trainable_variables")


def own_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Return the weights of a layer without those of its parts: kernel, bias; gamma, beta, mean, variance."""
    return own_trainable_weights(layer) + attribute(layer, "_non_trainable_variables")


def compiled_loss(model: keras.Model, y, y_pred, sample_weight):
    """Return the loss that a model was compiled with, without those of `add_loss`."""
    return attribute(model, "_compile_loss")(y, y_pred, sample_weight)


def take_losses(model: keras.Model) -> dict[str, Callable]:
    """Return the loss of each output that a model was compiled with, and leave it the `add_loss` terms."""
    kind = type(attribute(model, "_compile_loss"))  # it takes names of losses and functions too
    model._compile_loss = None
    return {name: kind(loss) for name, loss in model.loss.items() if loss is not None}


def compiled_metrics(model: keras.Model) -> keras.Metric | None:
    """Return the metric that holds those which a model was compiled with."""
    return attribute(model, "_compile_metrics")


def moving_averages(optimizer: keras.Optimizer) -> list[tuple[keras.Variable, keras.Variable]]:
    """Return each weight of an optimizer with its moving average."""
    weights = attribute(optimizer, "_trainable_variables")
    return list(zip(weights, attribute(optimizer, "_model_variables_moving_average"), strict=True))


def slot(optimizer: keras.Optimizer, slots: str, variable):
    """Return the handle of what an optimizer keeps for a weight.

    Args:
        optimizer: a built optimizer.
        slots: the attribute with one variable for each weight.
        variable: the weight.
    """
    index = attribute(optimizer, "_get_variable_index")(variable)
    return attribute(optimizer, slots)[index].value.handle


class AlreadySummed:
    """Mixed in before a Keras optimizer that gets gradients already summed over replicas."""

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars


class DecayAtOneRate:
    """Mixed in before a Keras optimizer: its weight decay asks for the learning rate once."""

    def _apply_weight_decay(self, variables):
        if self.weight_decay is None:
            return
        is_decayed = attribute(self, "_use_weight_decay")
        decayed = [
            variable.value if isinstance(variable, keras.Variable) else variable
            for variable in variables
            if is_decayed(variable)
        ]

        def decay(variable, rate):
            factor, rate = (tf.cast(value, variable.dtype) for value in (self.weight_decay, rate))
            variable.assign_sub(variable * factor * rate)

        def decay_all(strategy, rate):
            for variable in decayed:
                strategy.extended.update(variable, decay, args=(rate,), group=False)

        maybe_merge_call(decay_all, attribute(self, "_distribution_strategy"), self.learning_rate)


class OneSharedValue:
    """Mixed in before a Keras optimizer: `update_step` gets what `shared` returns, computed once a step.

    Keras gives `update_step` the learning rate, and passes on whatever stands in its place.
    """

    def shared(self, learning_rate):
        """Return what the update of every weight takes besides its gradient."""
        return learning_rate

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        super()._backend_update_step(grads, trainable_variables, self.shared(learning_rate))


def in_safe_mode() -> bool:
    """Tell whether Keras refuses to build functions from the code in the file that it is reading."""
    return serialization_lib.in_safe_mode() is not False
