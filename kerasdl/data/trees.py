"""Trees of tensors and arrays: a single one, or a dict of them by name."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

#: One tensor, array or spec, or a dict of them by name.
Tree = Any


def map_leaves(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply a function to every leaf of a tree, or to the leaves of several trees of one form."""
    if isinstance(tree, Mapping):
        return {name: function(tree[name], *(other[name] for other in others)) for name in tree}
    return function(tree, *others)


def leaves(tree: Tree) -> list[Any]:
    """Return the leaves of a tree, sorted by name."""
    return [tree[name] for name in sorted(tree)] if isinstance(tree, Mapping) else [tree]


def named(tree: Tree, name: str) -> Mapping[str, Any]:
    """Return a tree as a dict: a single leaf by the given name."""
    return tree if isinstance(tree, Mapping) else {name: tree}


def storable(array: np.ndarray) -> np.ndarray:
    """Return an array that `.npz` files hold without pickling: texts (N, ...) as bytes of one length."""
    if array.dtype != object:
        return array
    return np.array([text.encode() if isinstance(text, str) else text for text in array.flat], bytes).reshape(
        array.shape
    )
