"""Verifies a bundle later, with its data or with its embedded samples."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.dataset import Tree
from kerasdl.data.passes import Batches
from kerasdl.data.trees import map_leaves
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export import compiled, verify, warm_up
from kerasdl.export.artefact import Artefact
from kerasdl.export.card import FILE_NAME, REPAIR, decode_array, encode_array, read_card
from kerasdl.export.verify import References
from kerasdl.files import hash_file, parsing
from kerasdl.inference.answers import caller, run_over
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import Predictor
from kerasdl.inference.worker.client import Worker
from kerasdl.report import terminal

# How far figures of the same file may lie from those of the export: processors round differently.
_FIGURE_TOLERANCE = 0.005
_SAMPLE_BYTES = 2**17


class NotTheSameError(RunFailedError):
    """A bundle is not what was exported.

    Attributes:
        problems: what is wrong, a sentence for each file or endpoint, which it names.
    """

    def __init__(self, path: Path, problems: Sequence[str]):
        super().__init__("\n".join([f"{path} is not what was exported:", *problems, "Export it again."]))
        self.problems = list(problems)


def embed_samples(
    samples: Mapping[str, Any],
    artefacts: Sequence[Artefact],
    folder: Path,
    references: References,
    worker: Worker,
) -> dict[str, Any]:
    """Return samples as JSON, with the outputs of Keras and of each artefact.

    An artefact is later compared with its own answers: a quantized one differs from Keras by design, and on a
    few samples that says nothing.
    """
    names = dict.fromkeys(name for artefact in artefacts for name in artefact.endpoints)
    samples = _few(samples, references, next(iter(names)))
    inputs = {name: references.endpoints[name].inputs_of(samples["features"], 0) for name in names}
    answers = {name: {"keras": references.call(name, inputs[name])} for name in names}
    for artefact in artefacts:
        predictor = artefact.open(folder, worker)
        for name in artefact.endpoints:
            answers[name][artefact.file] = caller(predictor, name)(inputs[name])
    return {
        "labels": _encode_tree(samples["targets"]),
        "endpoints": {
            name: {
                "inputs": _encode(inputs[name]),
                "outputs": {file: _encode(outputs) for file, outputs in answers[name].items()},
            }
            for name in names
        },
    }


def _few(samples: Mapping[str, Any], references: References, endpoint: str) -> dict[str, Any]:
    """Return as many samples as have answers of 128 kB together, such as one text; one at least."""
    answers = references.call(endpoint, references.endpoints[endpoint].inputs_of(samples["features"], 0))
    size = sum(value[:1].nbytes for value in answers.values())
    kept = max(1, _SAMPLE_BYTES // max(1, size))
    return {name: map_leaves(lambda part: part[:kept], tree) for name, tree in samples.items()}


def verify_bundle(
    path: str | Path, *, endpoints: Mapping[str, Endpoint], batches: Batches | None = None
) -> list[dict[str, Any]]:
    """Check a bundle's hashes, and run each endpoint on its embedded samples and on the data, if given.

    Files whose hash is wrong are not opened: a damaged one can bring its runtime down.

    Args:
        path: the bundle's folder.
        endpoints: what the task says of them, by name; they need no network.
        batches: returns the batches of the data that the export was verified with.

    Returns:
        The card's row of each artefact, with `repeat`: by endpoint, `Endpoint.compare` between its answers on
        the samples now and at export; with `batches` also with the figures of the split (`Endpoint.judge`) as
        they are now.

    Raises:
        UsageError: when the folder is not a bundle.
        NotTheSameError: when anything has changed, or there is nothing to check; each file is named.
    """
    path = Path(path)
    card = read_card(path)
    recorded_rows = [row for row in card["artefacts"] if "error" not in row]
    artefacts = [recorded_artefact(row) for row in recorded_rows]
    damaged = {**damaged_files(path, card), **_unproved_files(path, card, artefacts)}
    problems = list(damaged.values())
    for what, listed in (("files", card["files"]), ("exported files", artefacts)):
        if not listed:
            problems.append(f"{FILE_NAME} lists no {what}, so that there is nothing to check.")
    problems += [f"{FILE_NAME} lists no endpoint of {one.file}." for one in artefacts if not one.endpoints]
    rows = []
    with Worker() as worker:
        for artefact in terminal.each("Verifying", artefacts, lambda one: one.file):
            recorded = recorded_rows[artefacts.index(artefact)]
            if any(artefact.owns(file) for file in damaged):
                continue
            try:
                predictor = artefact.open(path, worker)
                if artefact.kind == "saved_model":
                    warm_up.replay(path, predictor)
                with parsing(path / FILE_NAME, REPAIR):
                    repeat = _repeat(artefact, predictor, recorded, card["samples"], endpoints)
                    again = run_again(artefact, predictor, recorded, endpoints, batches) if batches else {}
                    if artefact.format == "tflite" and card["samples"] is not None:
                        repeat[compiled.KEY], wrong = compiled.compare(
                            predictor, artefact, functools.partial(sample_inputs, card), worker
                        )
                        problems += [f"{artefact.file}: {problem}" for problem in wrong]
                rows.append({**recorded, **repeat, **again})
            except RunFailedError as error:
                problems.append(f"{artefact.file}: {error}")
    if problems:
        raise NotTheSameError(path, problems)
    return rows


def recorded_artefact(row: Mapping[str, Any]) -> Artefact:
    """Return the artefact of a card's row."""
    return Artefact(row["file"], row["kind"], tuple(row["endpoints"]))


def sample_inputs(card: Mapping[str, Any], endpoint: str) -> dict[str, np.ndarray]:
    """Return the test examples that a bundle holds as inputs of an endpoint, (N, ...) by name.

    Raises:
        UsageError: when it holds none.
    """
    if card["samples"] is None:
        raise UsageError(
            f"The bundle of {card['name']} holds no examples, and its data is not here. Say with --data "
            "where that is."
        )
    with parsing(Path(FILE_NAME), REPAIR):
        return _decode(card["samples"]["endpoints"][endpoint]["inputs"])


def damaged_files(folder: Path, card: Mapping[str, Any]) -> dict[str, str]:
    """Return a sentence for each file that is missing or has another hash than the card says, by name."""
    damaged = {}
    for name, recorded in card["files"].items():
        if not (folder / name).is_file():
            damaged[name] = f"{name} is missing."
        elif hash_file(folder / name) != recorded["sha256"]:
            damaged[name] = f"{name} has changed: its SHA-256 is not that of the export."
    return damaged


def _unproved_files(folder: Path, card: Mapping[str, Any], artefacts: Sequence[Artefact]) -> dict[str, str]:
    """Return a sentence for each file that a runtime would read and whose hash the card does not say."""
    there = {*unlisted_files(folder, card), *(artefact.file for artefact in artefacts)} - set(card["files"])
    return {
        name: f"{name} is not among the files of {FILE_NAME}: nothing proves that it is that of the export."
        for name in sorted(there)
        if any(artefact.owns(name) for artefact in artefacts)
    }


def unlisted_files(folder: Path, card: Mapping[str, Any]) -> list[str]:
    """Return the files of a bundle that its card does not list, and that nothing checks."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(set(names) - set(card["files"]) - {FILE_NAME})


def _repeat(
    artefact: Artefact,
    predictor: Predictor,
    recorded: Mapping[str, Any],
    samples: Mapping[str, Any] | None,
    endpoints: Mapping[str, Endpoint],
) -> dict[str, Any]:
    """Compare an artefact's outputs for the embedded samples with those at export."""
    if samples is None:
        return {}
    found, problems, targets = {}, [], _decode_tree(samples["labels"])
    for name in artefact.endpoints:
        inputs = _decode(samples["endpoints"][name]["inputs"])
        expected = _decode(samples["endpoints"][name]["outputs"][artefact.file])
        actual = caller(predictor, name)(inputs)
        verify.check_outputs(name, expected, actual)
        found[name] = endpoints[name].compare(expected, actual, targets)
        probed = recorded["endpoints"][name]  # what only the export could find out
        problems += verify.beyond(endpoints[name], artefact.kind, {**probed, **found[name]})
    if problems:
        raise RunFailedError("; ".join(problems))
    return {"repeat": found}


def run_again(
    artefact: Artefact,
    predictor: Predictor,
    recorded: Mapping[str, Any],
    endpoints: Mapping[str, Endpoint],
    batches: Batches,
) -> dict[str, Any]:
    """Run each endpoint on the data that the export was verified with.

    Args:
        artefact: what was opened.
        predictor: opened.
        recorded: the card's row of it.
        endpoints: what the task says of them, by name.
        batches: returns the batches of that data.

    Returns:
        The figures of the first endpoint that the data decides, and all of them as `evaluation`.

    Raises:
        RunFailedError: when it cannot be run, or a figure is not that of the export.
    """
    found: dict[str, Any] = {}
    for name, then in recorded["endpoints"].items():
        if endpoints[name].asks_network:
            continue
        part = verify.batches_of(artefact, endpoints[name], batches)
        answers = run_over(caller(predictor, name), endpoints[name].inputs_of, part)
        if "evaluation" in then:
            evaluation = endpoints[name].judge(answers)
            _check_same(f"{name}:", evaluation, then["evaluation"])
            if name == recorded["endpoint"]:
                found = {key: value for key, value in evaluation.items() if key in recorded}
                found["evaluation"] = evaluation
        _check_same(
            f"{name}: the root mean square of", verify.magnitudes(answers.outputs), then["magnitudes"]
        )
    return found


def _encode(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encode_array(np.asarray(value)) for name, value in arrays.items()}


def _decode(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: decode_array(value) for name, value in arrays.items()}


def _encode_tree(tree: Tree) -> dict[str, Any]:
    return {"by_name": _encode(tree)} if isinstance(tree, Mapping) else encode_array(np.asarray(tree))


def _decode_tree(encoded: Mapping[str, Any]) -> Tree:
    return _decode(encoded["by_name"]) if "by_name" in encoded else decode_array(encoded)


def _check_same(what: str, now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Raise a RunFailedError unless figures are those of the export, up to rounding."""
    for name, value in then.items():
        if not isinstance(value, int | float):
            continue
        if not abs(now[name] - value) <= _FIGURE_TOLERANCE * max(1.0, abs(value)):
            figures = f"{now[name]:.4g} on this data, but was {value:.4g} at export"
            raise RunFailedError(f"{what} {name} is {figures}")
