"""Writes a page that runs a bundle in the browser, and serves it on this machine."""

import functools
import http.server
from pathlib import Path

from kerasdl.deploy import folder
from kerasdl.deploy.browser import page, runtimes
from kerasdl.deploy.description import describe
from kerasdl.errors import UsageError

_HOST = "127.0.0.1"


def write_demo(
    path: str | Path,
    out: Path | None = None,
    *,
    runtimes_folder: Path | None = None,
    download: bool = False,
    mode: str | None = None,
    examples: bool = True,
) -> Path:
    """Write the page of a bundle; the bundle itself stays as it is.

    Args:
        path: a bundle, or a folder of versions, of which the newest counts.
        out: folder to write. Defaults to `demo/NAME`.
        runtimes_folder: folder with npm's packages of the runtimes. Defaults to those downloaded before.
        download: download the runtimes if they are not there. Defaults to False.
        mode: mode of the TFLite file. Defaults to the one that is closest to Keras.
        examples: show the test examples that the bundle holds. Defaults to True.

    Returns:
        The folder.

    Raises:
        UsageError: when the bundle's files take neither a picture nor a text, the runtimes are not there, or
            the folder is somebody else's.
        RunFailedError: when a file of the bundle has changed, or the download failed.
    """
    described = describe(path)
    out = Path("demo", described.name) if out is None else out
    if described.folder in (out.resolve(), *out.resolve().parents):
        raise UsageError(f"{out} lies in the bundle, which never changes. Give another folder with --out.")
    files = page.generate(described, mode=mode, examples=examples)  # it refuses before anything is downloaded
    files |= runtimes.find(runtimes_folder, download=download)
    folder.write(out, files, target="demo")
    return out


def server(root: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of a folder on this machine alone.

    Raises:
        UsageError: when the port is taken.
    """
    handler = functools.partial(_Quiet, directory=str(root))
    try:
        return http.server.ThreadingHTTPServer((_HOST, port), handler)
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be used ({error.strerror}). Give another with --port."
        ) from error


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, as types that browsers take, without a line for each."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_):
        pass
