"""Files of the two runtimes for browsers: from a folder of npm packages, or downloaded and checked."""

import base64
import dataclasses
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import replacing, writing

_log = logging.getLogger(__name__)

_SECONDS = 600  # that `npm pack` may take


@dataclasses.dataclass(frozen=True)
class Package:
    """An npm package, of which a page needs a few files.

    Attributes:
        name: its name.
        version: the version that the page was tested with.
        sha512: of its archive, in base64, as npm writes it.
        files: path in the package -> path in the page's folder `runtimes`.
    """

    name: str
    version: str
    sha512: str
    files: Mapping[str, str]

    @property
    def spec(self) -> str:
        """Name and version, as npm takes them."""
        return f"{self.name}@{self.version}"


#: Builds without threads: those need headers (COOP, COEP) that simple servers do not send.
PACKAGES = (
    Package(
        "@litertjs/core",
        "2.5.3",
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        {
            "dist/index.js": "litert/index.js",
            "wasm/litert_wasm_internal.js": "litert/litert_wasm_internal.js",
            "wasm/litert_wasm_internal.wasm": "litert/litert_wasm_internal.wasm",
            "wasm/litert_wasm_compat_internal.js": "litert/litert_wasm_compat_internal.js",
            "wasm/litert_wasm_compat_internal.wasm": "litert/litert_wasm_compat_internal.wasm",
        },
    ),
    Package(
        "@litertjs/wasm-utils",
        "2.5.3",
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        {"dist/index.js": "litert/wasm-utils.js"},
    ),
    Package(
        "onnxruntime-web",
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        {
            "dist/ort.wasm.min.mjs": "onnxruntime/ort.wasm.min.mjs",
            "dist/ort-wasm-simd-threaded.mjs": "onnxruntime/ort-wasm-simd-threaded.mjs",
            "dist/ort-wasm-simd-threaded.wasm": "onnxruntime/ort-wasm-simd-threaded.wasm",
        },
    ),
)

INSTALL = f"npm install --ignore-scripts {' '.join(package.spec for package in PACKAGES)}"


def cache() -> Path:
    """Return the folder of downloaded packages, which may not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "kerasdl", "runtimes")


def find(folder: Path | None, *, download: bool) -> dict[str, Path]:
    """Return the runtimes' files by their path in the page's folder.

    Args:
        folder: a `node_modules` of npm, or the folder it lies in; None for the cache of downloads.
        download: download into the cache what it lacks: the only thing here that uses the network.

    Raises:
        UsageError: when they are not there; with the commands that get them.
        RunFailedError: when they cannot be downloaded, or are not the ones that were tested.
    """
    if folder is not None:
        return _from_npm(folder)
    missing = [
        package for package in PACKAGES if not all(_cached(package, file).is_file() for file in package.files)
    ]
    if missing and not download:
        raise UsageError(
            "The runtimes for browsers are not part of kerasdl (LiteRT.js and ONNX Runtime Web, 34 MB). Add "
            f"--download to get them by npm once, or run `{INSTALL}` and add --runtimes node_modules."
        )
    for package in missing:
        _download(package)
    return {
        f"runtimes/{to}": _cached(package, file) for package in PACKAGES for file, to in package.files.items()
    }


def _cached(package: Package, file: str) -> Path:
    return cache() / f"{package.name.replace('/', '+')}@{package.version}" / file


def _from_npm(folder: Path) -> dict[str, Path]:
    modules = folder / "node_modules" if (folder / "node_modules").is_dir() else folder
    found = {}
    for package in PACKAGES:
        about = modules / package.name / "package.json"
        for file, to in package.files.items():
            path = modules / package.name / file
            if not path.is_file():
                raise UsageError(
                    f"{folder} has no {package.name}/{file}. Run `{INSTALL}`, and give node_modules."
                )
            found[f"runtimes/{to}"] = path
        version = json.loads(about.read_text(encoding="utf-8"))["version"] if about.is_file() else "unknown"
        if version != package.version:
            _log.warning(
                f"{package.name} in {folder} is {version}; the page was tested with {package.version}."
            )
    return found


def _download(package: Package) -> None:
    """Download a package by npm, check its hash, and keep its files; nothing of it is run."""
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(
            "--download needs npm, which comes with Node.js. Install it, or use --runtimes FOLDER."
        )
    _log.info(f"Downloading {package.spec} by npm.")
    folder = _cached(package, ".")
    with tempfile.TemporaryDirectory() as temporary:
        command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", temporary, package.spec]
        try:
            ran = subprocess.run(command, cwd=temporary, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise RunFailedError(f"npm did not get {package.spec} within {_SECONDS // 60} minutes.") from None
        archives = list(Path(temporary).glob("*.tgz"))
        if ran.returncode or len(archives) != 1:
            said = (ran.stderr.strip().splitlines() or ["no message"])[-1]
            raise RunFailedError(f"npm could not get {package.spec} ({said}). Is there a network?")
        content = archives[0].read_bytes()
        if base64.b64encode(hashlib.sha512(content).digest()).decode() != package.sha512:
            raise RunFailedError(
                f"What npm got is not {package.spec}: its SHA-512 is another. Nothing was kept."
            )
        with tarfile.open(archives[0]) as archive, writing(folder, "Or use --runtimes FOLDER."):
            for file in package.files:
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                with replacing(target) as path:
                    path.write_bytes(archive.extractfile(str(PurePosixPath("package", file))).read())
