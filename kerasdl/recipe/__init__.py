"""What a run is, as a value: no TensorFlow, and the only part that a user has to write."""

from kerasdl.recipe.config import Config, type_of
from kerasdl.recipe.recipe import Recipe, replace

__all__ = ["Config", "Recipe", "replace", "type_of"]
