"""Durations as people write them: 90s, 10m, 1h30m."""

import re

from kerasdl.errors import UsageError

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def to_seconds(text: str) -> float:
    """Return the seconds of a duration: "90s", "1.5h", "1h30m" or "2d", the largest unit first.

    Raises:
        UsageError: for anything else.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
    units = [unit for _, unit in parts]
    written = "".join(number + unit for number, unit in parts)
    if not parts or written != text or units != sorted(set(units), key="dhms".index):
        raise UsageError(f"Invalid duration {text!r}. Use for example 90s, 10m or 1h30m.")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds == 0:
        raise UsageError(f"Invalid duration {text!r}: it is zero. Use for example 90s, 10m or 1h30m.")
    return seconds


def check_every(name: str, text: str) -> None:
    """Raise a UsageError unless `text` is a number of steps from 1 on, or a duration."""
    if text.isdecimal() and int(text) > 0:
        return
    try:
        to_seconds(text)
    except UsageError as error:
        raise UsageError(
            f"{name} is {text!r}. Give steps (500), a duration (10m, 90s), auto or none."
        ) from error
