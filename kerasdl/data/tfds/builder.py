"""Finds a data set of tensorflow-datasets. No network is used unless the user asked for a download.

`tfds.load` of a set that is not there tries the network for minutes. Here whether a set is known and whether
it is prepared are answered from the installed package and the disk alone.
"""

import functools
import importlib.util
import logging
import os
import re
import sys
import threading
import urllib.parse
from pathlib import Path

from kerasdl.errors import RunFailedError, UsageError, did_you_mean

_PROBE_SECONDS = 4.0
#: Folders of tensorflow-datasets without code of a set, and endings of its classes that are none.
_NO_SETS = {"core", "testing", "scripts", "proto", "url_checksums", "dummy_data", "__pycache__"}
_NO_SET = ("_config", "_info", "_builder", "_error", "_fn", "_type", "_parser")

_log = logging.getLogger(__name__)


def _import_tfds():
    import absl.logging
    import tensorflow_datasets

    absl.logging.set_verbosity(absl.logging.ERROR)  # it warns of every folder that is not prepared
    return tensorflow_datasets


def _data_dir() -> Path:
    """Return where prepared sets lie. Asked each time: tensorflow-datasets reads it only when imported."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def known_names() -> list[str]:
    """Return the names of all sets that the installed tensorflow-datasets can make."""
    # The community's sets are listed on a server.
    return _import_tfds().list_builders(with_community_datasets=False)


@functools.cache
def written_names() -> frozenset[str]:
    """Return the names of all sets whose code the package holds, and of some other classes.

    They are read from its files: to import it takes twenty times as long.
    """
    spec = importlib.util.find_spec("tensorflow_datasets")
    root = Path(spec.origin).parent
    found = {child.name for child in root.joinpath("datasets").iterdir()}
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if name not in _NO_SETS]
        for file in files:
            if file.endswith(".py") and not file.endswith("_test.py"):
                text = Path(folder, file).read_text(encoding="utf-8", errors="replace")
                found.update(map(_snake_case, re.findall(r"^class (\w+)\(", text, re.MULTILINE)))
    return frozenset(name for name in found if not name.endswith(_NO_SET))


def _snake_case(name: str) -> str:
    name = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def is_known(text: str) -> bool:
    """Tell whether `text` is a set of tensorflow-datasets: `name`, `name/config`, `name:version`.

    A set that its owner prepared counts too, although the package has no code for it.
    """
    match = re.fullmatch(r"(\w+)(/[\w.-]+)?(:[\d.]+)?", text)
    if match is None:
        return False
    may_be = match[1] in written_names() or "tensorflow_datasets" in sys.modules
    return (may_be and match[1] in known_names()) or (_data_dir() / match[1]).is_dir()


def open_builder(name: str, *, download: bool):
    """Return the `tfds.core.DatasetBuilder` of a prepared set.

    Args:
        name: the set's name.
        download: fetch and prepare the set if it is not prepared.

    Raises:
        UsageError: when the name is unknown, or the set is not prepared and `download` is false.
        RunFailedError: when the download fails; within five seconds where there is no network.
    """
    tfds = _import_tfds()
    if not is_known(name):
        raise UsageError(
            f"tensorflow-datasets has no data set {name!r}, and none is prepared in {_data_dir()}."
            + did_you_mean(name, known_names())
        )
    _check_configuration(name, tfds)
    _check_features(name)
    try:
        builder = tfds.builder(name, data_dir=_data_dir())
    # An unknown version, a folder that holds no prepared set.
    except (ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"tensorflow-datasets cannot open {name!r}: {reason}") from error
    _check_supervised(name, builder, tfds)
    if not builder.is_prepared():
        if not download:
            raise UsageError(
                f"The data set {name!r} is not prepared in {_data_dir()}. Either add --download to fetch it "
                "(needs a network), or set TFDS_DATA_DIR to a folder where it is prepared."
            )
        _download(name, builder)
    return builder


def _check_features(name: str) -> None:
    """Refuse a prepared set whose files name classes of other packages, which would be imported."""
    for file in (_data_dir() / re.split("[/:]", name)[0]).rglob("features.json"):
        for kind in re.findall(r'"pythonClassName":\s*"([^"]*)"', file.read_text(encoding="utf-8")):
            if not kind.startswith("tensorflow_datasets.core.features."):
                raise UsageError(
                    f"{file} names the class {kind!r}, and only those of tensorflow-datasets are imported. "
                    "Prepare the set anew with tensorflow-datasets."
                )


def _check_configuration(name: str, tfds) -> None:
    base, _, configuration = name.partition(":")[0].partition("/")
    if not configuration or base not in known_names():
        return
    known = tfds.builder_cls(base).builder_configs
    if configuration not in known:
        raise UsageError(
            f"The data set {base!r} has no configuration {configuration!r}; "
            f"it has {', '.join(known) or 'none'}." + did_you_mean(configuration, known)
        )


def _check_supervised(name: str, builder, tfds) -> None:
    keys = builder.info.supervised_keys
    features = builder.info.features
    if not keys or len(keys) != 2 or not all(isinstance(key, str) for key in keys):
        raise UsageError(f"{name!r} has no labelled images or texts: it has no pair of input and label.")
    found = [features[key] for key in keys]
    labelled = isinstance(found[1], tfds.features.ClassLabel)
    if not (labelled and isinstance(found[0], (tfds.features.Image, tfds.features.Text))):
        kinds_found = " and ".join(type(feature).__name__ for feature in found)
        raise UsageError(
            f"{name!r} has no labelled images or texts: its examples are {kinds_found}, but an Image or a "
            "Text, and a ClassLabel are needed."
        )


def _download(name: str, builder) -> None:
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise UsageError(
            f"The data set {name!r} has to be fetched by hand: "
            f"{' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())} "
            f"Then `tfds build {name}` prepares it."
        )
    url = next(iter(builder.url_infos or ()), None)
    reason = _unreachable(url) if url else ""
    if reason:
        host = urllib.parse.urlsplit(url).hostname
        raise RunFailedError(
            f"The data set {name!r} cannot be downloaded: {host} does not answer ({reason}). Check the "
            "network or the proxy, or set TFDS_DATA_DIR to a folder where the set is prepared."
        )
    _log.info("Downloading %s into %s.", name, _data_dir())
    try:
        builder.download_and_prepare()
    except Exception as error:  # a foreign downloader: any server, checksum, archive or disk may fail
        raise RunFailedError(
            f"Downloading {name!r} failed: {type(error).__name__}: {error}. Try again, or set TFDS_DATA_DIR "
            "to a folder where the set is prepared."
        ) from error


def _unreachable(url: str) -> str:
    """Return the reason why the server does not answer; empty if it does. Takes `_PROBE_SECONDS` at most."""
    import requests  # as tensorflow-datasets does, so that proxies are honoured alike

    outcome = ["no answer in time"]

    def probe():
        try:
            requests.head(url, timeout=_PROBE_SECONDS)
            outcome[0] = ""
        except requests.RequestException as error:
            outcome[0] = type(error).__name__

    # A thread, since resolving a name knows no timeout; daemon, so that it never holds up the end.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return outcome[0]
