"""Keras's optimizers with one operator for each weight's update.

Keras states an update as several operators, each of which reads and writes the whole weight; TensorFlow has a
kernel that does it in one pass, with the same formula. Rounding differs: Adam's 1 - beta_2 is taken in
float32, which moves an update by 1e-5 of itself. Sparse gradients take Keras's way.

What is the same for all weights, the learning rate of a schedule and Adam's powers, is stated once. Keras
states it once a weight: thousands of operators in a deep network, and seconds more until its first step.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from kerasdl.private.keras import DecayAtOneRate, OneSharedValue, slot


class SGD(DecayAtOneRate, keras.optimizers.SGD):
    """`keras.optimizers.SGD`; arguments are those of Keras."""

    def update_step(self, gradient, variable, learning_rate):
        rate, gradient = (ops.cast(value, variable.dtype) for value in (learning_rate, gradient))
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=slot(self, "momentums", variable),
            lr=rate,
            grad=gradient,
            momentum=ops.cast(self.momentum, variable.dtype),
            use_nesterov=self.nesterov,
        )


class _OfAllWeights(NamedTuple):
    """Numbers that every weight's update by Adam takes, as tensors or a variable."""

    learning_rate: Any
    beta_1_power: Any
    beta_2_power: Any


class Adam(OneSharedValue, DecayAtOneRate, keras.optimizers.Adam):
    """`keras.optimizers.Adam`; arguments are those of Keras."""

    def shared(self, learning_rate):
        step = ops.cast(self.iterations + 1, "float32")
        powers = (ops.cast(beta, "float32") ** step for beta in (self.beta_1, self.beta_2))
        return _OfAllWeights(learning_rate, *powers)

    def update_step(self, gradient, variable, shared):
        if self.amsgrad:
            super().update_step(gradient, variable, shared.learning_rate)
            return
        rate, power_1, power_2, gradient, beta_1, beta_2, epsilon = (
            ops.cast(value, variable.dtype)
            for value in (*shared, gradient, self.beta_1, self.beta_2, self.epsilon)
        )
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=slot(self, "_momentums", variable),
            v=slot(self, "_velocities", variable),
            beta1_power=power_1,
            beta2_power=power_2,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=gradient,
        )


class AdamW(Adam, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`; arguments are those of Keras."""


class RMSprop(DecayAtOneRate, keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop`; arguments are those of Keras."""

    def update_step(self, gradient, variable, learning_rate):
        if self.centered or not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        rate, gradient, rho, momentum, epsilon = (
            ops.cast(value, variable.dtype)
            for value in (learning_rate, gradient, self.rho, self.momentum, self.epsilon)
        )
        tf.raw_ops.ResourceApplyRMSProp(
            var=variable.handle,
            ms=slot(self, "_velocities", variable),
            mom=slot(self, "_momentums", variable),
            lr=rate,
            rho=rho,
            momentum=momentum,
            epsilon=epsilon,
            grad=gradient,
        )
