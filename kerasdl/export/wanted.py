"""The files of a bundle that are asked for."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from kerasdl.errors import RunFailedError, UsageError, did_you_mean
from kerasdl.export.artefact import Artefact
from kerasdl.export.modes import MODES
from kerasdl.inference.endpoint import ALL_FORMATS

_OTHERS = ", or leave both flags out: then what cannot be converted is left out and named"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a bundle that are asked for.

    Attributes:
        formats: some of `ALL_FORMATS`; None for those that an endpoint has.
        tflite_modes: some of `MODES`; None for `DEFAULT_MODES`.
        dynamic_batch: let the TFLite files take any batch size; without it they take one example.
        tflite_io: type of inputs and outputs of int8 files, one of `IO_TYPES`.
        tflite_unroll: write every step of recurrent layers out instead of a loop, as MediaPipe needs it.
        new_signature: make it a version of `<name>` although that answers otherwise so far.
    """

    formats: Sequence[str] | None = None
    tflite_modes: Sequence[str] | None = None
    dynamic_batch: bool = False
    tflite_io: str = "float32"
    tflite_unroll: bool = False
    new_signature: bool = False

    def names(self, artefact: Artefact) -> bool:
        """Tell whether a file was asked for by name, by its format or its mode."""
        return artefact.format in (self.formats or ()) or artefact.kind in (self.tflite_modes or ())

    def check_words(self) -> None:
        """Raise a UsageError for unknown formats and modes."""
        asked = (("format", self.formats, ALL_FORMATS), ("TFLite mode", self.tflite_modes, MODES))
        for kind, words, known in asked:
            for word in words or ():
                if word not in known:
                    near = did_you_mean(word, known)
                    raise UsageError(f"There is no {kind} {word!r}; there are {', '.join(known)}.{near}")

    def check_whole(self, plan: Collection[Artefact], errors: Mapping[str, str]) -> None:
        """Raise a RunFailedError unless all is there that was asked for by name, and at least one file."""
        missing = [artefact for artefact in plan if artefact.file in errors]
        reasons = [f"{artefact.file}: {errors[artefact.file]}" for artefact in missing]
        if len(missing) == len(plan):
            raise RunFailedError("\n".join(["Nothing could be exported.", *reasons]))
        if any(self.names(artefact) for artefact in missing):
            said = "Nothing was published: not all that was asked for by name could be written."
            advice = f"Leave it out of --formats or --tflite-modes{_OTHERS}."
            raise RunFailedError("\n".join([said, *reasons, advice]))


DEFAULT_FILES = Files()
