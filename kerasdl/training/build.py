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

    Modules are told apart by their content, so that a recipe and its copy in a run define the same classes.
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
        if advice := _new_import(source, error):
            raise UsageError(f"{path} was written for an earlier kerasdl ({error}). {advice}") from error
        raise UsageError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _new_import(source: bytes, error: Exception) -> str | None:
    """Return how to import today what a file takes from modules that have moved; None for other errors.

    Args:
        source: the file, which may use `from kerasdl.step import Network` or `kerasdl.step.Network`.
        error: the error that it ended with.
    """
    module = error.name if isinstance(error, ImportError) else getattr(error, "obj", None)
    name = module.__name__ if isinstance(module, ModuleType) else module
    if not isinstance(name, str) or not name.startswith("kerasdl."):
        return None
    used: dict[str, None] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kerasdl."):
            used |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute) and node.attr in public.PLACES:
            used[node.attr] = None
    moved = [one for one in used if one in public.PLACES]
    others = [one for one in used if one not in public.PLACES]
    if not moved:
        return None
    unknown = f"; {', '.join(others)} is not among the public names" if others else ""
    return f"Write: from kerasdl import {', '.join(moved)}{unknown}"


def recipe_file(target: type) -> Path | None:
    """Return the recipe file that defines a class; None for a class of an installed package."""
    return getattr(sys.modules.get(target.__module__), "__recipe_file__", None)


def recipe_source(target: type) -> str | None:
    """Return the text of the recipe file that defines a class, as it was when `load` read it."""
    return getattr(sys.modules.get(target.__module__), "__recipe_source__", None)


def classes_beside(target: type) -> list[type]:
    """Return every class of the recipe file that defines `target`; none for an installed package."""
    if recipe_file(target) is None:
        return []
    module = sys.modules[target.__module__]
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    ]
