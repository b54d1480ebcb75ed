"""Class names as text: one a line, the same in `labels.txt`, in TFLite files and in ONNX files."""

from collections.abc import Iterable

from kerasdl.data.dataset import DataSpec
from kerasdl.errors import UsageError

FILE_NAME = "labels.txt"


def to_text(labels: Iterable[str]) -> str:
    """Join labels, each with its line end.

    Raises:
        UsageError: when a label contains a line end.
    """
    labels = list(labels)
    for label in labels:
        if label.splitlines() not in ([label], []):
            raise UsageError(
                f"The class name {label!r} contains a line end; label files hold one name a line."
            )
    return "".join(f"{label}\n" for label in labels)


def from_text(text: str) -> tuple[str, ...]:
    """Split what `to_text` joined."""
    return tuple(text.split("\n")[:-1])


def assets(data: DataSpec) -> dict[str, str]:
    """Return the text files that belong to the data, by name; the names of classes are one.

    Raises:
        UsageError: when a class name contains a line end.
    """
    return {**({FILE_NAME: to_text(data.class_names)} if data.class_names else {}), **data.assets}
