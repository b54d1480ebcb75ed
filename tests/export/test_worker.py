"""The process that converts and runs files: what it imports, and that it may crash."""

import dataclasses
import os
import signal
import subprocess
import threading

import pytest

from kerasdl.errors import RunFailedError
from kerasdl.export import bundle as bundles
from kerasdl.export.tflite import Converter
from kerasdl.inference.worker.client import Worker
from tests.export.tiny import ENDPOINTS
from tests.warm_workers import OwnProcess


def test_only_the_converter_gives_freed_memory_back(monkeypatch):
    variables = []

    def started(*_, env, **__):
        variables.append(env["TF_ONEDNN_USE_SYSTEM_ALLOCATOR"])
        raise OSError

    monkeypatch.setattr(subprocess, "Popen", started)
    for kind in (Worker, Converter):
        with pytest.raises(OSError):
            type("Own", (kind,), {})().start()
    assert variables == ["0", "1"]


class Crashing(Converter):
    """Dies when asked for float16."""

    def convert(self, source, target, mode, *arguments):
        if mode == "float16":
            self.start()
            os.kill(self.pid, signal.SIGSTOP)  # it gets the question, and no time to answer
            threading.Timer(0.2, self.die, [self.pid]).start()
        super().convert(source, target, mode, *arguments)

    def die(self, pid):
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
def test_crash_of_the_converter_costs_one_file(write, spec, tmp_path, monkeypatch):
    first = dataclasses.replace(spec.endpoints[0], formats=("tflite", "onnx"))
    light = dataclasses.replace(spec, endpoints=(first,))
    with Crashing() as converter:
        monkeypatch.setattr(bundles, "DEFAULT_MODES", ("float16", "float32"))
        bundle = write(tmp_path, spec=light, converter=converter)
    assert list(bundle.failures) == ["tiny.float16.tflite"]
    assert "crashed (SIGSEGV)" in bundle.failures["tiny.float16.tflite"]
    assert {path.name for path in bundle.path.iterdir()} >= {"tiny.float32.tflite", "tiny.onnx"}
    assert not (bundle.path / "tiny.float16.tflite").exists()
    assert "float16" not in (bundle.path / "README.md").read_text()
    bundles.verify_bundle(bundle.path, endpoints=ENDPOINTS)


@pytest.mark.slow
def test_worker_imports_no_keras_and_outlives_interrupts_and_kills(bundle, tmp_path, monkeypatch):
    for package in ("keras", "kerasdl"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with OwnProcess() as worker:
        before = signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # ignored where CI runs in background
        try:
            # To the main thread: another one would take the signal and leave this one waiting for the answer.
            interrupt = [threading.main_thread().ident, signal.SIGINT]
            threading.Timer(0.3, signal.pthread_kill, interrupt).start()
            with pytest.raises(KeyboardInterrupt):
                worker.ask("load", path="nowhere")  # its answer must not be taken for the next question's
        finally:
            signal.signal(signal.SIGINT, before)
        with pytest.raises(RunFailedError, match="KeyError"):
            worker.ask("no such command")
        assert set(worker.ask("load", path=str(bundle.path))) == {"serving_default", "serving_bytes"}
        pid = worker.pid
        worker.start()
        assert worker.pid == pid
        os.kill(pid, signal.SIGKILL)
        worker._process.wait()
        assert "serving_default" in worker.ask("load", path=str(bundle.path))
    assert not (tmp_path / "imported").exists()
    assert worker.pid is None
