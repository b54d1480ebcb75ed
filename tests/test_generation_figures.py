"""Figures of generated images: distances of features, precision and recall, memorised images."""

import numpy as np
import pytest
import scipy.linalg

from kerasdl.tasks.generation import frechet, kernel, neighbours


def distance(first, second):
    return frechet.distance(frechet.moments(first), frechet.moments(second))


@pytest.fixture(scope="module")
def features():
    random = np.random.default_rng(0)
    return (random.normal(size=(400, 12)) @ random.normal(size=(12, 12))).astype(np.float32)


def test_the_frechet_distance_of_a_set_to_itself_is_zero(features):
    assert distance(features, features) == 0
    assert distance(features, features[::-1]) < 1e-9


def test_the_frechet_distance_is_that_of_scipy(features):
    other = features[:100] * 1.3 + 0.2
    first, second = (np.float64(part) for part in (features, other))
    covariances = [np.cov(part, rowvar=False) for part in (first, second)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert distance(features, other) == pytest.approx(expected, rel=1e-6)


def test_the_frechet_distance_grows_with_noise(features):
    noise = np.random.default_rng(1).normal(size=features.shape)
    found = [distance(features, features + size * noise) for size in (0, 0.1, 0.3, 1, 3)]
    assert found == sorted(found) and len(set(found)) == 5


def test_a_distance_is_refused_below_two_samples_a_feature(features):
    distance(features[:24], features)
    with pytest.raises(ValueError, match="23 examples are too few for a covariance of 12 features"):
        distance(features[:23], features)


def test_features_that_never_vary_count_nothing(features):
    dead = np.concatenate([features, np.zeros((400, 2), np.float32)], axis=1)
    other = dead[:200]
    assert distance(dead, other) == pytest.approx(distance(features, features[:200]))


def test_the_kernel_distance_is_unbiased_and_knows_its_error(features):
    same, error = kernel.distance(features[:200], features[200:])
    other, _ = kernel.distance(features[:200], features[200:] + 1)
    assert abs(same) < 3 * error and other > same + 3 * error
    # By the definition: the mean over all pairs of different examples.
    first, second = np.float64(features[:50]), np.float64(features[50:90])
    pairs = [
        np.mean(
            [(a @ b / 12 + 1) ** 3 for i, a in enumerate(x) for j, b in enumerate(y) if x is not y or i != j]
        )
        for x, y in ((first, first), (second, second), (first, second))
    ]
    assert kernel.distance(first, second)[0] == pytest.approx(pairs[0] + pairs[1] - 2 * pairs[2])
    with pytest.raises(ValueError, match="four examples"):
        kernel.distance(features[:3], features)


@pytest.mark.parametrize("apart", [0, 0.5])
def test_the_error_of_the_kernel_distance_is_how_far_new_sets_differ(apart):
    random, away = np.random.default_rng(0), np.reshape([0, apart], (2, 1, 1))
    found = np.array([kernel.distance(*(random.normal(size=(2, 120, 6)) + away)) for _ in range(100)])
    assert 0.7 < np.median(found[:, 1]) / found[:, 0].std() < 1.6
    assert (abs(found[:, 0].mean()) < 0.3 * found[:, 0].std()) == (apart == 0)


def test_precision_and_recall_tell_looks_from_coverage(features):
    real, unseen = features[:200], features[200:]
    good = neighbours.precision_recall(real, unseen)
    assert min(good) > 0.5
    assert neighbours.precision_recall(real, unseen + 100) == (0, 0)
    collapsed = np.repeat(real[:1], 200, axis=0)
    precision, recall = neighbours.precision_recall(real, collapsed)
    assert precision == 1 and recall < 0.01
    # By the definition: a point is covered by whoever has it within its third neighbour.
    apart = np.linalg.norm(np.float64(unseen)[:, None] - np.float64(real)[None], axis=-1)
    radii = np.sort(np.linalg.norm(np.float64(real)[:, None] - np.float64(real)[None], axis=-1), 1)[:, 3]
    assert good[0] == (apart <= radii).any(1).mean()


def test_nearest_neighbours_are_found_across_parts(features):
    queries = features[[7, 150, 399]] + np.float32(1e-3)
    distances, places = neighbours.nearest(queries, [features[:100], features[100:]])
    assert places.tolist() == [7, 150, 399]
    assert distances == pytest.approx(1e-3 * np.sqrt(12), rel=0.05)
    far = np.concatenate([np.full((1500, 12), 1e3, np.float32), features])
    assert neighbours.nearest(queries, [far])[1].tolist() == [1507, 1650, 1899]


def test_copies_are_told_from_new_images(features):
    train, unseen, new = features[:200], features[200:300], features[300:]
    away = [neighbours.nearest(part, [train])[0] for part in (train[:100], new, unseen)]
    assert neighbours.memorised(away[0], away[2]) == 1
    assert neighbours.memorised(away[1], away[2]) < 0.2
    twice = np.concatenate([unseen, train[:10]])  # of some images the data holds copies itself
    assert neighbours.memorised(away[0] * 0, neighbours.nearest(twice, [train])[0]) == 1
