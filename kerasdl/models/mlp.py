"""The multilayer perceptron."""

import keras

from kerasdl.layers import Dropout
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network


@keras.saving.register_keras_serializable("kerasdl")
class MLP(Network):
    """A multilayer perceptron: dense layers, each followed by a non-linearity.

    Every unit sees every input, so nothing is known of neighbouring pixels: what convolutions add shows in
    the difference.

    Reference: Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors", 1986,
    https://www.nature.com/articles/323533a0.

    Differences from the paper: ReLU for the logistic function, one layer of 512 units by default.

    Args:
        num_classes: number of classes, 1 or more. Defaults to 10.
        num_outputs: number of numbers, where the answer is these and no class. Defaults to None.
        hidden_units: units of each hidden layer. Defaults to (512,).
        activation: name of a Keras activation. Defaults to "relu".
        dropout: fraction of each hidden layer's units left out in training, 0 to 1. Defaults to 0.0.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: (batch_size, ...), float32; all axes but the first are flattened.
    Output: logits (batch_size, num_classes), or numbers (batch_size, num_outputs), float32.

    Parameters: 407,050 at 28x28x1 with 10 classes (784-512-10).

    Example:
        >>> network = MLP(hidden_units=(256, 128))
        >>> logits = network(images)  # (B, 28, 28, 1), 0..1
        >>> logits.shape
        (B, 10)
    """

    def __init__(
        self,
        *,
        num_classes: int = 10,
        num_outputs: int | None = None,
        hidden_units: tuple[int, ...] = (512,),
        activation: str = "relu",
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.num_outputs = num_outputs
        self.hidden_units = tuple(hidden_units)
        self.activation = activation
        self.dropout = dropout
        self.flatten = keras.layers.Flatten()
        self.hidden = [keras.layers.Dense(units, activation=activation) for units in self.hidden_units]
        self.drops = [Dropout(dropout) for _ in self.hidden_units]
        self.head = keras.layers.Dense(num_outputs or num_classes, name="head", dtype="float32")

    def forward(self, x, training=False):
        """Return the logits of preprocessed inputs."""
        return self.head(self.forward_features(x, training=training))  # (B, num_classes)

    def forward_features(self, x, training=False):
        """Return the inputs of the head, (batch_size, hidden_units[-1]), float."""
        x = self.flatten(x)  # (B, D)
        for dense, drop in zip(self.hidden, self.drops, strict=True):
            x = drop(dense(x), training=training)  # (B, units)
        return x

    def get_config(self):
        names = ("num_classes", "num_outputs", "hidden_units", "activation", "dropout")
        return {**super().get_config(), **config_of(self, *names)}
