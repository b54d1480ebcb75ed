"""Runs side by side: what differs, and whether the difference is beyond chance."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from kerasdl.cli import main
from kerasdl.errors import UsageError
from kerasdl.jobs import compare_page as pages
from kerasdl.jobs.compare import compare, holm
from kerasdl.report.index import comparisons
from kerasdl.tasks.classification.comparison import mcnemar
from tests import browser
from tests.run_folders import write_run, write_status


@pytest.fixture
def runs(tmp_path):
    first = write_run(tmp_path / "runs/tiny/1")
    second = write_run(tmp_path / "runs/tiny/2", seed=1, learning_rate=0.01, augmentation={
        "type": "kerasdl>RandomAffine", "fields": {"shift": 0.04},
    })  # fmt: skip
    return first, second


def answers(run, examples, *, wrong):
    """Let a run be wrong in some of so many test examples."""
    labels = np.zeros(examples, np.int32)
    class_ids = labels.copy()
    class_ids[list(wrong)] = 1
    np.savez(run.path / "predictions.npz", labels=labels, class_ids=class_ids, confidence=np.ones(examples))


def test_exact_test():
    def tail(few, many):
        return 2 * sum(math.comb(few + many, k) for k in range(few + 1)) / 2 ** (few + many)

    assert mcnemar(5, 17) == pytest.approx(tail(5, 17))
    assert mcnemar(17, 5) == pytest.approx(tail(5, 17))
    assert mcnemar(0, 6) == pytest.approx(2 / 64)
    assert mcnemar(8, 8) == pytest.approx(1)
    assert mcnemar(0, 0) == 1


def test_correction_for_several_comparisons():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_a_difference_beyond_chance(runs):
    first, second = runs
    answers(first, 10_000, wrong=range(100, 120))  # three examples are wrong in both
    answers(second, 10_000, wrong=[*range(117, 120), *range(500, 505)])
    (difference,) = compare([first.path, second.path]).differences
    assert (difference.tested.figures["first_only"], difference.tested.figures["second_only"]) == (5, 17)
    assert difference.tested.figures["points"] == pytest.approx(0.12)
    assert difference.sentence() == (
        "The difference of 0.12 points (17 against 5 test examples) is beyond chance (p = 0.017)."
    )
    assert difference.gain == pytest.approx(0.12)
    assert "tiny/2 did better than tiny/1: The difference" in pages.page(compare([first.path, second.path]))
    (turned,) = compare([second.path, first.path]).differences
    assert turned.tested.figures["points"] == pytest.approx(-0.12)
    assert turned.p_value == difference.p_value


def test_a_difference_within_chance(runs):
    first, second = runs
    answers(first, 1000, wrong=range(10))
    answers(second, 1000, wrong=range(5, 14))
    (difference,) = compare([first.path, second.path]).differences
    assert "(5 against 4 test examples) is within chance (p = 1)" in difference.sentence()
    assert difference.is_beyond_chance is False


def test_several_comparisons_are_corrected_and_said(runs, tmp_path, capsys):
    third = write_run(tmp_path / "runs/tiny/3")
    for run, wrong in zip((*runs, third), (range(20), range(9, 20), range(10, 20)), strict=True):
        answers(run, 1000, wrong=wrong)
    differences = compare([run.path for run in (*runs, third)]).differences
    assert [difference.p_value for difference in differences] == [2 / 2**9, 2 / 2**10]
    assert [difference.p_adjusted for difference in differences] == [2 / 2**9, 4 / 2**10]
    assert main(["compare", *(str(run.path) for run in (*runs, third))]) == 0
    assert "2 comparisons were made" in capsys.readouterr().out


@pytest.mark.parametrize("reason", ["data", "examples", "answers"])
def test_what_cannot_be_compared_says_why(runs, reason):
    first, second = runs
    if reason == "data":
        receipt = second.read_json("receipt.json")
        second.write("receipt.json", {**receipt, "data": {**receipt["data"], "fingerprint": "other"}})
    elif reason == "examples":
        answers(second, 7, wrong=[])
    else:
        (second.path / "predictions.npz").unlink()
    said = {"data": "trained on other data than tiny/1", "examples": "tested on other examples than tiny/1",
            "answers": "tiny/2 has kept no answers"}  # fmt: skip
    found = compare([first.path, second.path])
    (difference,) = found.differences
    assert difference.p_value is None and difference.is_beyond_chance is None
    assert said[reason] in difference.sentence()
    assert pages.MEANING not in pages.page(found)


def test_only_what_differs_is_shown(runs):
    found = compare([run.path for run in runs])
    assert found.recipes == {
        "learning_rate": ["0.001", "0.01"],
        "augmentation": ["none", "kerasdl>RandomAffine"],
        "augmentation.shift": [None, "0.04"],
        "augmentation.rotation": [None, "10.0"],
        "augmentation.zoom": [None, "0.1"],
        "augmentation.fill": [None, "0"],
    }
    assert found.surroundings == {}
    receipt = runs[1].read_json("receipt.json")
    runs[1].write(
        "receipt.json", {**receipt, "versions": {**receipt["versions"], "keras": "9.9"}, "devices": "GPU"}
    )
    found = compare([run.path for run in runs])
    assert found.surroundings == {
        "versions.keras": [None, "9.9"],
        "devices": ["one device (CPU), no strategy", "GPU"],
    }


def test_figures_are_side_by_side_with_their_intervals(runs):
    found = compare([run.path for run in runs])
    tests = [run.read_json("metrics.json")["test"] for run in runs]
    assert found.figures["accuracy"] == [test["accuracy"] for test in tests]
    assert found.figures["top k accuracy 3"] == [test["top_k_accuracy"]["3"] for test in tests]
    assert found.intervals["accuracy"] == [tuple(test["accuracy_interval"]) for test in tests]
    for name in ("crossentropy", "ece", "macro f1", "epochs", "training seconds", "parameters"):
        assert None not in found.figures[name], name


def test_small_figures_are_no_zeros_and_nan_is_neither_better_nor_worse(runs):
    found = compare([run.path for run in runs])
    found.figures.clear()
    found.figures.update(mse=[2e-5, 4e-5], perplexity=[150.2, 150.4], loss=[0.5, math.nan])
    assert pages.figures_table(found).rows == [
        ["MSE", "2.00e-05", "4.00e-05", "+2.00e-05 worse"],
        ["perplexity", "150", "150", "+0.2000 worse"],
        ["loss", "0.5000", "nan", ""],
    ]
    found.names.append("third")
    found.figures.clear()
    found.figures["loss"] = [0.5, math.nan, 0.4]
    assert pages.figures_table(found, brief=True).rows[0][1:] == ["0.5000", "nan", "0.4000*"]


def test_figures_say_which_run_is_better_and_by_how_much(runs, tmp_path):
    for run, accuracy, loss in zip(runs, (0.9, 0.95), (0.5, 0.75), strict=True):
        test = {"accuracy": accuracy, "crossentropy": loss, "temperature": accuracy, "examples": 10}
        run.write("metrics.json", {"test": test, "best_epoch": 3})
    table = pages.figures_table(compare([run.path for run in runs]))
    assert table.columns[-1].title == "tiny/2 against tiny/1"
    last = {row[0]: row[-1] for row in table.rows}
    assert last["accuracy"] == "+0.0500 better"
    assert last["cross-entropy"] == "+0.2500 worse"
    assert last["temperature"] == "+0.0500"
    assert last["examples"] == ""
    others = [write_run(tmp_path / f"runs/tiny/{number}") for number in (3, 4)]
    found = compare([run.path for run in (*runs, *others)])
    first, *_ = pages.figures_table(found).rows
    assert first[:3] == ["accuracy (higher is better)", "0.9000", "0.9500 (+0.0500)"]
    assert first[-1].endswith(", best)")
    assert pages.figures_table(found, brief=True).rows[0][-1].endswith("*")


def test_pages_of_comparisons_are_found_for_an_index(runs, tmp_path):
    page = pages.page(compare([run.path for run in runs]))
    (tmp_path / "b.html").write_text(page, encoding="utf-8")
    (tmp_path / "a.html").write_text("<title>x - Comparison of training runs</title>")
    assert comparisons([tmp_path, tmp_path]) == {tmp_path / "b.html": "tiny/1 and tiny/2"}


def test_a_run_under_way_has_what_it_has(runs):
    (runs[1].path / "metrics.json").unlink()
    write_status(runs[1])
    found = compare([run.path for run in runs])
    assert found.figures["accuracy"][1] is None
    assert found.figures["epochs"] == [15, 15]
    assert "Figures" in pages.page(found)


def test_command(runs, capsys, tmp_path):
    paths = [str(run.path) for run in runs]
    assert main(["compare", *paths]) == 0
    out = capsys.readouterr().out
    for part in ("Settings that differ", "learning_rate", "Versions, hardware and data are the same.",
                 "macro F1", "The difference of", "McNemar"):  # fmt: skip
        assert part in out, part
    assert main(["compare", *paths, "--json", "--html", str(tmp_path / "x.html")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["recipes"]["learning_rate"] == ["0.001", "0.01"]
    assert document["differences"][0]["examples"] == 1000
    assert (tmp_path / "x.html").stat().st_size < 1e6


def test_what_cannot_be_read_is_refused(runs, capsys, tmp_path):
    first = str(runs[0].path)
    for arguments, said in (
        ([], "two runs or more"),
        ([first], "two runs or more"),
        ([first, first], "twice"),
        ([first, str(tmp_path / "runs")], "is not a run folder, but contains some"),
        ([first, "nowhere"], "There is no nowhere"),
        ([first, str(runs[1].path), "--html", str(tmp_path / "no/x.html")], "cannot be written"),
    ):
        assert main(["compare", *arguments]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(UsageError):
        compare([first])


@pytest.mark.slow
def test_imports_no_tensorflow(runs, tmp_path):
    paths = [str(run.path) for run in runs]
    code = (
        "import sys; from kerasdl.cli import main\n"
        f"assert main(['compare', *{paths!r}, '--html', {str(tmp_path / 'x.html')!r}]) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(browser.find() is None, reason="there is no Chromium here")
def test_curves_over_each_other_in_a_browser(runs, tmp_path):
    path = tmp_path / "x.html"
    path.write_text(pages.page(compare([run.path for run in runs])), encoding="utf-8")
    with browser.Browser() as chromium:
        chromium.open(path)
        assert chromium.requests == [path.as_uri()]
        assert chromium.logged == []
        curves = "[...document.querySelectorAll('#part-curves .plot')]"
        legend = chromium.evaluate(f"{curves}.map((p) => p.querySelector('.legend').textContent)")
        assert legend == ["tiny/1tiny/2"] * 6
