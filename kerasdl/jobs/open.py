"""Opens a run, a bundle, or one exported file."""

import logging
from pathlib import Path

from kerasdl.data.dataset import DataSpec
from kerasdl.export.card import FILE_NAME, assets_of, read_card
from kerasdl.files import hash_file, parsing
from kerasdl.inference import runtimes
from kerasdl.jobs import verify
from kerasdl.jobs.evaluate import fitted_of
from kerasdl.jobs.target import Target
from kerasdl.recipe import trust as trusting
from kerasdl.runs import places
from kerasdl.runs.folder import Run
from kerasdl.training import reference

_log = logging.getLogger(__name__)


def load(path: str | Path, *, trust: bool = False) -> Target:
    """Open a run folder, a bundle folder, or one exported file of a bundle.

    Args:
        path: the run, the bundle or the file.
        trust: run the Python code and the SavedModel in it although somebody else made it, and remember that.

    Raises:
        UsageError: when it is none of these, or holds code that is not trusted.

    Example:
        >>> kerasdl.load("exported/lenet5/1").predict(images)["class_ids"]
    """
    path = Path(path)
    where = find(path)
    with trusting.accepting(trust):
        return _load_run(where) if isinstance(where, Run) else _load_artefact(path, where)


def find(path: Path) -> Run | Path:
    """Find the run at a path, or the bundle that it is or lies in.

    Raises:
        UsageError: when it is neither.
    """
    kind, folder = places.find(path)
    return Run(folder) if kind == "run" else folder


def _load_run(run: Run) -> Target:
    recipe, recorded, fitted = run.recipe(), run.data(), fitted_of(run)

    def open_network():
        spec = DataSpec.from_description(recorded)
        network = reference.open_network(run)
        with parsing(run.path / "receipt.json", "Restore it."):
            endpoints = recipe.task.endpoints(network, spec, fitted)
        return runtimes.EndpointPredictor(run.path, endpoints, spec.class_names, network)

    return Target(
        run.path,
        "keras",
        open_network,
        task=recipe.task,
        data=recipe.data,
        recorded=recorded,
        assets={},
        fitted=fitted,
        described_in=run.path / "receipt.json",
    )


def _load_artefact(path: Path, bundle: Path) -> Target:
    card = read_card(bundle)
    artefact = path.name if path.is_file() else "saved_model.pb"
    for name in (artefact, *assets_of(bundle, card)):  # with another vocabulary the answers are others
        if name in card["files"] and hash_file(bundle / name) != card["files"][name]["sha256"]:
            _log.warning(
                f"{bundle / name} has changed since it was exported: kerasdl verify {bundle} tells more."
            )
    task, data = verify.recorded_parts(bundle, card)
    predictor = runtimes.open_artifact(path)
    recorded = [one["name"] for one in card.get("endpoints", ())]
    if named := [name for name in recorded if name in predictor.inputs]:
        # Keras gives the first endpoint of a SavedModel a second name.
        predictor.inputs = {name: predictor.inputs[name] for name in named}
    return Target(
        path,
        predictor.kind,
        lambda: predictor,
        task=task,
        data=data,
        recorded=card["data"],
        assets=assets_of(bundle, card),
        fitted=card.get("calibration", {}),
        described_in=bundle / FILE_NAME,
    )
