"""Trees of tensors and arrays: a single one, or a dict of them by name."""

from collections.abc import Callable, Mapping
from typing import Any

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
