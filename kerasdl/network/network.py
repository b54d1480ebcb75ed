"""The base class of networks: preprocessing, forward pass, weights and files."""

from collections.abc import Mapping
from typing import ClassVar

import keras

from kerasdl.errors import UsageError
from kerasdl.network.step import TrainingStep
from kerasdl.recipe import Recipe


class Network(TrainingStep):
    """A `keras.Model` over raw examples, with the training step of `TrainingStep`.

    A network defines `forward`, from preprocessed examples to a tensor or a dict of them. (One that defines
    `call` instead takes raw examples there and calls `preprocess` itself.)

    Args:
        preprocessing: layer from raw examples to the inputs of `forward`; it is saved and exported with the
            network. Defaults to None: examples are taken as they are.
        **kwargs: arguments of `keras.Model`: name, dtype.
    """

    #: Attributes that hold the layers which depend on the classes; the others are the backbone.
    head_names: ClassVar[tuple[str, ...]] = ("head",)

    def __init__(self, *, preprocessing: keras.Layer | None = None, **kwargs):
        super().__init__(**kwargs)
        self.preprocessing = preprocessing
        self._inputs = None

    # Forward pass

    def call(self, inputs, training=False):
        """Return the outputs for raw examples."""
        return self.forward(self.preprocess(inputs), training=training)

    def forward(self, x, training=False):
        """Return the outputs for preprocessed examples: a tensor, or a dict of them."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(self, x, training=False).")

    def forward_deployed(self, x):
        """Return the outputs of a deployed network for preprocessed examples.

        Weights that it does not use are left out of exports.
        """
        return self.forward(x, training=False)

    def preprocess(self, inputs):
        """Apply the preprocessing layer where there is one."""
        return inputs if self.preprocessing is None else self.preprocessing(inputs)

    def infer(self, inputs):
        """Return the outputs of a deployed network for raw examples."""
        if type(self).forward_deployed is Network.forward_deployed:
            return self(inputs, training=False)
        return self.forward_deployed(self.preprocess(inputs))

    def features(self, inputs, training=False):
        """Return the inputs of the head for raw examples; for networks that define `forward_features`."""
        return self.forward_features(self.preprocess(inputs), training=training)

    # Weights and files

    def build_on(self, inputs) -> None:
        """Make all weights. Override it where a call on the features does not make all of them.

        Args:
            inputs: `keras.KerasTensor` of the raw features, or a dict of them.
        """
        self(inputs)

    def create_weights(self, inputs) -> None:
        """Make all weights by `build_on`, and record the inputs, so that a file does the same."""
        self._inputs = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), inputs)
        self.build_on(inputs)
        self.built = True

    def get_build_config(self):
        if self._inputs is None:
            return super().get_build_config()
        return {"inputs": self._inputs}

    def build_from_config(self, config):
        """Make the weights when a file is loaded."""
        if not config or "inputs" not in config:
            super().build_from_config(config)
            return
        self.create_weights(keras.saving.deserialize_keras_object(config["inputs"]))

    def get_config(self):
        return {
            **super().get_config(),
            "preprocessing": keras.saving.serialize_keras_object(self.preprocessing),
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild the network and its preprocessing."""
        return cls(
            **{**config, "preprocessing": keras.saving.deserialize_keras_object(config["preprocessing"])}
        )

    # Optimizers

    @property
    def without_effect(self) -> list[keras.Variable]:
        """Weights that the loss does not depend on, by design, and that training leaves as they are."""
        return []

    @property
    def averaged(self) -> list[keras.Variable]:
        """Weights whose moving average is saved, where the recipe has `ema_momentum`."""
        return self.trainable_variables

    def recipe_for(self, name: str, recipe: Recipe) -> Recipe:
        """Return the recipe of an optimizer, such as with another learning rate than the run's."""
        return recipe


def main_output(network: keras.Model, outputs):
    """Return the output that predictions come from, of what a network, ours or any other, returned."""
    if not isinstance(outputs, Mapping):
        return outputs
    name = main_output_of(network)
    if name not in outputs:
        raise UsageError(
            f"{type(network).__name__} gives {', '.join(outputs)} and no {name!r}: none of them is the one "
            "that answers. Set main_output in its class; of an imported model take one with --output."
        )
    return outputs[name]


def main_output_of(network: keras.Model) -> str:
    """Return the name of the output that predictions come from, where a network returns several."""
    return network.main_output if isinstance(network, Network) else Network.main_output


def logits(network: keras.Model, inputs):
    """Return the main output of a deployed network, ours or any other, for raw examples."""
    return main_output(network, outputs_of(network, inputs))


def outputs_of(network: keras.Model, inputs):
    """Return all outputs of a deployed network, ours or any other, for raw examples."""
    return network.infer(inputs) if isinstance(network, Network) else network(inputs, training=False)
