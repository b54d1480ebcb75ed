"""Rounds of a benchmark that had the machine to themselves; the others say nothing about speed."""

import dataclasses
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import psutil
from machine import QUIET

_PATIENCE = 6  # times as many rounds as are wanted, before the quietest of them have to do


@dataclasses.dataclass(frozen=True)
class Noise:
    """How quiet the rounds were that count; as text a sentence.

    Attributes:
        number: rounds that count.
        measured: rounds that there were.
        share: of the machine that others used, in the noisiest of those that count.
    """

    number: int
    measured: int
    share: float

    @property
    def is_quiet(self) -> bool:
        return self.share <= QUIET

    def __str__(self) -> str:
        return f"{self.number} of {self.measured} rounds, beside others' {self.share:.0%} of the machine"


def rounds(number: int, one_round: Callable[[], tuple[Any, float]]) -> tuple[list[Any], Noise]:
    """Run rounds until `number` of them were quiet.

    Args:
        number: how many are wanted.
        one_round: returns what it measured, and the seconds of CPU that its own processes used.

    Returns:
        What the quietest `number` rounds measured, and how quiet they were.
    """
    measured: list[tuple[float, Any]] = []  # share of the machine that others used, result
    while len(measured) < _PATIENCE * number and sum(share <= QUIET for share, _ in measured) < number:
        busy, start = _busy(), time.perf_counter()
        result, own = one_round()
        share = (_busy() - busy - own) / (time.perf_counter() - start) / psutil.cpu_count()
        measured.append((max(share, 0.0), result))
    quietest = sorted(measured, key=itemgetter(0))[:number]
    return [result for _, result in quietest], Noise(number, len(measured), quietest[-1][0])


def _busy() -> float:
    """Return the seconds that all cores together have worked."""
    times = psutil.cpu_times()
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted as user too
    return sum(times) - guests - times.idle - getattr(times, "iowait", 0.0)
