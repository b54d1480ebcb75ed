"""The folder of a search, `searches/<name>/<n>/`: what it was begun as, and which one goes on."""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasdl.errors import UsageError
from kerasdl.files import next_version, read_json
from kerasdl.recipe import Recipe
from kerasdl.recipe.document import encode, leaves, to_json
from kerasdl.runs import folder as runs
from kerasdl.runs.folder import Run

_log = logging.getLogger(__name__)

#: File of a search that says what it is.
FILE_NAME = "search.json"
#: Settings of the recipe that may differ in a search that goes on.
_FREE = ("checkpoint_every", "data.path", "data.name", "data.download")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What makes a search another search; of the same ones the newest unfinished goes on.

    Attributes:
        tuner: name of its oracle.
        objectives: as texts, `max:val_accuracy`.
        constraints: as texts, `tflite_kb<=100`.
        pruner: name of its rule.
    """

    tuner: str
    objectives: tuple[str, ...]
    constraints: tuple[str, ...]
    pruner: str

    def identity(self, recipe: Recipe, space_file: Path) -> dict[str, Any]:
        """Return what has to be equal, as JSON gives it back."""
        parts = {
            **{name: value for name, value in leaves(encode(recipe)) if name not in _FREE},
            **{f"search.{name}": value for name, value in dataclasses.asdict(self).items()},
            "space": hashlib.sha256(space_file.read_bytes()).hexdigest(),
        }
        return json.loads(json.dumps(parts))


def open_search(
    root: Path, recipe: Recipe, identity: Mapping[str, Any], *, max_trials: int | None, new: bool
) -> Run | None:
    """Return the folder of the newest unfinished search of the same settings; None where there is none.

    Args:
        root: `searches`.
        recipe: its name is that of the folder.
        identity: of the settings.
        max_trials: a finished search of fewer trials is unfinished.
        new: do not look.
    """
    parent = root / recipe.name
    if new or not parent.is_dir():
        return None
    numbers = sorted((int(path.name) for path in parent.iterdir() if path.name.isdecimal()), reverse=True)
    for number in numbers:
        folder = Run(parent / str(number))
        document = read_document(folder.path)
        if document.get("identity") != identity:
            continue
        if not is_finished(document, max_trials):
            return folder
        if document.get("exhausted"):
            _log.info(f"{folder.path} has tried all that its space has; this is a new search.")
        else:
            _log.info(f"{folder.path} is finished (--max-trials adds trials to it); this is a new search.")
        return None
    return None


def is_finished(document: Mapping[str, Any], max_trials: int | None) -> bool:
    """Tell whether a search has nothing left to do for so many trials."""
    before = document.get("max_trials")
    more = max_trials is not None and before is not None and max_trials > before
    if more and not document.get("exhausted"):
        return False
    return document.get("finished", False)


def create(
    root: Path, recipe: Recipe, recipe_source: Path | None, space_file: Path, document: Mapping[str, Any]
) -> Run:
    """Make the next free folder of a space, with all that the search is.

    Raises:
        UsageError: when it cannot be made.
    """
    parent = root / recipe.name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = Run(next_version(parent))
    except OSError as error:
        raise UsageError(
            f"No search can be written to {parent}: {error.strerror}. Use --searches-dir."
        ) from error
    keep_sources(folder, recipe, recipe_source, space_file)
    folder.write(FILE_NAME, document)
    return folder


def keep_sources(folder: Run, recipe: Recipe, recipe_source: Path | None, space_file: Path) -> None:
    """Write the recipe and the files that it and the space come from: trials are read with these copies."""
    runs.keep_source(folder, recipe, recipe_source)
    folder.write("space.py", space_file.read_text(encoding="utf-8"))
    folder.write("recipe.json", to_json(recipe))


def read_document(path: Path) -> dict[str, Any]:
    """Read what a search is; empty for a folder that is none."""
    file = path / FILE_NAME
    return read_json(file, "Start another search with --new.") if file.is_file() else {}
