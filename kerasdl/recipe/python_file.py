"""Python files of the user, imported by path."""

import ast
import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType

from kerasdl import public
from kerasdl.errors import UsageError
from kerasdl.recipe import own_files, trust
from kerasdl.recipe.own_files import OwnFiles

_NAME = "kerasdl_recipe_"
#: Copies of recipe files, and what only a run, a bundle or a search holds beside them.
_COPIES, _OF_FOLDERS = ("recipe.py", "space.py"), ("status.json", "card.json", "search.json")


def load(path: Path) -> ModuleType:
    """Import a Python file that the user has named, and the files beside it that it imports.

    Modules are told apart by their content, so that a recipe and its copy in a run define the same classes.
    """
    if path.name in _COPIES and any((path.parent / name).is_file() for name in _OF_FOLDERS):
        return load_received(path)  # a command that somebody else's search suggests may name it
    own = OwnFiles(path)
    trust.allow([own.digest])
    return _import(own)


def load_received(path: Path) -> ModuleType:
    """Import a Python file that lies in a run, bundle or search, if it was made here or is trusted.

    Raises:
        UsageError: when it is not; nothing has run then.
    """
    own = OwnFiles(path)
    with_others = f" (with {', '.join(own.beside)})" if own.beside else ""
    trust.check(own.digest, path, f"is a program{with_others}, which can do all that you can do.")
    return _import(own)


def _import(own: OwnFiles) -> ModuleType:
    path = own.path
    name = f"{_NAME}{own.digest[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    module.__recipe_files__ = own
    sys.modules[name] = module
    try:
        own_files.run(module, path, own.source, own_files.prepare(name, own))
    except Exception as error:
        del sys.modules[name]
        own_files.forget(name)
        if isinstance(error, UsageError):
            raise
        if advice := _new_import(own.source, error):
            raise UsageError(f"{path} was written for an earlier kerasdl ({error}). {advice}") from error
        raise UsageError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


@contextlib.contextmanager
def forgetting() -> Iterator[None]:
    """Import files anew inside, and forget these imports at the end."""
    before = _imported()
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in _imported():
            del sys.modules[name]
        sys.modules.update(before)


def _imported() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.startswith(_NAME)}


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


def files_of(target: type) -> OwnFiles | None:
    """Return the recipe file that defines a class, or imports it from a file beside it, as it was read.

    It is None for a class of an installed package.
    """
    return getattr(sys.modules.get(own_files.owner(target.__module__)), "__recipe_files__", None)


def name_in(target: type) -> str:
    """Return the name of a class in its recipe: "Net", or "parts.Net" for one of a file beside it."""
    beside = target.__module__.partition(".")[2]
    return ".".join(filter(None, [beside, target.__qualname__]))


def find(module: ModuleType, name: str) -> object:
    """Return the object of a name that `name_in` gave; None where there is none."""
    before, _, last = name.rpartition(".")
    place = own_files.modules(module.__name__).get(before) if before else module
    return getattr(place, last, None)


def classes_beside(target: type) -> list[type]:
    """Return every class of the recipe file that defines `target`; none for an installed package."""
    if files_of(target) is None:
        return []
    found = objects_in(sys.modules[own_files.owner(target.__module__)])
    return [kind for kind in found.values() if isinstance(kind, type)]


def objects_in(module: ModuleType) -> dict[str, type | Callable]:
    """Return every class and function that a loaded file, or one beside it, defines, by module and name."""
    return {
        f"{place.__name__}.{name}": found
        for place in (*own_files.modules(module.__name__).values(), module)
        for name, found in vars(place).items()
        if isinstance(found, type | FunctionType) and found.__module__ == place.__name__
    }
