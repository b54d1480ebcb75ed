"""The usual season of a series, from the distance of its rows."""

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
_DAY = 86400


def of_step(step: str) -> int:
    """Return the rows of a season: a day of hours, a week of days, a year of weeks or months; else 1.

    Args:
        step: distance of rows in words: "1 hour", "15 minutes", "3 months"; "" where it is not known.
    """
    number, _, unit = step.partition(" ")
    unit = unit.removesuffix("s")
    if unit == "month":
        return max(1, 12 // int(number))
    if unit not in _SECONDS:
        return 1
    seconds = int(number) * _SECONDS[unit]
    if seconds < _DAY:
        return _DAY // seconds if _DAY % seconds == 0 else 1
    return {_DAY: 7, 7 * _DAY: 52}.get(seconds, 1)
