"""Bundles that hold a card and files of a few bytes: what apps are generated from."""

import base64
import hashlib
import json

import numpy as np

PICTURE = {"fit": "squeeze", "background": "white", "bits": 16, "orientation": "exif"}
LABELS = ["ant's", 'b "quoted" $name', "c\\d <e> \u00e9"]


def write(
    folder,
    *,
    name="x",
    kind="picture",
    channels=1,
    modes=("float32", "int8"),
    onnx=True,
    picture=PICTURE,
    io="float32",
    dynamic_batch=False,
):
    """Write a bundle `folder/NAME/1` whose files take pictures of 5 x 4, words, or two vectors; return it."""
    path = folder / name / "1"
    path.mkdir(parents=True)
    shapes = {
        "picture": {"images": {"shape": [None, 5, 4, channels], "dtype": "uint8"}},
        "text": {"ids": {"shape": [None, None], "dtype": "int32"}},
        "vectors": {name: {"shape": [None, 3], "dtype": "float32"} for name in ("a", "b")},
    }
    inputs = shapes[kind]
    contents = {f"x.{mode}.tflite": f"tflite {mode}" for mode in modes} | ({"x.onnx": "onnx"} if onnx else {})
    files = {**contents, "labels.txt": "".join(f"{label}\n" for label in LABELS)}
    if kind == "text":
        files["vocab.txt"] = "<PAD>\n<UNKNOWN>\ngood\nbad\n"
        files["tokenizer.json"] = json.dumps({"max_length": 6, "standardize": "lower_and_strip_punctuation"})
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    endpoint = {
        "name": "serving_default" if kind != "text" else "serving_ids",
        "formats": ["tflite", "onnx"],
        "inputs": inputs,
        "outputs": {
            "probabilities": {"shape": [None, 3], "dtype": "float32"},
            "class_ids": {"shape": [None], "dtype": "int32"},
        },
        "derived": ["class_ids"],
    }
    kinds = {name: "onnx" if name.endswith("onnx") else name.split(".")[1] for name in contents}
    card = {
        "name": name,
        "labels": LABELS,
        "endpoints": [endpoint],
        "tflite_io": io,
        "dynamic_batch": dynamic_batch,
        "data": {"features": {"shape": [5, 4, channels], "dtype": "uint8", "picture": picture}},
        "artefacts": [
            {"file": name, "kind": kind, "endpoint": endpoint["name"], "endpoints": {endpoint["name"]: {}},
             "bytes": 1, "sha256": ""}
            for name, kind in kinds.items()
        ],
        "files": {name: {"sha256": hashlib.sha256((path / name).read_bytes()).hexdigest()} for name in files},
        "samples": samples(endpoint["name"], channels) if kind == "picture" else None,
    }  # fmt: skip
    (path / "card.json").write_text(json.dumps(card))
    return path


def samples(endpoint, channels):
    """Return two examples as a card holds them, dark ones."""
    pixels = np.arange(2 * 20 * channels, dtype=np.uint8).reshape(2, 5, 4, channels)
    answers = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]], np.float32)
    outputs = {"keras": {"probabilities": encoded(answers)}}
    return {
        "labels": {},
        "endpoints": {endpoint: {"inputs": {"images": encoded(pixels)}, "outputs": outputs}},
    }


def encoded(array):
    """Return an array as a card holds it."""
    text = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": text}
