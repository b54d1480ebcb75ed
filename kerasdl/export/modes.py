"""The kinds of TFLite files by name; needs no TensorFlow."""

MODES = ("float32", "float16", "dynamic", "int8", "int16x8")
DEFAULT_MODES = MODES[:4]
#: Other names of modes: weights of 8 bits, activations of 32.
ALIASES = {"w8a32": "dynamic"}
#: What int8 files take and give: real numbers, or the whole numbers that microcontrollers and NPUs want.
IO_TYPES = ("float32", "uint8", "int8")

INTEGER = ("int8", "int16x8")
