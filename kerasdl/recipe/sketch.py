"""Classes without their code, read from the source: flags are known before Keras is imported.

A network and its layers inherit from Keras, whose import takes seconds. What a command line needs of them is
their signature, docstring and constants alone, which are taken from the source of the module here.
"""

import ast
import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from kerasdl import public
from kerasdl.recipe import python_file

_Value = TypeVar("_Value")
_PACKAGE = Path(public.__file__).parent
#: Modules of these layers import Keras.
_OF_KERAS = ("kerasdl.layers", "kerasdl.preprocessing", "kerasdl.network", "kerasdl.models")
#: What a recipe file may import without Keras.
_PLAIN = {*sys.stdlib_module_names, "kerasdl", "numpy"} - {"os"}


def without_keras(pipeline: Path, work: Callable[[], _Value]) -> _Value | None:
    """Do some work in which the classes of Keras in a recipe are sketches.

    Args:
        pipeline: the file of the recipe.
        work: what is done, such as to load the recipe and to parse its flags.

    Returns:
        What the work returned; None where it was not done, as Keras is there already or the file needs it.
    """
    if "keras" in sys.modules or not _is_plain(pipeline):
        return None
    with public.finding(_find), python_file.forgetting():
        return work()


def _is_plain(file: Path) -> bool:
    """Tell whether a recipe file needs kerasdl and the standard library alone, and defines no class."""
    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix == ".json":
        return "recipe.py:" not in text and '"type": "kerasdl>' in text
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return False
    if any(isinstance(node, (ast.ClassDef, ast.Lambda)) for node in nodes):
        return False
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {"." * node.level + (node.module or "") for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in imported} <= _PLAIN


def _find(name: str) -> Any:
    """Return a public object; a sketch of it where its module imports Keras."""
    module = public.PLACES[name]
    if module.startswith(_OF_KERAS):
        return _source(module)[name]
    return getattr(importlib.import_module(module), name)


@functools.cache
def _source(module: str) -> "_Names":
    return _Names(module)


class _Names(dict):
    """The names of a module, each worked out from the source when it is asked for."""

    def __init__(self, module: str):
        super().__init__(__name__=module)
        place = _PACKAGE.joinpath(*module.split(".")[1:])  # to ask for its spec would import its package
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        self._definitions: dict[str, ast.AST] = {}
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for name in _defined(node):
                self._definitions[name] = node

    def __missing__(self, name: str) -> Any:
        if name not in self._definitions:
            raise KeyError(name)  # the interpreter asks for globals and builtins next
        node = self._definitions[name]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found = _imported(node, name)
        elif isinstance(node, ast.ClassDef):
            found = self._class(node)
        else:
            found = self._run(node, name)
        return self.setdefault(name, found)

    def _run(self, node: ast.AST, name: str) -> Any:
        """Return what a statement gives a name, with the other names at hand."""
        made = _Inner(self)
        exec(compile(ast.Module([node], []), self["__name__"], "exec"), {}, made)
        return made[name]

    def _class(self, node: ast.ClassDef) -> type:
        """Make the class: what it inherits of kerasdl, its docstring, constants and signature."""
        members: dict[str, Any] = {"__module__": self["__name__"], "__qualname__": node.name}
        members["__doc__"] = ast.get_docstring(node)
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                part.body = [ast.Pass()]
                members["__init__"] = self._run(ast.fix_missing_locations(part), "__init__")
            elif isinstance(part, (ast.Assign, ast.AnnAssign)):
                members |= {name: self._run(part, name) for name in _defined(part)}
        bases = [self[base.id] for base in node.bases if isinstance(base, ast.Name)]
        return type(node.name, tuple(base for base in bases if isinstance(base, type)), members)


class _Inner(dict):
    """A scope whose missing names are those of the module around it."""

    def __init__(self, around: _Names):
        super().__init__()
        self.around = around

    def __missing__(self, name: str) -> Any:
        return self.around[name]


def _defined(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement defines."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name) and node.value)


def _imported(node: ast.Import | ast.ImportFrom, name: str) -> Any:
    """Return what an import statement gives a name: a sketch for kerasdl's, nothing of use for Keras's."""
    alias = next(alias for alias in node.names if (alias.asname or alias.name) == name)
    module = alias.name if isinstance(node, ast.Import) else node.module
    if module.partition(".")[0] not in _PLAIN:
        return _Absent()
    if isinstance(node, ast.Import):
        return importlib.import_module(module)
    if module.startswith(_OF_KERAS):
        return _source(module)[alias.name]
    return getattr(importlib.import_module(module), alias.name)


class _Absent:
    """Something of a module that is not imported; no flag has such a type."""

    def __getattr__(self, name: str) -> "_Absent":
        return self

    def __or__(self, other: Any) -> "_Absent":
        return self

    __ror__ = __or__
