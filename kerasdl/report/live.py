"""How often a page about work that goes on is written again."""

import time
from collections.abc import Callable

_SECONDS = 5  # between two writings, at least


class LivePage:
    """Write a page again as work goes on: every few seconds at most, in a small part of the time.

    Args:
        write: writes the page.
        part: part of the time that writing takes at most.
        cost: seconds that the first writing is expected to take.
    """

    def __init__(self, write: Callable[[], object], part: float = 0.01, cost: float = 0.2):
        self._write, self._part, self._cost, self._spent = write, part, cost, 0.0
        self._began = self._ended = time.monotonic()

    def update(self, *_) -> bool:
        """Write the page, if it is due; tell whether it was."""
        begun = time.monotonic()
        if begun - self._ended < _SECONDS or self._spent + self._cost > self._part * (begun - self._began):
            return False
        self._write()
        self._ended = time.monotonic()
        self._cost = self._ended - begun
        self._spent += self._cost
        return True
