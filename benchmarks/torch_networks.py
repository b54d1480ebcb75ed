"""The networks of kerasdl in PyTorch, to compare speeds with: same layers, same initial distribution.

    network = initialize_like_keras(LeNet5(activation="relu", pooling="max"), seed=0)
    copy_keras_weights(network, keras_model.get_weights())  # now it computes what the Keras network computes

They are written as a PyTorch user writes them: floats 0..1 of shape (B, C, H, W) in, logits out.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
_POOLINGS = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}


class LeNet5(nn.Module):
    """The twin of `kerasdl.models.lenet5.LeNet5`; 28x28 images are padded to 32x32 inside C1.

    Args:
        activation: "relu", "tanh" or "sigmoid".
        pooling: "average" or "max".
        dropout: fraction of C5's and F6's units left out in training, 0 to 1.
        num_classes: number of classes.
        channels: channels of the images.

    Input: (batch_size, channels, 28, 28), float32, 0..1.
    Output: logits (batch_size, num_classes), float32.
    """

    def __init__(
        self,
        *,
        activation: str = "tanh",
        pooling: str = "average",
        dropout: float = 0.0,
        num_classes: int = 10,
        channels: int = 1,
    ):
        super().__init__()
        function, pool = _ACTIVATIONS[activation], _POOLINGS[pooling]
        self.maps = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=2), function(), pool(2),  # (B, 6, 14, 14)
            nn.Conv2d(6, 16, 5), function(), pool(2),  # (B, 16, 5, 5)
        )  # fmt: skip
        self.flat_shape = (16, 5, 5)  # what is flattened, for `copy_keras_weights`
        self.head = nn.Sequential(
            nn.Linear(400, 120), function(), nn.Dropout(dropout),
            nn.Linear(120, 84), function(), nn.Dropout(dropout),
            nn.Linear(84, num_classes),
        )  # fmt: skip

    def forward(self, images):
        return self.head(self.maps(images).flatten(1))


class MLP(nn.Module):
    """The twin of `kerasdl.models.mlp.MLP`.

    Args:
        hidden_units: units of each hidden layer.
        activation: "relu", "tanh" or "sigmoid".
        dropout: fraction of each hidden layer's units left out in training, 0 to 1.
        num_classes: number of classes.
        image_shape: (channels, height, width) of the images.

    Input: (batch_size, *image_shape), float32, 0..1.
    Output: logits (batch_size, num_classes), float32.
    """

    def __init__(
        self,
        *,
        hidden_units: Sequence[int] = (512,),
        activation: str = "relu",
        dropout: float = 0.0,
        num_classes: int = 10,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ):
        super().__init__()
        self.flat_shape = tuple(image_shape)
        widths, layers = [int(np.prod(image_shape)), *hidden_units], []
        for before, units in itertools.pairwise(widths):
            layers += [nn.Linear(before, units), _ACTIVATIONS[activation](), nn.Dropout(dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(widths[-1], num_classes))

    def forward(self, images):
        return self.head(images.flatten(1))


def initialize_like_keras(module: nn.Module, seed: int) -> nn.Module:
    """Draw every weight from Keras's initial distribution: Glorot uniform kernels, zero biases.

    Args:
        module: network of `Conv2d` and `Linear` layers, changed in place and returned.
        seed: seeds a generator of its own; PyTorch's global one is left alone.
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
    return module


def copy_keras_weights(module: nn.Module, weights: Sequence[np.ndarray]) -> nn.Module:
    """Give a twin the weights of its Keras network.

    Args:
        module: `LeNet5` or `MLP`, changed in place and returned.
        weights: kernel and bias of each layer in order, as `keras.Model.get_weights` returns them.

    Raises:
        ValueError: when numbers or shapes are not those of the module.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    if len(weights) != 2 * len(layers):
        raise ValueError(f"{len(weights)} arrays given, but {type(module).__name__} has {2 * len(layers)}.")
    first_dense = next(layer for layer in layers if isinstance(layer, nn.Linear))
    for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True):
        if isinstance(layer, nn.Conv2d):
            kernel = kernel.transpose(3, 2, 0, 1)  # (H, W, in, out) to (out, in, H, W)
        elif layer is first_dense:  # Keras flattens (H, W, C), PyTorch (C, H, W)
            channels, height, width = module.flat_shape
            kernel = kernel.reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
            kernel = kernel.reshape(len(kernel), -1)
        else:
            kernel = kernel.T
        for target, array in ((layer.weight, kernel), (layer.bias, bias)):
            if target.shape != array.shape:
                raise ValueError(f"An array of {array.shape} was given for weights of {tuple(target.shape)}.")
            with torch.no_grad():
                target.copy_(torch.from_numpy(np.array(array)))
    return module
