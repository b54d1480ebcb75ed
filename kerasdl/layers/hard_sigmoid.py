"""The hard sigmoid of Keras 2, which Keras 3 gave another slope."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("kerasdl")
def hard_sigmoid_of_keras_2(x):
    """Return 0.2 x + 0.5, at least 0 and at most 1; Keras 3 has x / 6 in place of 0.2 x.

    Recurrent layers before Keras 2.3 and ConvLSTM2D have it by default.

    Args:
        x: (...), any float dtype.

    Returns:
        (...), the same dtype.
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)
