"""Keras's optimizers with one operator for each weight's update.

Keras states an update as several operators, each of which reads and writes the whole weight; TensorFlow has a
kernel that does it in one pass, with the same formula. Rounding differs: Adam's 1 - beta_2 is taken in
float32, which moves an update by 1e-5 of itself. Sparse gradients take Keras's way.
"""

import keras
import tensorflow as tf
from keras import ops


class SGD(keras.optimizers.SGD):
    """`keras.optimizers.SGD`; arguments are those of Keras."""

    def update_step(self, gradient, variable, learning_rate):
        if isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        rate, gradient = (ops.cast(value, variable.dtype) for value in (learning_rate, gradient))
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=_slot(self, self.momentums, variable),
            lr=rate,
            grad=gradient,
            momentum=ops.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class Adam(keras.optimizers.Adam):
    """`keras.optimizers.Adam`; arguments are those of Keras."""

    def update_step(self, gradient, variable, learning_rate):
        if isinstance(gradient, tf.IndexedSlices) or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        rate, gradient, beta_1, beta_2, epsilon, step = (
            ops.cast(value, variable.dtype)
            for value in (
                learning_rate, gradient, self.beta_1, self.beta_2, self.epsilon, self.iterations + 1,
            )
        )  # fmt: skip
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=_slot(self, self._momentums, variable),
            v=_slot(self, self._velocities, variable),
            beta1_power=beta_1**step,
            beta2_power=beta_2**step,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=gradient,
        )


class AdamW(Adam, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`; arguments are those of Keras."""


class RMSprop(keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop`; arguments are those of Keras."""

    def update_step(self, gradient, variable, learning_rate):
        if isinstance(gradient, tf.IndexedSlices) or self.centered or not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        rate, gradient, rho, momentum, epsilon = (
            ops.cast(value, variable.dtype)
            for value in (learning_rate, gradient, self.rho, self.momentum, self.epsilon)
        )
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=_slot(self, self._velocities, variable),
            mom=_slot(self, self._momentums, variable),
            lr=rate,
            rho=rho,
            momentum=momentum,
            epsilon=epsilon,
            grad=gradient,
        )


def _slot(optimizer: keras.Optimizer, slots: list, variable):
    """Return the handle of what an optimizer keeps for a weight."""
    return slots[optimizer._get_variable_index(variable)].value.handle
