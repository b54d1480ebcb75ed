"""Recurrent networks that give an answer at each step of a sequence."""

import keras
import tensorflow as tf

from kerasdl.layers import Dropout, Recurrent, noise
from kerasdl.layers import states as layer_states
from kerasdl.layers.config import config_of
from kerasdl.layers.linear_chain import LinearChain
from kerasdl.layers.recurrent import CellName
from kerasdl.network.streaming import SteppingNetwork
from kerasdl.preprocessing.sentence import TokenPreprocessing

_UNKNOWN = 1  # number of the unknown word


@keras.saving.register_keras_serializable("kerasdl")
class Tagger(SteppingNetwork):
    """A recurrent network that tags each token: which words are names, which part of speech a word is.

    A token's word, the end of it and its shape have vectors, which stand side by side. Recurrent layers read
    them from both ends, so that each step knows what stands around it. With `crf` the answer is the best
    sequence of tags as a whole: scores for pairs of tags are learned too, so that I-PER does not follow
    B-LOC.

    References: Huang, Xu, Yu, "Bidirectional LSTM-CRF models for sequence tagging", 2015,
    https://arxiv.org/abs/1508.01991; Lafferty, McCallum, Pereira, "Conditional random fields", 2001.

    Differences from the paper: learned vectors for ends and shapes of words in place of its spelling features
    and of word vectors from other texts; words are hidden in training, so that unknown ones are not new.

    Args:
        num_tags: number of tags, 2 or more. Defaults to 10.
        crf: score pairs of tags too, in a linear-chain conditional random field. Defaults to False.
        cell: "lstm", "gru" or "simple_rnn". Defaults to "lstm".
        units: size of the state of each layer, in each direction. Defaults to 64.
        num_layers: recurrent layers, each of which reads the outputs of the one before. Defaults to 1.
        bidirectional: let each layer read the sequence from both ends. Defaults to True.
        residual: add the inputs of each layer but the first to its outputs. Defaults to False.
        embedding_size: size of the vector of each word. Defaults to 64.
        suffix_size: size of the vector of each end of a word; 0 for none. Defaults to 32.
        shape_size: size of the vector of each shape of a token; 0 for none. Defaults to 16.
        hide_words: fraction of the words that are made unknown in training, 0 to 1; their ends and shapes
            stay. Defaults to 0.0.
        dropout: fraction of the units left out in training before each layer and before the head, 0 to 1.
            Defaults to 0.0.
        recurrent_dropout: fraction of the state that is left out in training from step to step, 0 to 1.
            Defaults to 0.0.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: ids (B, T, 3), int32: numbers of word, end and shape, 0 behind the end of a sentence; or sequences
        (B, T, D), float.
    Output: logits (B, T, num_tags), float32; with `crf` potentials (B, T, num_tags, num_tags), float32, see
        `kerasdl.layers.linear_chain`.

    Parameters: 83,722 over steps of 96 numbers with 10 tags; a table of 30,000 words has 1,920,000 more.

    Example:
        >>> network = Tagger(num_tags=9, crf=True)
        >>> network(steps).shape  # (B, 20, 96)
        (B, 20, 9, 9)
    """

    def __init__(
        self,
        *,
        num_tags: int = 10,
        crf: bool = False,
        cell: CellName = "lstm",
        units: int = 64,
        num_layers: int = 1,
        bidirectional: bool = True,
        residual: bool = False,
        embedding_size: int = 64,
        suffix_size: int = 32,
        shape_size: int = 16,
        hide_words: float = 0.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_tags = num_tags
        self.crf = crf
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.residual = residual
        self.embedding_size = embedding_size
        self.suffix_size = suffix_size
        self.shape_size = shape_size
        self.hide_words = hide_words
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        layer = self.preprocessing
        known = layer.sizes if isinstance(layer, TokenPreprocessing) else None
        wanted = (embedding_size, suffix_size, shape_size)
        self.embeddings = [
            keras.layers.Embedding(count, size) if size else None
            for count, size in zip(known or (), wanted, strict=bool(known))
        ]
        self.recurrent = [
            [
                Recurrent(cell=cell, units=units, backwards=backwards, recurrent_dropout=recurrent_dropout)
                for backwards in ((False, True) if bidirectional else (False,))
            ]
            for _ in range(num_layers)
        ]
        self.drops = [Dropout(dropout) for _ in range(num_layers + 1)]
        self.head = (
            LinearChain(num_tags=num_tags, name="head")
            if crf
            else keras.layers.Dense(num_tags, name="head", dtype="float32")
        )

    def forward(self, x, training=False):
        """Return logits or potentials for preprocessed sentences."""
        mask = steps_of(x)
        features = self._read(x, mask, training)
        return self.head(features, mask=mask) if self.crf else self.head(features)

    def forward_features(self, x, training=False):
        """Return the inputs of the head, (B, T, features), float."""
        return self._read(x, steps_of(x), training)

    @property
    def state_shapes(self):
        """Shape of each state of `step` without the batch axis, by name.

        There are none where a tag needs what stands behind it too: read from both ends, and with `crf`.
        """
        return {} if self.bidirectional or self.crf else layer_states.shapes(self._forwards)

    def step(self, x, states):
        """Return the logits (B, num_tags) of one token of each sentence, and the states after it.

        Args:
            x: ids (B, 3), int32; or a step of other sequences (B, D), float.
            states: states before it, (B, ...) in the order of `state_shapes`; zeros before the first step.
        """
        x = self._embedded(x, training=False) if steps_are_ids(x) else x  # (B, D)
        x, after = layer_states.step(self._forwards, x, states, self.residual)
        return self.head(x), after

    @property
    def _forwards(self):
        """The layer of each level that reads from the beginning."""
        return [directions[0] for directions in self.recurrent]

    def _read(self, x, mask, training):
        x = self._embedded(x, training) if mask is not None else x  # (B, T, D)
        for number, directions in enumerate(self.recurrent):
            x = self.drops[number](x, training=training)
            found = [layer(x, mask=mask, training=training)[0] for layer in directions]
            outputs = tf.concat(found, axis=-1)  # (B, T, units * directions)
            x = x + outputs if self.residual and number else outputs
        return self.drops[-1](x, training=training)

    def _embedded(self, ids, training):
        """Return the vectors of each token, side by side."""
        word, *others = tf.unstack(ids, axis=-1)
        if training and noise.is_keyed() and self.hide_words:
            hidden = noise.bernoulli(tf.shape(word), self.hide_words) & (word != 0)
            word = tf.where(hidden, _UNKNOWN, word)
        pairs = zip(self.embeddings, (word, *others), strict=True)
        return tf.concat([layer(numbers) for layer, numbers in pairs if layer is not None], axis=-1)

    def get_config(self):
        names = (
            "num_tags", "crf", "cell", "units", "num_layers", "bidirectional", "residual", "embedding_size",
            "suffix_size", "shape_size", "hide_words", "dropout", "recurrent_dropout",
        )  # fmt: skip
        return {**super().get_config(), **config_of(self, *names)}


def steps_of(x):
    """Return which steps (B, T) of ids (B, T, 3) are tokens, up to the last one; None for other sequences."""
    if not steps_are_ids(x):
        return None
    # Up to the last token: runtimes would go different ways where 0 stands before one.
    return tf.cumsum(tf.cast(x[:, :, 0] != 0, tf.int32), axis=1, reverse=True) > 0


def steps_are_ids(x) -> bool:
    """Tell whether each step is ids of a token, not a row of other numbers."""
    return x.dtype in ("int32", "int64") or x.dtype in (tf.int32, tf.int64)
