"""Reads the file of a run's network."""

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from kerasdl.files import parsing
from kerasdl.recipe import Config, keras_file, python_file, type_of

if TYPE_CHECKING:
    import keras


def load(file: Path, model: Config) -> "keras.Model":
    """Load a network, with the classes of the recipe file that defines it."""
    import keras

    from kerasdl.network.imported import Imported
    from kerasdl.network.imported_parts import check_opaque
    from kerasdl.network.own_objects import own_objects

    names = {
        keras.saving.get_registered_name(kind): kind for kind in python_file.classes_beside(type_of(model))
    }
    names |= {keras.saving.get_registered_name(type_of(model)): type_of(model)}
    if type_of(model) is Imported:
        names |= own_objects(file.parent)
    with zipfile.ZipFile(file) as archive, parsing(file):
        document = json.loads(archive.read("config.json"))
    safe_mode = keras_file.check(file, document, names)
    with keras.saving.custom_object_scope(names):
        network = keras.saving.load_model(file, compile=False, safe_mode=safe_mode)
    check_opaque(network)
    return network
