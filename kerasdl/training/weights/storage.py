"""Whether all that an HDF5 file holds lies in the file itself."""

from pathlib import Path

import h5py

from kerasdl.errors import UsageError


def check_storage(file: h5py.File, path: Path) -> None:
    """Check that nothing in an HDF5 file is read from elsewhere.

    A dataset may name any file of the reader's disk as its storage, and a link any HDF5 file: what is in
    there would become weights, and go out with the network.

    Args:
        file: opened; nothing of it has been read.
        path: where it came from, for the message.

    Raises:
        UsageError: when something lies elsewhere.
    """
    outside: list[str] = []

    def look(name: str, part: h5py.Dataset | h5py.Group) -> None:
        if isinstance(part, h5py.Dataset) and (part.external or part.is_virtual):
            outside.append(name)

    file.visititems_links(
        lambda name, link: outside.append(name) if isinstance(link, h5py.ExternalLink) else None
    )
    file.visititems(look)
    if outside:
        raise UsageError(
            f"{path} takes {outside[0]} from another file on this machine (external or virtual HDF5 "
            "storage), so it was not read. Ask for a file that holds all its weights itself."
        )
