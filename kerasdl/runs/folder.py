"""The run folder: created once, never overwritten, with every file written whole or not at all."""

import contextlib
import dataclasses
import json
import os
import shlex
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasdl.data.dataset import DataSpec
from kerasdl.errors import UsageError, did_you_mean
from kerasdl.files import damaged, next_version, parsing, read_json, replacing, writing
from kerasdl.recipe import Recipe, python_file, type_of
from kerasdl.recipe.document import encode, from_file
from kerasdl.recipe.own_files import OwnFiles
from kerasdl.runs import documents, links, lock, network_file

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder, `runs/<pipeline>/<n>/`, and the files in it."""

    path: Path

    @property
    def model_file(self) -> Path:
        """The best network by validation, float32; it takes raw examples."""
        return self.path / "model.keras"

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints (`kerasdl.training.checkpoint`)."""
        return self.path / "checkpoints"

    @property
    def resume_command(self) -> str:
        """Command that resumes this run."""
        return shlex.join(["kerasdl", "train", "--resume", str(self.path)])

    def recipe(self) -> Recipe:
        """Read the recipe, with the classes of the user's own recipe file."""
        try:
            return from_file(self.recipe_file)
        except UsageError as error:
            raise UsageError(f"{self.recipe_file}: {error}") from error

    def network(self) -> "keras.Model":
        """Load the best network, with the classes in this run's copy of the recipe file.

        Raises:
            UsageError: when the run has none.
            RunFailedError: when its file is damaged.
        """
        if not self.model_file.is_file():
            raise UsageError(f"{self.path} holds no model.keras: the run ended before its first epoch did.")
        model = self.recipe().model
        with parsing(self.model_file):
            zipfile.ZipFile(self.model_file).close()
            return network_file.load(self.model_file, model)

    def labels(self) -> tuple[str, ...]:
        """Read the class names."""
        path = self.path / "labels.txt"
        with parsing(path):
            return tuple(path.read_text(encoding="utf-8").split("\n")[:-1])

    def write(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Write a text file, or a mapping as JSON, atomically."""
        text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
        with replacing(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def write_arrays(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Write NumPy arrays into an `.npz` file, atomically."""
        import numpy as np

        with replacing(self.path / name) as temporary:
            np.savez_compressed(temporary, **arrays)

    def update_status(self, **fields: Any) -> None:
        """Update fields of `status.json`: stage, epoch, step, ..., and the time."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.write("status.json", {"started": now, **self.read_json("status.json"), **fields, "updated": now})

    def is_finished(self) -> bool:
        """Tell whether training, evaluation and export are done."""
        status = self.read_json("status.json")  # older runs have none
        return status.get("stage") == "finished" or (not status and "test" in self.read_json("metrics.json"))

    def is_active(self) -> bool:
        """Tell whether a living process works on this run."""
        return lock.is_held(self.path)

    @contextlib.contextmanager
    def locked(self):
        """Keep other processes from working on this run.

        Raises:
            UsageError: when another process holds it, or the folder holds links.
        """
        self.check_links()
        with lock.held(self.path):
            yield

    def check_links(self) -> None:
        """Raise a UsageError for a link in the folder; the network, which is large, may lie elsewhere."""
        links.check_links(self.path, allowed=(self.model_file.name,))

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the run; empty where it was not written.

        Raises:
            RunFailedError: when it is damaged.
        """
        return read_json(self.path / name, shape=documents.SHAPES.get(name, dict))

    def data(self) -> dict[str, Any]:
        """Return the description of the data that the run was trained on.

        Raises:
            RunFailedError: when the receipt is damaged or missing.
        """
        if (found := self.read_json("receipt.json").get("data")) is None:
            raise damaged(self.path / "receipt.json", "it lacks data")
        with parsing(self.path / "receipt.json"):
            DataSpec.from_description(found)  # it is read further on, without this guard
        return found


def open_run(path: str | Path) -> Run:
    """Return the run in a folder.

    Raises:
        UsageError: when the path is not a run folder; those inside it are named.
    """
    run = Run(Path(path))
    if run.recipe_file.is_file():
        return run
    if not run.path.exists():
        raise UsageError(f"There is no {path}. Give a run, such as runs/lenet5/1.")
    inside = [file.parent for depth in ("*", "*/*") for file in run.path.glob(f"{depth}/recipe.json")]
    if inside:
        inside.sort(key=lambda found: (found.parent, len(found.name), found.name))
        named = ", ".join(map(str, inside[-8:])) + (f" ({len(inside)} in all)" if len(inside) > 8 else "")
        raise UsageError(f"{path} is not a run folder, but contains some. Give one of {named}.")
    raise UsageError(f"{path} is not a run folder (no recipe.json in it). Give one like runs/lenet5/1.")


def find(run: str | os.PathLike[str], runs_dir: str | os.PathLike[str] = "runs") -> Run:
    """Return the run in a folder, or the newest run of a pipeline.

    Args:
        run: a folder, or the name of a pipeline.
        runs_dir: folder of the runs of all pipelines.

    Raises:
        UsageError: when there is none; near names of pipelines are offered.
    """
    folder = Path(runs_dir, run)
    if not Path(run).exists() and Path(run).name == os.fspath(run):
        numbers = [
            int(file.parent.name)
            for file in folder.glob("[0-9]*/recipe.json")
            if file.parent.name.isdecimal()
        ]
        if numbers:
            return Run(folder / str(max(numbers)))
        known = [path.name for path in Path(runs_dir).glob("*") if path.is_dir()]
        raise UsageError(
            f"There is no run of {run} below {runs_dir}. Give a run, such as runs/lenet5/1, or the name of a "
            "pipeline that has one." + did_you_mean(os.fspath(run), known)
        )
    return open_run(run)


def create(runs_dir: Path, recipe: Recipe, recipe_source: Path | None = None, **status: Any) -> Run:
    """Create the next run folder of a pipeline, with its recipe and recipe file.

    Args:
        runs_dir: folder of the runs of all pipelines.
        recipe: the recipe to run.
        recipe_source: the file that the recipe came from.
        **status: fields of `status.json`, which is written before the recipe, which makes the folder a run.

    Raises:
        UsageError: when the folder cannot be made.
    """
    parent = runs_dir / recipe.name
    with writing(parent, "Use another --runs-dir."):
        parent.mkdir(parents=True, exist_ok=True)
        run = Run(next_version(parent))
        keep_source(run, recipe, recipe_source)
        run.update_status(**status)
        run.write("recipe.json", encode(recipe))
    return run


def keep_source(run: Run, recipe: Recipe, recipe_source: Path | None) -> None:
    """Copy the file that a recipe or its classes came from, as `recipe.py`, with the files it imports.

    Raises:
        UsageError: when its types come from several files, or a copy would take another file's name.
    """
    parts = (recipe.model, recipe.preprocessing, recipe.augmentation, recipe.data, recipe.task)
    own = _own_files(type_of(part) for part in parts)
    if own is None and recipe_source is not None and recipe_source.suffix == ".py":
        own = OwnFiles(recipe_source)
    if own is not None:
        own.copy_to(run.path / "recipe.py")


def _own_files(types: Iterable[type]) -> OwnFiles | None:
    """Return the one recipe file that defines some of a recipe's types, with what it imports.

    Raises:
        UsageError: when they come from several.
    """
    kinds = {own.digest: own for own in filter(None, map(python_file.files_of, types))}
    if len(kinds) > 1:
        listed = " and ".join(sorted(str(own.path) for own in kinds.values()))
        raise UsageError(f"The recipe's types come from several files: {listed}. Put them into one.")
    return next(iter(kinds.values()), None)
