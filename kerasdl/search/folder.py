"""The folder of a search, `searches/<name>/<n>/`: its settings, and which search to continue."""

import ast
import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from kerasdl.files import next_version, read_json, writing
from kerasdl.public import PLACES, current_name, find
from kerasdl.recipe import Config, Recipe
from kerasdl.recipe.document import defaults, encode, leaves, to_json
from kerasdl.recipe.own_files import OwnFiles
from kerasdl.runs import folder as runs
from kerasdl.runs.folder import Run

_log = logging.getLogger(__name__)

#: File with the settings of a search.
FILE_NAME = "search.json"
#: Settings of the recipe that may differ in a search that is continued.
_FREE = ("checkpoint_every", "data.path", "data.name", "data.download")


class Progress(TypedDict, total=False):
    """`search.json`, as far as it tells whether to continue a search."""

    identity: dict[str, Any] | None
    max_trials: int | None
    finished: bool
    exhausted: bool


class Document(TypedDict):
    """`search.json`: the settings of a search, and whether it has ended."""

    name: str
    tuner: str
    method: str
    objectives: list[str]
    constraints: list[str]
    pipeline: str
    max_trials: int | None
    command: str
    identity: NotRequired[dict[str, Any] | None]
    finished: NotRequired[bool]
    exhausted: NotRequired[bool]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that tell searches apart; the newest unfinished search with the same ones is continued.

    Attributes:
        tuner: name of the oracle.
        objectives: objectives as texts, `max:val_accuracy`.
        constraints: constraints as texts, `tflite_kb<=100`.
        pruner: name of the pruning rule.
    """

    tuner: str
    objectives: tuple[str, ...]
    constraints: tuple[str, ...]
    pruner: str

    def identity(self, recipe: Recipe, space_file: Path) -> dict[str, Any]:
        """Return the values that have to be equal, as JSON gives them back."""
        parts = {
            **{name: value for name, value in leaves(encode(recipe)) if name not in _FREE},
            **{f"search.{name}": value for name, value in dataclasses.asdict(self).items()},
            "space": hash_code(space_file),
        }
        return json.loads(json.dumps(parts))


def open_search(
    root: Path, recipe: Recipe, identity: Mapping[str, Any], *, max_trials: int | None, new: bool
) -> Run | None:
    """Return the folder of the newest unfinished search with the same settings; None where there is none.

    Args:
        root: folder of all searches.
        recipe: recipe whose name is that of the folder.
        identity: identity of the settings.
        max_trials: number of trials asked for; a finished search of fewer trials is unfinished.
        new: whether to start a new search anyway.
    """
    parent = root / recipe.name
    if new or not parent.is_dir():
        return None
    numbers = sorted((int(path.name) for path in parent.iterdir() if path.name.isdecimal()), reverse=True)
    for number in numbers:
        folder = Run(parent / str(number))
        document = read_document(folder.path)
        if not _is_same(folder, document.get("identity") or {}, identity):
            continue
        if not is_finished(document, max_trials):
            return folder
        if document.get("exhausted"):
            _log.info(f"{folder.path} has tried all values of its space; starting a new search.")
        else:
            _log.info(f"{folder.path} is finished (more --max-trials continue it); starting a new search.")
        return None
    return None


def _is_same(folder: Run, then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether a search has the identity `now`.

    Earlier versions named classes by their modules, had fewer fields of recipe, data and task and fewer
    arguments of networks, and hashed the bytes of the space's file.
    """
    known = {name: current_name(value) if isinstance(value, str) else value for name, value in then.items()}
    added = {
        f"{part}.{name}": value
        for part in ("data", "task")
        for name, value in defaults(known.get(part) or "").items()
    }
    added |= {
        f"{part}.{name}": encode(value)
        for part in ("model", "preprocessing")
        if (target := str(known.get(part)).removeprefix("kerasdl>")) in PLACES
        for name, value in Config(find(target)).values.items()
    }
    plain = (bool, int, float, str, type(None))
    added |= {
        part.name: part.default for part in dataclasses.fields(Recipe) if isinstance(part.default, plain)
    }
    added["min_steps_per_epoch"] = now.get("min_steps_per_epoch")
    known, now, copy = {**added, **known}, {**added, **now}, folder.path / "space.py"
    if known != now and copy.is_file():
        known["space"] = hash_code(copy)
    return known == now


def hash_code(file: Path) -> str:
    """Return the SHA-256 of a file's code and of that of the files beside it that it imports.

    Comments, docstrings and imports from kerasdl do not count.
    """
    own = OwnFiles(file)
    sources = [own.source, *(content for _, content in sorted(own.beside.items()))]
    try:
        code = "\0".join(ast.unparse(_Code().visit(ast.parse(source))) for source in sources)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # a damaged copy is no other search's
        return own.digest
    return hashlib.sha256(code.encode()).hexdigest()


class _Code(ast.NodeTransformer):
    """Removes docstrings and imports from kerasdl."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if (node.module or "").split(".")[0] == "kerasdl" else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else node


def is_finished(document: Mapping[str, Any], max_trials: int | None) -> bool:
    """Tell whether a search has run all trials asked for."""
    before = document.get("max_trials")
    more = max_trials is not None and before is not None and max_trials > before
    if more and not document.get("exhausted"):
        return False
    return document.get("finished", False)


def create(
    root: Path, recipe: Recipe, recipe_source: Path | None, space_file: Path, document: Mapping[str, Any]
) -> Run:
    """Create the next free folder of a space, with the settings of the search.

    Raises:
        UsageError: when it cannot be created.
        MachineError: when the disk is full.
    """
    parent = root / recipe.name
    with writing(parent, "Use another --searches-dir."):
        parent.mkdir(parents=True, exist_ok=True)
        folder = Run(next_version(parent))
        keep_sources(folder, recipe, recipe_source, space_file)
        folder.write(FILE_NAME, document)
    return folder


def keep_sources(folder: Run, recipe: Recipe, recipe_source: Path | None, space_file: Path) -> None:
    """Copy recipe, recipe file and space file into the folder: trials are read with these copies."""
    runs.keep_source(folder, recipe, recipe_source)
    OwnFiles(space_file).copy_to(folder.path / "space.py")
    folder.write("recipe.json", to_json(recipe))


def read_document(path: Path, shape: Any = Progress) -> dict[str, Any]:
    """Read the settings of a search; empty where the folder is not a search folder."""
    file = path / FILE_NAME
    return read_json(file, "Start another search with --new.", shape=shape)
