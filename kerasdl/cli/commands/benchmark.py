"""`kerasdl benchmark`: measure size, metrics, latency and throughput of a run or its exported files."""

import argparse
from pathlib import Path

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.errors import RunFailedError
from kerasdl.report import terminal

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
    parser.add_json()
    values = parser.parse(arguments)
    environment.import_tensorflow()
    from kerasdl import machine
    from kerasdl.cli import printing
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
        printing.print_speeds(found.rows, found.task)
        terminal.say(
            f"Figures: {found.figures}. Latency and throughput: of {found.inputs}, warm, on this machine."
        )
    if found.failures:
        raise RunFailedError("\n".join(found.failures))
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
