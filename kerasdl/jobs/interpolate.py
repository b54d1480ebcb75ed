"""Lets a generative network go from one image to another: as a strip, or as a film."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import UsageError
from kerasdl.inference import latents, reading
from kerasdl.jobs import endpoints
from kerasdl.jobs.generate_images import Maker, kind_of, write_film, write_picture
from kerasdl.jobs.target import Target
from kerasdl.report import pictures

_MOST = 1000
_MOST_ROWS = 16
_STRIP_SIDE = 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a network goes from one image to another.

    Attributes:
        first: image file to begin at; None for one that is drawn.
        last: image file to end at; None likewise.
        steps: number of images, both ends among them.
        class_name: name or number of the class; None for a row for each class.
        seed: seed of the noise, where the ends are drawn.

    Raises:
        UsageError: for a value outside its range, and for one image without the other.
    """

    first: Path | None = None
    last: Path | None = None
    steps: int = 8
    class_name: str | None = None
    seed: int = 0

    def __post_init__(self):
        if not 2 <= self.steps <= _MOST:
            raise UsageError(f"steps is {self.steps}, but it has to be from 2 to {_MOST:,}.")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}, but it has to be 0 or more.")
        if (self.first is None) != (self.last is None):
            raise UsageError("--from and --to go together: give both images, or none to draw both ends.")


def interpolate(target: Target, settings: Settings, out: Path) -> dict[str, Any]:
    """Make images between two ends, and write them.

    The way between the ends is an arc (`kerasdl.inference.latents.spherical`), of the noise that is drawn, or
    of the means that `encode` finds for two images.

    Args:
        target: a run, a bundle or an exported file of a generative network.
        settings: how; equal ones give equal images.
        out: `.png` for a strip, `.gif` for a film there and back.

    Returns:
        The endpoint, the settings by name, and where the images are.

    Raises:
        UsageError: when the target cannot do it, or `out` cannot be written to.
    """
    kind = kind_of(out, (".png", ".gif"))
    if settings.first is not None:
        endpoints.need(target, "encode", "describe images, as --from and --to need")
    maker = Maker(target, ("decode",) if settings.first else latents.MAKING)
    asked, num_classes = maker.class_of(settings.class_name), len(maker.target.labels)
    if settings.first is not None and maker.is_conditional and asked is None:
        raise UsageError(f"{target.path} describes images of a class: give --class, that of the two images.")
    if settings.first is None:
        ends = latents.normal(settings.seed, 2, maker.noise_shape)
    else:
        ends = _encoded(target, (settings.first, settings.last), asked)
    way = latents.spherical(*ends, np.linspace(0, 1, settings.steps))
    rows = [asked] if asked is not None or not maker.is_conditional else range(min(num_classes, _MOST_ROWS))
    labels = np.repeat(np.array(rows, np.int32), settings.steps) if maker.is_conditional else None
    images = maker.images(np.tile(way, (len(rows), *[1] * (way.ndim - 1))), labels)
    if kind == ".png":
        write_picture(out, pictures.grid(images, settings.steps), _STRIP_SIDE)
    else:
        frames = [pictures.grid(images[step :: settings.steps]) for step in range(settings.steps)]
        write_film(out, np.stack(frames + frames[-2:0:-1]))
    ends = {"first": settings.first and str(settings.first), "last": settings.last and str(settings.last)}
    kept = {**dataclasses.asdict(settings), **ends}
    return {"target": str(target.path), "endpoint": maker.endpoint, **kept, "out": str(out)}


def _encoded(target: Target, files: tuple[Path, Path], asked: int | None) -> np.ndarray:
    """Return the means of the latents of two image files, (2, *shape)."""
    encoder = endpoints.need(target, "encode", "describe images")
    images = np.stack([reading.read_image(encoder.spec.inputs, str(file)) for file in files])
    labels = {} if asked is None else {"labels": np.full(2, asked, np.int32)}
    return encoder.predictor.call("encode", {"images": images, **labels})["mean"]
