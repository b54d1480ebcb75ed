"""Writes the README.md of a bundle: content, metrics, and code for each file."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kerasdl.export.readme import templates
from kerasdl.export.readme.choice import choice_text
from kerasdl.export.readme.pictures import picture_text
from kerasdl.export.readme.steps import steps_text
from kerasdl.export.readme.tags import tags_part
from kerasdl.export.readme.texts import INPUT, VALUES, has_words, text_part
from kerasdl.inference.endpoint import figure_of
from kerasdl.inference.steps import STEP

#: How languages call the types of inputs, and write an array of zeros.
_TYPES = {
    "javascript": {
        "uint8": "Uint8Array",
        "int32": "Int32Array",
        "int64": "BigInt64Array",
        "float32": "Float32Array",
    },
    "kotlin": {"float32": "Float", "int32": "Int", "int64": "Long"},
    "swift": {"float32": "Float32", "int32": "Int32", "int64": "Int64"},
}
_ZEROS = {
    "javascript": "new {type}({count})",
    "kotlin": "{type}Array({count})",
    "swift": "[{type}](repeating: 0, count: {count})",
}

Fields = Mapping[str, Any]


def readme_text(card: Fields, assets: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the README of a bundle.

    Args:
        card: content of `card.json`.
        assets: content of the bundle's text files by name. Defaults to none.
    """
    own = {INPUT: VALUES} if has_words(card, assets) else {}
    rows = [row for row in card["artefacts"] if "error" not in row]
    endpoints = {endpoint["name"]: endpoint for endpoint in card["endpoints"]}
    parts = [_head(card, rows), picture_text(card), text_part(card, assets), tags_part(card, assets)]
    parts.append(steps_text(card))
    shown = set()  # one section for all TFLite files
    for row in rows:
        kind = row["kind"] if row["kind"] in ("saved_model", "onnx") else "tflite"
        if kind == "tflite" and kind in shown:
            continue
        shown.add(kind)
        write = {"saved_model": _saved_model, "tflite": _tflite, "onnx": _onnx}[kind]
        whole = own if row["endpoint"] != STEP else {}  # of a step there is no example
        parts.append(write(card, row["file"], endpoints[row["endpoint"]], whole))
    return "".join(parts)


def _head(card: Fields, rows: Sequence[Fields]) -> str:
    figures = {key: None for row in rows for key, value in row.items() if isinstance(value, float)}
    figures.pop("latency_ms", None)
    figures = {key: None for key in figures if not key.startswith("network_")}  # of no file
    evaluated = {key: None for row in rows for key in row.get("evaluation", {}) if key != "examples"}
    if not figures.keys() & evaluated.keys():  # the comparison does not tell how good a file is
        figures |= evaluated
    lines = []
    for row in rows:
        values = [figure_of(row, key) for key in figures]
        shown = [f"{value:.4g}" if isinstance(value, (int, float)) else "" for value in values]
        latency = f"{row['latency_ms']:.3g} ms" if "latency_ms" in row else ""
        cells = [f"`{row['file']}`", f"{row['bytes'] / 1000:,.0f} kB", *shown, latency]
        lines.append(f"| {' | '.join(cells)} |")
    about = f"Exported by kerasdl {card['versions']['kerasdl']} on {card['created'][:10]}."
    if card["labels"]:
        labels = ", ".join(card["labels"][:10]) + (", ..." if len(card["labels"]) > 10 else "")
        about += f" Classes in the order of the outputs (`labels.txt`): {labels}."
    left_out = [row for row in card["artefacts"] if row.get("refused")]
    about += "".join(f"\n\nLeft out: `{row['file']}`, {row['error']}." for row in left_out)
    said = card.get("metrics", {}).get("verdicts", ())
    about += "".join(f"\n\n**{verdict['text']}** Try: `{verdict['command']}`" for verdict in said)
    return templates.HEAD.format(
        name=card["name"],
        about=about,
        choice=choice_text(card),
        titles=" | ".join(key.replace("_", " ") for key in figures),
        lines="---:|" * len(figures),
        rows="\n".join(lines),
        examples=card["examples"],
        endpoints="\n".join(_describe(endpoint) for endpoint in card["endpoints"]),
    )


def _describe(endpoint: Fields) -> str:
    inputs = []
    for key, spec in endpoint["inputs"].items():
        sizes = ", ".join("any" if size is None else str(size) for size in spec["shape"])
        drawn = ", drawn from the standard normal distribution" * (key in ("noise", "latents"))
        inputs.append(f"`{key}` {spec['dtype']} ({sizes}){drawn}")
    return f"- `{endpoint['name']}` ({', '.join(endpoint['formats'])}) takes {', '.join(inputs)}."


def _saved_model(card: Fields, file: str, endpoint: Fields, own: Fields) -> str:
    encoded = [
        templates.CURL_BYTES.format(name=card["name"], endpoint=other["name"], input=key)
        for other in card["endpoints"]
        for key, spec in other["inputs"].items()
        if spec["dtype"] == "string" and key.endswith("_bytes")
    ]
    values = {key: _nested(endpoint, spec) for key, spec in endpoint["inputs"].items()}
    return templates.SAVED_MODEL.format(
        name=card["name"],
        endpoint=endpoint["name"],
        arrays=_arrays(endpoint, own),
        tensors=", ".join(f"{key}=tf.constant({key})" for key in endpoint["inputs"]),
        inputs=", ".join(f'"{key}": {value}' for key, value in values.items()),
        encoded="".join(encoded),
    )


def _tflite(card: Fields, file: str, endpoint: Fields, own: Fields) -> str:
    io = card.get("tflite_io", "float32")
    whole = io if file.endswith(".int8.tflite") else "float32"
    inputs = {
        key: {**spec, "dtype": whole if spec["dtype"] in ("uint8", "float32") else spec["dtype"]}
        for key, spec in endpoint["inputs"].items()
    }
    dtypes = ", ".join(f"`{key}` is {spec['dtype']}" for key, spec in inputs.items())
    batch = "Any batch size" if card["dynamic_batch"] else "One example a call"
    pixels = ", with the same values as everywhere (pixels: 0 to 255)" * ("images" in inputs)
    labels = "\nLabels are inside the files too: `labels.txt` in a zip archive at their end."
    endpoint = {**endpoint, "inputs": inputs}
    return templates.TFLITE.format(
        takes=f"{batch}; {dtypes}{_whole(io)}{pixels}",
        labels=labels * bool(card["labels"]),
        file=file,
        stem=file.removesuffix(".tflite"),
        endpoint=endpoint["name"],
        arrays=_arrays(endpoint, own),
        keywords=", ".join(f"{key}={key}" for key in inputs),
        kotlin_inputs=_lines(templates.KOTLIN_INPUT, endpoint, "kotlin", own),
        kotlin_outputs="\n".join(
            f'    "{key}" to model.createOutputBuffer("{key}", "{endpoint["name"]}"),'
            for key in endpoint["outputs"]
            if key not in endpoint.get("derived", ())
        ),
        swift_inputs=_lines(templates.SWIFT_INPUT, endpoint, "swift", own),
        swift_map=", ".join(f'"{key}": {key}' for key in inputs),
        js_inputs=_lines(templates.LITERT_JS_INPUT, endpoint, "javascript", own),
        output=_main_output(endpoint),
        apps=templates.APPS * _is_for_apps(endpoint, own),
    )


def _is_for_apps(endpoint: Fields, own: Fields) -> bool:
    """Tell whether `kerasdl demo` and `kerasdl deploy --to android` take it: one picture, or words."""
    shapes = {name: spec["shape"] for name, spec in endpoint["inputs"].items()}
    is_picture = list(shapes) == ["images"] and len(shapes["images"]) == 4 and shapes["images"][-1] in (1, 3)
    return is_picture or (list(shapes) == [INPUT] and INPUT in own)


def _whole(io: str) -> str:
    if io == "float32":
        return ""
    return (
        f". (The int8 file takes and gives {io}: a real number divided by the scale of the tensor, plus its "
        "zero point, both of which the interpreter tells as `quantization`)"
    )


def _onnx(card: Fields, file: str, endpoint: Fields, own: Fields) -> str:
    return templates.ONNX.format(
        file=file,
        arrays=_arrays(endpoint, own),
        feed=", ".join(f'"{key}": {key}' for key in endpoint["inputs"]),
        js_inputs=_lines(templates.ONNX_JS_INPUT, endpoint, "javascript", own),
        output=_main_output(endpoint),
    )


def _main_output(endpoint: Fields) -> str:
    """Return the first output of real numbers, else the first."""
    names = list(endpoint["outputs"])
    return next((name for name in names if endpoint["outputs"][name]["dtype"].startswith("float")), names[0])


def _lines(template: str, endpoint: Fields, language: str, own: Fields) -> str:
    """Fill a line for each input."""
    lines = []
    for key, spec in endpoint["inputs"].items():
        shape, kind = _filled(endpoint, spec), _TYPES[language][spec["dtype"]]
        zeros = _ZEROS[language].format(type=kind, count=math.prod(shape))
        value = own.get(key, {}).get(language)
        comment = "" if value else "  // your own"
        lines.append(
            template.format(
                name=key,
                endpoint=endpoint["name"],
                dtype=spec["dtype"],
                type=kind,
                shape=shape,
                value=value or zeros,
            )
            + comment
        )
    return "\n".join(lines)


def _arrays(endpoint: Fields, own: Fields) -> str:
    """Return lines of Python that make an example of each input."""
    lines = []
    for key, spec in endpoint["inputs"].items():
        shape = tuple(_filled(endpoint, spec))
        is_text = spec["dtype"] == "string"
        value = f'np.full({shape}, "some text")' if is_text else f"np.zeros({shape}, np.{spec['dtype']})"
        lines.append(f"{key} = {own[key]['python']}" if key in own else f"{key} = {value}  # your own")
    return "\n".join(lines)


def _filled(endpoint: Fields, spec: Fields) -> list[int]:
    """Return the shape of one example, as long as phones take it where it may have any length."""
    first, *others = spec["shape"]
    return [first or 1, *(size or endpoint.get("phone_length") or 1 for size in others)]


def _nested(endpoint: Fields, spec: Fields) -> str:
    """Return the Python that makes nested lists of zeros, or of texts."""
    filled = '"some text"' if spec["dtype"] == "string" else "0"
    return f"np.full({tuple(_filled(endpoint, spec))}, {filled}).tolist()"
