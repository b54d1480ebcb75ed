"""The files beside a recipe file that it imports: found, hashed, copied and imported with it.

They are found in its source, without running it. Each recipe has modules of its own: two recipes in one
process may import two files of one name.
"""

import ast
import builtins
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasdl.errors import UsageError
from kerasdl.files import replacing
from kerasdl.recipe import trust

_SUFFIX = "_files"  # the package of the files beside a recipe, after the name of its module
_NOT_BESIDE = {*sys.stdlib_module_names, "kerasdl"}
#: Names in run folders and bundles; a copy of a file beside a recipe must not take their place.
_TAKEN = {"recipe", "space", "checkpoints", "explain", "logs", "variables", "assets", "exported"}


class OwnFiles:
    """A recipe file and the files beside it that it imports, as they are now.

    Attributes:
        path: the recipe file.
        source: its content.
        beside: contents of the others by their paths in its folder: "parts.py", "layers/__init__.py".

    Raises:
        UsageError: when a file is missing, or the recipe file is not Python.
    """

    def __init__(self, path: Path):
        if not path.is_file():
            raise UsageError(f"There is no file {path}.")
        self.path, self.source = path, path.read_bytes()
        self.beside: dict[str, bytes] = {}
        self._read(self.source, "")

    @property
    def digest(self) -> str:
        """SHA-256 of all contents; of the recipe file alone where it imports none beside it."""
        own = hashlib.sha256(self.source).hexdigest()
        if not self.beside:
            return own
        others = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self.beside.items())}
        return hashlib.sha256(json.dumps([own, others]).encode()).hexdigest()

    def copy_to(self, target: Path) -> None:
        """Copy the file into a run, bundle or search, with the others; what may run here may run there.

        Args:
            target: the copy of the recipe file; the others go beside it.

        Raises:
            UsageError: for a file whose copy would take the place of another one.
        """
        for name in self.beside:
            if name.partition("/")[0].removesuffix(".py") in _TAKEN:
                raise UsageError(
                    f"{self.path} imports {self.path.parent / name}, but a run keeps something else under "
                    "that name. Rename the file."
                )
        for name, content in {**self.beside, target.name: self.source}.items():
            place = target.parent / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with replacing(place) as temporary:
                temporary.write_bytes(content)
        if trust.is_trusted(self.digest):
            trust.record(self.digest, target)

    def _read(self, source: bytes, package: str) -> None:
        """Read what a source imports from this folder, and what that imports."""
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # said when it is run
            return
        for name in dict.fromkeys(_imported(tree, package)):
            if name.partition(".")[0] in _NOT_BESIDE:
                continue
            stem = name.replace(".", "/")
            for file in (f"{stem}/__init__.py", f"{stem}.py"):
                found = self.path.parent / file
                if file not in self.beside and found.is_file() and not found.samefile(self.path):
                    self.beside[file] = found.read_bytes()
                    is_package = file.endswith("__init__.py")
                    self._read(self.beside[file], name if is_package else name.rpartition(".")[0])
                    break


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the full names that a source may import, with the packages that they lie in."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*filter(None, parts), *filter(None, [node.module])])
            names = [base, *(".".join(filter(None, [base, alias.name])) for alias in node.names)]
        for name in filter(None, names):
            pieces = name.split(".")
            yield from (".".join(pieces[: count + 1]) for count in range(len(pieces)))


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the files beside recipe files from what was read of them, as `<root>.parts`."""

    def __init__(self):
        self.files: dict[str, tuple[Path, bytes]] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None):
        if fullname not in self.files:
            return None
        file = self.files[fullname][0]
        spec = importlib.machinery.ModuleSpec(
            fullname, self, origin=str(file), is_package=file.name == "__init__.py"
        )
        spec.has_location = True
        return spec

    def exec_module(self, module: ModuleType) -> None:
        file, source = self.files[module.__name__]
        run(module, file, source, module.__name__.partition(".")[0])

    def get_source(self, fullname: str) -> str:
        return self.files[fullname][1].decode("utf-8")


_finder = _Finder()


def prepare(name: str, own: OwnFiles) -> str:
    """Make the files beside a recipe importable, in a package that belongs to the module `name` alone.

    Returns:
        The name of the package.
    """
    root = name + _SUFFIX
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    package = ModuleType(root)
    package.__path__ = []
    sys.modules[root] = package
    for file, content in own.beside.items():
        parts = file.removesuffix(".py").removesuffix("/__init__").split("/")
        _finder.files[".".join([root, *parts])] = (own.path.parent / file, content)
    return root


def forget(name: str) -> None:
    """Take back what `prepare` made and what was imported since."""
    root = name + _SUFFIX
    for loaded in [one for one in sys.modules if one == root or one.startswith(f"{root}.")]:
        del sys.modules[loaded]


def run(module: ModuleType, file: Path, source: bytes, root: str) -> None:
    """Run the source of a module whose imports find the files in the package `root` first."""
    module.__builtins__ = {**vars(builtins), "__import__": _importer(root)}
    # Compiled from the source each time: a cached .pyc beside it could hold other code.
    exec(compile(source, str(file), "exec"), module.__dict__)


def modules(name: str) -> Mapping[str, ModuleType]:
    """Return the imported files beside the recipe in a module by their names: "parts", "layers.noise"."""
    begin = f"{name}{_SUFFIX}."
    return {
        loaded.removeprefix(begin): module
        for loaded, module in list(sys.modules.items())
        if loaded.startswith(begin)
    }


def _importer(root: str):
    def own_import(name, globals=None, locals=None, fromlist=(), level=0):
        beside = level == 1 and (globals or {}).get("__name__") == root.removesuffix(_SUFFIX)
        if beside or (not level and f"{root}.{name.partition('.')[0]}" in _finder.files):
            full = f"{root}.{name}" if name else root
            if fromlist:
                return builtins.__import__(full, globals, locals, fromlist, 0)
            importlib.import_module(full)
            return sys.modules[full[: len(root) + 1] + name.partition(".")[0]]
        return builtins.__import__(name, globals, locals, fromlist, level)

    return own_import


def owner(module_name: str) -> str:
    """Return the module of the recipe that a module belongs to: itself, or that of the file beside it."""
    root = module_name.partition(".")[0]
    return root.removesuffix(_SUFFIX)
