"""Measures latency and throughput of a run or of exported files on this machine."""

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl import environment
from kerasdl.data import from_text, passes
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export import recheck, samples
from kerasdl.export.card import read_card
from kerasdl.inference.answers import caller
from kerasdl.inference.endpoint import Arrays, Endpoint, figure_of
from kerasdl.inference.predictor import Predictor
from kerasdl.inference.worker.client import Worker
from kerasdl.jobs import open as loading
from kerasdl.jobs.evaluate import answers_of
from kerasdl.jobs.verify import recorded_data, recorded_endpoints
from kerasdl.recipe import trust
from kerasdl.report import terminal
from kerasdl.runs.folder import Run
from kerasdl.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a measurement.

    Attributes:
        threads: numbers of threads, each 1 or more.
        batch_sizes: examples in a call, each 1 or more.
        seconds: about how long each pair of these is measured.
    """

    threads: Sequence[int]
    batch_sizes: Sequence[int]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Speeds:
    """Results of a measurement.

    Attributes:
        rows: one for each artefact: `file`, `kind`, `bytes`, figures of the task, and `speed`: a row for each
            pair of threads and batch size (see `cells`); or `file`, `kind`, `error`.
        task: its task, whose `columns` name the figures to show.
        figures: where the figures come from, in words.
        inputs: what it was run on, in words.
    """

    rows: list[dict[str, Any]]
    task: Task
    figures: str
    inputs: str

    @property
    def failures(self) -> list[str]:
        """Why artefacts could not be measured; each sentence names its file."""
        return [row["error"] for row in self.rows if "error" in row]


def measure(path: Path, settings: Settings, data: str | None = None) -> Speeds:
    """Measure a run, every artefact of a bundle, or one of them, warm and on real examples.

    Args:
        path: the run, the bundle or the exported file.
        settings: what to measure.
        data: what `--data` takes; where the data is now. Defaults to where it was.

    Raises:
        UsageError: when `path` is none of these, or there is not one example to run.
        RunFailedError: when the run or the bundle as a whole is damaged. A damaged artefact has a row.
    """
    where = loading.find(path)
    if isinstance(where, Run):
        return _measure_run(where, settings, data)
    return _measure_bundle(where, None if path.is_dir() else path.name, settings, data)


def cells(
    predictor: Predictor,
    endpoint: str,
    inputs: Mapping[str, np.ndarray],
    num_threads: int,
    settings: Settings,
) -> list[dict[str, Any]]:
    """Measure one endpoint at every batch size.

    Args:
        predictor: opened with `num_threads`.
        endpoint: one of its endpoints.
        inputs: real examples (N, ...) by name; a larger batch repeats them.
        num_threads: is told.
        settings: what to measure.

    Returns:
        For each batch size: threads, batch_size, calls, p50_ms and p95_ms (of a call),
        examples_per_second, and one_by_one: whether the batch is run example by example, since the file takes
        one at a time.

    Raises:
        RunFailedError: when the endpoint cannot be run.
    """
    found = []
    for size in settings.batch_sizes:
        batch = {name: value[np.arange(size) % len(value)] for name, value in inputs.items()}
        caller(predictor, endpoint)(batch)  # what its runtime refuses shows here
        durations = predictor.durations(endpoint, batch, seconds=settings.seconds)
        p50, p95 = 1000 * np.percentile(durations, (50, 95))
        found.append(
            {
                "threads": num_threads,
                "batch_size": size,
                "calls": len(durations),
                "p50_ms": float(p50),
                "p95_ms": float(p95),
                "examples_per_second": size * len(durations) / sum(durations),
                "one_by_one": size > 1 and predictor.one_by_one(endpoint),
            }
        )
    return found


def _measure_bundle(folder: Path, file: str | None, settings: Settings, data: str | None) -> Speeds:
    card = read_card(folder)
    recorded = {row["file"]: row for row in card["artefacts"] if "error" not in row}
    if file not in (None, *recorded):
        raise UsageError(f"{folder / file} is not an exported model. There are {', '.join(recorded)}.")
    task, splits = recorded_data(folder, card, data and from_text(data))
    endpoints = recorded_endpoints(folder, card, task)
    batches = None if splits is None else passes.test_batches(splits)
    damaged = recheck.damaged_files(folder, card)
    rows = [_row(row, task, damaged) for name, row in recorded.items() if file in (None, name)]
    inputs = {
        name: samples.inputs_of(card, name)
        if batches is None or endpoints[name].asks_network  # which is not in the bundle
        else _first(endpoints[name], batches)
        for name in {row["endpoint"] for row in rows}
    }
    for num_threads in settings.threads:
        with Worker(num_threads) as worker:
            good = [row for row in rows if "error" not in row]
            for row in terminal.each(f"Measuring with threads: {num_threads},", good, itemgetter("file")):
                artefact = recheck.recorded_artefact(recorded[row["file"]])
                try:
                    predictor = artefact.open(folder, worker)
                    if batches and "evaluation" not in row:
                        row |= recheck.run_again(
                            artefact, predictor, recorded[artefact.file], endpoints, batches
                        )
                    row["speed"] += cells(
                        predictor, row["endpoint"], inputs[row["endpoint"]], num_threads, settings
                    )
                except RunFailedError as error:
                    row["error"] = f"{artefact.file}: {error}"
    if splits is None:
        figures = "those of the export (the data it was exported with is not here)"
        return Speeds(rows, task, figures, "test examples in the card")
    figures = f"measured now on all {len(splits.test):,} test examples"
    return Speeds(rows, task, f"{figures}; differences from Keras are those of the export", "test examples")


def _row(recorded: Mapping[str, Any], task: Task, damaged: Mapping[str, str]) -> dict[str, Any]:
    """Return the start of an artefact's row: figures of its export, or its damage."""
    kept = ("file", "kind", "bytes", "endpoint", *task.columns)
    row = {name: figure_of(recorded, name) for name in kept if figure_of(recorded, name) is not None}
    owns = recheck.recorded_artefact(recorded).owns
    if problems := [text for path, text in damaged.items() if owns(path)]:
        return {**row, "error": " ".join(problems)}  # it is not opened: that can bring a process down
    return {**row, "speed": []}


def _first(endpoint: Endpoint, batches: passes.Batches) -> Arrays:
    """Return the first examples of a split as inputs of an endpoint."""
    features, *_ = next(iter(batches()))
    return endpoint.inputs_of(features, 0)


def _measure_run(run: Run, settings: Settings, data: str | None) -> Speeds:
    target = loading.load(run.path)
    predictor, task = target.predictor, target.task
    endpoint = predictor.default_endpoint
    splits = target.load_data(data)
    batches = passes.test_batches(splits)
    endpoints = target.endpoints
    judge = endpoints[endpoint].judge
    evaluation = {} if judge is None else judge(answers_of(predictor, endpoints, batches))
    row = {"file": run.model_file.name, "kind": predictor.kind, "bytes": run.model_file.stat().st_size}
    row |= {name: evaluation[name] for name in task.columns if name in evaluation}
    row |= {"endpoint": endpoint, "evaluation": evaluation, "speed": []}
    features, *_ = next(iter(batches()))
    inputs = endpoints[endpoint].inputs_for(predictor.inputs[endpoint])(features, 0)
    for num_threads in settings.threads:
        # TensorFlow's pools are made once in a process: each number of threads gets one of its own.
        pool = ProcessPoolExecutor(1, get_context("spawn"), environment.import_tensorflow)
        doing = terminal.status(f"Measuring with threads: {num_threads}")
        with environment.isolated_children(), pool, doing:
            try:
                row["speed"] += pool.submit(
                    network_cells, run.path, inputs, num_threads, settings, trust.known()
                ).result()
            except BrokenProcessPool as error:
                raise RunFailedError(f"The process that ran {run.model_file} crashed: {error}") from error
    return Speeds([row], task, f"measured now on all {len(splits.test):,} test examples", "test examples")


def network_cells(
    path: Path,
    inputs: Arrays,
    num_threads: int,
    settings: Settings,
    trusted: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """Measure a run's network with `cells`, in a process where TensorFlow has done nothing yet."""
    import tensorflow as tf

    trust.allow(trusted)
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_threads)
    predictor = loading.load(path).predictor
    return cells(predictor, predictor.default_endpoint, inputs, num_threads, settings)
