"""From a network's outputs to tags: of logits at each step, or of the potentials of a chain."""

import tensorflow as tf

from kerasdl.layers import linear_chain


def is_chain(outputs) -> bool:
    """Tell whether outputs are potentials (B, T, K, K), not logits (B, T, K)."""
    return len(outputs.shape) == 4


def tags_of(outputs, mask):
    """Return the numbers of the tags (B, T), int32, from 1 on, and the probability of each tag (B, T, K).

    Args:
        outputs: logits (B, T, K), or potentials (B, T, K, K), whose tags are the best sequence as a whole.
        mask: (B, T), bool, True up to the end of each sequence; behind it both are 0.
    """
    outputs = tf.cast(outputs, tf.float32)
    if is_chain(outputs):
        tags, probabilities = linear_chain.decode(outputs, mask)
    else:
        tags, probabilities = tf.argmax(outputs, axis=-1, output_type=tf.int32), tf.nn.softmax(outputs)
    probabilities = tf.where(mask[:, :, None], probabilities, tf.zeros_like(probabilities))
    return tf.where(mask, tags + 1, tf.zeros_like(tags)), probabilities


def aligned(targets, outputs):
    """Return targets (B, L) with as many steps as outputs (B, T, ...): what is left out is padding."""
    steps = tf.shape(outputs)[1]
    targets = tf.cast(targets, tf.int32)[:, :steps]
    return tf.pad(targets, ((0, 0), (0, steps - tf.shape(targets)[1])))
