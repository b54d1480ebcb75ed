"""Recurrent layers over padded sequences, that every runtime takes."""

from collections.abc import Sequence
from typing import Literal

import keras
import tensorflow as tf

from kerasdl.layers import export_mode, noise
from kerasdl.layers.config import config_of

CellName = Literal["lstm", "gru", "simple_rnn"]


@keras.saving.register_keras_serializable("kerasdl")
class Recurrent(keras.layers.Layer):
    """A recurrent layer: at each step it updates its state from the input and from the state before.

    It runs Keras's cells: in training Keras's own loops (cuDNN on GPUs), in TFLite files a loop without
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

    def _scan(self, x, mask, states: list):
        """Loop over steps without a TensorArray, as TFLite's converter takes it."""
        x = tf.transpose(x, (1, 0, 2))  # (T, B, D)
        valid = None if mask is None else tf.transpose(mask)[:, :, None]  # (T, B, 1)
        if export_mode.unrolls() and x.shape[0]:
            return self._written_out(x, valid, states)
        outputs = tf.zeros((x.shape[0] or tf.shape(x)[0], tf.shape(x)[1], self.units), x.dtype)
        num_steps = tf.shape(x)[0]
        if mask is not None:  # what follows is padding
            num_steps = tf.reduce_max(tf.reduce_sum(tf.cast(mask, tf.int32), axis=1))

        def body(number, outputs, *states):
            t = num_steps - 1 - number if self.backwards else number
            here = None if valid is None else tf.gather(valid, t)
            output, after = self._masked_step(tf.gather(x, t), here, states)
            return (number + 1, tf.tensor_scatter_nd_update(outputs, [[t]], output[None]), *after)

        batch = tf.TensorShape((x.shape[1], self.units))
        found = tf.while_loop(
            lambda number, *_: number < num_steps,
            body,
            (tf.constant(0), outputs, *states),
            shape_invariants=(
                tf.TensorShape(()),
                tf.TensorShape((*x.shape[:2], self.units)),
                *[batch] * len(states),
            ),
        )
        return tf.transpose(found[1], (1, 0, 2)), list(found[2:])

    def _written_out(self, x, valid, states: list):
        """Write every step out, where no loop may be."""
        xs = tf.unstack(x)  # T times (B, D)
        here = [None] * len(xs) if valid is None else tf.unstack(valid)
        outputs = [None] * len(xs)
        for t in reversed(range(len(xs))) if self.backwards else range(len(xs)):
            outputs[t], states = self._masked_step(xs[t], here[t], states)
        return tf.stack(outputs, axis=1), states

    def _masked_step(self, x, here, states: Sequence):
        """Return output and states of a step: 0 and those before where `here` (B, 1) is False."""
        output, after = self.step(x, states)
        if here is None:
            return output, after
        # Not by products: an integer file would round the state at each step of padding.
        after = [tf.where(here, new, old) for new, old in zip(after, states, strict=True)]
        return tf.where(here, output, tf.zeros_like(output)), after

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
