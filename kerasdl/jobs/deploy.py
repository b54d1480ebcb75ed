"""Generates what a server or an app needs around a bundle."""

from pathlib import Path

from kerasdl.deploy import folder
from kerasdl.deploy.description import describe
from kerasdl.deploy.targets import TARGETS
from kerasdl.errors import UsageError, did_you_mean


def deploy(path: str | Path, target: str, out: Path | None = None, *, link: bool = False) -> Path:
    """Write the files of a target for a bundle; the bundle itself stays as it is.

    Args:
        path: a bundle, or a folder of versions, of which the newest counts.
        target: one of `TARGETS`.
        out: folder to write. Defaults to `deploy/NAME-TARGET`.
        link: give large files a second name instead of a copy. Defaults to False.

    Returns:
        The folder.

    Raises:
        UsageError: when the bundle cannot go there, or the folder is somebody else's.
    """
    if target not in TARGETS:
        near = did_you_mean(target, TARGETS)
        raise UsageError(f"There is no target {target!r}; there are {', '.join(TARGETS)}.{near}")
    described = describe(path)
    out = Path("deploy", f"{described.name}-{target}") if out is None else out
    if described.folder in (out.resolve(), *out.resolve().parents):
        raise UsageError(f"{out} lies in the bundle, which never changes. Give another folder with --out.")
    folder.write(out, TARGETS[target](described, out), target=target, link=link)
    return out
