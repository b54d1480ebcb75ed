"""Sentences about the images of a folder: what was done to them, and which files were left out."""

from collections.abc import Collection, Mapping
from pathlib import Path

from kerasdl.data.images.files import largest_values
from kerasdl.preprocessing.picture import Picture
from kerasdl.preprocessing.pillow import Header

_FITS = {
    "squeeze": "squeezed to {} (height x width); --fit crop or --fit letterbox keeps their proportions",
    "crop": "cropped in their middle and resized to {} (height x width)",
    "letterbox": "resized to fit into {} (height x width), with bars beside them",
}


def of_images(
    found: Mapping[Path, Header], shape: tuple[int, int, int], picture: Picture, is_size_given: bool
) -> tuple[str, ...]:
    """Return the sentences about what happens to images on their way to one size."""
    headers = list(found.values())
    sizes = sorted(
        {header.size(picture.orientation) for header in headers}, key=lambda size: (size[0] * size[1], size)
    )
    notes = []
    if len(sizes) > 1:
        to = f"{shape[0]}x{shape[1]}"
        fitted = _FITS[picture.fit].format(to)
        chosen = "" if is_size_given else f" {to} is the most common size; --image-size chooses another."
        notes.append(
            f"Images differ in size (from {sizes[0][0]}x{sizes[0][1]} to {sizes[-1][0]}x{sizes[-1][1]}): all "
            f"are {fitted}.{chosen}"
        )
    behind = {
        "ignored": "that is ignored",
        **{name: f"transparent parts are {name} (--background)" for name in ("white", "black")},
    }[picture.background]
    highest = 2**picture.bits - 1
    turn = "turned upright as it says" if picture.orientation == "exif" else "not turned (--orientation)"
    colours = sum(not header.grey for header in headers)
    sentences = {
        f"a photo's EXIF tag, {turn}": sum(header.is_turned for header in headers),
        f"an alpha channel or a transparent colour: {behind}": sum(
            header.is_transparent for header in headers
        ),
        f"16 bits a pixel: {highest:,} becomes 255, white (--bits {picture.bits})": sum(
            header.is_deep for header in headers
        ),
        "several pictures (an animation, pages): the first is taken": sum(
            header.has_frames for header in headers
        ),
        "colours, which are made grey (--image-channels 3 keeps them)": colours if shape[2] == 1 else 0,
    }
    for words, count in sentences.items():
        if count:
            notes.append(f"{count} of {len(headers)} images {'has' if count == 1 else 'have'} {words}.")
    return tuple(notes)


def of_cut_off(found: Mapping[Path, Header], picture: Picture, known: Collection[Path]) -> tuple[str, ...]:
    """Return the sentence about 16-bit images that use more bits than are read; none if none does.

    Args:
        found: headers of the images.
        picture: how these are read.
        known: images that are known to use no more.
    """
    highest = 2**picture.bits - 1
    unknown = {path: header for path, header in found.items() if path not in known}
    values = [value for value in largest_values(unknown) if value > highest] if picture.bits < 16 else []
    if not values:
        return ()
    return (
        f"{len(values)} of {len(found)} images {'has' if len(values) == 1 else 'have'} values above "
        f"{highest:,}, up to {max(values):,}: these are cut off at it (--bits {picture.bits}). Scale "
        "them as the training images are.",
    )
