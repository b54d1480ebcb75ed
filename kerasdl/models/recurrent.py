"""Recurrent networks that read a sequence and give one answer: classes or numbers."""

from typing import Literal

import keras
import tensorflow as tf

from kerasdl.layers import AttentionPooling, Dropout, Recurrent, noise, over_time
from kerasdl.layers import states as layer_states
from kerasdl.layers.config import config_of
from kerasdl.layers.recurrent import CellName
from kerasdl.network.streaming import SteppingNetwork
from kerasdl.preprocessing.preprocessing import Preprocessing

_PAIR_SIZE = 16  # of the vector of a pair of words
_PAIR_FACTOR = 30_011  # a prime: products of numbers of words stay below 2**31
_UNKNOWN = 1  # number of the unknown word
_RUNNING = {
    "mean": over_time.running_mean,
    "max": over_time.running_highest,
    "vectors": over_time.running_mean,
}


@keras.saving.register_keras_serializable("kerasdl")
class RecurrentNetwork(SteppingNetwork):
    """LSTM, GRU or simple recurrent layers over a sequence, pooled over time, with a linear head.

    A recurrent layer reads a sequence step by step and keeps what it has seen in its state. The last state
    alone has to remember a whole text; the mean and the highest value of each unit over all steps lose
    nothing on the way, which is worth several points on texts.

    References: Hochreiter, Schmidhuber, "Long short-term memory", 1997; Johnson, Zhang, "Supervised and
    semi-supervised text categorization using LSTM for region embeddings", 2016,
    https://arxiv.org/abs/1602.02373 (pooling over time); Dai, Le, "Semi-supervised sequence learning", 2015,
    https://arxiv.org/abs/1511.01432 (hidden words); Shen et al., "Baseline needs more love", 2018,
    https://arxiv.org/abs/1805.09843 (means of embeddings).

    Args:
        num_classes: number of classes, 1 or more. Defaults to 10.
        num_outputs: number of numbers, where the answer is these and no class. Defaults to None.
        cell: "lstm", "gru" or "simple_rnn". Defaults to "lstm".
        units: size of the state of each layer, in each direction. Defaults to 64.
        num_layers: recurrent layers, each of which reads the outputs of the one before. Defaults to 1.
        bidirectional: let each layer read the sequence from both ends. Defaults to False.
        residual: add the inputs of each layer but the first to its outputs. Defaults to False.
        pooling: "last" state, "mean" or "max" over the steps, "mean_max" for both, or "attention": an average
            with learned weights, which are an output too. Defaults to "mean_max".
        attention: kind of attention; see `AttentionPooling`. Defaults to "additive".
        embedding_size: size of the vector of each word; nothing else has them. Defaults to 64.
        embedding_mean: give the head the mean of the words' vectors too. Defaults to False.
        num_pairs: number of vectors for pairs of neighbouring words, whose mean the head gets too: "not good"
            is told from "good" without order being learned. Pairs share vectors by a hash of their words.
            Defaults to 0: none.
        hide_words: fraction of the words that are made unknown in training, 0 to 1. Defaults to 0.0.
        embedding_dropout: fraction of the places of all vectors of a text that are left out in training, 0 to
            1. Defaults to 0.0.
        dropout: fraction of the units left out in training between layers and before the head, 0 to 1.
            Defaults to 0.0.
        recurrent_dropout: fraction of the state that is left out in training from step to step, 0 to 1.
            Defaults to 0.0.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.

    Input: numbers of words (B, T), int32, 0 behind the end of a text; or sequences (B, T, D), float.
    Output: logits (B, num_classes) or numbers (B, num_outputs), float32; with attention a dict of `logits`
        and `attention` (B, T), the weight of each step.

    Parameters: 25,098 over 28 rows of 28 pixels with 10 classes; 1,953,282 with 30,000 words and 2 classes,
    1,920,000 of them the words' vectors.

    Example:
        >>> network = RecurrentNetwork(num_classes=10, cell="gru", units=128)
        >>> network(rows).shape  # (B, 28, 28)
        (B, 10)
    """

    def __init__(
        self,
        *,
        num_classes: int = 10,
        num_outputs: int | None = None,
        cell: CellName = "lstm",
        units: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        pooling: Literal["last", "mean", "max", "mean_max", "attention"] = "mean_max",
        attention: Literal["additive", "dot", "multi_head"] = "additive",
        embedding_size: int = 64,
        embedding_mean: bool = False,
        num_pairs: int = 0,
        hide_words: float = 0.0,
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.num_outputs = num_outputs
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.residual = residual
        self.pooling = pooling
        self.attention = attention
        self.embedding_size = embedding_size
        self.embedding_mean = embedding_mean
        self.num_pairs = num_pairs
        self.hide_words = hide_words
        self.embedding_dropout = embedding_dropout
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        layer = self.preprocessing
        num_tokens = layer.num_tokens if isinstance(layer, Preprocessing) else None
        self.embedding = keras.layers.Embedding(num_tokens, embedding_size) if num_tokens else None
        self.pair_embedding = (
            keras.layers.Embedding(num_pairs, _PAIR_SIZE) if num_tokens and num_pairs else None
        )
        self.recurrent = [
            [
                Recurrent(cell=cell, units=units, backwards=backwards, recurrent_dropout=recurrent_dropout)
                for backwards in ((False, True) if bidirectional else (False,))
            ]
            for _ in range(num_layers)
        ]
        self.attend = AttentionPooling(kind=attention) if pooling == "attention" else None
        self.drop = Dropout(dropout)
        self.head = keras.layers.Dense(num_outputs or num_classes, name="head", dtype="float32")

    def forward(self, x, training=False):
        """Return the answer to preprocessed sequences."""
        pooled, weights = self._pooled(x, training)
        answer = self.head(pooled)  # (B, classes)
        return answer if weights is None else {"logits": answer, "attention": weights}

    def forward_features(self, x, training=False):
        """Return the inputs of the head, (B, features), float."""
        return self._pooled(x, training)[0]

    @property
    def state_shapes(self):
        """Shape of each state of `step` without the batch axis, by name, of a built network.

        There are none where the answer needs the whole sequence (bidirectional, attention), and with pairs of
        words.
        """
        if self.bidirectional or self.attend is not None or self.pair_embedding is not None:
            return {}
        layers = [layer for (layer,) in self.recurrent]
        sizes = {"mean": self.units, "max": self.units, "vectors": layers[0].rnn.cell.kernel.shape[0]}
        pools = {name: (sizes[name],) for name in self._pools if name != "last"}
        return {**layer_states.shapes(layers), **pools, **({"count": (1,)} if pools else {})}

    def step(self, x, states):
        """Return the answer (B, classes) to sequences up to this step, and the states after it.

        Args:
            x: numbers of words (B,), int32, none of them 0; or a step of other sequences (B, D), float.
            states: states before it, (B, ...) in the order of `state_shapes`; zeros before the first step.
        """
        layers = [layer for (layer,) in self.recurrent]
        before = dict(zip(self.state_shapes, states, strict=True))
        vectors = x if len(x.shape) > 1 else self.embedding(x)  # (B, D)
        x, after = layer_states.step(layers, vectors, states, self.residual)
        after = dict(zip(before, after, strict=False))
        count = before.get("count")
        if count is not None:
            after |= {
                name: _RUNNING[name](vectors if name == "vectors" else x, before[name], count)
                for name in self._pools
                if name != "last"
            } | {"count": count + 1}
        last = after[f"h{self.num_layers - 1}"]
        pooled = [last if name == "last" else after[name] for name in self._pools]
        return self.head(tf.concat(pooled, axis=-1)), list(after.values())

    @property
    def _pools(self) -> list[str]:
        """What the head is given, by name: parts of the pooling and the mean of the words' vectors."""
        return [*self.pooling.split("_"), *(["vectors"] if self.embedding_mean else [])]

    def _pooled(self, x, training):
        """Return the inputs of the head, and the weights of the steps where there is attention."""
        mask = ids = None
        if len(x.shape) == 2:  # (B, T) numbers of words
            # Up to the last word: runtimes would go different ways where 0 stands before one.
            mask = tf.cumsum(tf.cast(x != 0, tf.int32), axis=1, reverse=True) > 0
            ids = self._hidden(x, training)
            x = self._embedded(ids, training)
        vectors = x  # (B, T, D)
        for number, directions in enumerate(self.recurrent):
            found = [layer(x, mask=mask, training=training) for layer in directions]
            outputs = tf.concat([outputs for outputs, _ in found], axis=-1)  # (B, T, units * directions)
            x = x + outputs if self.residual and number else outputs
            last = tf.concat([states[0] for _, states in found], axis=-1)
            if number < self.num_layers - 1:
                x = self.drop(x, training=training)
        parts, weights = self._pool(x, last, mask)
        if self.embedding_mean:
            parts.append(over_time.mean(vectors, mask))
        if self.pair_embedding is not None:
            pairs = tf.math.floormod(ids[:, :-1] * _PAIR_FACTOR + ids[:, 1:], self.num_pairs)  # (B, T - 1)
            parts.append(over_time.mean(self.pair_embedding(pairs), mask[:, 1:]))
        return self.drop(tf.concat(parts, axis=-1), training=training), weights

    def _hidden(self, ids, training):
        """Return the numbers of words (B, T), in training some of them those of the unknown word."""
        if not (training and noise.is_keyed() and self.hide_words):
            return ids
        hidden = noise.bernoulli(tf.shape(ids), self.hide_words) & (ids != 0)
        return tf.where(hidden, _UNKNOWN, ids)

    def _embedded(self, ids, training):
        """Return the vector of each word (B, T, D)."""
        x = self.embedding(ids)
        if training and noise.is_keyed() and self.embedding_dropout:
            kept = noise.bernoulli((tf.shape(x)[0], 1, self.embedding_size), 1 - self.embedding_dropout)
            x = x * tf.cast(kept, x.dtype) / (1 - self.embedding_dropout)
        return x

    def _pool(self, x, last, mask):
        """Return what the steps become for the head, a list of (B, D), and the weights of attention."""
        if self.pooling == "attention":
            pooled, weights = self.attend(x, mask=mask)
            return [pooled], weights
        pools = {
            "last": lambda: last,
            "mean": lambda: over_time.mean(x, mask),
            "max": lambda: over_time.highest(x, mask),
        }
        return [pools[name]() for name in self.pooling.split("_")], None

    def get_config(self):
        names = (
            "num_classes", "num_outputs", "cell", "units", "num_layers", "bidirectional", "residual",
            "pooling", "attention", "embedding_size", "embedding_mean", "num_pairs", "hide_words",
            "embedding_dropout", "dropout", "recurrent_dropout",
        )  # fmt: skip
        return {**super().get_config(), **config_of(self, *names)}
