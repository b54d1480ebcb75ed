"""Refuses what in a configuration of Keras would run code: files of networks come from anywhere.

Keras builds what a configuration names before anyone can look at it, and its safe mode knows only some of
what builds or calls something else: a SavedModel of the sender's is opened by a layer's constructor alone.
"""

import functools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kerasdl.errors import UsageError

#: Modules of Keras whose classes may stand in a configuration.
_MODULES = frozenset({
    "keras", "keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints", "keras.losses",
    "keras.metrics", "keras.optimizers", "keras.optimizers.schedules", "keras.random",
})  # fmt: skip
#: Networks of the functional kind, which Keras names so.
_FUNCTIONAL = ("keras.src.models.functional", "Functional")
#: Operations of Keras between symbolic tensors, in networks of the functional kind within others.
_OPERATIONS = "keras.src.ops."
#: Layers that run code, or open files, which the configuration names.
_REACHING = frozenset({
    "Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__", "__typespec__",
})  # fmt: skip
#: Values, which Keras writes as if they were objects.
_VALUES = frozenset({"__tensor__", "__numpy__", "__keras_tensor__", "__ellipsis__", "__slice__", "__bytes__"})


def check(document: Any, where: str, own: Collection[str] = ()) -> None:
    """Refuse a configuration with parts that are not plain layers and their settings.

    Args:
        document: what the JSON of a `.keras` file, or a part of it, holds.
        where: what it was read from, for the message.
        own: registered names of the classes of a trusted recipe.

    Raises:
        UsageError: names the part.
    """
    for part in objects(document):
        if not _is_plain(part, own):
            name = str(part.get("registered_name") or part["class_name"])[:80]
            module = str(part.get("module"))[:80]
            raise UsageError(
                f"{where} names {name!r} of {module!r}, which kerasdl does not let Keras build from a file: "
                "it could run code of the sender's. Use classes of kerasdl, layers of Keras, or those of a "
                "recipe.py that you trust."
            )


def objects(document: Any) -> Iterator[Mapping[str, Any]]:
    """Yield everything in a document that Keras would take for an object, at any depth."""
    if isinstance(document, Mapping):
        if "class_name" in document:
            yield document
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from objects(part)


def _is_plain(part: Mapping[str, Any], own: Collection[str]) -> bool:
    name, module = part["class_name"], part.get("module")
    registered = part.get("registered_name") or name
    if not isinstance(name, str) or not isinstance(registered, str) or name in _REACHING:
        return False
    if name in _VALUES:
        return True
    if name == "function":
        return registered in own or part.get("config") in own or _is_activation(part)
    if registered in own or registered.startswith("kerasdl>"):
        return True
    if not isinstance(module, str):
        return False
    if (module, name) == _FUNCTIONAL:
        return True
    return (module in _MODULES and not _is_function(module, name)) or module.startswith(_OPERATIONS)


def _is_function(module: str, name: str) -> bool:
    import keras

    place = functools.reduce(getattr, module.split(".")[1:], keras)
    return callable(found := getattr(place, name, None)) and not isinstance(found, type)


def _is_activation(part: Mapping[str, Any]) -> bool:
    import keras

    name = part.get("config")
    known = isinstance(name, str) and callable(getattr(keras.activations, name, None))
    return known and name not in ("get", "serialize", "deserialize")
