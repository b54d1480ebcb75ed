"""Lets a run, a bundle or an exported file make images: as a grid, as files, or as a film."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.errors import UsageError
from kerasdl.files import replacing, writing
from kerasdl.inference import latents
from kerasdl.inference.labels import class_number
from kerasdl.jobs import endpoints
from kerasdl.jobs.target import Target
from kerasdl.report import pictures

_MOST = 10_000  # images in a picture, frames of a film
_LEG = 16  # frames from one point of a film to the next
_GRID_SIDE, _FRAME_SIDE = 512, 256  # pixels that small pictures are enlarged to, about
_ADVICE = "Give another place with --out."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How images are made.

    Attributes:
        count: number of images, or of frames of a film; None for 64, or for 8 of each of up to 16 classes.
        class_name: name or number of the class that is asked for; None for all in turn.
        seed: seed of the noise.
        truncation: factor on the noise: below 1 the images are more typical and less diverse.

    Raises:
        UsageError: for a value outside its range.
    """

    count: int | None = None
    class_name: str | None = None
    seed: int = 0
    truncation: float = 1.0

    def __post_init__(self):
        for name, low in (("count", 1), ("seed", 0), ("truncation", 0)):
            value = getattr(self, name)
            if value is not None and not low <= value < float("inf"):
                raise UsageError(f"{name} is {value:g}, but it has to be {low} or more.")


class Maker:
    """Makes images by an endpoint of a target.

    Args:
        target: a run, a bundle or a file.
        names: endpoints to look for, in this order.

    Raises:
        UsageError: when it has none of them.
    """

    def __init__(self, target: Target, names: tuple[str, ...] = latents.MAKING):
        found = endpoints.find(target, *names)
        if found is None:
            raise UsageError(
                f"{target.path} makes no images: it has the endpoints {', '.join(target.predictor.inputs)}, "
                f"but not {' or '.join(names)}. Give the run, the bundle or a file of a generative network."
            )
        self.target, self.endpoint = found
        specs = self.target.predictor.inputs[self.endpoint]
        self.noise_name, self.noise_shape = latents.noise_input(specs)
        self.is_conditional = "labels" in specs
        self._call = functools.partial(self.target.predictor.call, self.endpoint)

    def class_of(self, name: str | None) -> int | None:
        """Return the number of a class that is asked for.

        Raises:
            UsageError: when there is no such class, or the network cannot be asked for any.
        """
        if name is None:
            return None
        if not self.is_conditional:
            raise UsageError(
                f"{self.target.path} cannot be asked for a class: its network was trained without "
                "--conditional. Leave --class out."
            )
        return class_number(name, self.target.labels)

    def batches(self, noise: np.ndarray, labels: np.ndarray | None) -> Iterator[np.ndarray]:
        """Yield the images of noise (N, *noise_shape) and classes (N,): (B, H, W, C), uint8."""
        images = latents.images_of(self._call, self.noise_name, noise, labels)
        return map(pictures.as_uint8, images)

    def images(self, noise: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Return the images of noise (N, *noise_shape) and classes (N,): (N, H, W, C), uint8."""
        return np.concatenate(list(self.batches(noise, labels)))


def generate(target: Target, settings: Settings, out: Path) -> dict[str, Any]:
    """Make images, and write them.

    Args:
        target: a run, a bundle or an exported file of a network with an endpoint `generate` or `decode`.
        settings: how they are made; equal ones give equal images.
        out: `.png` for a grid, with a row for each class where all are made in turn; `.gif` for a film, a way
            through the noise that ends where it began; without a suffix a folder of PNG files, in a folder
            for each class where the network is conditional.

    Returns:
        The target, the endpoint, the settings by name, and where the images are.

    Raises:
        UsageError: when the target makes none, or `out` cannot be written to.
    """
    kind = kind_of(out, ("", ".png", ".gif"))
    maker = Maker(target)
    asked, names = maker.class_of(settings.class_name), maker.target.labels
    in_turn = maker.is_conditional and asked is None
    count = settings.count or latents.default_count(len(names) if in_turn else 0)
    if kind and count > _MOST:
        raise UsageError(f"count is {count:,}, but a picture holds at most {_MOST:,}. Give a folder: --out.")
    labels = None
    if maker.is_conditional:
        labels = latents.in_turn(count, len(names)) if in_turn else np.full(count, asked, np.int32)
    noise = latents.normal(settings.seed, count, maker.noise_shape)
    if kind == ".gif":
        noise = latents.walk(noise[: max(2, -(-count // _LEG))], count)
    noise *= np.float32(settings.truncation)
    if kind:
        images = maker.images(noise, labels)
        if kind == ".gif":
            write_film(out, images)
        else:
            write_picture(out, pictures.arranged(images, labels))
    else:
        _write_folder(out, maker.batches(noise, labels), labels, names)
    kept = dataclasses.asdict(settings)
    found = {"target": str(maker.target.path), "endpoint": maker.endpoint, **kept, "count": count}
    return {**found, "out": str(out)}


def kind_of(out: Path, kinds: tuple[str, ...]) -> str:
    """Return the suffix of a place to write to, in lower case.

    Args:
        out: the place.
        kinds: suffixes that are known, "" for a folder.

    Raises:
        UsageError: for another suffix, and for a place that is taken by something else.
    """
    suffix = out.suffix.lower()
    if suffix not in kinds:
        shown = ", ".join(kind or "none (a folder)" for kind in kinds)
        raise UsageError(f"--out is {out}, but its suffix has to be one of these: {shown}.")
    if suffix and out.is_dir():
        raise UsageError(f"{out} is a folder. {_ADVICE}")
    if not suffix and (out.is_file() or (out.is_dir() and any(out.iterdir()))):
        what = "a file" if out.is_file() else "a folder that is not empty"
        raise UsageError(f"{out} is {what}, and nothing is overwritten. {_ADVICE}")
    return suffix


def write_picture(out: Path, pixels: np.ndarray, side: int = _GRID_SIDE) -> None:
    """Write a picture as PNG; a small one is enlarged.

    Raises:
        UsageError: when it cannot be written there.
    """
    _write(out, lambda path: pictures.write_png(path, pictures.enlarged(pixels, side)))


def write_film(out: Path, frames: np.ndarray) -> None:
    """Write images (N, H, W, C), uint8, as an animation; small ones are enlarged.

    Raises:
        UsageError: when it cannot be written there.
    """
    _write(
        out,
        lambda path: pictures.write_gif(path, [pictures.enlarged(frame, _FRAME_SIDE) for frame in frames]),
    )


def _write_folder(
    out: Path, batches: Iterator[np.ndarray], labels: np.ndarray | None, names: Sequence[str]
) -> None:
    """Write each image as a file; of a conditional network into the folder of its class."""
    number = 0
    with writing(out, _ADVICE), replacing(out) as temporary:
        temporary.mkdir()
        for image in itertools.chain.from_iterable(batches):
            name = "" if labels is None else _folder_name(names, int(labels[number]))
            (temporary / name).mkdir(exist_ok=True)
            number += 1
            pictures.write_png(temporary / name / f"{number:05d}.png", image)


def _folder_name(names: Sequence[str], label: int) -> str:
    """Return the name of a class, or its number where that is no name of a folder."""
    name = names[label]
    return name if name == Path(name).name and name not in ("", "..") else str(label)


def _write(out: Path, write: Callable[[Path], None]) -> None:
    with writing(out, _ADVICE), replacing(out) as temporary:
        write(temporary)
