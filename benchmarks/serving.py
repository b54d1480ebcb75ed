"""How fast `kerasdl serve` answers: with and without batching, beside the bare runtime; and whether it lasts.

    npm install -g autocannon
    python benchmarks/serving.py exported/lenet5 exported/lstm [--clients 1,8,64] [--rounds 3] [--seconds 4]
    python benchmarks/serving.py exported/resnet50 --binary  # tensors as bytes in place of JSON
    python benchmarks/serving.py exported/lenet5 --soak 150  # while versions come and go; by gRPC too

Two servers of each model, one with `--no-batching`, take turns under the load of autocannon, in another order
each round, so that whatever else the machine does meets both. A figure is the median over the rounds, a ratio
that of the rounds' ratios, with the lowest and the highest. "CPU" is what the server's process used for a
request, which other work on the machine changes least. The load itself takes a part of the same cores.

With one client the bare runtime (`open_artifact(...).call` on the same example, in this process) and the
server are asked in turn, and what counts is the median of the differences. With `--binary` requests are
KServe's V2 with binary tensors, and one client asks by TensorFlow Serving's gRPC besides.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import machine
import numpy as np
from serving_load import Request, Server, as_binary, as_json, by_grpc, by_http, example, load, serving

_PAIRS = 400  # requests of one client, and calls of the bare runtime
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
    parser.add_argument("--binary", action="store_true", help="no JSON: V2's binary tensors, and gRPC")
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
    inputs = example(bare.inputs[bare.default_endpoint])
    request = (as_binary if arguments.binary else as_json)(folder.name, inputs)
    engine = [str(folder), "--engine", arguments.engine]
    with serving(*engine, "--no-batching") as alone, serving(*engine) as batched:
        print(f"\n{folder.name} ({arguments.engine}), requests of {len(request.body):,} bytes")
        for name, server in (("with batching", batched), ("without", alone)):
            ways = {"HTTP": by_http(server.port, request)}
            if arguments.binary:
                ways["gRPC"] = by_grpc(server.grpc_port, folder.name, inputs)
            for way, ask in ways.items():
                served, called = _pairs(ask, lambda: bare.call(bare.default_endpoint, inputs))
                more = statistics.median(one - other for one, other in zip(served, called, strict=True))
                print(
                    f"one client, {way}, {name}: p50 {1e3 * statistics.median(served):.2f} ms, bare call "
                    f"{1e3 * statistics.median(called):.2f} ms, difference {1e3 * more:.2f} ms"
                )
        print("clients  batching  requests/s  p50 ms  p99 ms  CPU ms  errors  times as many as without")
        for clients in arguments.clients:
            _table(arguments, (alone, batched), request, clients)


def _pairs(ask: Callable, call: Callable) -> tuple[list[float], list[float]]:
    """Ask server and bare runtime in turn; returns the seconds of each."""
    served, called = [], []
    for index in range(_PAIRS + 20):
        start = time.perf_counter()
        ask()
        middle = time.perf_counter()
        call()
        end = time.perf_counter()
        if index >= 20:
            served.append(middle - start)
            called.append(end - middle)
    return served, called


def _table(arguments: argparse.Namespace, servers: Sequence[Server], request: Request, clients: int) -> None:
    rounds: list[list[dict]] = []
    for number in range(arguments.rounds):
        found = [{}, {}]
        for which in (0, 1) if number % 2 else (1, 0):
            process = servers[which].process
            before = sum(process.cpu_times()[:2])
            told = load(arguments.autocannon, servers[which].port, request, clients, arguments.seconds)
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
    inputs = example(bare.inputs[bare.default_endpoint])
    output = sorted(bare.outputs[bare.default_endpoint])[-1]
    expected = bare.call(bare.default_endpoint, inputs)[output][0]
    request = (as_binary if arguments.binary else as_json)(folder.name, inputs)
    with tempfile.TemporaryDirectory() as root:
        models = Path(root) / folder.name
        shutil.copytree(_latest(folder), models / "1")
        with serving(str(models), "--engine", arguments.engine) as server:
            stop, changes = threading.Event(), [0]
            checks = [
                Check(
                    by_http(server.port, as_json(folder.name, inputs)), _row_of_json, output, expected, stop
                ),
                Check(by_grpc(server.grpc_port, folder.name, inputs), _row_of_proto, output, expected, stop),
            ]
            changing = threading.Thread(target=_change, args=(_latest(folder), models, stop, changes))
            memory = [server.process.memory_info().rss >> 20]
            for thread in (*checks, changing):
                thread.start()
            told = {"sent": 0, "2xx": 0, "bad": 0}
            for _ in range(max(1, arguments.soak // 30)):
                found = load(arguments.autocannon, server.port, request, _CLIENTS, min(30, arguments.soak))
                told["sent"] += found["requests"]["sent"]
                told["2xx"] += found["2xx"]
                told["bad"] += found["non2xx"] + found["errors"] + found["timeouts"]
                memory.append(server.process.memory_info().rss >> 20)
            stop.set()
            for thread in (*checks, changing):
                thread.join()
            print(
                f"\n{folder.name}: {told['2xx']:,} answers to {told['sent']:,} requests ({_CLIENTS} may be "
                f"under way at the end of each load), {told['bad']} errors; checked besides: "
                f"{checks[0].asked:,} by REST, {checks[1].asked:,} by gRPC, wrong: "
                f"{[check.wrong[:3] for check in checks]}; {changes[0]} versions came and went; memory "
                f"in MiB: {memory}"
            )


class Check(threading.Thread):
    """Asks again and again, and compares answers until told to stop."""

    def __init__(
        self, ask: Callable, row: Callable, output: str, expected: np.ndarray, stop: threading.Event
    ):
        super().__init__()
        self.asked, self.wrong = 0, []
        self._ask, self._row, self._output = ask, row, output
        self._expected, self._stop_asking = expected, stop

    def run(self) -> None:
        """Ask; a request that fails is a wrong answer."""
        while not self._stop_asking.is_set():
            self.asked += 1
            try:
                found = self._row(self._ask(), self._output)
                if not np.allclose(found, self._expected, atol=_CLOSE):
                    self.wrong.append(found)
            except Exception as error:
                self.wrong.append(error)
            time.sleep(0.01)


def _row_of_json(body: bytes, output: str) -> object:
    (row,) = json.loads(body)["predictions"]
    return row[output] if isinstance(row, dict) else row


def _row_of_proto(response, output: str) -> np.ndarray:
    import tensorflow as tf

    return tf.make_ndarray(response.outputs[output])[0]


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
