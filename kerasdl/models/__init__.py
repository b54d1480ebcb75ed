"""Networks, one architecture a file. They need TensorFlow, which is imported here first, quietly."""

from kerasdl import environment

environment.import_tensorflow()
