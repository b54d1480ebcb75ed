"""Finds and loads pipelines and search spaces, by name or by path. Listing them imports nothing."""

import ast
import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from kerasdl.errors import UsageError, did_you_mean
from kerasdl.recipe import Recipe, python_file
from kerasdl.recipe.document import from_file
from kerasdl.recipe.own_files import OwnFiles

_PACKAGE = Path(__file__).resolve().parents[1]


def _shipped(folder: str) -> Path:
    """Return a folder of shipped files, inside the wheel or beside the package in a checkout."""
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def names(folder: str = "pipelines") -> dict[str, Path]:
    """Return the shipped files of `pipelines` or `tuning` by name, sorted."""
    return {path.stem: path for path in sorted(_shipped(folder).glob("[!_]*.py"))}


def summaries() -> dict[str, str]:
    """Return the first line of the docstring of every shipped pipeline by name, without running one."""
    return {
        name: (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        for name, path in names().items()
    }


def find(pipeline: str) -> Path:
    """Return the file of a pipeline: a shipped name, a `.py` file, a `recipe.json` or a run.

    Raises:
        UsageError: when there is no such file or name; near names are offered.
    """
    if pipeline.endswith((".py", ".json")) or "/" in pipeline:
        path = Path(pipeline)
        if path.is_dir() and (path / "recipe.json").is_file():
            return path / "recipe.json"
        if not path.is_file() or path.suffix not in (".py", ".json"):
            raise UsageError(
                f"There is no recipe file {pipeline}. Give a .py file with a RECIPE in it, or a recipe.json."
            )
        return path
    known = names()
    if pipeline not in known:
        raise UsageError(
            f"There is no pipeline {pipeline!r}; there are {', '.join(known)}, or give a .py file."
            + did_you_mean(pipeline, known)
        )
    return known[pipeline]


def find_space(name: str) -> Path:
    """Return the file of the recipe of a search space, by name or path.

    Raises:
        UsageError: when there is no such space; near names are offered.
    """
    known = names("tuning")
    if name.endswith(".py") or "/" in name:
        return find(name) if Path(name).is_file() else OwnFiles(Path(name)).path  # which says that it is not
    if name not in known:
        raise UsageError(
            f"There is no search space {name!r}; there are {', '.join(known)}, or give a .py file with "
            "a function space(hp, recipe) and a RECIPE." + did_you_mean(name, known)
        )
    return find(name)


def load_space(name: str) -> tuple[Recipe, Path, Path]:
    """Load the recipe of a search space.

    Args:
        name: name of a shipped space, or path of a .py file with a function `space` and a RECIPE.

    Returns:
        The recipe, the file it came from, and the file of the space.

    Raises:
        UsageError: when there is no such space; near names are offered.
    """
    if name.endswith(".py") or "/" in name:
        space_in(Path(name))
        return *load(name), Path(name)
    find_space(name)
    return *load(name, "SEARCHED"), names("tuning")[name]


def space_in(path: Path, load: Callable[[Path], ModuleType] = python_file.load) -> Callable:
    """Return the function `space` of a file.

    Args:
        path: the file.
        load: imports it; `python_file.load_received` for one in a search. Defaults to one the user named.

    Raises:
        UsageError: when it has none, or must not be run.
    """
    space = getattr(load(path), "space", None)
    if not callable(space):
        raise UsageError(
            f"{path} defines no function space(hp, recipe) that returns a recipe; see tuning/lenet5.py."
        )
    return space


def load(pipeline: str, preferred: str = "RECIPE") -> tuple[Recipe, Path]:
    """Load the recipe of a pipeline, and return it with the file it came from.

    Args:
        pipeline: name or path.
        preferred: name that is taken in place of RECIPE where the file has it: that of a recipe for searches.
    """
    path = find(pipeline)
    if path.suffix == ".json":
        return from_file(path), path
    module = python_file.load(path)
    recipe = getattr(module, preferred, getattr(module, "RECIPE", None))
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{path} defines no RECIPE = Recipe(...); see pipelines/lenet5.py for an example.")
    return (recipe if recipe.name else dataclasses.replace(recipe, name=path.stem)), path
