"""The figures of a generative network in words, each with what it was measured on."""

from collections.abc import Mapping
from typing import Any


def summary(figures: Mapping[str, Any]) -> str:
    """Return sentences about the figures of a split; those that are missing are left out."""
    told = [part for part in (_likelihood(figures), _distances(figures), _samples(figures)) if part]
    if "left_out" in figures:
        told.append(f"{figures['left_out']}.")
    return " ".join(told) or f"Test: {figures.get('examples', 0):,} examples."


def _likelihood(figures: Mapping[str, Any]) -> str:
    if "nll" not in figures:
        return ""
    pixels = "pixels drawn black or white" if figures["binarized"] else "grey pixels"
    return (
        f"Negative log likelihood {figures['nll']:.2f} +- {figures['nll_stderr']:.2f} nats an image "
        f"({figures['likelihood_draws']:,} draws each, {figures['likelihood_images']:,} images, {pixels}; "
        f"ELBO {figures['elbo']:.2f}); {figures['active_units']} of {figures['latents']} latents are active."
    )


def _distances(figures: Mapping[str, Any]) -> str:
    if "fid" not in figures:
        return ""
    judge = figures["judge"]
    floor = of_kid = ""
    if "fid_floor" in figures:
        floor = f" (floor {figures['fid_floor']:.3g}: {figures['num_floor']:,} {figures['floor']})"
        of_kid = f" (floor {figures['kid_floor']:.2g})"
    spreads = [
        f"{name} {figures[name]:.2f}"
        + (f" (real images: {figures[f'real_{name}']:.2f})" if f"real_{name}" in figures else "")
        for name in ("precision", "recall", "diversity")
    ]
    return (
        f"FID {figures['fid']:.4g}{floor} and KID {figures['kid']:.4g} +- {figures['kid_stderr']:.2g}"
        f"{of_kid} of {figures['num_samples']:,} samples against {figures['num_real']:,} {figures['real']}, "
        f"in the {judge['features']} features of {judge['run']} ({judge['sha256'][:12]}); "
        f"{', '.join(spreads)}."
    )


def _samples(figures: Mapping[str, Any]) -> str:
    shares = figures.get("class_balance", {})
    told = []
    if len(shares) > 1:
        least, most = (pick(shares, key=shares.get) for pick in (min, max))
        told.append(
            f"Classes: from {shares[least]:.1%} ({least}) to {shares[most]:.1%} ({most}) of the samples"
        )
    if "asked_class_rate" in figures:
        of_real = figures.get("real_class_rate")
        known = "" if of_real is None else f" (the judge knows {of_real:.1%} of the real images)"
        told.append(f"{figures['asked_class_rate']:.1%} are of the class that was asked for{known}")
    if "memorised" in figures:
        told.append(f"{figures['memorised']:.1%} lie as close to a training image as 5 % of unseen images do")
    return f"{'; '.join(told)}." if told else ""
