"""Measures TFLite files on an Android phone on the cable, by adb and Google's benchmark_model."""

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasdl.deploy.app import MODES
from kerasdl.deploy.description import Described
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import hash_file

_FOLDER = "/data/local/tmp"  # where Android lets the cable write and run programs
_TOOL = "benchmark_model"
_SECONDS = 600  # that one answer of adb may take: large files over slow cables
_PAGE = "https://ai.google.dev/edge/litert/next/benchmark"
_TIMES = re.compile(r"Init: (\S+), First inference: (\S+), Warmup \(avg\): \S+, Inference \(avg\): (\S+)")
_SUMMARY = re.compile(r"^\D*count=\d+ first=.*$", re.MULTILINE)
_MEMORY = re.compile(r"Overall peak memory footprint \(MB\) via periodic monitoring: (\S+)")


@dataclasses.dataclass(frozen=True)
class Phone:
    """A phone that adb reaches.

    Attributes:
        adb: path of adb.
        serial: its serial number.
    """

    adb: str
    serial: str

    def ask(self, *arguments: str) -> str:
        """Return what adb prints for a command to this phone.

        Raises:
            RunFailedError: when the command fails.
        """
        ran = _run(self.adb, "-s", self.serial, *arguments)
        if ran.returncode:
            lines = (ran.stderr.strip() or ran.stdout.strip() or "no message").splitlines()
            raise RunFailedError(f"adb {' '.join(arguments)} failed on {self.serial}: {lines[-1]}")
        return ran.stdout

    def describe(self) -> dict[str, str]:
        """Return model, chip and version of Android."""
        names = {"model": "ro.product.model", "chip": "ro.soc.model", "android": "ro.build.version.release"}
        found = {name: self.ask("shell", "getprop", key).strip() for name, key in names.items()}
        return {"serial": self.serial, **found}


def find(serial: str | None) -> Phone:
    """Return the phone on the cable, or that of a serial number.

    Raises:
        UsageError: when there is no adb, no phone, or several.
    """
    adb = shutil.which("adb")
    if adb is None:
        raise UsageError("There is no adb here. It is in Android's SDK Platform-Tools; put it on the PATH.")
    ran = _run(adb, "devices")
    if ran.returncode:
        raise RunFailedError(f"adb devices failed: {(ran.stderr.strip() or 'no message').splitlines()[-1]}")
    states = dict(line.split("\t")[:2] for line in ran.stdout.splitlines() if "\t" in line)
    shown = ", ".join(f"{name} ({state})" for name, state in states.items()) or "none"
    if serial is not None and serial not in states:
        raise UsageError(f"adb knows no device {serial!r}; it knows {shown}.")
    if not states:
        raise UsageError(
            "adb sees no phone. Connect one by the cable, and switch on Developer options > USB debugging."
        )
    if serial is None and len(states) > 1:
        raise UsageError(f"adb sees several devices: {shown}. Choose one with --adb-serial.")
    serial = serial or next(iter(states))
    if states[serial] != "device":
        raise UsageError(
            f"adb cannot use {serial}: it is {states[serial]}. Unlock the phone, and allow USB debugging."
        )
    return Phone(adb, serial)


def files_of(bundle: Described, file: str | None) -> list[str]:
    """Return the TFLite files to measure: the one that is named, or all of a bundle.

    Raises:
        UsageError: when there is none.
        RunFailedError: when one has changed since the export.
    """
    names = [name for mode in MODES for name, kind in bundle.files.items() if kind == mode]
    if file is not None and file not in names:
        raise UsageError(f"{file} is not a TFLite file; --adb measures {', '.join(names) or 'TFLite files'}.")
    if not names:
        raise UsageError(f"{bundle.folder} has no TFLite file. Export the run again, with --formats tflite.")
    for name in names:
        if hash_file(bundle.folder / name) != bundle.card["files"].get(name, {}).get("sha256"):
            raise RunFailedError(f"{bundle.folder / name} is not what was exported. Export the run again.")
    return [file] if file else names


def measure(
    phone: Phone, folder: Path, files: Sequence[str], *, tool: Path | None, threads: Sequence[int], gpu: bool
) -> list[dict[str, Any]]:
    """Measure files on a phone; what was pushed is removed afterwards.

    Args:
        phone: the phone.
        folder: the bundle's folder.
        files: names of the files in it.
        tool: Google's benchmark_model for the phone's processor; None for one that is there already, as
            `/data/local/tmp/benchmark_model`.
        threads: numbers of threads.
        gpu: compute on the phone's GPU.

    Returns:
        For each file and number of threads: file, bytes, threads, init_ms, first_ms, average_ms, and as far
        as the tool tells them p50_ms, p95_ms and memory_mb; or `error`.

    Raises:
        UsageError: when there is no tool.
        RunFailedError: when the phone cannot be written to.
    """
    place = f"{_FOLDER}/kerasdl"
    program = f"{place}/{_TOOL}" if tool else f"{_FOLDER}/{_TOOL}"
    if tool is not None and not tool.is_file():
        raise UsageError(f"There is no {tool}. Download {_TOOL} for android_arm64: {_PAGE}")
    if tool is None and "yes" not in phone.ask("shell", f"test -f {program} && echo yes || echo no"):
        raise UsageError(
            f"The phone has no {program}. Download Google's {_TOOL} for android_arm64 ({_PAGE}), and give it "
            "with --adb-tool."
        )
    phone.ask("shell", "mkdir", "-p", place)
    try:
        if tool is not None:
            phone.ask("push", str(tool), program)
            phone.ask("shell", "chmod", "+x", program)
        rows = []
        for number, file in enumerate(files):
            there = f"{place}/{number}.tflite"  # names may hold what a shell takes for something else
            phone.ask("push", str(folder / file), there)
            about = {"file": file, "bytes": (folder / file).stat().st_size}
            for count in threads:
                command = f"{program} --graph={there} --num_threads={count}" + " --use_gpu=true" * gpu
                rows.append({**about, "threads": count, **_figures(phone, command)})
            phone.ask("shell", "rm", "-f", there)
        return rows
    finally:
        _run(phone.adb, "-s", phone.serial, "shell", "rm", "-rf", place)


def _figures(phone: Phone, command: str) -> dict[str, Any]:
    """Run the tool; return its figures, or why there are none."""
    ran = _run(phone.adb, "-s", phone.serial, "shell", f"{command} 2>&1")
    times = _TIMES.search(ran.stdout)
    if ran.returncode or times is None:
        said = [line.strip() for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
        errors = [line for line in said if "error" in line.lower()] or said or ["no message"]
        return {"error": f"{_TOOL} failed (exit code {ran.returncode}): {errors[-1]}"}
    init, first, average = (float(text) / 1000 for text in times.groups())
    found = {"init_ms": init, "first_ms": first, "average_ms": average}
    summary = _SUMMARY.findall(ran.stdout)  # of the warm-up, then of the measured calls
    values = dict(re.findall(r"(\w+)=(\S+)", summary[-1])) if summary else {}
    names = {"median": "p50_ms", "p95": "p95_ms"}
    found |= {name: float(values[key]) / 1000 for key, name in names.items() if key in values}
    if memory := _MEMORY.search(ran.stdout):
        found["memory_mb"] = float(memory.group(1))
    return found


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise RunFailedError(
            f"adb did not answer for {_SECONDS // 60} minutes. Is the cable in, the phone unlocked?"
        ) from None
