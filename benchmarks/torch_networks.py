"""The networks of kerasdl in PyTorch, to compare speeds with: same layers, same initial distribution.

    network = initialize_like_keras(LeNet5(activation="relu", pooling="max"), seed=0)
    copy_keras_weights(network, weights)  # of the Keras network; now it computes what that computes

They are written as a PyTorch user writes them: floats 0..1 of shape (B, C, H, W) in, logits out.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
_POOLINGS = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}
_LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)  # those with weights
_STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 20: (3, 3, 3)}  # blocks
_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


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


class ResidualBlock(nn.Module):
    """The twin of `kerasdl.models.resnet.ResidualBlock`, v1 and v1.5; see there for the arguments.

    Input: (batch_size, channels, height, width), float32.
    Output: (batch_size, filters or 4 filters, height / strides, width / strides), float32.
    """

    def __init__(self, channels: int, filters: int, strides: int, kind: str, version: str, shortcut: str):
        super().__init__()
        sizes = ((3, 1), (3, 1)) if kind == "basic" else ((1, 1), (3, 1), (1, 4))
        strided = 0 if kind == "basic" or version == "v1" else 1
        layers, before = [], channels
        for number, (size, factor) in enumerate(sizes):
            layers += [nn.ReLU(inplace=True)] if number else []
            layers += _normalized(before, filters * factor, size, strides if number == strided else 1)
            before = filters * factor
        self.body = nn.Sequential(*layers)
        self.projection = None
        if shortcut == "B":
            self.projection = nn.Sequential(*_normalized(channels, before, 1, strides))
        self.strides = strides
        self.more = before - channels if shortcut == "A" else 0
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.body(x)
        if self.projection is not None:
            x = self.projection(x)
        elif self.more:
            half = self.more // 2
            x = x[:, :, :: self.strides, :: self.strides]
            x = functional.pad(x, (0, 0, 0, 0, half, self.more - half))
        return self.relu(y + x)


class ResNet(nn.Module):
    """The twin of `kerasdl.models.resnet.ResNet`, v1 and v1.5.

    Args:
        num_classes: number of classes.
        depth: 18, 34, 50, or 20 (for CIFAR, three stages).
        width: filters of the first stage.
        stem: "imagenet" or "cifar".
        shortcut: "A" or "B".
        version: "v1" or "v1.5".
        dropout: fraction of the features left out in training, 0 to 1.
        channels: channels of the images.

    Input: (batch_size, channels, height, width), float32.
    Output: logits (batch_size, num_classes), float32.
    """

    kernels = "he_normal"

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        depth: int = 50,
        width: int = 64,
        stem: str = "imagenet",
        shortcut: str = "B",
        version: str = "v1.5",
        dropout: float = 0.0,
        channels: int = 3,
    ):
        super().__init__()
        if version not in ("v1", "v1.5") or depth not in _STAGES:
            raise ValueError(f"There is no twin of a ResNet-{depth} {version}.")
        kind = "bottleneck" if depth == 50 else "basic"
        layers = [*_normalized(channels, width, *((7, 2) if stem == "imagenet" else (3, 1)))]
        layers += [nn.ReLU(inplace=True), *([nn.MaxPool2d(3, 2, 1)] if stem == "imagenet" else [])]
        before = width
        for stage, count in enumerate(_STAGES[depth]):
            filters = width * 2**stage
            for number in range(count):
                strides = 2 if stage > 0 and number == 0 else 1
                after = filters * (4 if kind == "bottleneck" else 1)
                way = "identity" if strides == 1 and after == before else shortcut
                layers.append(ResidualBlock(before, filters, strides, kind, version, way))
                before = after
        self.maps = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.flat_shape = (before, 1, 1)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(before, num_classes))

    def forward(self, images):
        return self.head(self.maps(images))


class VGG(nn.Module):
    """The twin of `kerasdl.models.vgg.VGG`.

    Args:
        num_classes: number of classes.
        depth: 11, 13, 16 or 19.
        width: filters of the first stage.
        batch_normalization: normalise after each convolution.
        head_units: units of the dense layers before the last.
        dropout: fraction of the units of each of these layers left out in training, 0 to 1.
        image_shape: (channels, height, width) of the images.

    Input: (batch_size, *image_shape), float32.
    Output: logits (batch_size, num_classes), float32.
    """

    kernels = "he_normal"

    def __init__(
        self,
        *,
        num_classes: int = 1000,
        depth: int = 16,
        width: int = 64,
        batch_normalization: bool = False,
        head_units: Sequence[int] = (4096, 4096),
        dropout: float = 0.5,
        image_shape: tuple[int, int, int] = (3, 32, 32),
    ):
        super().__init__()
        layers, (before, height, width_in) = [], image_shape
        for count, factor in zip(_CONVOLUTIONS[depth], (1, 2, 4, 8, 8), strict=True):
            for _ in range(count):
                layers.append(nn.Conv2d(before, width * factor, 3, padding=1))
                before = width * factor
                layers += [_normalization(before)] if batch_normalization else []
                layers.append(nn.ReLU(inplace=True))
            layers.append(nn.MaxPool2d(2))
        self.maps = nn.Sequential(*layers)
        self.flat_shape = (before, height // 32, width_in // 32)
        widths, layers = [int(np.prod(self.flat_shape)), *head_units], []
        for inputs, units in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, units), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(widths[-1], num_classes))

    def forward(self, images):
        return self.head(self.maps(images).flatten(1))


def _normalized(channels: int, filters: int, size: int, strides: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, filters, size, strides, padding=size // 2, bias=False)
    return [convolution, _normalization(filters)]


def _normalization(channels: int) -> nn.BatchNorm2d:
    """Make batch normalisation with Keras's defaults; PyTorch's momentum is what Keras's lacks to 1."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def twin(name: str, dropout: float) -> nn.Module:
    """Return the network of `networks.SPECS`, as its recipe builds it."""
    if name == "lenet5":
        return LeNet5(activation="relu", pooling="max", dropout=dropout)
    if name == "mlp":
        return MLP(dropout=dropout)
    if name == "vgg16":
        return VGG(num_classes=10, batch_normalization=True, head_units=(512,), dropout=dropout)
    if name == "resnet20":
        small = {"depth": 20, "width": 16, "stem": "cifar", "shortcut": "A"}
        return ResNet(num_classes=10, dropout=dropout, **small)
    return ResNet(dropout=dropout)


def initialize_like_keras(module: nn.Module, seed: int) -> nn.Module:
    """Draw every weight from Keras's initial distribution; biases are zero, normalisation changes nothing.

    Args:
        module: one of these networks, changed in place and returned. Kernels are Glorot uniform, and He
            normal (cut off at two standard deviations) where its class says so, the last layer's aside.
        seed: seeds a generator of its own; PyTorch's global one is left alone.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = [layer for layer in module.modules() if isinstance(layer, _LAYERS)]
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
            continue
        if getattr(module, "kernels", "glorot_uniform") == "he_normal" and layer is not layers[-1]:
            std = (2 / layer.weight[0].numel()) ** 0.5 / 0.87962566  # what the cut takes away
            nn.init.trunc_normal_(layer.weight, 0, std, -2 * std, 2 * std, generator=generator)
        else:
            nn.init.xavier_uniform_(layer.weight, generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return module


def copy_keras_weights(module: nn.Module, weights: Sequence[np.ndarray]) -> nn.Module:
    """Give a twin the weights of its Keras network.

    Args:
        module: one of these networks, changed in place and returned.
        weights: those of each layer in the order in which they are called, as a SavedModel's signature has
            them: kernel, and bias if there is one; gamma, beta, moving mean and variance. In `ResNet` this is
            not the order of `get_weights`, which has the convolutions of a block before its normalisations.

    Raises:
        ValueError: when numbers or shapes are not those of the module.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _LAYERS)]
    first_dense = next(layer for layer in layers if isinstance(layer, nn.Linear))
    targets = [(layer, target) for layer in layers for target in _tensors(layer)]
    if len(weights) != len(targets):
        raise ValueError(f"{len(weights)} arrays given, but {type(module).__name__} has {len(targets)}.")
    for (layer, target), array in zip(targets, weights, strict=True):
        if array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)  # (H, W, in, out) to (out, in, H, W)
        elif array.ndim == 2 and layer is first_dense:  # Keras flattens (H, W, C), PyTorch (C, H, W)
            channels, height, width = module.flat_shape
            array = array.reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
            array = array.reshape(len(array), -1)
        elif array.ndim == 2:
            array = array.T
        if target.shape != array.shape:
            raise ValueError(f"An array of {array.shape} was given for weights of {tuple(target.shape)}.")
        with torch.no_grad():
            target.copy_(torch.from_numpy(np.array(array)))
    return module


def _tensors(layer: nn.Module) -> list[torch.Tensor]:
    """Return the weights of a layer in Keras's order."""
    tensors = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
    if isinstance(layer, nn.BatchNorm2d):
        tensors += [layer.running_mean, layer.running_var]
    return tensors
