"""Describes a bundle to an app on a phone or in a browser: one example in, its answer out."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasdl.deploy.description import Called, Described, Tensor
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.files import hash_file
from kerasdl.preprocessing.picture import Picture

_log = logging.getLogger(__name__)

VOCABULARY, TOKENIZER, LABELS = "vocab.txt", "tokenizer.json", "labels.txt"

#: TFLite modes, from the one that is closest to Keras.
MODES = ("float32", "float16", "dynamic", "int8", "int16x8")


@dataclasses.dataclass(frozen=True)
class App:
    """What an app needs to know of a bundle.

    Attributes:
        bundle: the bundle.
        endpoint: the endpoint that it calls.
        input: the one input: "images" (1, height, width, channels) or "ids" (1, length).
        shape: shape of the input, of one example.
        picture: how a picture becomes the input; None where it takes a text.
        words: settings of the tokeniser, `max_length` and `standardize`; None where it takes a picture.
        output: the output that it shows.
        tflite: TFLite files by mode, from the one that is closest to Keras.
        onnx: the ONNX file, or None.
    """

    bundle: Described
    endpoint: Called
    input: Tensor
    shape: tuple[int, ...]
    picture: Picture | None
    words: Mapping[str, Any] | None
    output: Tensor
    tflite: Mapping[str, str]
    onnx: str | None

    @property
    def given(self) -> tuple[Tensor, ...]:
        """Outputs that TFLite files have."""
        return tuple(one for one in self.endpoint.outputs if one.name not in self.endpoint.derived)

    @property
    def assets(self) -> list[str]:
        """Names of the text files that the app reads."""
        return [LABELS] * bool(self.bundle.labels) + [VOCABULARY] * (self.words is not None)

    def tflite_file(self, mode: str | None) -> str:
        """Return the TFLite file of a mode; None stands for the one that is closest to Keras.

        Raises:
            UsageError: when there is none, or it takes whole numbers.
        """
        if mode is None and self.tflite:
            return next(iter(self.tflite.values()))
        if mode not in self.tflite:
            asked = "no TFLite file" if mode is None else f"no TFLite file of the mode {mode!r}"
            raise UsageError(
                f"{self.bundle.folder} has {asked} that takes real numbers; it has "
                f"{', '.join(self.tflite) or 'none'}. Export the run again, with --formats tflite."
            )
        return self.tflite[mode]

    def checked(self, file: str) -> Path:
        """Return the path of a file of the bundle whose hash is that of the export.

        Raises:
            RunFailedError: when it is missing or has changed.
        """
        path, recorded = self.bundle.folder / file, self.bundle.card["files"].get(file)
        if recorded is None or not path.is_file() or hash_file(path) != recorded["sha256"]:
            raise RunFailedError(f"{path} is missing, or not what was exported. Export the run again.")
        return path


def app_of(bundle: Described, what: str) -> App:
    """Describe a bundle to an app.

    Args:
        bundle: the bundle.
        what: what the app is called in messages: "The demo".

    Raises:
        UsageError: when its files take neither a picture nor the words of a text.
    """
    rows = [row for row in bundle.card["artefacts"] if "error" not in row]
    kinds = {row["kind"]: row for row in rows if row["kind"] in (*MODES, "onnx")}
    if not kinds:
        raise UsageError(f"{bundle.folder} holds no TFLite and no ONNX file. Export the run with both.")
    modes = [mode for mode in MODES if mode in kinds]
    name = kinds[modes[0] if modes else "onnx"]["endpoint"]
    endpoint = next(one for one in bundle.endpoints if one.name == name)
    whole = bundle.card.get("tflite_io", "float32") != "float32"  # int8 files take scaled whole numbers
    return App(
        bundle=bundle,
        endpoint=endpoint,
        **_input(bundle, endpoint, what),
        output=_output(endpoint),
        tflite={mode: kinds[mode]["file"] for mode in modes if not (whole and mode == "int8")},
        onnx=bundle.onnx_file(endpoint),
    )


def _input(bundle: Described, endpoint: Called, what: str) -> dict[str, Any]:
    """Return the fields of an app that are about its input."""
    first, *others = endpoint.inputs
    shape, features = endpoint.example_shape(first), bundle.card.get("data", {}).get("features", {})
    if not others and first.dtype == "uint8" and len(shape) == 4 and shape[-1] in (1, 3):
        picture = Picture.from_description(features.get("picture"))
        _warn_of_lost(picture, what)
        return {"input": first, "shape": shape, "picture": picture, "words": None}
    if not others and first.name == "ids" and len(shape) == 2 and TOKENIZER in bundle.contents:
        words = json.loads((bundle.folder / TOKENIZER).read_text(encoding="utf-8"))
        return {"input": first, "shape": (1, words["max_length"]), "picture": None, "words": words}
    takes = ", ".join(f"{one.name} {one.dtype} {list(one.shape)}" for one in endpoint.inputs)
    raise UsageError(
        f"{what} shows networks that take one picture, or one text as words; {endpoint.name} of "
        f"{bundle.folder} takes {takes}. {bundle.folder / 'README.md'} has the lines that call it."
    )


def _warn_of_lost(picture: Picture, what: str) -> None:
    """Warn of pictures that browsers and phones do not give as the network was trained on them."""
    if picture.bits < 16:
        _log.warning(
            f"{what} reads files of 16 bits a pixel by their upper 8 bits, but the network was trained on "
            f"values of {picture.bits} bits: they would be nearly black. Give it pictures of 8 bits."
        )
    if picture.background == "ignored":
        _log.warning(
            f"{what} gets no colours below transparent parts, which the network was trained on: give it "
            "pictures without transparency."
        )


def _output(endpoint: Called) -> Tensor:
    """Return the output to show: `probabilities`, else the first of real numbers."""
    given = [one for one in endpoint.outputs if one.name not in endpoint.derived]
    real = [one for one in given if one.dtype.startswith("float")]
    return next((one for one in real if one.name == "probabilities"), (real or given)[0])
