"""How well latents tell classes apart, and reconstructions unknown classes from known ones."""

import json

import numpy as np
import pytest

from kerasdl.cli import main
from kerasdl.jobs import anomalies, latent_figures
from kerasdl.jobs import open as loading
from kerasdl.jobs.anomalies import Scores


def points(apart, count=120, seed=0):
    """Return three clouds of points, and two dimensions that tell nothing."""
    random, classes = np.random.default_rng(seed), np.arange(count) % 3
    centres = apart * np.array([[0, 0], [1, 0], [0, 1]])[classes]
    noise = random.normal(size=(count, 4)) * [1, 1, 100, 0]
    noise[:, :2] += centres
    return noise.astype(np.float32), classes.astype(np.int32)


@pytest.mark.slow
def test_clusters_and_probes_find_classes_that_lie_apart():
    found = latent_figures.figures(points(30), points(30, seed=1), 3)
    for name in ("linear_probe_accuracy", "nearest_neighbours_accuracy"):
        assert found[name] == 1, name
    assert found["mixture_accuracy"] > 0.6
    assert (found["train_images"], found["images"], found["latents"]) == (120, 120, 4)
    clean = [(values[:, :2], classes) for values, classes in (points(30), points(30, seed=1))]
    found = latent_figures.figures(*clean, 3)
    assert {
        found[f"{kind}_{name}"] for kind in ("kmeans", "mixture") for name in ("nmi", "ari", "accuracy")
    } == {1}


def test_images_in_order_of_classes_are_looked_at_as_a_whole(monkeypatch):
    monkeypatch.setattr(latent_figures, "_MOST", 30)
    values, classes = points(30)
    order = np.argsort(classes, kind="stable")
    found = latent_figures.figures((values[order], classes[order]), points(30, seed=1), 3)
    assert found["train_images"] == 30 and found["linear_probe_accuracy"] == 1


def test_latents_that_tell_nothing_are_as_good_as_chance():
    found = latent_figures.figures(points(0), points(0, seed=1), 3)
    assert abs(found["kmeans_ari"]) < 0.1 and found["kmeans_nmi"] < 0.15
    assert 0.2 < found["linear_probe_accuracy"] < 0.45


def test_the_accuracy_of_clusters_is_that_of_the_best_assignment():
    found = latent_figures._agreement(np.array([2, 2, 0, 0, 1]), np.array([0, 0, 1, 1, 1]))
    assert found["accuracy"] == pytest.approx(4 / 5)


def test_unknown_classes_are_found_by_their_errors(tmp_path):
    errors = np.array([0.1, 0.2, 0.3, 0.25, 0.9], np.float32)
    classes, known = np.array(["a", "b", "a", "c", "d"]), np.array([True, True, True, False, False])
    scores = Scores(errors, classes, known)
    found = scores.figures()
    assert found["roc_auc"] == pytest.approx(5 / 6)
    assert found["roc_auc_by_class"] == {"c": pytest.approx(2 / 3), "d": 1.0}
    assert found["threshold"] == pytest.approx(0.29) and found["found"] == 0.5
    scores.write(tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().splitlines()[::4] == ["class,known,error", "c,0,0.25"]


def test_the_command_says_where_the_table_of_scores_is(tmp_path, capsys, monkeypatch):
    scores = Scores(np.array([0.1, 0.3]), np.array(["a", "b"]), np.array([True, False]))
    monkeypatch.setattr(loading, "load", lambda target: None)
    monkeypatch.setattr(anomalies, "score", lambda target, data: scores)
    monkeypatch.setattr("kerasdl.cli.parser.places.find", lambda path: None)
    assert main(["anomalies", "runs/autoencoder/1", "--out", str(tmp_path / "scores.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["out"] == str(tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").is_file()
