"""Tells runs and bundles apart by their files, without reading any."""

import json
from pathlib import Path
from typing import Literal

from kerasdl.errors import UsageError


def find(path: Path) -> tuple[Literal["run", "bundle"], Path]:
    """Find the run at a path (or whose `model.keras` it is), or the bundle that it is or lies in.

    Raises:
        UsageError: when it is neither.
    """
    if not path.exists():
        raise UsageError(f"There is no {path}. Give a run, a bundle or an exported file.")
    if (path / "search.json").is_file():
        raise UsageError(f"{path} is a search. Give one of its runs, or see kerasdl tune show {path}.")
    run = path.parent if path.name == "model.keras" else path
    if run.is_dir() and (run / "recipe.json").is_file():
        return "run", run
    bundle = path if path.is_dir() else path.parent
    if not (bundle / "card.json").is_file():
        inside = [int(each.parent.name) for each in path.glob("*/card.json") if each.parent.name.isdecimal()]
        if inside:
            raise UsageError(
                f"{path} is a folder of versions. Give one of them, such as {path / str(max(inside))}."
            )
        if path.suffix == ".keras" and path.is_file():
            raise UsageError(
                f"{path} is a network without its run, which tells what its numbers mean. Give the run that "
                "it was copied from, or a file of a bundle."
            )
        raise UsageError(
            f"{path} is neither a run (with recipe.json) nor a bundle nor a file in one (with card.json). "
            "Give a folder like runs/lenet5/1 or exported/lenet5/1, or a .tflite or .onnx file in the latter."
        )
    return "bundle", bundle


def check_data_is_known(path: Path) -> None:
    """Ask for the place of a bundle's data before anything is opened: an exported file does not tell it.

    Raises:
        UsageError: when it lay in a file or a folder.
    """
    kind, bundle = find(path)
    if kind == "run":
        return
    try:
        place = json.loads((bundle / "card.json").read_bytes())["recipe"]["fields"]["data"]["fields"]["path"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # it has none, or what reads the card says what is wrong
    if isinstance(place, str):
        raise UsageError(
            f"{path} was trained on {place!r}, but an exported file does not record where that is. Give the "
            "place with --data."
        )
