"""The description of a run as a value; needs no TensorFlow."""

from kerasdl.recipe.config import Config, type_of
from kerasdl.recipe.recipe import Recipe, replace

__all__ = ["Config", "Recipe", "replace", "type_of"]
