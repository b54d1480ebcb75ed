"""Attention over the steps of padded sequences."""

from typing import Literal

import keras
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.layers.config import config_of

_FAR = -1e4  # score of a step behind the end; infinity, as -1e9 is in float16, would give NaN


@keras.saving.register_keras_serializable("kerasdl")
class AttentionPooling(keras.layers.Layer):
    """Average over steps, weighted by how much each step matters.

    A step's score is computed from its features alone, with weights that are learned; a softmax over the
    steps of a sequence turns scores into weights.

    References: Bahdanau, Cho, Bengio, "Neural machine translation by jointly learning to align and
    translate", 2014, https://arxiv.org/abs/1409.0473 (additive: v' tanh(W x + b)); Luong, Pham, Manning,
    "Effective approaches to attention-based neural machine translation", 2015,
    https://arxiv.org/abs/1508.04025 (dot: q' x / sqrt(D)); Vaswani et al., "Attention is all you need", 2017,
    https://arxiv.org/abs/1706.03762 (multi_head: several of the latter, each over features of its own).

    Args:
        kind: "additive", "dot" or "multi_head". Defaults to "additive".
        units: size of the hidden layer of additive attention. Defaults to 64.
        num_heads: heads of multi_head, which divide the features. Defaults to 4.
        **kwargs: arguments of `keras.Layer`.

    Input: x (B, T, D), float; mask (B, T), bool, None where all steps count.
    Output: averages (B, D); weights (B, T), float32, which sum to 1, the mean over heads. An empty sequence
        has weights and averages of 0.
    """

    def __init__(
        self,
        *,
        kind: Literal["additive", "dot", "multi_head"] = "additive",
        units: int = 64,
        num_heads: int = 4,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True  # or Keras warns of the argument
        self.kind = kind
        self.units = units
        self.num_heads = num_heads
        self.hidden = keras.layers.Dense(units, activation="tanh") if kind == "additive" else None
        self.score = keras.layers.Dense(num_heads if kind == "multi_head" else 1, use_bias=False)

    def build(self, input_shape):
        size = input_shape[-1]
        if size % self.score.units:
            raise UsageError(
                f"num_heads is {self.num_heads}, but the heads have to divide the {size} features of a step."
            )
        if self.hidden is not None:
            self.hidden.build(input_shape)
        self.score.build((*input_shape[:-1], size if self.hidden is None else self.units))

    def call(self, x, mask=None):
        """Return the weighted averages, and the weights."""
        size, heads = x.shape[-1], self.score.units
        scores = self.score(x / size**0.5 if self.hidden is None else self.hidden(x))  # (B, T, heads)
        scores = tf.cast(scores, tf.float32)
        if mask is None:
            weights = tf.nn.softmax(scores, axis=1)
        else:
            valid = tf.cast(mask, tf.float32)[:, :, None]  # (B, T, 1)
            weights = tf.nn.softmax(scores * valid + _FAR * (1 - valid), axis=1) * valid
        # Each head averages features of its own.
        spread = tf.repeat(tf.cast(weights, x.dtype), size // heads, axis=-1)  # (B, T, D)
        return tf.reduce_sum(spread * x, axis=1), tf.reduce_mean(weights, axis=-1)

    def compute_mask(self, inputs, previous_mask):
        """Attach no mask to the averages."""

    def compute_output_spec(self, x, mask=None):
        batch, steps, size = x.shape
        return (
            keras.KerasTensor((batch, size), self.compute_dtype),
            keras.KerasTensor((batch, steps), "float32"),
        )

    def get_config(self):
        return {**super().get_config(), **config_of(self, "kind", "units", "num_heads")}
