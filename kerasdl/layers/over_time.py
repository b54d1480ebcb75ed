"""Pools over the steps of padded sequences, and over steps that come one by one."""

import tensorflow as tf

# In place of steps behind the end, where the highest value is looked for; -1e9 is infinite in float16, and
# times 0 no number.
_LOWEST = -1e4


def mean(x, mask):
    """Average (B, T, D) over the steps of each sequence; 0 for an empty one."""
    if mask is None:
        return tf.reduce_mean(x, axis=1)
    valid = tf.cast(mask, x.dtype)[:, :, None]
    return tf.reduce_sum(x * valid, axis=1) / tf.maximum(tf.reduce_sum(valid, axis=1), 1)


def highest(x, mask):
    """Return the highest value of each place (B, D) over the steps of each sequence; 0 for an empty one."""
    if mask is None:
        return tf.reduce_max(x, axis=1)
    valid = tf.cast(mask, x.dtype)[:, :, None]  # (B, T, 1)
    found = tf.reduce_max(x * valid + _LOWEST * (1 - valid), axis=1)
    return found * tf.reduce_max(valid, axis=1)


def running_mean(x, before, count):
    """Return the mean (B, D) up to this step from that of the steps before; `count` (B, 1) is theirs."""
    return before + (x - before) / (count + 1)


def running_highest(x, before, count):
    """Return the highest values (B, D) up to this step; `count` (B, 1) is the number of steps before."""
    return tf.where(count > 0, tf.maximum(before, x), x)
