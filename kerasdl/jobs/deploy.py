"""Generates what a server or an app needs around a bundle."""

from collections.abc import Mapping
from pathlib import Path

from kerasdl.deploy import folder
from kerasdl.deploy.description import Content, Described, describe
from kerasdl.deploy.targets import TARGETS
from kerasdl.errors import RunFailedError, UsageError, did_you_mean
from kerasdl.files import hash_file


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
        RunFailedError: when the bundle is damaged.
    """
    if target not in TARGETS:
        near = did_you_mean(target, TARGETS)
        raise UsageError(f"There is no target {target!r}; there are {', '.join(TARGETS)}.{near}")
    described = describe(path)
    out = Path("deploy", f"{described.name}-{target}") if out is None else out
    if described.folder in (out.resolve(), *out.resolve().parents):
        raise UsageError(f"{out} lies in the bundle, which never changes. Give another folder with --out.")
    files = TARGETS[target](described, out)
    _check_copied(described, files)
    folder.write(out, files, target=target, link=link)
    return out


def _check_copied(bundle: Described, files: Mapping[str, Content]) -> None:
    """Raise a RunFailedError for a file of the bundle that is not as it was exported."""
    for source in {content for content in files.values() if isinstance(content, Path)}:
        recorded = bundle.card["files"].get(source.relative_to(bundle.folder).as_posix(), {})
        if not source.is_file() or hash_file(source) != recorded.get("sha256"):
            raise RunFailedError(
                f"{source} is not as it was exported. Export it again; kerasdl verify {bundle.folder} tells "
                "more."
            )
