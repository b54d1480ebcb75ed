"""Opens exported files in their own runtimes and compares their outputs with Keras."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.data.passes import Batches
from kerasdl.errors import RunFailedError
from kerasdl.export import compiled, warm_up
from kerasdl.export.artefact import Artefact
from kerasdl.export.references import Reference, References, check_alone
from kerasdl.export.wanted import Files
from kerasdl.files import hash_files
from kerasdl.inference import tflite_file
from kerasdl.inference.answers import Answers, caller, run_over
from kerasdl.inference.endpoint import Endpoint
from kerasdl.inference.predictor import Predictor
from kerasdl.inference.worker.client import Worker
from kerasdl.report import terminal

_LENGTHS = (10, 100, 400)  # steps of examples that are timed, where these differ in length


def verify_artefacts(
    artefacts: Sequence[Artefact],
    folder: Path,
    references: References,
    workers: tuple[Worker, Worker],
    asked: Files,
    expendable: Sequence[str],
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Compare every artefact with Keras; return a row for each, or raise with all that is wrong.

    A file of an expendable kind that was not asked for by name is deleted where it is too far from the
    network, and returned by name, with the reason.
    """
    rows, problems, refused, hashes = [], [], {}, hash_files(folder)
    for artefact in terminal.each("Verifying", artefacts, lambda one: one.file):
        row = {
            "file": artefact.file,
            "kind": artefact.kind,
            "endpoint": artefact.endpoints[0],
            "bytes": sum(file["bytes"] for path, file in hashes.items() if artefact.owns(path)),
            "sha256": hashes[artefact.file]["sha256"],
        }
        predictor = None  # the memory of the file before is free before the next one is opened
        try:
            predictor = artefact.open(folder, workers[0])
            check_interface(predictor, artefact, references.endpoints)
            figures, wrong = compare(predictor, artefact, references)
            if artefact.kind == "saved_model":
                warm_up.replay(folder, predictor, largest=1)
            row |= figures
            if predictor.kind == "tflite":
                row["flex_operators"] = flex_operators(folder / artefact.file)
                inputs_of = references.first_inputs
                row[compiled.KEY], others = compiled.compare(predictor, artefact, inputs_of, workers[1])
                wrong += others
        except RunFailedError as error:
            wrong = [str(error)]
        if wrong and artefact.kind in expendable and not asked.names(artefact):
            refused[artefact.file] = f"it is not the same network: {'; '.join(wrong)}"
            (folder / artefact.file).unlink()
            continue
        problems += [f"{artefact.file}: {problem}" for problem in wrong]
        rows.append(row)
    if problems or not rows:
        problems += [f"{file}: {reason}" for file, reason in refused.items()]
        advice = (
            "Nothing was published. Leave out what fails: kerasdl export RUN --formats ... --tflite-modes ..."
        )
        raise RunFailedError("\n".join([*problems, advice]))
    return rows, refused


def compare(
    predictor: Predictor, artefact: Artefact, references: References
) -> tuple[dict[str, Any], list[str]]:
    """Compare every endpoint of an opened artefact with Keras.

    Returns:
        The figures of its first endpoint, its latency by number of steps too where examples differ in it
        (`latency_ms_by_length`), and `endpoints`, the figures of each (see `measure`) with its `tolerances`
        and `latency_ms` (median of calls with one example); and what lies beyond them, in words.

    Raises:
        RunFailedError: when an endpoint cannot be run or gives something else.
    """
    found, problems = {}, []
    for name in artefact.endpoints:
        endpoint, reference = references.endpoints[name], references.of(artefact, name)
        limits = {
            figure: f"{sign} {limit:g}"
            for figure, (sign, limit) in endpoint.tolerances(artefact.kind).items()
        }
        found[name] = {**measure(predictor, reference), "tolerances": limits}
        features, *_ = next(iter(reference.batches()))
        one = {key: value[:1] for key, value in endpoint.inputs_of(features, 0).items()}
        found[name]["latency_ms"] = predictor.latency(name, one)
        if endpoint.probe is not None:
            features, *_ = next(iter(references.batches()))
            found[name] |= endpoint.probe(caller(predictor, name), features)
        problems += beyond(endpoint, artefact.kind, found[name])
        if not predictor.one_by_one(name):
            check_alone(caller(predictor, name), reference)
    first = references.of(artefact, artefact.endpoints[0])
    name = first.endpoint.name
    latencies: dict[str, Any] = {}
    if (of_length := first.endpoint.of_length) is not None:
        inputs_of = first.endpoint.inputs_for(predictor.inputs[name])
        most = first.endpoint.phone_length if predictor.kind == "tflite" else None
        latencies["latency_ms_by_length"] = {
            str(steps): predictor.latency(name, inputs_of(of_length(steps), 0))
            for steps in dict.fromkeys(min(steps, most or steps) for steps in _LENGTHS)
        }
    return {**found[name], **latencies, "endpoints": found}, problems


def measure(predictor: Predictor, reference: Reference) -> dict[str, Any]:
    """Run an artefact's endpoint over the reference's data and compare the answers.

    Returns:
        The figures of `Endpoint.compare`, the number of `examples`, `magnitudes` (see there) and, where the
        endpoint has a judge, its figures as `evaluation`.

    Raises:
        RunFailedError: when it cannot be run, has other outputs than the reference, or nothing was compared.
    """
    endpoint, expected = reference.endpoint, reference.answers
    actual = run_over(caller(predictor, endpoint.name), endpoint.inputs_of, reference.batches)
    left_out = set(endpoint.derived) - set(actual.outputs) if predictor.kind == "tflite" else set()
    wanted = {name: value for name, value in expected.outputs.items() if name not in left_out}
    check_outputs(endpoint.name, wanted, actual.outputs)
    figures = endpoint.compare(expected.outputs, actual.outputs, actual.targets)
    if not figures:
        raise RunFailedError("nothing was compared: the endpoint gives no figures for its outputs")
    figures = {**figures, "examples": actual.num_examples, "magnitudes": magnitudes(actual.outputs)}
    if endpoint.judge is None:
        return figures
    return {**figures, "evaluation": evaluation(predictor, endpoint, actual, reference.batches)}


def evaluation(
    predictor: Predictor, endpoint: Endpoint, answers: Answers, batches: Batches
) -> dict[str, Any]:
    """Return the judge's figures of a file's answers, to all of the examples that it can read.

    Files are compared at the length of phones; one that takes any length is asked again where examples are
    longer.
    """
    limit, shape = endpoint.phone_length, np.shape(answers.targets)
    if limit is not None and predictor.kind != "tflite" and len(shape) > 1 and shape[1] > limit:
        inputs_of = endpoint.inputs_for(predictor.inputs[endpoint.name])
        answers = run_over(caller(predictor, endpoint.name), inputs_of, batches)
    return endpoint.judge(answers)


def magnitudes(outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the RMS of each float output, to compare with later."""
    return {
        name: float(np.sqrt(np.square(value, dtype=np.float64).mean()))
        for name, value in outputs.items()
        if value.dtype.kind == "f"
    }


def check_outputs(
    endpoint: str, expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]
) -> None:
    """Raise a RunFailedError unless an endpoint's outputs have the names and shapes that they should."""
    for name, value in expected.items():
        if name not in actual:
            raise RunFailedError(f"{endpoint}: output {name} is missing; there are {', '.join(actual)}")
        if actual[name].shape != value.shape:
            shapes = f"{actual[name].shape} instead of {value.shape}"
            raise RunFailedError(f"{endpoint}: output {name} has shape {shapes}")


def check_interface(predictor: Predictor, artefact: Artefact, endpoints: Mapping[str, Endpoint]) -> None:
    """Raise a RunFailedError unless an artefact has its endpoints, with the inputs that they declare."""
    for name in artefact.endpoints:
        found, wanted = sorted(predictor.inputs.get(name, ())), sorted(endpoints[name].inputs)
        if found != wanted:
            raise RunFailedError(f"{name} takes {found} instead of {wanted}")


def beyond(endpoint: Endpoint, kind: str, figures: Mapping[str, Any]) -> list[str]:
    """Name each figure beyond the endpoint's limit for a kind of file, as one that is not a number is."""
    meets = {"<=": np.less_equal, ">=": np.greater_equal}
    return [
        f"{endpoint.name}: {name} is {figures[name]:.3g}, but has to be {sign} {limit:g}"
        for name, (sign, limit) in endpoint.tolerances(kind).items()
        if not meets[sign](figures[name], limit)
    ]


def flex_operators(path: Path) -> list[str]:
    """Return the operators of a .tflite file that need TensorFlow's Flex delegate."""
    return [name for name in tflite_file.custom_operators(path) if name.startswith("Flex")]
