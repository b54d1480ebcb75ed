"""Writes the constructor arguments of layers and networks into their configs."""

from typing import Any

import keras


def config_of(layer: keras.Layer, *names: str) -> dict[str, Any]:
    """Return attributes of a layer by name, for its `get_config`."""
    return {name: getattr(layer, name) for name in names}
