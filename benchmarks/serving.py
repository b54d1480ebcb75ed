"""How fast `kerasdl serve` answers: with and without batching, beside the bare runtime; and whether it lasts.

    npm install -g autocannon
    python benchmarks/serving.py exported/lenet5 exported/lstm [--clients 1,8,64] [--rounds 3] [--seconds 4]
    python benchmarks/serving.py exported/lenet5 --soak 150  # while versions come and go

Two servers of each model, one with `--no-batching`, take turns under the load of autocannon, in another order
each round, so that whatever else the machine does meets both. A figure is the median over the rounds, a ratio
that of the rounds' ratios, with the lowest and the highest. "CPU" is what the server's process used for a
request, which other work on the machine changes least. The load itself takes a part of the same cores.

With one client the bare runtime (`open_artifact(...).call` on the same example, in this process) and the
server are asked in turn, and what counts is the median of the differences.
"""

import argparse
import contextlib
import http.client
import json
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import machine
import numpy as np
import psutil

_PAIRS = 400  # requests of one client, and calls of the bare runtime
_TEXT = "one of the best films that I have seen in a long time , and the cast is wonderful"
_SERVING = re.compile(r"http://127\.0\.0\.1:(\d+) ")
_CLIENTS = 16  # of the soak
_CLOSE = 1e-4  # of answers of the soak, which share calls with others, from that to a request alone


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path, help="folders of versions")
    parser.add_argument("--clients", type=lambda text: tuple(map(int, text.split(","))), default=(1, 8, 64))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each load")
    parser.add_argument("--engine", default="saved_model")
    parser.add_argument("--autocannon", default=shutil.which("autocannon") or "autocannon")
    parser.add_argument("--soak", type=int, default=0, metavar="SECONDS")
    arguments = parser.parse_args()
    for name, value in machine.describe().items():
        print(f"{name}: {value}")
    for model in arguments.models:
        if arguments.soak:
            _soak(arguments, model)
        else:
            _measure(arguments, model)


@contextlib.contextmanager
def _server(*arguments: str) -> Iterator[tuple[int, psutil.Process]]:
    """Start a server; gives its port and process."""
    command = [sys.executable, "-P", "-m", "kerasdl", "serve", *arguments, "--port", "0", "--no-grpc"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := _SERVING.search(line):
            break
    else:
        raise SystemExit("".join(lines))
    reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
    reader.start()
    try:
        yield int(found[1]), psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        if (code := process.wait(60)) != 0:
            print(f"the server ended with {code}:", *lines[-5:])


def _request(signature_inputs: dict) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return a request of one example, and the same as arrays."""
    draw, inputs = np.random.default_rng(0), {}
    for name, (shape, dtype) in signature_inputs.items():
        if dtype == "string":
            inputs[name] = np.array([_TEXT.encode()], object)
        else:
            full = [1, *(size or 1 for size in shape[1:])]
            values = draw.integers(0, 256, full) if np.dtype(dtype).kind in "iu" else draw.random(full)
            inputs[name] = values.astype(dtype)
    rows = {
        name: value[0].decode() if value.dtype == object else value[0].tolist()
        for name, value in inputs.items()
    }
    row = next(iter(rows.values())) if len(rows) == 1 else rows
    return json.dumps({"instances": [row]}).encode(), inputs


def _load(
    arguments: argparse.Namespace, port: int, path: str, body: bytes, clients: int, seconds: int
) -> dict:
    """Put a server under the load of autocannon; returns its JSON document."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(body)
        file.flush()
        command = [
            arguments.autocannon, "--json", "--connections", str(clients), "--duration", str(seconds),
            "--timeout", "60", "--method", "POST", "--input", file.name,
            "--headers", "content-type=application/json", f"http://127.0.0.1:{port}{path}",
        ]  # fmt: skip
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _latest(folder: Path) -> Path:
    return max((one for one in folder.iterdir() if one.name.isdecimal()), key=lambda one: int(one.name))


def _open(arguments: argparse.Namespace, folder: Path):
    from kerasdl import environment

    environment.import_tensorflow()
    from kerasdl.inference.runtimes import open_artifact
    from kerasdl.serving.engine import file_of

    return open_artifact(file_of(_latest(folder), arguments.engine))


def _measure(arguments: argparse.Namespace, folder: Path) -> None:
    bare = _open(arguments, folder)
    body, inputs = _request(bare.inputs[bare.default_endpoint])
    path = f"/v1/models/{folder.name}:predict"
    engine = [str(folder), "--engine", arguments.engine]
    with _server(*engine, "--no-batching") as alone, _server(*engine) as batched:
        print(f"\n{folder.name} ({arguments.engine}), requests of {len(body):,} bytes")
        for name, (port, _) in (("with batching", batched), ("without", alone)):
            served, called = _pairs(port, path, body, lambda: bare.call(bare.default_endpoint, inputs))
            more = statistics.median(one - other for one, other in zip(served, called, strict=True))
            print(
                f"one client, {name}: p50 {1e3 * statistics.median(served):.2f} ms, bare call "
                f"{1e3 * statistics.median(called):.2f} ms, difference {1e3 * more:.2f} ms"
            )
        print("clients  batching  requests/s  p50 ms  p99 ms  CPU ms  errors  times as many as without")
        for clients in arguments.clients:
            _table(arguments, (alone, batched), path, body, clients)


def _pairs(port: int, path: str, body: bytes, call) -> tuple[list[float], list[float]]:
    """Ask server and bare runtime in turn; returns the seconds of each."""
    connection, served, called = http.client.HTTPConnection("127.0.0.1", port), [], []
    for index in range(_PAIRS + 20):
        start = time.perf_counter()
        connection.request("POST", path, body)
        reply = connection.getresponse()
        reply.read()
        middle = time.perf_counter()
        call()
        end = time.perf_counter()
        assert reply.status == 200
        if index >= 20:
            served.append(middle - start)
            called.append(end - middle)
    return served, called


def _table(arguments: argparse.Namespace, servers: Sequence, path: str, body: bytes, clients: int) -> None:
    rounds: list[list[dict]] = []
    for number in range(arguments.rounds):
        found = [{}, {}]
        for which in (0, 1) if number % 2 else (1, 0):
            port, process = servers[which]
            before = sum(process.cpu_times()[:2])
            told = _load(arguments, port, path, body, clients, arguments.seconds)
            number_of = told["2xx"]
            found[which] = {
                "rate": number_of / told["duration"], "p50": told["latency"]["p50"],
                "p99": told["latency"]["p99"], "errors": told["errors"] + told["non2xx"],
                "cpu": 1e3 * (sum(process.cpu_times()[:2]) - before) / max(1, number_of),
            }  # fmt: skip
        rounds.append(found)
    ratios = sorted(batched["rate"] / max(alone["rate"], 1e-9) for alone, batched in rounds)
    for which, name in enumerate(("off", "on")):
        middle = {key: statistics.median(one[which][key] for one in rounds) for key in rounds[0][which]}
        told = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})" if which else ""
        errors = sum(one[which]["errors"] for one in rounds)
        print(
            f"{clients:7d}  {name:8s}  {middle['rate']:10.0f}  {middle['p50']:6.0f}  {middle['p99']:6.0f}  "
            f"{middle['cpu']:6.2f}  {errors:6d}  {told}",
            flush=True,
        )


def _soak(arguments: argparse.Namespace, folder: Path) -> None:
    """Keep a server under load while versions come and go; count what went wrong."""
    bare = _open(arguments, folder)
    body, inputs = _request(bare.inputs[bare.default_endpoint])
    name = sorted(bare.outputs[bare.default_endpoint])[-1]
    expected = bare.call(bare.default_endpoint, inputs)[name][0]
    with tempfile.TemporaryDirectory() as root:
        models = Path(root) / folder.name
        shutil.copytree(_latest(folder), models / "1")
        with _server(str(models), "--engine", arguments.engine) as (port, process):
            path, stop, wrong, changes = f"/v1/models/{folder.name}:predict", threading.Event(), [], [0]
            checking = threading.Thread(target=_check, args=(port, path, body, name, expected, stop, wrong))
            changing = threading.Thread(target=_change, args=(_latest(folder), models, stop, changes))
            memory = [process.memory_info().rss >> 20]
            checking.start()
            changing.start()
            told = {"sent": 0, "2xx": 0, "bad": 0}
            for _ in range(max(1, arguments.soak // 30)):
                found = _load(arguments, port, path, body, _CLIENTS, min(30, arguments.soak))
                told["sent"] += found["requests"]["sent"]
                told["2xx"] += found["2xx"]
                told["bad"] += found["non2xx"] + found["errors"] + found["timeouts"]
                memory.append(process.memory_info().rss >> 20)
            stop.set()
            checking.join()
            changing.join()
            print(
                f"\n{folder.name}: {told['2xx']:,} answers to {told['sent']:,} requests ({_CLIENTS} may be "
                f"under way at the end of each load), {told['bad']} errors, {len(wrong)} wrong answers "
                f"{wrong[:3]}; {changes[0]} versions came and went; memory in MiB: {memory}"
            )


def _check(
    port: int, path: str, body: bytes, name: str, expected, stop: threading.Event, wrong: list
) -> None:
    """Compare answers until told to stop."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not stop.is_set():
        connection.request("POST", path, body)
        reply = connection.getresponse()
        found = json.loads(reply.read())
        row = found.get("predictions", [None])[0]
        value = row.get(name) if isinstance(row, dict) else row
        if reply.status != 200 or not np.allclose(value, expected, atol=_CLOSE):
            wrong.append(found)
        time.sleep(0.01)


def _change(source: Path, models: Path, stop: threading.Event, changes: list[int]) -> None:
    """Copy new versions file by file, some of them damaged, and delete old ones, until told to stop."""
    number = 1
    while not stop.wait(3):
        number += 1
        shutil.copytree(source, models / str(number))
        if number % 3 == 0:
            (models / str(number) / "saved_model.pb").write_bytes(b"damaged")
        if stop.wait(5):
            return
        good = [one for one in models.iterdir() if (one / "saved_model.pb").stat().st_size > 100]
        newest = max(good, key=lambda one: int(one.name))
        for one in models.iterdir():
            if one != newest:
                shutil.rmtree(one)
                changes[0] += 1


if __name__ == "__main__":
    main()
