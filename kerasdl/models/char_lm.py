"""Recurrent language models over characters."""

from collections.abc import Sequence
from typing import Literal

import keras
from keras import ops

from kerasdl.layers import Dropout, MinGRU, Recurrent
from kerasdl.layers import states as layer_states
from kerasdl.layers.config import config_of
from kerasdl.network.streaming import StreamingNetwork


@keras.saving.register_keras_serializable("kerasdl")
class CharLM(StreamingNetwork):
    """A recurrent language model: at each character it tells how probable every next one is.

    The state of the recurrent layers is all that it knows of the text so far, so that it writes character by
    character at the same cost however long the text is (`step`).

    References: Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015,
    https://karpathy.github.io/2015/05/21/rnn-effectiveness/; Zaremba et al., "Recurrent neural network
    regularization", 2014, https://arxiv.org/abs/1409.2329 (dropout between layers, not between steps); Press,
    Wolf, "Using the output embedding to improve language models", 2016, https://arxiv.org/abs/1608.05859
    (tied); Feng et al., "Were RNNs all we needed?", 2024, https://arxiv.org/abs/2410.01201 (min_gru).

    Differences from the papers: embeddings instead of one-hot characters; a tied network whose layers are
    not as wide as its embeddings has a linear layer between them.

    Args:
        vocabulary_size: number of characters, the unknown one included (66 for tiny Shakespeare).
            Defaults to 66.
        embedding_dim: size of an embedding. Defaults to 64.
        cell: "lstm", "gru", "simple_rnn", or "min_gru", which is fast and knows less. Defaults to "lstm".
        units: size of each recurrent layer's state. Defaults to 512.
        num_layers: number of recurrent layers, 1 or more. Defaults to 2.
        dropout: fraction of the inputs of each recurrent layer and of the head that is left out in training,
            0 to 1; embeddings keep all. Defaults to 0.0.
        tied: use the embeddings as the weights of the head, too. Defaults to False.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: ids (batch_size, T), int32.
    Output: logits of the next character (batch_size, T, vocabulary_size), float32.

    Parameters: 3,318,978 with the default arguments.

    Example:
        >>> network = CharLM(units=256)
        >>> network(ids).shape  # (B, T), int32
        (B, T, 66)
        >>> logits, states = network.step(ids[:, 0], network.initial_states(len(ids)))
    """

    def __init__(
        self,
        *,
        vocabulary_size: int = 66,
        embedding_dim: int = 64,
        cell: Literal["lstm", "gru", "simple_rnn", "min_gru"] = "lstm",
        units: int = 512,
        num_layers: int = 2,
        dropout: float = 0.0,
        tied: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.dropout = dropout
        self.tied = tied
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding_dim)
        self.recurrent = [
            MinGRU(units=units) if cell == "min_gru" else Recurrent(cell=cell, units=units)
            for _ in range(num_layers)
        ]
        self.drops = [Dropout(dropout) for _ in range(num_layers)]
        self.project = keras.layers.Dense(embedding_dim) if tied and units != embedding_dim else None
        self.head = Tied(self.embedding, name="head", dtype="float32") if tied else (
            keras.layers.Dense(vocabulary_size, name="head", dtype="float32")
        )  # fmt: skip

    @property
    def state_shapes(self):
        """Shape of each state without the batch axis, by name: h0, c0, h1, c1, ... of an LSTM."""
        return layer_states.shapes(self.recurrent)

    def forward_features(self, x, training=False):
        """Return what the head is given for texts that begin with the first character."""
        return self._read(x, None, training)[0]

    def forward_from(self, x, states: Sequence | None, training=False):
        """Return logits (B, T, vocabulary_size) and the states after the last character.

        Args:
            x: ids (B, T), int32.
            states: states before the first character; None for zeros.
            training: whether to leave out units.
        """
        x, after = self._read(x, states, training)
        return self.head(x), after

    def step(self, x, states: Sequence):
        """Return logits (B, vocabulary_size) and the states after one character of each text.

        Args:
            x: ids (B,), int32.
            states: states before it, tensors (B, ...) as `initial_states` returns them.
        """
        x, after = layer_states.step(self.recurrent, self.embedding(x), states)  # (B, units)
        return self.head(self._projected(x)), after

    def _read(self, x, states: Sequence | None, training):
        """Return the inputs of the head (B, T, ...) and the states after the last character."""
        parts, after = self._by_layer(states), []
        x = self.embedding(x)  # (B, T, E)
        for layer, drop, part in zip(self.recurrent, self.drops, parts, strict=True):
            x, new = layer(x, states=part, training=training)  # (B, T, units)
            x = drop(x, training=training)
            after += new
        return self._projected(x), after

    def _projected(self, x):
        return x if self.project is None else self.project(x)

    def _by_layer(self, states: Sequence | None) -> list:
        if states is None:
            return [None] * len(self.recurrent)
        return layer_states.by_layer(self.recurrent, states)

    def get_config(self):
        names = ("vocabulary_size", "embedding_dim", "cell", "units", "num_layers", "dropout", "tied")
        return {**super().get_config(), **config_of(self, *names)}


@keras.saving.register_keras_serializable("kerasdl")
class Tied(keras.layers.Layer):
    """A dense layer whose weights are those of an embedding, with a bias of its own.

    Args:
        embedding: the embedding; its weights are not counted as those of this layer.
        **kwargs: arguments of `keras.Layer`.

    Input: x (..., embedding_dim), float.
    Output: (..., vocabulary_size), float.
    """

    def __init__(self, embedding: keras.layers.Embedding, **kwargs):
        super().__init__(**kwargs)
        self._table = lambda: embedding.embeddings  # Keras would track a layer

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(self._table().shape[0],), initializer="zeros", name="bias")

    def call(self, x):
        """Return the product with each embedding."""
        table = ops.cast(self._table(), self.compute_dtype)
        return ops.matmul(ops.cast(x, self.compute_dtype), ops.transpose(table)) + self.bias

    def get_config(self):
        """Return what Keras keeps of a layer; the network gives it the embedding."""
        return super().get_config()
