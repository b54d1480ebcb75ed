"""From the calls that `inference.py` has timed to its tables and verdicts."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import machine
import networks
import quiet

#: Kinds of files that do not compute in float32, or not with the weights as they are.
_REDUCED = ("float16", "dynamic", "int8", "int16x8")


def show(
    arms: Sequence[Any],
    found: Sequence[Mapping[str, float]],
    title: str,
    noise: quiet.Noise,
    spec: networks.Spec | None,
    size: int,
    fewest_ms: float | None,
) -> None:
    """Print a line for each arm, from the milliseconds by name of each round, and the verdicts.

    `arms` have a `name`, `is_torch` and the `difference` that was found when they were checked; `fewest_ms`
    is what a call would take at the rate of matrix products, where that is known.
    """
    middle = {arm.name: statistics.median(times[arm.name] for times in found) for arm in arms}
    reference = min((arm.name for arm in arms if arm.is_torch), key=middle.get)
    print(f"\n{title}, {noise}; ratio to {reference}")
    columns = f"{'median ms':>10}{'ratio':>8}  {'lowest to highest':<20}{'max difference':>14}"
    print(f"{'arm':<28}{columns}{'' if fewest_ms is None else '     of the rate'}")
    for arm in arms:
        ratio, low, high = ratios(found, reference, arm.name)
        spread = f"{low:.2f} to {high:.2f}"
        share = "" if fewest_ms is None else f"{fewest_ms / middle[arm.name]:>16.1%}"
        line = f"{arm.name:<28}{middle[arm.name]:>10.4f}{ratio:>8.2f}  {spread:<20}{arm.difference:>14.1e}"
        print(line + share)
    if not noise.is_quiet:
        print(f"NO VERDICT: the machine was not quiet (above {machine.QUIET:.0%}); run it again when it is.")
        return
    print("\n".join(verdicts([arm.name for arm in arms if not arm.is_torch], middle, found, spec, size)))


def verdicts(
    ours: Sequence[str],
    middle: Mapping[str, float],
    found: Sequence[Mapping[str, float]],
    spec: networks.Spec | None,
    size: int,
) -> list[str]:
    """Compare our fastest artefacts with torch.compile, the faster layout, and with one another.

    Args:
        ours: names of the artefacts.
        middle: median milliseconds by name of an arm.
        found: milliseconds by name of each round.
        spec: what is required, of a network that has one.
        size: examples in a call.
    """
    compiled = min((name for name in middle if name.startswith("PyTorch compile")), key=middle.get)
    exact = [name for name in ours if not any(f".{kind}." in name for kind in _REDUCED)]
    best = {"all": min(ours, key=middle.get), "float32": min(exact, key=middle.get)}
    lines = []
    for files, name in best.items():
        wanted = spec.inference.get(size) if spec is not None and spec.files == files else None
        words = "Best artefact" if files == "all" else "Best in float32"
        lines.append(f"{words}: {name}, {_times(found, compiled, name)} times {compiled}")
        lines[-1] += _required(ratios(found, compiled, name)[0], wanted)
    for name in ours:
        if ".int8." in name:
            vnni = machine.flags() & {"avx512_vnni", "avx_vnni", "amx_int8"}
            wanted = spec.int8 if spec is not None and vnni else None
            lines.append(f"{name}: {_times(found, best['float32'], name)} times {best['float32']}")
            lines[-1] += _required(ratios(found, best["float32"], name)[0], wanted)
    return lines


def _times(found: Sequence[Mapping[str, float]], reference: str, name: str) -> str:
    ratio, low, high = ratios(found, reference, name)
    return f"{ratio:.2f} ({low:.2f} to {high:.2f})"


def _required(ratio: float, wanted: float | None) -> str:
    if wanted is None:
        return ""
    return f"; required: {wanted:g}, {'met' if ratio >= wanted else 'NOT MET'}"


def ratios(found: Sequence[Mapping[str, float]], reference: str, name: str) -> tuple[float, float, float]:
    """Return how many times faster than the reference an arm is: median, lowest and highest of the rounds."""
    each = [times[reference] / times[name] for times in found]
    return statistics.median(each), min(each), max(each)
