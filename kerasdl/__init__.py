"""kerasdl: train subclassed Keras 3 models and ship them, verified, to servers and phones."""

from kerasdl import environment

__version__ = "0.1.0"

environment.set_defaults()
