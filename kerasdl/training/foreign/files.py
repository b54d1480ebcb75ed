"""Opens Keras models of anybody: `.keras` files, `.h5` files of Keras 2 and 3. No code in them is run."""

import dataclasses
import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import parsing
from kerasdl.network import own_objects
from kerasdl.network.imported_parts import check_opaque
from kerasdl.private.keras import all_parts_of
from kerasdl.private.keras_config import objects, without_training
from kerasdl.recipe import keras_file, python_file
from kerasdl.training.foreign import keras_2
from kerasdl.training.weights.storage import check_storage

_OLD = ".h5"
_LOWER = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")
_CONFIG, _METADATA = "config.json", "metadata.json"
_KINDS = "Give a .keras file, or an .h5 file of a whole model."


@dataclasses.dataclass(frozen=True)
class Opened:
    """A model as plain Keras opens it.

    Attributes:
        path: the file.
        model: the model, built.
        precision: the lowest that its layers compute in: "float32", "float16" or "bfloat16".
        custom: the file of its own classes; None where it has none.
    """

    path: Path
    model: keras.Model
    precision: str
    custom: Path | None = None


def open_model(path: Path, custom: Path | None = None) -> Opened:
    """Open a file of a model with plain Keras, without what it was compiled with.

    Args:
        path: a `.keras` or `.h5` file.
        custom: Python file with classes and functions that the model names; the user vouches for it.

    Raises:
        UsageError: when it cannot be read, names unknown classes, or holds code that is not trusted.
        RunFailedError: when it is damaged.
    """
    if (path / "card.json").is_file():
        raise UsageError(
            f"{path} is a bundle that kerasdl made, with its files checked already: every command takes it "
            "as it is. To train its network, give the run that it came from."
        )
    if not path.is_file():
        raise UsageError(f"There is no file {path}. {_KINDS}")
    if custom is not None:
        own_objects.remember(python_file.objects_in(python_file.load(custom)))
    names = own_objects.own_objects()
    is_old = h5py.is_hdf5(path)
    if not is_old and not zipfile.is_zipfile(path):
        raise UsageError(f"{path} is neither a .keras nor an .h5 file, or it is cut short. {_KINDS}")
    with keras.saving.custom_object_scope(names):
        model = (_open_h5 if is_old else _open_keras)(path, names)
    if not isinstance(model, keras.Model):
        raise UsageError(f"{path} holds a {type(model).__name__}, which is no model. {_KINDS}")
    dtypes = {layer.compute_dtype for layer in all_parts_of(model)}
    if odd := [layer.name for layer in all_parts_of(model) if "int8" in str(layer.dtype_policy.name)]:
        raise UsageError(
            f"{path} was quantized in Keras ({odd[0]}), which no exported file can hold. Give the model "
            "before model.quantize: int8 files are made here."
        )
    precision = next((name for name in ("float16", "bfloat16") if name in dtypes), "float32")
    return Opened(path, model, precision, custom)


def in_float32(opened: Opened) -> keras.Model:
    """Return a copy of a model that computes in float32 and shares nothing with it."""
    document = _without_precision(keras.saving.serialize_keras_object(opened.model))
    with tempfile.TemporaryDirectory(prefix="kerasdl-") as folder:
        file = Path(folder) / "model.keras"
        opened.model.save(file)
        with keras.saving.custom_object_scope(own_objects.own_objects()):
            return _load(_rewritten(file, without_training(document), Path(folder)), safe_mode=False)


def _open_keras(path: Path, names: Mapping[str, Any]) -> keras.Model:
    with zipfile.ZipFile(path) as archive, parsing(path, "Save the model again.", UsageError):
        document = without_training(json.loads(archive.read(_CONFIG)))
        version = json.loads(archive.read(_METADATA)).get("keras_version", "")
    if keras_2.wrote(version):
        raise UsageError(
            f"{path} is a .keras file of Keras {version}, which Keras 3 cannot read. {keras_2.ADVICE}"
        )
    _check_classes(path, document, names)
    safe_mode = keras_file.check(path, document, names)
    with tempfile.TemporaryDirectory(prefix="kerasdl-") as folder:
        file = _rewritten(path, document, Path(folder))
        try:
            return _load(file, safe_mode)
        except Exception as error:  # whatever layers raise that this Keras does not know
            raise _unreadable(path, version, error) from error


def _open_h5(path: Path, names: Mapping[str, Any]) -> keras.Model:
    with h5py.File(path) as file, parsing(path, "Save the model again.", UsageError):
        check_storage(file, path)
        config, version = file.attrs.get("model_config"), str(file.attrs.get("keras_version", ""))
    if config is None:
        raise UsageError(
            f"{path} holds weights alone, not the model. Save the whole model: model.save('my_model.keras')."
        )
    document = json.loads(config)
    if keras_2.wrote(version):
        keras_2.check(path, {str(part["class_name"]) for part in objects(document)})
    _check_classes(path, document, names)
    safe_mode = keras_file.check(path, document, names)
    with tempfile.TemporaryDirectory(prefix="kerasdl-") as folder:
        copy = Path(folder) / f"model{_OLD}"  # Keras judges a file by its ending
        if keras_2.wrote(version):
            shutil.copyfile(path, copy)
            with h5py.File(copy, "r+") as file:
                file.attrs["model_config"] = json.dumps(keras_2.as_keras_3_takes_it(document))
        else:
            copy.symlink_to(path.absolute())
        try:
            model = _load(copy, safe_mode)
        except Exception as error:  # as above
            raise _unreadable(path, version, error) from error
    if keras_2.wrote(version):
        keras_2.mend(model)
    return model


def _load(file: Path, safe_mode: bool) -> keras.Model:
    model = keras.saving.load_model(file, compile=False, safe_mode=safe_mode)
    check_opaque(model)
    return model


def _rewritten(path: Path, document: Any, folder: Path) -> Path:
    """Return a copy of a `.keras` file with another configuration."""
    target = folder / "copy.keras"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as copy:
        for entry in source.infolist():
            if entry.filename == _CONFIG:
                copy.writestr(_CONFIG, json.dumps(document))
            else:
                with source.open(entry) as stream, copy.open(entry.filename, "w", force_zip64=True) as out:
                    while piece := stream.read(2**20):
                        out.write(piece)
    return target


def _check_classes(path: Path, document: Any, names: Mapping[str, Any]) -> None:
    """Raise a UsageError for classes of the maker's own, which only `--custom` can give."""
    unknown = {
        str(part["class_name"])
        for part in objects(document)
        if part.get("registered_name") and not _known(part, names)
    }
    if unknown:
        listed = ", ".join(sorted(unknown))
        raise UsageError(
            f"{path} uses {listed}, which Keras does not have. Give the Python file that defines "
            f"{'it' if len(unknown) == 1 else 'them'}: --custom my_code.py"
        )


def _known(part: Mapping[str, Any], names: Mapping[str, Any]) -> bool:
    registered, module = str(part["registered_name"]), part.get("module") or ""
    if part["class_name"] == "function":
        return module == "builtins" or str(part["config"]) in names
    known = registered in names or keras.saving.get_registered_object(registered) is not None
    return known or (isinstance(module, str) and module.split(".")[0] == "keras")


def _unreadable(path: Path, version: str, error: Exception) -> Exception:
    text = " ".join(str(error).split())[:300]
    if isinstance(error, UsageError | RunFailedError):
        return error
    why = ""
    if keras_2.wrote(version):
        why = f" It was saved by Keras {version}: {keras_2.OTHERWISE}"
    elif keras_2.numbers(version) > keras_2.numbers(keras.__version__):
        why = (
            f" It was saved by Keras {version}, here is {keras.__version__}: save it again with this one, or "
            "install that one."
        )
    return UsageError(f"Keras cannot open {path}: {type(error).__name__}: {text}.{why}")


def _without_precision(document: Any) -> Any:
    """Return a configuration whose layers compute in float32."""
    if isinstance(document, Mapping):
        if document.get("class_name") == "DTypePolicy":
            return {**document, "config": {"name": "float32"}}
        return {
            name: "float32" if name == "dtype" and str(part) in _LOWER else _without_precision(part)
            for name, part in document.items()
        }
    return [_without_precision(part) for part in document] if isinstance(document, list) else document
