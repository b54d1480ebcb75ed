"""Layers that several networks share."""

from kerasdl.layers.attention import AttentionPooling
from kerasdl.layers.convolution import POOLS, Conv2D, ConvolutionBlock
from kerasdl.layers.dropout import Dropout
from kerasdl.layers.hard_sigmoid import hard_sigmoid_of_keras_2
from kerasdl.layers.maxout import Maxout
from kerasdl.layers.min_gru import MinGRU
from kerasdl.layers.normalization import BatchNormalization, LocalResponseNormalization
from kerasdl.layers.recurrent import Recurrent

__all__ = [
    "POOLS",
    "AttentionPooling",
    "BatchNormalization",
    "Conv2D",
    "ConvolutionBlock",
    "Dropout",
    "LocalResponseNormalization",
    "Maxout",
    "MinGRU",
    "Recurrent",
    "hard_sigmoid_of_keras_2",
]
