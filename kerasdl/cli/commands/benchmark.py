"""`kerasdl benchmark`: measure size, metrics, latency and throughput of a run or its exported files."""

import argparse
import sys
from pathlib import Path

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.report import terminal

_PHONE_THREADS = (1, 4)
_PHONE_COLUMNS = {"init_ms": "open ms", "first_ms": "first ms", "average_ms": "mean ms", "p50_ms": "p50 ms",
                  "p95_ms": "p95 ms", "memory_mb": "MB"}  # fmt: skip
_MOST = 2**16  # threads, and examples in a call
_LONGEST = 3600  # seconds


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a bundle, one exported file, or a run")
    parser.add_argument("--threads", type=counts, metavar="N,N",
                        help="numbers of threads (default: 1 and the number of cores)")  # fmt: skip
    parser.add_argument("--batch-sizes", type=counts, default=(1, 32), metavar="N,N",
                        help="examples per call (default: 1,32)")  # fmt: skip
    parser.add_argument("--seconds", type=_seconds, default=1.0, metavar="NUMBER",
                        help="seconds of measuring per number in the table (default: 1)")  # fmt: skip
    parser.add_data("where the data is now, if it has moved")
    parser.add_argument("--adb", action="store_true",
                        help="measure the TFLite files on an Android phone on the cable")  # fmt: skip
    parser.add_argument("--adb-tool", type=Path, metavar="FILE",
                        help="with --adb: Google's benchmark_model for the phone "
                        "(default: the one in the phone's /data/local/tmp)")  # fmt: skip
    parser.add_argument(
        "--adb-serial", metavar="SERIAL", help="with --adb: which phone, where there are several"
    )
    parser.add_argument("--adb-gpu", action="store_true", help="with --adb: compute on the phone's GPU")
    parser.add_json()
    values = parser.parse(arguments)
    if values.adb:
        return _on_phone(values)
    if values.adb_tool or values.adb_serial or values.adb_gpu:
        raise UsageError("--adb-tool, --adb-serial and --adb-gpu are about phones. Add --adb.")
    environment.import_tensorflow()
    from kerasdl import machine
    from kerasdl.cli import artefacts, printing
    from kerasdl.jobs import benchmark

    hardware = machine.hardware()
    threads = values.threads or tuple(sorted({1, hardware["cores"]}))
    settings = benchmark.Settings(threads, values.batch_sizes, values.seconds)
    found = benchmark.measure(Path(values.target), settings, values.data)
    if values.json:
        about = {"target": values.target, "figures": found.figures, "inputs": found.inputs}
        about |= {"machine": hardware, "versions": machine.versions(), "artefacts": found.rows}
        printing.print_document(about, as_json=True)
    else:
        artefacts.print_speeds(found.rows, found.task)
        terminal.tell(
            f"Figures: {found.figures}. Latency and throughput: of {found.inputs}, warm, on this machine.",
            file=sys.stdout,
        )
    if found.failures:
        raise RunFailedError("\n".join(found.failures))
    return 0


def _on_phone(values: argparse.Namespace) -> int:
    """Measure on a phone; returns the exit code."""
    from kerasdl.cli import artefacts, printing
    from kerasdl.deploy.description import describe
    from kerasdl.deploy.phones import adb

    target = Path(values.target)
    bundle = describe(target)
    files = adb.files_of(bundle, target.name if target.is_file() else None)
    phone = adb.find(values.adb_serial)
    about = phone.describe()
    threads = values.threads or _PHONE_THREADS
    rows = adb.measure(phone, bundle.folder, files, tool=values.adb_tool, threads=threads, gpu=values.adb_gpu)
    if values.json:
        printing.print_document({"target": values.target, "phone": about, "artefacts": rows}, as_json=True)
    else:
        artefacts.print_phone(rows, _PHONE_COLUMNS)
        terminal.say(
            f"On {about['model']} ({about['chip']}), Android {about['android']}, by benchmark_model."
        )
    if failures := [
        f"{row['file']}, threads: {row['threads']}: {row['error']}" for row in rows if "error" in row
    ]:
        raise RunFailedError("\n".join(failures))
    return 0


def counts(text: str) -> tuple[int, ...]:
    """Parse whole numbers from 1 on, separated by commas."""
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= _MOST for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text!r} has to be whole numbers from 1 to {_MOST:,}, separated by commas"
        )
    return tuple(dict.fromkeys(map(int, parts)))


def _seconds(text: str) -> float:
    message = f"{text!r} has to be a number above 0 and at most {_LONGEST:,}"
    try:
        seconds = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(message) from error
    if not 0 < seconds <= _LONGEST:
        raise argparse.ArgumentTypeError(message)
    return seconds
