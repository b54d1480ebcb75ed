"""Writes a generated folder: all or nothing, and never over what somebody else wrote."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from kerasdl.deploy.description import Content
from kerasdl.errors import UsageError
from kerasdl.files import UNFINISHED, hash_file, link_or_copy, read_json, writing

#: Lists what was generated, so that it can be generated again, and what somebody changed is kept.
RECORD = ".kerasdl.json"
_ADVICE = "Give another folder with --out."


class Record(TypedDict):
    """The file that tells what was generated: a hash for each file."""

    target: str
    files: dict[str, str]


def write(out: Path, files: Mapping[str, Content], *, target: str, link: bool = False) -> None:
    """Write generated files into a folder, which is made, or was generated for the same target before.

    Everything is written beside it first: a full disk leaves the folder as it was. The folder itself stays
    the same one, so that a container that has it mounted sees the new files.

    Args:
        out: the folder.
        files: content by relative path; a path is a file to copy.
        target: what they are for.
        link: give files that would be copied a second name instead, where the disk can. Defaults to False.

    Raises:
        UsageError: when the folder holds what was not generated, or was changed since.
        MachineError: when the disk is full.
    """
    before = _recorded(out, target)
    with writing(out, _ADVICE):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=UNFINISHED) as temporary:
            staged = Path(temporary) / "files"
            for name, content in files.items():
                _write_one(staged / name, content, link)
            hashes = {name: hash_file(staged / name) for name in files}
            record = {"target": target, "files": hashes}
            _write_one(staged / RECORD, json.dumps(record, indent=2) + "\n", link)
            if not out.exists():
                staged.rename(out)
                return
            for name in (*files, RECORD):
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                (staged / name).replace(out / name)
            for name in before.keys() - files.keys():
                (out / name).unlink(missing_ok=True)


def _write_one(path: Path, content: Content, link: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        link_or_copy(content, path) if link else path.write_bytes(content.read_bytes())
        return
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    if path.suffix == ".sh":
        path.chmod(0o755)


def _recorded(out: Path, target: str) -> dict[str, str | None]:
    """Return the hashes of what was generated there before, by name.

    Raises:
        UsageError: when anything else is there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return {}
    if not (out / RECORD).is_file():
        raise UsageError(f"{out} exists, and kerasdl did not make it. {_ADVICE}")
    record = read_json(out / RECORD, _ADVICE, shape=Record)
    if record["target"] != target:
        raise UsageError(f"{out} was made for {record['target']}, not for {target}. {_ADVICE}")
    paths = [path for path in out.rglob("*") if path.is_symlink() or not path.is_dir()]
    there = {path.relative_to(out).as_posix(): path for path in paths if path != out / RECORD}
    before = {name: record["files"].get(name) for name in there}  # a record names nothing outside of it
    changed = sorted(
        name for name, path in there.items() if path.is_symlink() or before[name] != hash_file(path)
    )
    if changed:
        shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
        raise UsageError(f"{out} holds what is not as kerasdl made it: {shown}. Move it away. {_ADVICE}")
    return before
