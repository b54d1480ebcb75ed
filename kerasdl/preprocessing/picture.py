"""How an encoded picture becomes an array of pixels: settings, as runs and bundles record them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from kerasdl.errors import UsageError
from kerasdl.recipe.values import check_value

Fit = Literal["squeeze", "crop", "letterbox"]
Background = Literal["white", "black", "ignored"]
Orientation = Literal["exif", "stored"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """How encoded pictures are read.

    Attributes:
        fit: how a picture comes to the size: squeezed, cropped in its middle, or with bars beside it.
        background: what lies behind transparent parts, and the colour of the bars of a letterbox;
            "ignored" leaves transparency out (and bars black).
        bits: number of bits that 16-bit pictures use: the value 2**bits - 1 becomes 255.
        orientation: turn photos upright as their EXIF tag says, or take them as they are stored.
    """

    fit: Fit = "squeeze"
    background: Background = "white"
    bits: int = 16
    orientation: Orientation = "exif"

    def __post_init__(self):
        for name, annotation in (("fit", Fit), ("background", Background), ("orientation", Orientation)):
            check_value(name, getattr(self, name), annotation)
        check_value("bits", self.bits, int)
        if not 8 <= self.bits <= 16:
            raise UsageError(
                f"bits is {self.bits}, but 16-bit images use 8 to 16 of them: 12 for many X-ray images."
            )

    @classmethod
    def from_description(cls, recorded: Mapping[str, Any] | None) -> "Picture":
        """Read the JSON of `dataclasses.asdict`; None gives the rules of version 0.1.0."""
        if recorded is None:
            return AS_BEFORE
        fields = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(recorded, Mapping) or not fields.issuperset(recorded):
            raise UsageError(
                f"How pictures are read is recorded as {recorded!r}, which is damaged, or newer."
            )
        return cls(**recorded)

    @property
    def bar(self) -> float:
        """Pixel value of the bars of a letterbox."""
        return 255.0 if self.background == "white" else 0.0


#: Before these settings were recorded: no EXIF, no transparency, the upper 8 of 16 bits.
AS_BEFORE = Picture(background="ignored", orientation="stored")
