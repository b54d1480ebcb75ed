"""The parts of a page that a generative network has: figures, samples, reconstructions, latents."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasdl.report import charts, pictures
from kerasdl.report.blocks import Block, Picture, Pictures, Section, Table, Text, headline
from kerasdl.report.curves import SYMBOLS

_SIDE = 640  # pixels that small pictures are enlarged to, about
_ACTIVE = 0.01  # variance of the mean of a latent, above which it tells something (IWAE, section 3.3)

#: Figure -> (title, format, what is said below: another figure goes into the braces).
_FIGURES: Mapping[str, tuple[str, str, str]] = {
    "fid": ("Frechet distance (FID)", ".4g", "real against real: {fid_floor:.3g}"),
    "kid": ("Kernel distance (KID)", ".3g", "+- {kid_stderr:.1g}"),
    "precision": (
        "Precision",
        ".3f",
        "samples among real images; other real ones: {real_precision:.3f}",
    ),
    "recall": (
        "Recall",
        ".3f",
        "real images among samples; among other real ones: {real_recall:.3f}",
    ),
    "diversity": ("Diversity", ".3f", "spread of the samples; 1 is that of real images"),
    "asked_class_rate": (
        "Asked class",
        ".1%",
        "the judge knows {real_class_rate:.1%} of real images",
    ),
    "memorised": ("Memorised", ".1%", "about 5 % by chance"),
    "nll": ("-log p(x), nats", ".2f", "+- {nll_stderr:.2f}, {likelihood_draws:,} draws"),
    "elbo": ("ELBO, nats", ".2f", "{likelihood_images:,} images"),
    "active_units": ("Active latents", "d", "of {latents}"),
    "num_samples": ("Samples", ",d", "beside {num_real:,} {real}"),
    "examples": ("Test images", ",d", ""),
}


def sections(
    figures: Mapping[str, Any], class_names: Sequence[str], arrays: Mapping[str, np.ndarray]
) -> list[Section]:
    """Return the sections of a generative network; those whose figures or arrays are not there are left out.

    Args:
        figures: those of `Generation.evaluate` and `evaluate_further`.
        class_names: in the order of the labels.
        arrays: what `gallery.make` returned, and `samples` with their `nearest` training images.
    """
    parts = {
        "Test figures": [*headline(figures, _FIGURES), *_balance(figures)],
        "Samples": _made(class_names, arrays) if "made" in arrays else [],
        "Reconstructions": _pairs(
            arrays, "originals", "reconstructions",
            "Test images in the first row, and below each what the network makes of its description.",
        ),
        "Between two images": _between(arrays) if "between" in arrays else [],
        "Latents": [*_scatter(class_names, arrays), *_rates(arrays), *_traversal(arrays)],
        "Nearest training images": _pairs(
            arrays, "samples", "nearest",
            "Samples in the first row, and below each the training image that is nearest to it in pixels."
            + (f" {figures['memorised']:.1%} of the samples are as close as the closest 5 % of unseen images."
               if figures.get("memorised") is not None else ""),
        ),
    }  # fmt: skip
    return [Section(title, blocks) for title, blocks in parts.items() if blocks]


def _balance(figures: Mapping[str, Any]) -> list[Block]:
    shares = figures.get("class_balance")
    if not shares:
        return []
    least, most = (pick(shares, key=shares.get) for pick in (min, max))
    said = f"The classes have from {shares[least]:.1%} ({least}) to {shares[most]:.1%} ({most})."
    axes = (
        charts.axis("class that the judge sees", type="category"),
        charts.axis("samples", tickformat=".0%"),
    )
    table = Table.of("Samples by class", {"class": None, "samples": ".2%"}, list(shares.items()))
    bars = charts.bars(shares, shares.values(), "%{x}: %{y:.1%}")
    drawn = charts.chart("Classes of the samples", [bars], axes, said, height=300, half=True, table=table)
    return [drawn]


def _grid(pixels: np.ndarray, said: str) -> list[Block]:
    """Return a picture (height, width, channels), uint8, in a size that can be seen, and what it shows."""
    side = max(_SIDE, max(pixels.shape[:2]))
    source = pictures.data_uri(pictures.enlarged(pixels, _SIDE), exact=2 * side, reduced=2 * side)
    return [Pictures([Picture(*source, alt=said, caption=said)], large=True)]


def _pairs(arrays: Mapping[str, np.ndarray], above: str, below: str, said: str) -> list[Block]:
    if not {above, below} <= arrays.keys():
        return []
    both = np.concatenate([arrays[above], arrays[below]])
    return _grid(pictures.grid(both, len(both) // 2), said)


def _made(class_names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> list[Block]:
    labels = arrays.get("made_labels")
    said = f"{len(arrays['made'])} images of the noise that those of each epoch were made of"
    if labels is not None:
        said += f"; from the top: {', '.join(class_names[label] for label in np.unique(labels))}"
    return _grid(pictures.arranged(arrays["made"], labels), f"{said}.")


def _between(arrays: Mapping[str, np.ndarray]) -> list[Block]:
    ways = arrays["between"]
    ends = "two test images" if "means" in arrays else "two samples"
    said = f"Each row leads from one to the other of {ends}, on an arc through the latents."
    return _grid(pictures.grid(ways.reshape(-1, *ways.shape[2:]), ways.shape[1]), said)


def _scatter(class_names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> list[Block]:
    means = arrays.get("means")
    if means is None or len(means) < 3 or means.shape[1] < 2:
        return []
    from sklearn.decomposition import PCA

    found = PCA(2, random_state=0).fit(means)
    places, labels = found.transform(means), arrays["mean_labels"]
    traces = [
        charts.points(class_names[label], *np.round(places[labels == label], 3).T.tolist(), {
            "symbol": SYMBOLS[number % len(SYMBOLS)], "color": f"--chart-{number % 7 + 1}", "size": 5,
            "opacity": 0.7,
        }, f"{charts.label(class_names[label])}<extra></extra>")
        for number, label in enumerate(np.unique(labels))
    ]  # fmt: skip
    axes = [
        charts.axis(f"direction {number} ({share:.0%} of the variance)")
        for number, share in enumerate(found.explained_variance_ratio_, 1)
    ]
    said = (
        f"The mean latents of {len(means):,} test images by class, in the two directions in which they "
        f"differ most (PCA), which hold {found.explained_variance_ratio_.sum():.0%} of their variance."
    )
    if "made_labels" in arrays:
        said += " The network was told the class of each, so that classes may lie apart for that alone."
    return [charts.chart("Latents of test images", traces, axes, said, height=480, half=True)]


def _rates(arrays: Mapping[str, np.ndarray]) -> list[Block]:
    rates = arrays.get("unit_rates")
    if rates is None:
        return []
    variances = arrays["means"].var(axis=0)
    rows = [[int(u), float(rates[u]), float(variances[u])] for u in np.argsort(-rates, kind="stable")]
    said = (
        f"{int((variances > _ACTIVE).sum())} of {len(rates)} latents are active on the test images as they "
        f"are: the variance of their mean over images is above {_ACTIVE}. Together they tell "
        f"{rates.sum():.1f} nats an image."
    )
    forms = {"latent": "d", "nats an image": ".4f", "variance of the mean": ".4f"}
    bars = charts.bars(
        [str(unit) for unit, *_ in rows],
        [round(nats, 4) for _, nats, _ in rows],
        "latent %{x}: %{y:.3f} nats",
    )
    return [
        charts.chart(
            "What each latent tells", [bars],
            (charts.axis("latent", type="category"), charts.axis("nats an image")), said, height=480,
            half=True, table=Table.of("What each latent tells", forms, rows),
        )
    ]  # fmt: skip


def _traversal(arrays: Mapping[str, np.ndarray]) -> list[Block]:
    if "traversal" not in arrays:
        return []
    strips = arrays["traversal"]
    variances = arrays["means"].var(axis=0)
    shown = [row for row, unit in enumerate(arrays["traversed"]) if variances[unit] > _ACTIVE]
    if not shown:
        return [Text("No latent tells anything: the images do not depend on them.")]
    units = ", ".join(str(arrays["traversed"][row]) for row in shown)
    said = (
        "One test image with one latent changed in each row, from -2.5 to 2.5, the others as they are. "
        f"Latents from the top, those that vary most first: {units}."
    )
    return _grid(pictures.grid(strips[shown].reshape(-1, *strips.shape[2:]), strips.shape[1]), said)
