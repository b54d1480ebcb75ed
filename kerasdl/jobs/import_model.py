"""Makes a run of a Keras model of anybody, as if it had been trained here; the proof begins at its file."""

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasdl.data.dataset import Dataset, Spec
from kerasdl.data.trees import leaves, map_leaves
from kerasdl.errors import UsageError
from kerasdl.files import hash_file, hash_files
from kerasdl.inference import labels as label_files
from kerasdl.jobs import report
from kerasdl.jobs.evaluate import evaluate_network
from kerasdl.network.imported import Imported
from kerasdl.network.imported_parts import opaque
from kerasdl.recipe import Config, Recipe, keras_file
from kerasdl.recipe import trust as trusting
from kerasdl.recipe.document import to_json
from kerasdl.runs import folder as runs
from kerasdl.runs import receipt
from kerasdl.tasks.classification.task import Classification
from kerasdl.tasks.outputs.task import Outputs
from kerasdl.tasks.regression.task import Regression
from kerasdl.tasks.task import Task
from kerasdl.training import reference
from kerasdl.training.foreign import files, inputs, judging, outputs, proof, saved_models, several
from kerasdl.training.foreign.scaling import settled

_log = logging.getLogger(__name__)

#: Words of `--task`.
TASKS: dict[str, Callable[[], Task]] = {
    "classification": Classification,
    "regression": Regression,
    "outputs": Outputs,
}
#: Of a run that is trained from here: small steps, since the weights are good already.
_FINE_TUNING = {"epochs": 5, "learning_rate": 1e-4}
_BATCH = 32  # examples of an update; fewer where there are not so many


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """A model to import.

    Attributes:
        file: the model: a `.keras` or `.h5` file, or the folder of a SavedModel.
        data: what `--data` takes.
        task: one of `TASKS`. Defaults to "classification".
        scaling: how images are scaled, one of `inputs.SCALINGS`; None where the model scales them itself, or
            takes no images.
        custom: Python file with the classes of the model. Defaults to None.
        labels: file with the names of the outputs in their order. Defaults to None: that of the data.
        size: height and width of images, for a model that takes any. Defaults to None: that of the data.
        name: name of the run. Defaults to "": that of the file.
        signature: which one of a SavedModel. Defaults to "": "serving_default", or the only one.
        output: which of the model's outputs. Defaults to "": the only one.
    """

    file: Path
    data: str
    task: str = "classification"
    scaling: inputs.Scaling | None = None
    custom: Path | None = None
    labels: Path | None = None
    size: tuple[int, int] | None = None
    name: str = ""
    signature: str = ""
    output: str = ""


@dataclasses.dataclass(frozen=True)
class Result:
    """A run that was made, its recipe, data, network in memory and test figures."""

    run: runs.Run
    recipe: Recipe
    dataset: Dataset
    network: Imported
    metrics: dict[str, Any]

    @property
    def can_be_trained(self) -> bool:
        """Tell whether the network has layers: a SavedModel is a graph without."""
        return not opaque(self.network)


def import_model(wanted: Wanted, *, runs_dir: str | Path = "runs", trust: bool = False) -> Result:
    """Make a run of a model: its network, receipt, reference answers, and metrics on the test split.

    Args:
        wanted: the model and its data.
        runs_dir: where `<name>/<n>/` is made.
        trust: run the code of Lambda layers in the file, and remember that.

    Raises:
        UsageError: when the model, the data or both together are not as needed.
        RunFailedError: when the network of the run does not answer as the model in the file.
    """
    with trusting.accepting(trust):
        opened = _opened(wanted)
    taken = inputs.of_model(opened.model)
    if wanted.size is not None:
        taken = tuple(one.of_size(wanted.size) for one in taken)
    source = inputs.source_of(wanted.data, taken, wanted.task, _names(wanted.labels))
    dataset = source.load()
    for note in dataset.notes:
        _log.warning(note)
    task = TASKS[wanted.task]().resolve(dataset)
    layouts = inputs.arranged(taken, dataset.spec)
    features, _ = proof.examples_of(dataset)
    scaling = settled(wanted.scaling, opened.model, dataset, layouts, not isinstance(task, Outputs))
    asked = proof.Asked(features, scaling, layouts)
    network, said = _network(opened, task, dataset, asked)
    _log.info(said)
    recipe = Recipe(
        name=wanted.name or _name_of(wanted.file), model=Config(Imported, file=wanted.file.name),
        preprocessing=inputs.preprocessing(scaling, dataset.spec.inputs),
        data=source, task=task, batch_size=min(_BATCH, len(dataset.train)),
        **_FINE_TUNING,
    )  # fmt: skip
    run = runs.create(Path(runs_dir), recipe, wanted.custom, stage="importing")
    with run.locked():
        recipe = _keep(run, recipe, network, dataset, opened)
        metrics = evaluate_network(run, network, recipe.task, dataset)
        run.write("metrics.json", {**run.read_json("metrics.json"), "best_epoch": 0, "epochs": 0})
        run.update_status(stage="finished", epochs=0)
        for doubt in _doubts(run, dataset, scaling):
            _log.warning(doubt)
        report.write_report(run)
    return Result(run, recipe, dataset, network, metrics)


def _opened(wanted: Wanted) -> files.Opened:
    if not keras_file.is_saved_model(wanted.file):
        if wanted.signature:
            raise UsageError("--signature is for SavedModels, which are folders.")
        opened = files.open_model(wanted.file, wanted.custom)
        if not wanted.output:
            return opened
        return dataclasses.replace(opened, model=several.only(opened.model, wanted.output))
    if wanted.custom is not None:
        raise UsageError("--custom is for classes of Keras, but a SavedModel has none. Leave it out.")
    return saved_models.open_model(wanted.file, wanted.signature, wanted.output)


def _names(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    if not file.is_file():
        raise UsageError(f"There is no file {file}. Give a text file with a name in each line.")
    return tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


def _name_of(file: Path) -> str:
    name = re.sub(r"[^\w.-]+", "_", file.stem).strip("._-")
    return name if name and name[0].isalnum() else f"model_{name}"


def _network(opened: files.Opened, task: Task, data: Dataset, asked: proof.Asked) -> tuple[Imported, str]:
    """Return the network of a model, proved to answer as the model does, and what was recognised."""
    is_several = isinstance(task, Outputs)
    original = asked.all_answers(opened.model) if is_several else asked.answers(opened.model)
    if not all(np.isfinite(part).all() for part in leaves(original)):
        raise UsageError("The model answers with NaN or infinite numbers on these examples.")
    copy = files.in_float32(opened)
    tolerance = proof.TOLERANCES[opened.precision]
    arguments = task.network_arguments(data.spec)
    scale = {}
    if is_several:
        head = several.of_all(copy, tuple(original))
    elif (count := arguments.get("num_classes")) is not None:
        head = outputs.of_classifier(copy, original, asked.answers, count, tolerance)
    else:
        head = outputs.of_numbers(copy, original, arguments["num_outputs"])
        std = [value or 1.0 for value in data.spec.targets.std]
        scale = {"mean": tuple(data.spec.targets.mean), "std": tuple(std)}
    layer = inputs.preprocessing(asked.scaling, data.spec.inputs)
    network = Imported(
        parts=dataclasses.replace(head.parts, inputs=asked.layouts, **scale),
        preprocessing=None if layer is None else layer.build(),
        **arguments,
    )
    network.create_weights(
        map_leaves(lambda spec: keras.KerasTensor((None, *spec.shape), spec.dtype), data.spec.inputs)
    )
    difference = proof.check(network, asked, original, opened.precision, head.ends)
    fixed = " Being a SavedModel, it cannot be trained on." * bool(opaque(network))
    lower = f" It computes in {opened.precision}; here it is float32." * (opened.precision != "float32")
    count = len(leaves(original)[0])
    proved = f"On {count} raw examples the network answers as the file does (up to {difference:.1g})."
    return network, f"{head.said}{lower} {proved}{fixed}"


def _keep(run: runs.Run, recipe: Recipe, network: Imported, data: Dataset, opened: files.Opened) -> Recipe:
    """Write the network, its answers and the receipt; return the recipe that trains on from here."""
    network.file = str(run.model_file.absolute())
    weights = str(run.path.absolute())
    recipe = dataclasses.replace(recipe, model=recipe.model.replace(file=network.file), weights=weights)
    run.write("recipe.json", to_json(recipe))
    run.write(label_files.FILE_NAME, label_files.to_text(data.spec.class_names))
    network.save(run.model_file)
    answers = reference.Reference.of(data)
    reference.keep(run.path / reference.FILE_NAME, answers, network)
    made = receipt.make(recipe, data.describe(), "", network.count_params())
    origin = {"path": str(opened.path), "sha256": _digest(opened.path)}
    run.write("receipt.json", {**made, "imported": origin, "weights_sha256": receipt.hash_weights(network)})
    reference.open_network(run)  # what was written is the network
    return recipe


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the list of all files of a folder."""
    if path.is_file():
        return hash_file(path)
    listed = json.dumps(hash_files(path), sort_keys=True)
    return hashlib.sha256(listed.encode()).hexdigest()


def _doubts(run: runs.Run, data: Dataset, scaling: str) -> list[str]:
    if not (run.path / "predictions.npz").is_file():
        return []  # nothing is judged
    found = np.load(run.path / "predictions.npz")
    if not data.spec.class_names:
        values, targets = (found[name].reshape(len(found["values"]), -1) for name in ("values", "targets"))
        return judging.doubts_of_numbers(values, targets)
    is_image = isinstance(data.spec.inputs, Spec) and data.spec.inputs.is_image
    about = f" (--preprocess {scaling})" if is_image else ""
    return judging.doubts(found["class_ids"], found["labels"], data.spec.class_names, about)
