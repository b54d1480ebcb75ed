"""How well latents tell classes apart: clusters, a linear probe and nearest neighbours."""

import warnings

import numpy as np

_MOST = 10_000  # training images that clusters and probes are fitted to
_NEIGHBOURS = 5
_FULL = 64  # latents up to which a mixture has whole covariances


def figures(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], num_classes: int
) -> dict[str, float | int]:
    """Fit simple methods to latents of training images, and judge them on others.

    Clusters never see a class: as many as there are classes are looked for. Their accuracy is that of the
    best assignment of clusters to classes.

    Args:
        train: latents (N, D) and classes (N,) of training images; 10,000 count, spread evenly.
        test: those of the images that are judged, (M, D) and (M,).
        num_classes: number of classes.

    Returns:
        `kmeans_nmi`, `kmeans_ari` (normalised mutual information and adjusted Rand index, 1 at best) and
        `kmeans_accuracy`, the same of a `mixture` of Gaussians, `linear_probe_accuracy`,
        `nearest_neighbours_accuracy` (the 5 nearest training images vote), and the numbers of images and
        latents.
    """
    from sklearn.cluster import KMeans
    from sklearn.linear_model import LogisticRegression
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import KNeighborsClassifier

    # A folder of images is in order of its classes: the first ones would be of a few.
    places = np.linspace(0, len(train[0]) - 1, min(len(train[0]), _MOST)).round().astype(int)
    (known, classes), (asked, expected) = [part[places] for part in train], test
    mean, spread = known.mean(axis=0), known.std(axis=0)
    used = spread > 1e-6 * max(float(spread.max()), 1e-12)  # others never vary
    known, asked = ((part[:, used] - mean[used]) / spread[used] for part in (known, asked))
    covariance = "full" if known.shape[1] <= _FULL else "diag"
    clusters = {
        "kmeans": KMeans(num_classes, n_init=10, random_state=0),
        "mixture": GaussianMixture(num_classes, covariance_type=covariance, reg_covar=1e-3, random_state=0),
    }
    probes = {
        "linear_probe": LogisticRegression(max_iter=1000),
        "nearest_neighbours": KNeighborsClassifier(min(_NEIGHBOURS, len(known))),
    }
    found: dict[str, float | int] = {"train_images": len(known), "images": len(asked), "latents": len(mean)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that could go on
        for name, method in clusters.items():
            given = method.fit(known).predict(asked)
            found |= {f"{name}_{key}": value for key, value in _agreement(given, expected).items()}
        for name, method in probes.items():
            found[f"{name}_accuracy"] = float(method.fit(known, classes).score(asked, expected))
    return found


def _agreement(clusters: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """Compare clusters with classes (N,)."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    size = int(max(clusters.max(), classes.max())) + 1
    table = np.zeros((size, size), np.int64)
    np.add.at(table, (clusters, classes), 1)
    return {
        "nmi": float(normalized_mutual_info_score(classes, clusters)),
        "ari": float(adjusted_rand_score(classes, clusters)),
        "accuracy": float(table[linear_sum_assignment(-table)].sum() / len(classes)),
    }
