"""Refuses what in a configuration of Keras would run code: files of networks come from anywhere.

Keras builds what a configuration names before anyone can look at it, and its safe mode knows only some of
what builds or calls something else: a SavedModel of the sender's is opened by a layer's constructor alone.
"""

import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kerasdl.errors import UsageError

#: Modules of Keras whose classes may stand in a configuration.
_MODULES = frozenset({
    "keras", "keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints", "keras.losses",
    "keras.metrics", "keras.optimizers", "keras.optimizers.schedules", "keras.random",
    "keras.src.models.functional",
})  # fmt: skip
#: Operations of Keras between symbolic tensors, in networks of the functional kind within others.
_OPERATIONS = "keras.src.ops."
#: Layers of networks of Keras: ConvNeXt has some of its own.
_APPLICATIONS = "keras.src.applications."
#: Layers that run code, or open files, which the configuration names.
_REACHING = frozenset({
    "Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__", "__typespec__",
})  # fmt: skip
#: Values, which Keras writes as if they were objects.
_VALUES = frozenset({"__tensor__", "__numpy__", "__keras_tensor__", "__ellipsis__", "__slice__", "__bytes__"})


#: Those of them that hold functions of the file's own, which run only where it is trusted.
CODE = frozenset({"Lambda", "__lambda__"})
#: Classes that Keras 2 named without their module.
_MODELS = frozenset({"Functional", "Model", "Sequential", "__tuple__", "TensorShape"})


def check(document: Any, where: str, own: Collection[str] = ()) -> None:
    """Refuse a configuration with parts that are not plain layers and their settings.

    Args:
        document: what the JSON of a `.keras` file, or a part of it, holds.
        where: what it was read from, for the message.
        own: registered names of the classes of a trusted recipe. What this process has registered itself, by
            importing it, may be named too.

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
    import keras

    name, module, given = part["class_name"], part.get("module") or "", part.get("config")
    registered = part.get("registered_name") or name
    if not all(isinstance(text, str) for text in (name, module, registered)):
        return False
    if name in _REACHING:
        return name in CODE and name in own
    if name in _VALUES:
        return True
    if name == "function":
        return isinstance(given, str) and (given in own or _is_registered(given) or _is_activation(given))
    if registered in own or _is_registered(registered):  # which Keras takes before it looks at the module
        return True
    if not module:
        return _is_of_keras_2(name)
    found = vars(sys.modules[module]).get(name) if module in sys.modules else None
    if not isinstance(found, type):  # a function, or a path to something else: "utils.get_file"
        return False
    if module.startswith(_APPLICATIONS):
        return issubclass(found, keras.layers.Layer)
    return module in _MODULES or (module.startswith(_OPERATIONS) and issubclass(found, keras.Operation))


def _is_of_keras_2(name: str) -> bool:
    """Tell whether a class that is named without a module is one of Keras's own."""
    import keras

    modules = (keras.layers, keras.initializers, keras.regularizers, keras.constraints)
    found = [vars(module).get(name) for module in modules]
    return name in _MODELS or any(isinstance(kind, type) for kind in found)


def without_training(document: Any) -> Any:
    """Return a configuration without what its models were compiled with, at any depth."""
    if isinstance(document, Mapping):
        kept = {name: part for name, part in document.items() if name != "compile_config"}
        return {name: without_training(part) for name, part in kept.items()}
    return [without_training(part) for part in document] if isinstance(document, list) else document


def _is_registered(name: str) -> bool:
    """Tell whether a class or function of this process has registered itself under a name of a package."""
    import keras

    return ">" in name and keras.saving.get_registered_object(name) is not None


def _is_activation(name: str) -> bool:
    import keras

    return callable(vars(keras.activations).get(name)) and name not in ("get", "serialize", "deserialize")
