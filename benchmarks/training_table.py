"""From the epochs that `training.py` has timed to its tables."""

import statistics
from collections.abc import Mapping
from typing import Any

from machine import QUIET

SLOW = 1.1  # times the median epoch


def speed(examples: int, result: Mapping[str, Any]) -> float:
    """Return samples per second of one process: the mean over its whole epochs."""
    return examples / statistics.mean(result["seconds"])


def title(settings, source: str, rounds: int) -> str:
    """Say what is measured."""
    decay = f", weight decay {settings.weight_decay:g}" if settings.weight_decay else ", momentum 0.9"
    return (
        f"{settings.network}: {source}, {settings.examples:,} images an epoch, batch size "
        f"{settings.batch_size}, {settings.precision}, {settings.optimizer} at "
        f"{settings.learning_rate:g}{decay}, dropout {settings.dropout:g}, no augmentation in any arm; "
        f"{rounds} rounds of {settings.epochs} epochs"
    )


def render(
    titles: Mapping[str, str],
    measured: Mapping[str, Any],
    target: tuple[float | None, float | None, float | None],
) -> str:
    """Return the table of a network, as Markdown, and whether its targets are met.

    Args:
        titles: of the arms, by name.
        measured: what `training.measure` returns, with `settings` and `flop_per_sample`.
        target: required and aimed-at ratio to the fastest PyTorch arm, required ratio to Keras with oneDNN
            (None where nothing is required).
    """
    settings, results = measured["settings"], measured["results"]
    speeds = {name: [speed(settings["examples"], one) for one in results[name]] for name in titles}
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    fastest = max((name for name in titles if name.startswith("torch")), key=medians.get, default=None)
    references = [fastest, "keras-onednn" if "keras-onednn" in titles else None]
    peak = measured["matrix_gflops"] * 1e9
    lines = [
        "| arm | samples/s | to the fastest PyTorch | to Keras, oneDNN on | epochs within 1.1 of the median "
        "| final loss | of the matrix-product rate |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, words in titles.items():
        ratios = ["-" if other is None else _ratio(speeds[name], speeds[other]) for other in references]
        loss = statistics.mean(one["loss"] for one in results[name])
        share = medians[name] * measured["flop_per_sample"] / peak
        rate = f"{medians[name]:,.0f}" if medians[name] >= 100 else f"{medians[name]:.3g}"
        cells = [words, rate, *ratios, f"{within(results[name]):.0%}", f"{loss:.4f}"]
        lines.append(f"| {' | '.join(cells)} | {share:.1%} |")
    lines += [
        "",
        "Speeds and ratios: median (lowest to highest) over the rounds, of the mean over whole epochs.",
        f"Matrix products in {settings['precision']}, best of all libraries: "
        f"{measured['matrix_gflops']:,.0f} GFLOP/s; forward and "
        f"backward of a sample: {measured['flop_per_sample'] / 1e6:.2f} MFLOP.",
    ]
    # As with speeds, the median over the rounds counts: one bad round of an arm changes nothing.
    others = {name: statistics.median(one["others"] for one in results[name]) for name in titles}
    worst = max(others, key=others.get)
    lines.append(
        f"Other processes used at most {others[worst]:.0%} of the machine (beside: {titles[worst]})."
    )
    if others[worst] > QUIET:
        lines.append(f"NO VERDICT: the machine was not quiet (above {QUIET:.0%}); run it again when it is.")
        return "\n".join(lines)
    if "kerasdl" in titles:
        lines += _verdicts(speeds, results["kerasdl"], references, target)
    return "\n".join(lines)


def _verdicts(speeds, results, references, target) -> list[str]:
    """Say of each target whether it is met."""
    required, aim, to_keras = target
    lines = []
    for other, words, wanted in zip(
        references,
        (f"times the fastest PyTorch arm{f' (aim {aim:g})' if aim else ''}", "times Keras with oneDNN on"),
        (required, to_keras),
        strict=True,
    ):
        if wanted is None:
            continue
        if other is None:
            lines.append(f"not measured: {words}")
            continue
        value = statistics.median(_ratios(speeds["kerasdl"], speeds[other]))
        lines.append(f"{_met(value >= wanted)}: {value:.2f} {words}; required: {wanted:g}")
    share = within(results)
    lines.append(f"{_met(share >= 0.95)}: {share:.0%} of epochs within {SLOW} of the median; required: 95 %")
    return lines


def _met(met: bool) -> str:
    return "met" if met else "NOT MET"


def within(results: list[Mapping[str, Any]]) -> float:
    """Return the share of epochs that took at most 1.1 times the median epoch of their process."""
    fine = [
        second <= SLOW * statistics.median(result["seconds"])
        for result in results
        for second in result["seconds"]
    ]
    return statistics.mean(fine)


def _ratios(values: list[float], reference: list[float]) -> list[float]:
    return [value / other for value, other in zip(values, reference, strict=True)]


def _ratio(values: list[float], reference: list[float]) -> str:
    """Return the median and the range of the ratios, each within a round."""
    ratios = _ratios(values, reference)
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
