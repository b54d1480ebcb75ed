"""Says in a bundle's README which file to take for what."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from kerasdl.inference.steps import STEP


def choice_text(card: Mapping[str, Any]) -> str:
    """Return the table of targets and files, of those files that the bundle has.

    Args:
        card: content of `card.json`.
    """
    written = [row for row in card["artefacts"] if "error" not in row]
    written.sort(key=lambda row: row.get("endpoint") != STEP)  # of one kind, a file of whole examples counts
    files = {row["kind"]: f"`{row['file']}`" for row in written}
    folder = "this folder, a SavedModel" if "saved_model" in files else None
    whole_numbers, close, exact = (files.get(kind) for kind in ("int8", "float16", "float32"))
    small = [row for row in written if row["kind"] in ("int8", "dynamic")]
    whole = card.get("tflite_io", "float32") != "float32"
    microcontroller = "an int8 file with whole numbers as input: `kerasdl export RUN --tflite-io int8`"
    smallest = f"`{min(small, key=itemgetter('bytes'))['file']}`" if small else None
    rows = {
        "a phone": _either((smallest, "smallest"), (close or exact, "closest to Keras")),
        "a browser": _either((files.get("onnx"), "onnxruntime-web"), (exact or close, "LiteRT.js")),
        "a server": _either((folder, "TF Serving"), (files.get("onnx"), "ONNX Runtime, Triton")),
        "a microcontroller or NPU": (whole_numbers if whole else microcontroller) if whole_numbers else "",
    }
    lines = [f"| {target} | {told} |" for target, told in rows.items() if told]
    if not lines:
        return ""
    return "\n".join(["", "## Which file for what?", "", "| for | take |", "|---|---|", *lines, ""])


def _either(*choices: tuple[str | None, str]) -> str:
    return ", or ".join(f"{file} ({why})" for file, why in choices if file)
