"""Goes through the steps of a sequence in TFLite files, without the TensorArrays that no phone has."""

from collections.abc import Callable, Sequence

import tensorflow as tf

#: Steps of a block, whose inputs enter by one matrix product.
BLOCK = 16

#: Gives what inputs (T, B, D) add to the gates, (T, B, gates * units), whatever the state.
Project = Callable[[tf.Tensor], tf.Tensor]
#: Gives output (B, units) and states after a step, from a projection (B, gates * units) and states before.
Advance = Callable[[tf.Tensor, Sequence], tuple]


def scan(project: Project, advance: Advance, x, valid, states: Sequence, backwards: bool) -> tuple:
    """Loop over blocks of steps, and in each over its steps.

    At each turn of a loop TFLite copies all that the loop carries, so that a loop over all steps would copy
    all outputs at each of them. The loop over the steps of a block carries those of the block alone.

    Args:
        project, advance: the parts of a step.
        x: inputs (T, B, D).
        valid: (T, B, 1), bool, True up to the end of each sequence; None where all are of one length.
        states: a list of (B, units).
        backwards: go from the last step to the first.

    Returns:
        Outputs (T, B, units), 0 where not valid; states after the last step.
    """
    num_steps = all_steps = tf.shape(x)[0]
    if valid is not None:  # what follows the longest sequence is padding
        num_steps = tf.reduce_max(tf.reduce_sum(tf.cast(valid, tf.int32), axis=0))

    def block(done, outputs, *states):
        count = tf.minimum(BLOCK, num_steps - done)
        places = done + tf.range(count)
        places = num_steps - 1 - places if backwards else places
        here = None if valid is None else tf.gather(valid, places)
        found, *after = _first_steps(count, advance, project(tf.gather(x, places)), here, states)
        return (done + count, tf.concat([outputs, found], axis=0), *after)

    outputs, *after = _loop(num_steps, block, _zeros(0, states[0]), None, states)
    if backwards:
        outputs = tf.reverse(outputs, axis=[0])
    if valid is not None:
        outputs = tf.concat([outputs, _zeros(all_steps - num_steps, states[0])], axis=0)
    outputs.set_shape((x.shape[0], *states[0].shape))
    return outputs, after


def written_out(project: Project, advance: Advance, x, valid, states: Sequence, backwards: bool) -> tuple:
    """Write every step out, where no loop may be; see `scan`."""
    inputs = tf.unstack(project(x))
    here = [None] * len(inputs) if valid is None else tf.unstack(valid)
    outputs = [None] * len(inputs)
    for t in reversed(range(len(inputs))) if backwards else range(len(inputs)):
        outputs[t], states = _masked(advance, inputs[t], here[t], states)
    return tf.stack(outputs), list(states)


def _first_steps(count, advance: Advance, inputs, valid, states: Sequence) -> list:
    """Return the outputs of the first `count` steps of a block, (count, B, units), and the states."""

    def step(number, outputs, *states):
        here = None if valid is None else tf.gather(valid, number)
        output, after = _masked(advance, tf.gather(inputs, number), here, states)
        return (number + 1, tf.concat([outputs[1:], output[None]], axis=0), *after)  # the last are at the end

    outputs, *after = _loop(count, step, _zeros(BLOCK, states[0]), BLOCK, states)
    return [outputs[BLOCK - count :], *after]


def _loop(end, body, outputs, num_outputs: int | None, states: Sequence) -> list:
    """Loop until `end` steps are done; carried: their number, outputs (num_outputs, B, units), states."""
    state = states[0].shape
    shapes = (tf.TensorShape(()), tf.TensorShape((num_outputs, *state)), *[state] * len(states))
    carried = (tf.constant(0), outputs, *states)
    return tf.while_loop(lambda done, *_: done < end, body, carried, shape_invariants=shapes)[1:]


def _zeros(num_steps, state):
    """Return outputs of 0 for `num_steps` steps."""
    return tf.zeros((num_steps, tf.shape(state)[0], state.shape[-1]), state.dtype)


def _masked(advance: Advance, inputs, here, states: Sequence) -> tuple:
    """Return output and states of a step: 0 and those before where `here` (B, 1) is False."""
    output, after = advance(inputs, states)
    if here is None:
        return output, after
    # Not by products: an integer file would round the state at each step of padding.
    after = [tf.where(here, new, old) for new, old in zip(after, states, strict=True)]
    return tf.where(here, output, tf.zeros_like(output)), after
