"""When a trial is stopped early."""

import pytest

from kerasdl.search.pruning import reason_to_stop


def curve(*figures, of=None):
    of = of or len(figures)
    return [((index + 1) / of, figure) for index, figure in enumerate(figures)]


OTHERS = [curve(*(value + 1, value)) for value in (1.0, 2.0, 3.0, 4.0, 5.0)]


def test_median_compares_the_best_so_far_at_the_same_part():
    assert reason_to_stop("median", curve(4.1, of=2), OTHERS)
    assert reason_to_stop("median", curve(4.0, of=2), OTHERS) is None  # the median itself
    assert reason_to_stop("median", curve(3.9, 9.0, of=4), OTHERS) is None  # its best counts, not its last


def test_median_compares_by_part_and_not_by_epoch():
    slow = [curve(*[9.0] * 9, 1.0) for _ in range(5)]  # ten epochs each
    assert reason_to_stop("median", curve(5.0, of=2), slow) is None  # half way they all had 9


@pytest.mark.parametrize(
    "trial, others",
    [
        (curve(9.0, of=2), OTHERS[:4]),  # too few
        (curve(9.0, of=6), OTHERS),  # too early
        (curve(9.0, 9.0), OTHERS),  # over
        (curve(9.0, of=2), [part[:1] for part in OTHERS]),  # none was trained to its end
    ],
)
def test_median_does_not_judge_without_grounds(trial, others):
    assert reason_to_stop("median", trial, others) is None


def test_halving_keeps_the_best_third_at_its_rungs():
    others = [curve(value, of=9) for value in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]
    assert reason_to_stop("halving", curve(2.5, of=9), others) is None  # third of seven
    assert reason_to_stop("halving", curve(3.5, of=9), others)
    assert reason_to_stop("halving", curve(9.0, 9.0, of=9), others) is None  # between rungs
    assert reason_to_stop("halving", curve(9.0, of=9), others[:2]) is None  # too few


def test_none_never_stops():
    assert reason_to_stop("none", curve(99.0, of=2), OTHERS) is None
