"""`kerasdl demo`: write a page that runs a bundle in the browser, and serve it."""

import contextlib
from pathlib import Path

from kerasdl.cli.parser import Parser
from kerasdl.report import terminal


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    about = "a bundle, or a folder of versions such as exported/lenet5, of which the newest counts"
    parser.add_argument("target", metavar="BUNDLE", help=about)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the page (default: demo/NAME)")
    parser.add_argument(
        "--download", action="store_true",
        help="get the runtimes for browsers by npm, once: LiteRT.js and ONNX Runtime Web, 34 MB",
    )  # fmt: skip
    parser.add_argument(
        "--runtimes", type=Path, metavar="FOLDER",
        help="take the runtimes from here: a node_modules of npm (default: what --download got before)",
    )  # fmt: skip
    parser.add_argument(
        "--mode", metavar="MODE", help="TFLite file to show (default: float32, or the one closest to Keras)"
    )
    parser.add_argument(
        "--no-samples", dest="examples", action="store_false",
        help="leave out the test examples that the bundle holds",
    )  # fmt: skip
    parser.add_argument("--serve", action="store_true", help="serve the page on this machine until Ctrl-C")
    parser.add_argument(
        "--port", type=int, default=8000, metavar="NUMBER", help="port of --serve (default: 8000)"
    )
    values = parser.parse(arguments)
    from kerasdl.jobs import demo

    out = demo.write_demo(
        values.target,
        values.out,
        runtimes_folder=values.runtimes,
        download=values.download,
        mode=values.mode,
        examples=values.examples,
    )
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    terminal.say(f"{out}: {size / 1e6:.0f} MB, a whole web page.")
    if not values.serve:
        from kerasdl.cli import printing

        serve = ["python", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(out)]
        printing.print_next(printing.open_console(soft_wrap=True), [[*serve, str(values.port)]])
        return 0
    server = demo.server(out, values.port)
    with server, terminal.without_status(), contextlib.suppress(KeyboardInterrupt):
        terminal.say(f"http://127.0.0.1:{server.server_address[1]} (Ctrl-C ends it)", flush=True)
        server.serve_forever()
    return 0
