"""`kerasdl encode`: describe images by their latents, in an .npz file or a table."""

import sys
from collections.abc import Mapping
from pathlib import Path

from kerasdl import environment
from kerasdl.cli.parser import Parser
from kerasdl.errors import UsageError
from kerasdl.report import terminal

_SPLITS = ("train", "validation", "test")
#: Methods and figures of `kerasdl.jobs.latent_figures`, in words.
_METHODS = {
    "kmeans": "k-means clusters", "mixture": "mixture of Gaussians", "linear_probe": "linear classifier",
    "nearest_neighbours": "5 nearest neighbours",
}  # fmt: skip
_KINDS = {"nmi": "mutual information", "ari": "Rand index", "accuracy": "accuracy"}


def run(parser: Parser, arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    parser.add_target("a run, a bundle, or one exported file, of a network that describes images (a VAE)")
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", help="image files (default: a split of the data)"
    )
    parser.add_data("where the data is now, or other data like it; without images")
    parser.add_argument("--split", choices=_SPLITS, help="examples of the data to describe (default: test)")
    parser.add_argument("--class", dest="class_name", metavar="NAME|INDEX",
                        help="class of all images, for a conditional network")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("latents.npz"), metavar="FILE",
                        help="latents.npz or latents.csv (default: latents.npz)")  # fmt: skip
    parser.add_argument("--figures", action="store_true",
                        help="also say how well the latents tell the classes apart: clusters, a linear "
                        "probe, nearest neighbours")  # fmt: skip
    parser.add_json()
    values = parser.parse(arguments)
    for option, value in (("--data", values.data), ("--split", values.split)):
        if values.images and value is not None:
            raise UsageError(f"Give either images or {option}, not both.")
    if values.images and values.figures:
        raise UsageError("--figures needs the classes of images: leave the files out, and give --data.")
    if not values.images and values.class_name is not None:
        raise UsageError("--class is for images; the data has labels of its own. Leave it out.")
    environment.import_tensorflow()
    from kerasdl.cli import printing
    from kerasdl.jobs import encode
    from kerasdl.jobs import open as loading

    encode.check(values.out)
    target = loading.load(values.target)
    if values.images:
        found = encode.encode_files(target, values.images, values.class_name)
    else:
        found = encode.encode_split(target, values.data, values.split or "test")
    figures = encode.figures(target, values.data, values.split or "test") if values.figures else {}
    encode.write(found, values.out)
    described = found["mean" if "mean" in found else "features"]
    count, size = described.shape[0], described[0].size
    if values.json:
        about = {"target": values.target, "images": count, "latents": size, "arrays": sorted(found)}
        printing.print_document({**about, "out": str(values.out), **figures}, as_json=True)
    else:
        terminal.say(f"{count:,} images by {size} latents each in {values.out}")
        if figures:
            _print_figures(figures)
    return 0


def _print_figures(figures: Mapping[str, float | int]) -> None:
    """Print what `kerasdl.jobs.latent_figures.figures` returned as a table of the methods."""
    from kerasdl.cli import printing

    terminal.tell(
        f"How well they tell the classes of {figures['images']:,} images apart, by what was fitted to "
        f"{figures['train_images']:,} training images (1 at best):",
        file=sys.stdout,
    )
    rows = [
        [words, *(f"{figures[key]:.4f}" if (key := f"{name}_{kind}") in figures else "" for kind in _KINDS)]
        for name, words in _METHODS.items()
    ]
    titles = ("", *_KINDS.values())
    printing.print_table(titles, rows, keep=range(4), spare=(2, 1), right=range(1, 4))
