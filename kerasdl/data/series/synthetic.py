"""A series that we made, so that forecasting runs without a file and without a network."""

import numpy as np

from kerasdl.data.series.table import Table

_HOURS = 24 * 365


def demand() -> Table:
    """Return a year of hourly demand of electricity and outdoor temperature of a town that does not exist.

    Temperature follows the year and the day, with weather of some days' memory; demand follows the hour, the
    day of the week and the temperature, with noise of some hours' memory. Always the same numbers.
    """
    # RandomState and not default_rng: its stream is frozen, so these are the same numbers in every NumPy.
    random = np.random.RandomState(1)
    hour = np.arange(_HOURS)
    day, week = 2 * np.pi * hour / 24, hour // 24 % 7
    weather = _remembering(random.normal(0, 0.45, _HOURS), 0.985)
    temperature = 10 - 9 * np.cos(2 * np.pi * (hour / 24 - 20) / 365) - 3.5 * np.cos(day - 0.6) + weather
    habit = 6 * np.sin(day - 2.1) + 3.5 * np.sin(2 * day - 2.6) - 7.0 * (week >= 5)
    noise = _remembering(random.normal(0, 0.7, _HOURS), 0.8)
    load = 60 + habit + 0.9 * np.maximum(15 - temperature, 0) + 0.5 * np.maximum(temperature - 20, 0) + noise
    times = np.datetime64("2023-01-01T00:00") + hour.astype("timedelta64[h]")
    columns = [np.datetime_as_string(times, unit="m").tolist()]
    columns += [[f"{value:.1f}" for value in column] for column in (temperature, load)]
    return Table("the built-in series", ("time", "temperature", "demand"), columns)


def _remembering(noise: np.ndarray, memory: float) -> np.ndarray:
    """Return noise of which each value keeps a share of the one before."""
    found = np.empty_like(noise)
    last = 0.0
    for place, value in enumerate(noise):
        found[place] = last = memory * last + value
    return found
