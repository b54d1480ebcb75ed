"""Python files of the user, imported by path."""

import ast
import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from kerasdl import public
from kerasdl.errors import UsageError


def load(path: Path) -> ModuleType:
    """Import a Python file by path.

    The module is known by its content, so that a recipe and the copy of it in a run define equal types.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    source = path.read_bytes()
    name = f"kerasdl_recipe_{hashlib.sha256(source).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    module.__recipe_file__, module.__recipe_source__ = path, source.decode("utf-8")
    sys.modules[name] = module
    try:
        # Compiled from the source each time: a cached .pyc beside it could hold other code.
        exec(compile(source, str(path), "exec"), module.__dict__)
    except UsageError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, ImportError) and (advice := _new_import(source, error.name or "")):
            raise UsageError(f"{path} imports from {error.name}, a place of before. {advice}") from error
        raise UsageError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _new_import(source: bytes, module: str) -> str | None:
    """Say how to import today what a file imports from a module that has moved; None for any other."""
    names = [
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
    ]
    if not module.startswith("kerasdl.") or not names or not set(names) <= set(public.PLACES):
        return None
    return f"Write: from kerasdl import {', '.join(names)}"


def recipe_file(target: type) -> Path | None:
    """Return the file that `load` took a class from; None for a class of an installed package."""
    return getattr(sys.modules.get(target.__module__), "__recipe_file__", None)


def recipe_source(target: type) -> str | None:
    """Return the text that `load` took a class from; the file may be gone or changed since."""
    return getattr(sys.modules.get(target.__module__), "__recipe_source__", None)


def classes_beside(target: type) -> list[type]:
    """Return every class of the recipe file that defines `target`; none for an installed package's."""
    if recipe_file(target) is None:
        return []
    module = sys.modules[target.__module__]
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    ]
