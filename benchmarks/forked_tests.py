"""Tests in children that are forked from one warm process, each in a copy of the tree, for `mutants.py`."""

import collections
import contextlib
import importlib
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Iterable
from pathlib import Path

import mutations
import pytest
from coverage import Coverage

_HEAVY = (
    "tensorflow", "keras", "numpy", "scipy.stats", "scipy.optimize", "sklearn.metrics", "sklearn.datasets",
    "h5py", "onnx", "onnxruntime", "tf2onnx", "ai_edge_litert.interpreter", "keras_tuner", "grpc", "rich",
    "tensorflow_datasets", "tensorboard", "jinja2", "PIL.Image", "psutil", "requests",
)  # fmt: skip
_COVERAGE = """[run]
parallel = true
data_file = {work}/coverage/data
include = {work}/tree/kerasdl/*
context = ${{MUTANTS_CONTEXT-}}
sigterm = true
patch = _exit, fork
disable_warnings = no-data-collected, module-not-imported, module-not-measured, already-imported
"""
_MEMORY = 10 * 2**30  # bytes for each process


def warm_up(tree: Path) -> None:
    """Import what tests need, but nothing of the tree, and start nothing that does not survive a fork."""
    sys.path.insert(0, str(tree))
    importlib.import_module("kerasdl")  # sets the variables that must be there before TensorFlow is
    for name in [name for name in sys.modules if name.partition(".")[0] == "kerasdl"]:
        del sys.modules[name]
    for name in _HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def make_job(tests: Iterable[str] = (), *, files=(), mutation=None, limit=3600.0, **more) -> dict:
    """Describe what a child is to do: tests, perhaps with a mutation, or all of `files` under coverage."""
    return {"tests": list(tests), "files": list(files), "mutation": mutation, "limit": limit, **more}


def drive(
    jobs: Iterable[dict], tree: Path, work: Path, end: Callable[..., Iterable[dict]], count: int
) -> None:
    """Run jobs, so many at a time; `end(job, result, folder)` gets what each wrote and returns more jobs."""
    jobs, running, numbers = collections.deque(jobs), [], itertools.count()
    try:
        while jobs or running:
            while jobs and len(running) < count:
                job, folder = jobs.popleft(), work / f"child{next(numbers)}"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                running.append((_fork(job, tree, folder), job, folder, time.monotonic() + job["limit"]))
            time.sleep(0.05)
            for one in list(running):
                pid, job, folder, deadline = one
                late = time.monotonic() > deadline
                if late or os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    running.remove(one)
                    status = _end(pid)
                    written = folder / "result.json"
                    result = json.loads(written.read_text()) if written.is_file() else None
                    jobs.extendleft(end(job, result or ("timeout" if late else f"crash ({status})"), folder))
                    shutil.rmtree(folder, ignore_errors=True)
    finally:
        for pid, *_ in running:
            _end(pid)


def _end(pid: int) -> int:
    """End a child, if it still lives, and what it has left behind; return its exit code."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _fork(job: dict, tree: Path, work: Path) -> int:
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    try:
        _child(job, tree, work)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """Return what is no part of the sources; `kerasdl/runs` is."""
    runs = {"runs"} if (Path(folder) / "setup.cfg").is_file() else set()
    return {".git", "__pycache__", *runs} & set(names)


def _child(job: dict, tree: Path, work: Path) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))  # some faults would fill it
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(work / "log.txt", os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(1, 2)
    copy, tmp = work / "tree", work / "tmp"
    tmp.mkdir()
    shutil.copytree(tree, copy, symlinks=True, ignore=_not_copied)
    if job["mutation"]:
        (copy / job["mutation"]["file"]).write_text(mutations.apply(tree, job["mutation"]), encoding="utf-8")
    os.chdir(copy)
    sys.modules["__main__"] = types.ModuleType(
        "__main__"
    )  # processes that tests start would import this script
    tempfile.tempdir = None
    os.environ.update(PYTHONPATH=str(copy), TMPDIR=str(tmp))
    own = (tree, Path(__file__).resolve().parent)
    sys.path[:] = [str(copy), *(path for path in sys.path if Path(path or ".").resolve() not in own)]
    coverage = _coverage(work) if job["files"] else None
    recorder = Recorder(job["tests"], coverage)
    files = job["files"] or sorted({name.partition("::")[0] for name in job["tests"]})
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        "-m",
        "not slow",
        "--basetemp",
        f"{tmp}/base",
    ]
    code = pytest.main([*options, *([] if coverage else ["-x"]), *files], plugins=[recorder])
    if coverage:
        coverage.stop()
        coverage.save()
    result = {
        "exit": int(code),
        "tests": recorder.tests,
        "failed": recorder.failed,
        "shared": recorder.shared,
    }
    (work / "result.json").write_text(json.dumps(result))
    os._exit(0)


def _coverage(work: Path) -> Coverage:
    """Begin to note which lines run, here and in processes started from here."""
    file = work / "coveragerc"
    file.write_text(_COVERAGE.format(work=work))
    (work / "coverage").mkdir()
    os.environ["COVERAGE_PROCESS_START"] = str(file)

    class Popen(subprocess.Popen):
        def kill(self):  # a process that runs a file of the package may write what it reached
            if any(str(part).startswith(f"{work}/tree/kerasdl/") for part in self.args):
                self.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.wait(5)
            super().kill()

    subprocess.Popen = Popen
    coverage = Coverage(config_file=str(file))
    coverage.start()
    return coverage


def _spent() -> float:
    """Return the seconds of processor that this process and its ended children took."""
    return sum(os.times()[:4])


class Recorder:
    """What a child tells of its tests; with coverage, lines by test and by shared fixture (as "context")."""

    def __init__(self, wanted: list[str], coverage: Coverage | None):
        self.wanted, self.coverage = {name: place for place, name in enumerate(wanted)}, coverage
        self.tests: dict[str, dict] = {}
        self.failed: list[str] = []
        self.shared = collections.Counter()
        self._open: list[str] = []
        self._inside = 0.0  # seconds of the shared fixtures that were set up in the current test

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        if self.wanted:
            wanted = [item for item in items if item.nodeid in self.wanted]
            items[:] = sorted(wanted, key=lambda item: self.wanted[item.nodeid])

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed.append(f"collection of {report.nodeid}")

    def pytest_runtest_logreport(self, report):
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        indices = item.callspec.indices if hasattr(item, "callspec") else {}
        uses = [f"{name} {indices.get(name, 0)}" for name in item.fixturenames]
        began, self._inside = _spent(), 0.0
        with self._context(item.nodeid):
            answer = yield
        forkserver = sys.modules.get("multiprocessing.forkserver")
        if self.coverage and forkserver:
            forkserver._forkserver._stop()  # what the next test has forked belongs to the next test
        self.tests[item.nodeid] = {"seconds": round(_spent() - began - self._inside, 3), "uses": uses}
        return answer

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        if fixturedef.scope == "function":
            return (yield)
        name, before, began = f"{fixturedef.argname} {request.param_index}", self._inside, _spent()
        with self._context(name):
            answer = yield
        seconds = _spent() - began
        self.shared[name] += seconds - (self._inside - before)
        self._inside = before + seconds
        return answer

    @contextlib.contextmanager
    def _context(self, name: str):
        self._open.append(name)
        self._enter()
        try:
            yield
        finally:
            self._open.pop()
            self._enter()

    def _enter(self) -> None:
        if self.coverage:
            os.environ["MUTANTS_CONTEXT"] = self._open[-1] if self._open else ""
            self.coverage.switch_context(os.environ["MUTANTS_CONTEXT"])
