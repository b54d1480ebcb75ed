"""Class names as text: one a line, the same in `labels.txt`, in TFLite files and in ONNX files."""

from collections.abc import Iterable, Sequence

from kerasdl.data.dataset import DataSpec
from kerasdl.errors import UsageError, did_you_mean

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


def class_number(text: str, labels: Sequence[str]) -> int:
    """Return the number of a class that is given by its name, or by its number from 0 on.

    Raises:
        UsageError: when there is no such class.
    """
    if text in labels:
        return labels.index(text)
    if text.isdecimal() and int(text) < len(labels):
        return int(text)
    some = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
    raise UsageError(
        f"There is no class {text!r}; there are {len(labels)}: {some}. Give a name, or an index from 0."
        + did_you_mean(text, labels)
    )


def assets(data: DataSpec) -> dict[str, str]:
    """Return the text files that belong to the data, by name; the names of classes are one.

    Raises:
        UsageError: when a class name contains a line end.
    """
    return {**({FILE_NAME: to_text(data.class_names)} if data.class_names else {}), **data.assets}
