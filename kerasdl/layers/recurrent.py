"""Recurrent layers over padded sequences, that every runtime takes."""

from collections.abc import Sequence
from typing import Literal

import keras
import tensorflow as tf

from kerasdl.layers import block_scan, export_mode, noise
from kerasdl.layers.config import config_of

CellName = Literal["lstm", "gru", "simple_rnn"]


@keras.saving.register_keras_serializable("kerasdl")
class Recurrent(keras.layers.Layer):
    """A recurrent layer: at each step it updates its state from the input and from the state before.

    It runs Keras's cells: in training Keras's own loops (cuDNN on GPUs), in TFLite files loops without
    TensorArrays, since the converter turns those into operators that no phone has, or crashes. Steps after
    the end of a sequence change nothing: their outputs are 0, and the states stay those of the last step.

    Masks are an argument here. Keras passes them on by itself, but not through all recurrent layers, so that
    the second of two layers would read padding.

    References: Elman, "Finding structure in time", 1990 (simple_rnn); Hochreiter, Schmidhuber, "Long
    short-term memory", 1997 (lstm); Cho et al., "Learning phrase representations using RNN
    encoder-decoder", 2014, https://arxiv.org/abs/1406.1078 (gru); Gal, Ghahramani, "A theoretically grounded
    application of dropout in recurrent neural networks", 2016, https://arxiv.org/abs/1512.05287
    (recurrent_dropout: one mask for all steps of a sequence).

    Args:
        cell: "lstm", "gru" or "simple_rnn". Defaults to "lstm".
        units: size of the state. Defaults to 64.
        backwards: read the sequence from its end on; outputs are in the order of the inputs all the same.
            Defaults to False.
        recurrent_dropout: fraction of the state that is left out in training when the next state is
            computed, 0 to 1; it rules out cuDNN. Defaults to 0.0.
        **kwargs: arguments of `keras.Layer`.

    Input: x (B, T, D), float; mask (B, T), bool, True up to the end of each sequence, None where all are of
        one length; states, a list of (B, units), None for zeros.
    Output: outputs (B, T, units), 0 where masked; states after the last step, a list of (B, units): h and c
        of an LSTM, else h.

    Example:
        >>> outputs, (h, c) = Recurrent(cell="lstm", units=32)(x, mask)
    """

    def __init__(
        self,
        *,
        cell: CellName = "lstm",
        units: int = 64,
        backwards: bool = False,
        recurrent_dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True  # or Keras warns of the argument
        self.supports_jit = False  # XLA has no cuDNN, and compiles anew for each length
        self.cell = cell
        self.units = units
        self.backwards = backwards
        self.recurrent_dropout = recurrent_dropout
        whole, keyed = _KINDS[cell]
        options = {"return_sequences": True, "return_state": True, "dtype": self.dtype_policy}
        if recurrent_dropout:
            own = keyed(units, recurrent_dropout=recurrent_dropout, dtype=self.dtype_policy)
            self.rnn = keras.layers.RNN(own, **options)
        else:
            self.rnn = whole(units, **options)

    @property
    def state_shapes(self) -> list[tuple[int]]:
        """Shape of each state, without the batch axis."""
        return [(self.units,)] * (2 if self.cell == "lstm" else 1)

    def build(self, input_shape):
        self.rnn.build(input_shape)

    def call(self, x, mask=None, states=None, training=False):
        """Return the outputs of all steps, and the states after the last."""
        states = self._zeros(x) if states is None else list(states)
        if export_mode.kind() == "tflite":
            return self._scan(x, mask, states)
        if export_mode.kind() == "onnx":
            return self._operator(x, mask, states)
        if self.backwards:
            x = _reversed(x, mask)
        outputs, *after = self._run(x, _begun(mask), states, training)
        if self.backwards:
            outputs = _reversed(outputs, mask)
        if mask is not None:
            outputs = tf.where(mask[:, :, None], outputs, tf.zeros_like(outputs))
            pairs = zip(after, states, strict=True)
            after = [tf.where(mask[:, :1], new, tf.cast(old, new.dtype)) for new, old in pairs]
        return outputs, after

    def step(self, x, states: Sequence):
        """Return the output (B, units) and the states after one step of inputs (B, D)."""
        output, after = self.rnn.cell(x, list(states), training=False)
        return output, list(after)

    def compute_mask(self, inputs, previous_mask):
        """Attach no mask to the outputs."""

    def compute_output_spec(self, x, mask=None, states=None, training=False):
        batch, steps, _ = x.shape
        kind = self.compute_dtype
        after = [keras.KerasTensor((batch, *shape), kind) for shape in self.state_shapes]
        return keras.KerasTensor((batch, steps, self.units), kind), after

    def get_config(self):
        names = ("cell", "units", "backwards", "recurrent_dropout")
        return {**super().get_config(), **config_of(self, *names)}

    def _zeros(self, x) -> list:
        return [tf.zeros((tf.shape(x)[0], *shape), self.compute_dtype) for shape in self.state_shapes]

    def _run(self, x, mask, states: list, training) -> list:
        """Run Keras's layer; in an export without cuDNN, since a file that is made on a GPU runs anywhere."""
        before = self.rnn.use_cudnn if (gpu := isinstance(self.rnn, _CUDNN)) else None
        if gpu and export_mode.kind() is not None:
            self.rnn.use_cudnn = False
        try:
            return list(self.rnn(x, mask=mask, initial_state=states, training=training))
        finally:
            if gpu:
                self.rnn.use_cudnn = before

    def _projected(self, x):
        """Return what inputs (T, B, D) add to the gates, (T, B, gates * units), whatever the state."""
        kernel, bias = self.rnn.cell.kernel, self.rnn.cell.bias
        flat = tf.matmul(tf.reshape(x, (-1, x.shape[-1])), kernel) + (bias[0] if self.cell == "gru" else bias)
        sizes = [size or tf.shape(x)[axis] for axis, size in enumerate(x.shape[:2])]
        return tf.reshape(flat, (*sizes, kernel.shape[-1]))

    def _advanced(self, projected, states: Sequence):
        """Return what `step` does, from the projection of its input."""
        h, weights = states[0], self.rnn.cell.recurrent_kernel
        if self.cell == "simple_rnn":
            h = tf.tanh(projected + tf.matmul(h, weights))
            return h, [h]
        if self.cell == "gru":
            update, reset, new = tf.split(projected, 3, axis=-1)
            recurrent = tf.matmul(h, weights) + self.rnn.cell.bias[1]
            from_update, from_reset, from_new = tf.split(recurrent, 3, axis=-1)
            update = tf.sigmoid(update + from_update)
            new = tf.tanh(new + tf.sigmoid(reset + from_reset) * from_new)
            h = update * h + (1 - update) * new
            return h, [h]
        i, f, new, o = tf.split(projected + tf.matmul(h, weights), 4, axis=-1)
        c = tf.sigmoid(f) * states[1] + tf.sigmoid(i) * tf.tanh(new)
        h = tf.sigmoid(o) * tf.tanh(c)
        return h, [h, c]

    def _scan(self, x, mask, states: list):
        """Go through the steps as TFLite's converter takes it."""
        x = tf.transpose(x, (1, 0, 2))  # (T, B, D)
        valid = None if mask is None else tf.transpose(mask)[:, :, None]  # (T, B, 1)
        scan = block_scan.written_out if export_mode.unrolls() and x.shape[0] else block_scan.scan
        outputs, after = scan(self._projected, self._advanced, x, valid, states, self.backwards)
        return tf.transpose(outputs, (1, 0, 2)), after

    def _operator(self, x, mask, states: list):
        """Call one operator that ONNX has for all steps: a placeholder, which the export writer replaces."""
        x = tf.transpose(x, (1, 0, 2))  # (T, B, D)
        num_steps, batch_size, _ = tf.unstack(tf.shape(x))
        if mask is None:
            lengths = tf.fill([batch_size], num_steps)
        else:
            lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        found = tf.raw_ops.PyFunc(
            input=[x, *_onnx_weights(self.cell, self.rnn.cell), lengths, *(state[None] for state in states)],
            token=f"{ONNX_TOKEN}{self.cell}/{'reverse' if self.backwards else 'forward'}",
            Tout=[tf.float32] * (1 + len(states)),
        )
        outputs = tf.ensure_shape(found[0], (x.shape[0], 1, x.shape[1], self.units))
        after = [tf.ensure_shape(state, (1, x.shape[1], self.units))[0] for state in found[1:]]
        if mask is not None:
            pairs = zip(after, states, strict=True)
            after = [tf.where(mask[:, :1], new, old) for new, old in pairs]
        return tf.transpose(outputs[:, 0], (1, 0, 2)), after


#: Begins the token of placeholders for recurrent operators: the cell and the direction follow.
ONNX_TOKEN = "kerasdl/"


def _onnx_weights(name: CellName, cell) -> list:
    """Return the weights of a cell as ONNX's operators have them: (1, gates * units, D), ..., (1, biases)."""

    def ordered(weight):
        weight = tf.convert_to_tensor(weight)
        if name != "lstm":
            return weight
        i, f, c, o = tf.split(weight, 4, axis=-1)
        return tf.concat([i, o, f, c], axis=-1)

    kernel, recurrent = (
        tf.transpose(ordered(weight))[None] for weight in (cell.kernel, cell.recurrent_kernel)
    )
    if name == "gru":
        return [kernel, recurrent, tf.reshape(tf.convert_to_tensor(cell.bias), (1, -1))]
    bias = ordered(cell.bias)[None]
    return [kernel, recurrent, tf.concat([bias, tf.zeros_like(bias)], axis=-1)]


class _Keyed:
    """A cell that leaves out the same part of the state at each step, keyed by `kerasdl.layers.noise`.

    Outside of a training step, which has no key, nothing is left out.
    """

    kept = None

    def get_recurrent_dropout_mask(self, step_input):
        if not noise.is_keyed():
            return [1.0] * 4
        if self.kept is None:  # asked first before the loop over the steps
            drawn = noise.uniform(tf.shape(step_input)) >= self.recurrent_dropout
            self.kept = tf.cast(drawn, step_input.dtype) / (1 - self.recurrent_dropout)
        return [self.kept] * 4  # the same for each gate

    def reset_recurrent_dropout_mask(self):
        self.kept = None


@keras.saving.register_keras_serializable("kerasdl")
class KeyedLSTMCell(_Keyed, keras.layers.LSTMCell):
    """An LSTM cell with keyed recurrent dropout."""


@keras.saving.register_keras_serializable("kerasdl")
class KeyedGRUCell(_Keyed, keras.layers.GRUCell):
    """A GRU cell with keyed recurrent dropout."""


@keras.saving.register_keras_serializable("kerasdl")
class KeyedSimpleRNNCell(_Keyed, keras.layers.SimpleRNNCell):
    """A simple recurrent cell with keyed recurrent dropout."""

    def get_recurrent_dropout_mask(self, step_input):
        return super().get_recurrent_dropout_mask(step_input)[0]


# Keras's layer, and the cell with recurrent dropout.
_KINDS = {
    "lstm": (keras.layers.LSTM, KeyedLSTMCell),
    "gru": (keras.layers.GRU, KeyedGRUCell),
    "simple_rnn": (keras.layers.SimpleRNN, KeyedSimpleRNNCell),
}
_CUDNN = (keras.layers.LSTM, keras.layers.GRU)


def _reversed(x, mask):
    """Reverse each sequence up to its end; padding stays where it is."""
    if mask is None:
        return tf.reverse(x, axis=[1])
    return tf.reverse_sequence(x, tf.reduce_sum(tf.cast(mask, tf.int32), axis=1), seq_axis=1, batch_axis=0)


def _begun(mask):
    """Let each sequence have a first step, without which cuDNN fails."""
    return None if mask is None else tf.concat([tf.ones_like(mask[:, :1]), mask[:, 1:]], axis=1)
