"""The base class of networks that make images out of noise."""

from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

import keras
import tensorflow as tf

from kerasdl.errors import UsageError
from kerasdl.layers import noise
from kerasdl.layers.config import config_of
from kerasdl.network.network import Network

_VALIDATION = 2**40  # number of the step whose noise validation draws: that of no update


class Call(NamedTuple):
    """One way to call a generative network, which becomes an endpoint of its exports.

    Attributes:
        function: takes one tensor for each entry of `inputs`, in their order; returns a dict of tensors.
        inputs: specs by name, each with an open batch axis. The name says what is given: `images` raw images
            (N, H, W, C), `noise`, `latents` or `x` float32 standard normal numbers, `labels` classes (N,)
            int32, `times` (N,) float32 between 0 and 1, `seeds` (N,) int32.
        on_servers_only: whether the SavedModel alone has it. Defaults to False.
    """

    function: Callable[..., Mapping[str, tf.Tensor]]
    inputs: Mapping[str, tf.TensorSpec]
    on_servers_only: bool = False


class GenerativeNetwork(Network):
    """A network that makes images out of noise, and owns its loss.

    Its examples are raw images (B, H, W, C) uint8, its targets their classes (B,) int32, which a conditional
    network reads. A subclass defines `noise_shape`, `generate`, `forward` and `build_on`, and its loss:
    `training_loss`, or a `train_step` of its own and `validation_loss`.

    Args:
        image_shape: (H, W, C) of the images; the data decides it.
        num_classes: number of classes of the targets, 1 or more; the data decides it.
        conditional: whether the class of an image is asked for. Defaults to False.
        **kwargs: arguments of `kerasdl.Network`: preprocessing, name, dtype.
    """

    main_output = "images"
    #: Whether `log_weights` is there, and `encode`: the likelihood of images can be measured.
    tells_likelihood: ClassVar[bool] = False

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        num_classes: int = 10,
        conditional: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if conditional and num_classes < 2:
            raise UsageError(
                "conditional is set, but the data has one class only. Give data with several classes, or "
                "--no-conditional."
            )
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.conditional = conditional

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise that an image is made from."""
        raise NotImplementedError(f"{type(self).__name__} defines no noise_shape.")

    def generate(self, noise, labels=None):
        """Return images (B, H, W, C), float32 between 0 and 1.

        Args:
            noise: (B, *noise_shape) float32, standard normal.
            labels: classes (B,) int32, of a conditional network; None of others.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no generate(self, noise, labels).")

    def log_weights(self, pixels, labels, draws):
        """Return log p(x, z) - log q(z | x) of draws of latents (B, k), float32, in nats.

        Args:
            pixels: images as they are to be told (B, H, W, C), 0 to 1.
            labels: classes (B,) int32; not used where the network is not conditional.
            draws: (B, k, *noise_shape) float32, standard normal.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no log_weights(pixels, labels, draws).")

    @property
    def binarizes(self) -> bool:
        """Whether `log_weights` is about black or white pixels that stand for grey ones."""
        return False

    def calls(self) -> dict[str, Call]:
        """Return the ways to call the network by name; the first is the default."""
        return {"generate": self.call_with(self.generate, "noise", self.noise_shape)}

    def call_with(self, function: Callable, name: str, shape: tuple[int, ...]) -> Call:
        """Return a call that makes images out of one input, and the classes in a conditional network."""

        def answer(given, labels=None):
            made = function(tf.cast(given, self.compute_dtype), labels)
            return {"images": tf.cast(made, tf.float32)}

        return Call(answer, {name: tf.TensorSpec((None, *shape), tf.float32, name), **self.label_input()})

    def label_input(self) -> dict[str, tf.TensorSpec]:
        """Return the input of classes, where the network is conditional."""
        return {"labels": tf.TensorSpec((None,), tf.int32, "labels")} if self.conditional else {}

    def image_input(self) -> dict[str, tf.TensorSpec]:
        """Return the input of raw images."""
        return {"images": tf.TensorSpec((None, *self.image_shape), tf.uint8, "images")}

    def pixels(self, images):
        """Return raw images, 0 to 255, as float32 between 0 and 1."""
        return tf.cast(images, tf.float32) / 255.0

    def one_hot(self, labels):
        """Return classes (B,) as (B, num_classes) in the network's dtype."""
        # `tf.one_hot`, and all that the converter takes for it, is not in TFLite's int16x8.
        return tf.gather(tf.eye(self.num_classes, dtype=self.compute_dtype), labels)

    # Training

    def mean_of(self, values, sample_weight=None):
        """Return the mean of a loss over a batch, as `update` takes it on any number of replicas.

        Args:
            values: the loss of each example (B,).
            sample_weight: weights (B,); None where all count the same.
        """
        values = tf.cast(values, tf.float32)
        if sample_weight is not None:
            values *= tf.cast(sample_weight, tf.float32)
        return tf.reduce_mean(values) / tf.distribute.get_strategy().num_replicas_in_sync

    def validation_loss(self, x, y, sample_weight):
        """Return the loss of a batch in validation, as `training_loss` does."""
        return self.training_loss(x, y, sample_weight)

    def test_step(self, data):
        """Validate a batch with noise that is the same in each epoch."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        place, _ = self.place_in_batch(data)
        with noise.scope(0, _VALIDATION, place):
            value, _ = self.validation_loss(x, y, sample_weight)
        num_replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for mean in self.metrics:
            if mean.name == "loss":
                mean.update_state(value * num_replicas, sample_weight=tf.shape(x)[0])
        return self.get_metrics_result()

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Return the figures so far; the losses have counted them."""
        return self.get_metrics_result()

    def get_config(self):
        names = ("image_shape", "num_classes", "conditional")
        return {**super().get_config(), **config_of(self, *names)}
