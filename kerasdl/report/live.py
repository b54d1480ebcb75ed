"""How often a page about work that goes on is written again."""

import time
from collections.abc import Callable

_SECONDS = 5  # between two writings, at least
_PART = 0.01  # of the time, at most


class LivePage:
    """Write a page again as work goes on: every few seconds at most, in 1 % of the time at most.

    Args:
        write: writes the page.
        cost: seconds that the first writing is expected to take.
    """

    def __init__(self, write: Callable[[], object], cost: float = 0.2):
        self._write, self._cost, self._spent = write, cost, 0.0
        self._began = self._ended = time.monotonic()

    def update(self, *_) -> None:
        """Write the page, if it is due."""
        begun = time.monotonic()
        if begun - self._ended < _SECONDS or self._spent + self._cost > _PART * (begun - self._began):
            return
        self._write()
        self._ended = time.monotonic()
        self._cost = self._ended - begun
        self._spent += self._cost
