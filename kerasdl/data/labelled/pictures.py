"""Sources of encoded pictures: how these come to be arrays of one size."""

import dataclasses
from typing import Self

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.labelled.carving import check_fields, check_image_size
from kerasdl.data.labelled.choice import Choice
from kerasdl.preprocessing import picture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pictures(Choice):
    """A source of encoded pictures with labels; its fields are recorded, and hold in every exported file."""

    # Height and width in pixels that images are brought to; none for the network's, or that of the images.
    image_size: tuple[int, int] | None = None
    # How an image comes to that size: squeeze, crop its middle, or letterbox with bars at its sides.
    fit: picture.Fit = "squeeze"
    # What lies behind transparent parts and is the colour of bars: white, black, or ignored transparency.
    background: picture.Background = "white"
    # Bits that 16-bit images use, 8 to 16: 12 makes 4,095 white; none for what the largest value needs.
    bits: int | None = None
    # Turn photos upright as their EXIF tag says, or take them as they are stored.
    orientation: picture.Orientation = "exif"

    def __post_init__(self):
        check_fields(self)
        check_image_size(self.image_size)
        self.picture()  # checks the others

    def picture(self, bits: int = 16) -> picture.Picture:
        """Return how images are read, where 16-bit ones need so many bits."""
        return picture.Picture(
            fit=self.fit,
            background=self.background,
            bits=bits if self.bits is None else self.bits,
            orientation=self.orientation,
        )

    def like(self, spec: DataSpec) -> Self:
        """Return this source reading images as those of a run were read."""
        if not isinstance(spec.inputs, Spec) or not spec.inputs.is_image:
            return self
        settings = dataclasses.asdict(spec.inputs.picture)
        return dataclasses.replace(self, image_size=spec.inputs.shape[:2], **settings)
