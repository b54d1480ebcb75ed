"""How a picture becomes the input of a bundle's files: the part of its README that an app's author needs."""

from collections.abc import Mapping
from typing import Any

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.preprocessing.picture import Picture

_TEXT = """
## From a picture to the input

Files take pixels as people see them, height before width, {colours}, 0 to 255. What else the network needs
(its own size, scale, mean) is inside the files. In this order, as in training and in `kerasdl predict`:

1. {orientation}
2. {background}
3. {deep}
4. Size: {fit}; bilinear with antialiasing (a triangle filter as wide as the coarser of the two grids).
5. {channels}

```python
import numpy as np
from PIL import Image, ImageOps

photo = Image.open("photo.jpg")  # your own
{code}
pixels = np.asarray(photo.convert("{mode}"), np.uint8).reshape(1, {height}, {width}, {number})
```
"""
_BYTES = """
`serving_bytes` of the SavedModel does all of this with JPEG and PNG files. It also takes still WebP (whose
EXIF tag it ignores), GIF (transparent parts stay black), and BMP without a palette. It refuses TIFF, animated
WebP and BMP with a palette: send PNG.
"""
_BYTES_AS_STORED = """
`serving_bytes` of the SavedModel reads JPEG, PNG, BMP and GIF; it ignores EXIF tags and transparency.
"""
_FITS = {
    "squeeze": (
        "squeezed to {0} x {1} (height x width), without a crop or bars",
        "photo = photo.resize(({1}, {0}), Image.Resampling.BILINEAR)",
    ),
    "crop": (
        "the largest part with the proportions of {0} x {1} (height x width) is cut out of the middle, and "
        "resized",
        "scale = min(photo.width / {1}, photo.height / {0})\n"
        "width, height = round({1} * scale), round({0} * scale)\n"
        "left, top = (photo.width - width) // 2, (photo.height - height) // 2\n"
        "photo = photo.crop((left, top, left + width, top + height))\n"
        "photo = photo.resize(({1}, {0}), Image.Resampling.BILINEAR)",
    ),
    "letterbox": (
        "resized to fit into {0} x {1} (height x width), between {2} bars",
        'photo = ImageOps.pad(photo, ({1}, {0}), Image.Resampling.BILINEAR, "{2}")',
    ),
}


def picture_text(card: Mapping[str, Any]) -> str:
    """Return the part of the README about pictures; none where the files take something else."""
    features = card.get("data", {}).get("features", {})
    if not isinstance(features.get("dtype"), str):
        return ""
    inputs = DataSpec.from_description(card["data"]).inputs
    names = {name for endpoint in card["endpoints"] for name in endpoint["inputs"]}
    if not inputs.is_image or ("noise" in names and "images" not in names):
        return ""
    is_before = inputs.picture.orientation == "stored" or inputs.picture.background == "ignored"
    takes_files = any("image_bytes" in endpoint["inputs"] for endpoint in card["endpoints"])
    of_bytes = _BYTES_AS_STORED if is_before else _BYTES
    return _of_image(inputs, inputs.picture) + of_bytes * takes_files


def _of_image(inputs: Spec, picture: Picture) -> str:
    height, width, number = inputs.shape
    is_upright, is_shown = picture.orientation == "exif", picture.background != "ignored"
    bars = picture.background if is_shown else "black"
    fit, resize = (text.format(height, width, bars) for text in _FITS[picture.fit])
    code = ["photo = ImageOps.exif_transpose(photo)"] if is_upright else []
    if is_shown:
        code += [
            'photo = photo.convert("RGBA")',
            f'photo = Image.alpha_composite(Image.new("RGBA", photo.size, "{picture.background}"), photo)',
        ]
    white = 2**picture.bits - 1
    return _TEXT.format(
        colours="red, green, blue" if number == 3 else "one channel of grey",
        orientation="Upright, as the EXIF orientation tag (1 to 8) of the photo says."
        if is_upright
        else "As the pixels are stored: the EXIF orientation tag is ignored.",
        background=f"Transparent parts on {picture.background}."
        if is_shown
        else "Transparency is dropped: the colours that lie under it are taken.",
        deep=f"Pixels of 16 bits: value * 255 / {white}, at most 255. Of animations and pages: the first.",
        fit=fit,
        channels="Colours: red, green, blue in this order; grey pictures have three times the same value."
        if number == 3
        else "Grey: 0.299 red + 0.587 green + 0.114 blue, rounded.",
        code="\n".join([*code, 'photo = photo.convert("RGB")', resize]),
        mode="RGB" if number == 3 else "L",
        height=height,
        width=width,
        number=number,
    )
