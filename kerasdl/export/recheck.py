"""Verifies a bundle later, with its data or with its embedded samples."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasdl.data.passes import Batches
from kerasdl.errors import RunFailedError
from kerasdl.export import compiled, samples, verify, warm_up
from kerasdl.export.artefact import Artefact
from kerasdl.export.card import FILE_NAME, REPAIR, read_card
from kerasdl.export.references import batches_of
from kerasdl.files import hash_file, parsing
from kerasdl.inference.answers import caller, run_over
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import Predictor
from kerasdl.inference.worker.client import Worker
from kerasdl.report import terminal

# How far figures of the same file may lie from those of the export: processors round differently.
_FIGURE_TOLERANCE = 0.005


class NotTheSameError(RunFailedError):
    """A bundle is not what was exported.

    Attributes:
        problems: what is wrong, a sentence for each file or endpoint, which it names.
    """

    def __init__(self, path: Path, problems: Sequence[str]):
        super().__init__("\n".join([f"{path} is not what was exported:", *problems, "Export it again."]))
        self.problems = list(problems)


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
                    found, wrong = _repeat(artefact, predictor, recorded, card, endpoints, worker)
                    again = run_again(artefact, predictor, recorded, endpoints, batches) if batches else {}
                problems += [f"{artefact.file}: {problem}" for problem in wrong]
                rows.append({**recorded, **found, **again})
            except RunFailedError as error:
                problems.append(f"{artefact.file}: {error}")
    if problems:
        raise NotTheSameError(path, problems)
    return rows


def recorded_artefact(row: Mapping[str, Any]) -> Artefact:
    """Return the artefact of a card's row."""
    return Artefact(row["file"], row["kind"], tuple(row["endpoints"]))


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
    card: Mapping[str, Any],
    endpoints: Mapping[str, Endpoint],
    worker: Worker,
) -> tuple[dict[str, Any], list[str]]:
    """Compare an artefact's outputs for the embedded samples with those at export.

    Returns:
        The figures, and what of LiteRT's newer interface is wrong, in words.
    """
    if (kept := card["samples"]) is None:
        return {}, []
    figures, problems, targets = {}, [], samples.decode_tree(kept["labels"])
    for name in artefact.endpoints:
        inputs = samples.decode(kept["endpoints"][name]["inputs"])
        expected = samples.decode(kept["endpoints"][name]["outputs"][artefact.file])
        actual = caller(predictor, name)(inputs)
        verify.check_outputs(name, expected, actual)
        figures[name] = endpoints[name].compare(expected, actual, targets)
        probed = recorded["endpoints"][name]  # what only the export could find out
        problems += verify.beyond(endpoints[name], artefact.kind, {**probed, **figures[name]})
    if problems:
        raise RunFailedError("; ".join(problems))
    if artefact.format != "tflite":
        return {"repeat": figures}, []
    inputs_of = functools.partial(samples.inputs_of, card)
    found, wrong = compiled.compare(predictor, artefact, inputs_of, worker)
    return {"repeat": figures, compiled.KEY: found}, wrong


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
        part = batches_of(artefact, endpoints[name], batches)
        answers = run_over(caller(predictor, name), endpoints[name].inputs_of, part)
        if "evaluation" in then:
            evaluation = verify.evaluation(predictor, endpoints[name], answers, part)
            _check_same(f"{name}:", evaluation, then["evaluation"])
            if name == recorded["endpoint"]:
                found = {key: value for key, value in evaluation.items() if key in recorded}
                found["evaluation"] = evaluation
        _check_same(
            f"{name}: the root mean square of", verify.magnitudes(answers.outputs), then["magnitudes"]
        )
    return found


def _check_same(what: str, now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Raise a RunFailedError unless figures are those of the export, up to rounding."""
    for name, value in then.items():
        if not isinstance(value, int | float):
            continue
        if not abs(now[name] - value) <= _FIGURE_TOLERANCE * max(1.0, abs(value)):
            figures = f"{now[name]:.4g} on this data, but was {value:.4g} at export"
            raise RunFailedError(f"{what} {name} is {figures}")
