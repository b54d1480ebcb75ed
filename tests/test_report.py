"""The page of a run: what is on it in every state of a run, and what a browser makes of it."""

import base64
import gzip
import io
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerasdl import Classification, Config, Digits, LeNet5, Recipe, Tfds, replace, report
from kerasdl.cli import main
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.explain import sheet as explanation_sheet
from kerasdl.jobs.report import write_report
from kerasdl.report import curves, live, pictures, provenance
from kerasdl.report.blocks import Chart, Column, Table, label
from kerasdl.runs import record
from kerasdl.runs.folder import Run
from kerasdl.tasks.classification.page import sections
from tests import browser
from tests.run_folders import write_bundle, write_history, write_run, write_status

HOSTILE = [
    "<script>alert(1)</script>",
    "\"quoted' & <b>bold</b>",
    "</script><!--",
    "plain",
    "it's -- ${x} {{ y }}",
]


class Page(HTMLParser):
    """What a page is made of, as a browser would read it, without running it."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.source = Path(path).read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    @property
    def text(self):
        """Return all that is not script or style, with single spaces."""
        return " ".join(" ".join(data for tag, data in self.texts if tag not in ("script", "style")).split())

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def figures(self):
        return json.loads(self.unpacked("plotly-figures"), parse_constant=pytest.fail)

    def unpacked(self, name):
        """Return the text of a packed script element; empty where there is none."""
        found = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', self.source)
        return gzip.decompress(base64.b64decode(found[1] if found else "")).decode()


def page_of(run):
    return Page(write_report(run))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run = write_run(folder / "runs/tiny/1")
    write_bundle(folder / "exported/tiny/1", run)
    return run


@pytest.fixture(scope="module")
def page(finished):
    return page_of(finished)


def test_says_what_was_trained_on_what_and_how_long(page):
    for part in ("tiny/1", "LeNet5", "61,706 weights", "Tfds mnist", "28 x 28 x 1 uint8, 10 classes", "6,000",
                 "500 validation, 1,000 test", "15 of 15", "12 min 34 s"):  # fmt: skip
        assert part in page.text, part


def test_has_every_section_and_the_navigation_leads_there(page):
    titles = ["hyperparameters", "overview", "test-figures", "training", "confusion-matrix", "classes",
              "calibration", "worst-mistakes", "exported-files", "receipt"]  # fmt: skip
    assert [part["id"] for part in page.of("section")] == [f"part-{title}" for title in titles]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [link["href"] for link in page.of("a")]
    assert set(links) == {"#main", *(f"#part-{title}" for title in titles)}


def test_what_a_run_changed_of_its_pipeline_comes_first(tmp_path):
    run = write_run(tmp_path / "tiny/1")
    assert "he pipeline" not in page_of(run).text  # an earlier version did not keep what was changed
    write_status(run, stage="finished", epoch=15, changed={"epochs": "60", "data": "kerasdl>Tfds"})
    said = page_of(run).text
    assert "setting this run the pipeline epochs 15 60 data Tfds Tfds Every setting" in said
    places = [said.index(part) for part in ("Hyperparameters Epochs 15", "Changed", "Overview Network")]
    assert places == sorted(places)
    write_status(run, stage="finished", epoch=15, changed={})
    assert "Every setting is the pipeline's own." in page_of(run).text


def test_changes_of_a_recipe_name_another_class_alone():
    before = Recipe(name="a", model=Config(LeNet5), data=Tfds(name="mnist"), task=Classification(), epochs=3)
    after = replace(before, name="b", data=Digits(), epochs=5)
    assert record.changed(before, after) == {"data": "kerasdl>Tfds", "epochs": "3"}
    assert record.changed(before, before) == {}


def test_shows_the_figures(page, finished):
    test = finished.read_json("metrics.json")["test"]
    low, high = test["accuracy_interval"]
    for part in (f"{100 * test['accuracy']:.2f} %", f"95 % interval {100 * low:.2f} to {100 * high:.2f} %",
                 "Macro F1", f"{test['macro_f1']:.4f}", "Cross-entropy 0.1234 nats"):  # fmt: skip
        assert part in page.text, part
    row = test["per_class"][3]
    cells = f"{100 * row['precision']:.2f} % {100 * row['recall']:.2f} % {row['f1']:.4f}"
    assert f"{row['class']} {cells}" in page.text


def test_is_one_file_that_asks_for_nothing(finished, page):
    assert (finished.path / "report.html").stat().st_size < 0.9e6
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "poster", "srcset", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), attributes
    policy = next(m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith(
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:;"
    )
    assert "@import" not in (Path(report.__file__).parent / "page.css").read_text()
    assert page.unpacked("plotly").startswith("/**\n* plotly.js (cartesian")


def test_can_be_read_without_seeing_the_charts(page):
    assert page.of("html")[0]["lang"] == "en"
    assert len(page.of("h1")) == len(page.of("main")) == len(page.of("nav")) == 1
    assert all(picture["alt"] for picture in page.of("img"))
    assert len(page.of("table")) == len(page.of("caption")) > 8
    assert all(cell["scope"] in ("row", "col") for cell in page.of("th"))
    plots = [part for part in page.of("div") if part.get("class") == "plot"]
    assert len(plots) == len(page.figures()) == 6
    assert all(plot["role"] == "group" and len(plot["aria-label"]) > 30 for plot in plots)


def test_pictures_of_mistakes_have_their_names(page, finished):
    with np.load(finished.path / "mistakes.npz") as mistakes:
        first = [f"class {mistakes[name][0]}" for name in ("labels", "class_ids")]
        sure = f"{100 * mistakes['confidence'][0]:.0f} %"
        pixels = mistakes["features"][0]
    image = page.of("img")[0]
    assert image["alt"] == f"true: {first[0]}, predicted: {first[1]}, {sure}"
    assert np.array_equal(decoded(image["src"]), pixels[..., 0])


def test_exported_files_are_listed_with_their_failures(page):
    assert "tiny.float32.tflite float32 156.5 97.00 % 1.5e-07 0.013" in page.text
    assert "tiny.onnx could not be exported: an operator is not known" in page.text


@pytest.mark.parametrize("change", ["moved", "replaced"])
def test_a_bundle_that_is_not_the_run_s_any_more_is_said(tmp_path, change):
    run, bundle = write_run(tmp_path / "runs/tiny/1"), tmp_path / "exported/tiny/1"
    write_bundle(bundle, run)
    if change == "moved":
        bundle.rename(tmp_path / "elsewhere")
    else:
        card = json.loads((bundle / "card.json").read_text())
        card["files"]["tiny.int8.tflite"]["sha256"] = "f" * 64
        (bundle / "card.json").write_text(json.dumps(card))
    text = page_of(run).text
    said = {"moved": "is no longer there", "replaced": "now holds other files"}
    assert said[change] in text
    assert "tiny.float32.tflite 00000000" in text


def test_a_bundle_is_found_beside_the_runs_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_run(Path("runs/tiny/1"))
    write_bundle(Path("exported/tiny/1"), run)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert "tiny.float32.tflite float32" in page_of(Run(tmp_path / "runs/tiny/1")).text


def unfinished(path, epochs=3, **status):
    run = write_run(path, epochs=max(epochs, 1))
    for name in ("metrics.json", "predictions.npz", "mistakes.npz", *(() if epochs else ("history.csv",))):
        (path / name).unlink()
    write_status(run, epoch=epochs, **status)
    return run


def test_while_training_goes_on(tmp_path):
    run = unfinished(tmp_path / "tiny/1")
    with run.locked():
        page = page_of(run)
    assert re.search(r"3 of 15 epochs have ended. This page shows what was there at \d\d:\d\d", page.text)
    assert f"kerasdl report {run.path}" in page.text
    assert "--resume" not in page.text
    assert len(page.figures()) == 4


def test_reloads_itself_only_while_the_run_goes_on(tmp_path):
    run = unfinished(tmp_path / "tiny/1")
    with run.locked():
        (going,) = page_of(run).of("body")
    (stopped,) = page_of(run).of("body")
    assert 50 <= float(going["data-every"]) <= 52  # as long as its last epoch took
    assert int(going["data-written"]) > 1.7e9
    assert stopped == {}


def test_a_page_is_written_again_in_a_hundredth_of_the_time(monkeypatch):
    now, written = [0.0], []

    def write():
        written.append(now[0])
        now[0] += 0.3

    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    page = live.LivePage(write)
    while now[0] < 1000:
        page.update()
        now[0] += 1.0
    assert 20 <= written[0] < 22  # 0.2 s were expected
    assert 28 <= len(written) <= 33
    assert min(b - a for a, b in itertools.pairwise(written)) > 5


def test_after_a_crash(tmp_path):
    run = unfinished(tmp_path / "tiny/1")
    text = page_of(run).text
    assert "interrupted after epoch 3 of 15" in text
    assert f"kerasdl train --resume {run.path}" in text


def test_after_a_failure(tmp_path):
    run = unfinished(tmp_path / "tiny/1", error="Training diverged: <NaN> & more")
    text = page_of(run).text
    assert "failed after epoch 3 of 15: Training diverged: <NaN> & more" in text
    assert f"kerasdl train --resume {run.path}" in text


def test_after_a_crash_of_the_export(tmp_path):
    run = write_run(tmp_path / "tiny/1")
    write_status(run, stage="exporting", epoch=15)
    assert "interrupted while it was exporting" in page_of(run).text


def test_before_the_first_epoch(tmp_path):
    page = page_of(unfinished(tmp_path / "tiny/1", epochs=0))
    assert "No epoch has ended yet" in page.text
    assert "before its first epoch ended" in page.text
    assert not page.unpacked("plotly")


def test_a_stop_before_the_last_epoch_is_said(tmp_path):
    run = write_run(tmp_path / "tiny/1", epochs=9)
    write_status(run, stage="finished", epoch=9, stopped="early stopping")
    assert "Training stopped after epoch 9 of 15: early stopping." in page_of(run).text


def test_a_run_of_an_older_version(tmp_path):
    run = write_run(tmp_path / "tiny/1")
    for name in ("status.json", "predictions.npz", "mistakes.npz"):
        (run.path / name).unlink()
    test = {"accuracy": 0.9025, "crossentropy": 1.2888, "examples": 359}
    run.write("metrics.json", {"best_epoch": 3, "epochs": 5, "test": test})
    page = page_of(run)
    assert "90.25 %" in page.text
    assert "359 examples" in page.text
    assert not {"part-confusion-matrix", "part-classes"} & {part["id"] for part in page.of("section")}
    assert "interrupted" not in page.text


def test_a_task_that_cannot_be_loaded_leaves_plain_numbers(tmp_path):
    run = write_run(tmp_path / "tiny/1", task={"type": "nowhere.Task", "fields": {}})
    text = page_of(run).text
    assert "task cannot be loaded" in text
    assert "macro f1" in text


def test_nothing_in_a_run_becomes_markup(tmp_path):
    run = write_run(
        tmp_path / "<i>tiny</i>/1", num_classes=5, names=HOSTILE, name="</script><script>alert(2)</script>"
    )
    write_bundle(tmp_path / "exported/<u>/1", run)
    page = page_of(run)
    assert [script.get("id") for script in page.of("script")] == ["plotly", "plotly-figures", None]
    assert not page.of("b") and not page.of("i") and not page.of("u")
    assert "<script>alert(1)</script>" in page.text
    names = page.figures()[4]["data"][0]["x"]
    assert names == [label(name, 16) for name in HOSTILE]
    assert not any("<" in name or ">" in name for name in names)


def test_values_that_are_not_finite_are_gaps(tmp_path):
    run = write_run(tmp_path / "tiny/1", epochs=4)
    text = (run.path / "history.csv").read_text().splitlines()
    text[2] = ",".join(["2", "0.5", "nan", "inf", *text[2].split(",")[4:]])
    (run.path / "history.csv").write_text("\n".join(text))
    assert page_of(run).figures()[0]["data"][0]["y"][1] is None


@pytest.mark.slow
def test_large_runs_stay_small(tmp_path):
    names = [f"a class with quite a long name {index}" for index in range(200)]
    run = write_run(tmp_path / "tiny/1", num_classes=200, accuracy=0.5, names=names, image=(224, 224, 3))
    write_history(run, 10_000)
    page = write_report(run)
    assert page.stat().st_size < 1.6e6
    loss = Page(page).figures()[0]
    assert loss["data"][0]["x"][-1] == 10_000
    assert len(loss["data"][0]["x"]) < 2_100
    assert loss["layout"]["yaxis"]["type"] == "log"


def test_training_and_validation_are_in_one_chart_with_the_best_epoch():
    rows = [
        {"epoch": e, "loss": 1 / e, "val_loss": 2 / e, "gan_learning_rate": 0.1, "seconds": 3}
        for e in (1, 2, 3)
    ]
    loss, rate, seconds = curves.of_history(rows, best=2)
    assert [line["name"] for line in loss.figure["data"]] == ["training", "validation"]
    assert loss.figure["data"][1]["y"] == [2.0, 1.0, 0.666667]
    assert loss.figure["layout"]["annotations"][0]["text"] == "best epoch 2"
    assert [list(row) for row in loss.table.rows][1] == [2, 0.5, 1.0]
    assert rate.figure["data"][0]["name"] == "gan"
    assert seconds.figure["layout"]["yaxis"]["title"]["text"] == "seconds"
    assert curves.title("fid") == "Training FID" and curves.title("val_mae") == "Validation MAE"


@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_confusion_matrix_shows_right_and_wrong_answers(tmp_path, num_classes):
    run = write_run(tmp_path / "tiny/1", num_classes=num_classes, accuracy=0.8)
    figures = run.read_json("metrics.json")["test"]
    matrix = np.array(figures["confusion_matrix"])
    parts = {part.title: part.blocks for part in sections(figures, run.labels(), None)}
    chart, table = parts["Confusion matrix"]
    right, wrong = chart.figure["data"]
    shown = [
        [int(a or b or 0) for a, b in zip(*rows, strict=True)]
        for rows in zip(right["text"], wrong["text"], strict=True)
    ]
    assert shown == matrix.tolist()
    assert all(row[i] is not None for i, row in enumerate(right["z"]))
    assert ("texttemplate" in right) == (num_classes < 25)
    off = matrix - np.diag(np.diag(matrix))
    assert table.rows[0][2] == off.max()
    assert isinstance(chart.table, Table)
    if num_classes < 25:
        assert [list(row[1:]) for row in chart.table.rows] == matrix.tolist()


def test_a_confusion_matrix_of_many_classes_shows_the_most_mistaken():
    matrix = 5 * np.eye(300, dtype=int)
    matrix[250, 20] = 3
    names = [f"class {index}" for index in range(300)]
    parts = sections({"confusion_matrix": matrix.tolist()}, names, None)
    chart = next(block for part in parts for block in part.blocks if isinstance(block, Chart))
    shown = chart.figure["data"][1]
    assert len(shown["x"]) == 100
    assert shown["text"][shown["x"].index("class 250")][shown["x"].index("class 20")] == "3"
    assert "100 classes of 300" in chart.title


def test_shortened_class_names_stay_apart():
    names = [f"a very long name of a class number {index} of all" for index in range(3)]
    figures = {"confusion_matrix": np.eye(3, dtype=int).tolist()}
    chart = next(b for part in sections(figures, names, None) for b in part.blocks if isinstance(b, Chart))
    assert len(set(chart.figure["data"][0]["x"])) == 3


def test_mistakes_that_are_no_pictures_are_listed():
    figures = {"mistakes": [{"index": 7, "class": "a", "predicted": "b", "confidence": 0.987}]}
    arrays = {"features": np.zeros((1, 5), np.float32), "labels": np.zeros(1, int),
              "class_ids": np.ones(1, int), "confidence": np.ones(1),
              "indices": np.zeros(1, int)}  # fmt: skip
    table = sections(figures, ("a", "b"), arrays)[-1].blocks[-1]
    assert [column.text(cell) for column, cell in zip(table.columns, table.rows[0], strict=True)] == [
        "7", "a", "b", "98.7 %",
    ]  # fmt: skip


def decoded(source):
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
        return np.array(image)


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 9), (32, 32, 3)])
def test_small_pictures_keep_every_pixel(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    source, width, height = pictures.data_uri(pixels)
    assert np.array_equal(decoded(source).reshape(shape), pixels)
    assert (height, width) == shape[:2]


def test_large_pictures_are_reduced_and_floats_stretched():
    source, width, height = pictures.data_uri(np.full((300, 600, 3), 77, np.uint8))
    assert (width, height) == (160, 80)
    assert np.abs(decoded(source).astype(int) - 77).max() <= 2
    source, *_ = pictures.data_uri(np.array([[-1.0, 0.0], [0.5, 1.0]], np.float32))
    assert decoded(source).tolist() == [[0, 128], [191, 255]]


def test_writing_it_before_there_are_figures_imports_no_keras(tmp_path):
    run = unfinished(tmp_path / "tiny/1")
    code = (
        "import sys; from kerasdl.cli import main\n"
        f"assert main(['report', {str(run.path)!r}]) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (run.path / "report.html").is_file()


def test_command(tmp_path, capsys, monkeypatch):
    run = write_run(tmp_path / "runs/tiny/1")
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert main(["report", str(run.path)]) == 0
    assert capsys.readouterr().out == f"{run.path / 'report.html'}\n"
    assert not opened
    assert main(["report", str(run.path), "--open"]) == 0
    assert opened == [(run.path / "report.html").as_uri()]


def test_what_is_no_run_is_refused(tmp_path, capsys):
    for index in (1, 2, 10):
        write_run(tmp_path / f"runs/tiny/{index}")
    (tmp_path / "empty").mkdir()
    for path, said in (
        ("runs/tiny", "tiny/1, {0}/runs/tiny/2, {0}/runs/tiny/10."),
        ("runs", "is not a run folder, but contains some"),
        ("empty", "is not a run folder"),
        ("nowhere", "There is no"),
    ):
        assert main(["report", str(tmp_path / path)]) == 2
        assert said.format(tmp_path) in capsys.readouterr().err
    with pytest.raises(UsageError):
        record.read(tmp_path)


def test_damaged_files_are_named(tmp_path):
    run = write_run(tmp_path / "tiny/1")
    (run.path / "mistakes.npz").write_bytes(b"not a zip")
    with pytest.raises(RunFailedError, match=r"mistakes.npz is damaged"):
        write_report(run)
    (run.path / "metrics.json").write_text("{")
    with pytest.raises(RunFailedError, match=r"metrics.json is damaged"):
        write_report(run)


def write_explanations(run, names=("cat.png", "<b>dog</b>.png"), methods=("grad-cam", "occlusion"), **about):
    """Write what `kerasdl explain` leaves behind; return its arrays."""
    draw = np.random.default_rng(0)
    rows = [{"name": name, "predicted": "class 1", "probability": 0.87, "class": "class 2", "logit": 1.5,
             "error": 0.004} for name in names]  # fmt: skip
    about = {"images": rows, "notes": [], "filters_of": "net/stem", "patch": 3,
             "grad_cam": {"layer": "net/block", "convolution": "net/block/c", "extent": [7, 7]},
             **about}  # fmt: skip
    arrays = {name: draw.normal(size=(len(names), 28, 28)).astype(np.float32) for name in methods}
    arrays |= {"images": draw.integers(0, 256, (len(names), 28, 28, 3)).astype(np.uint8),
               "filters": draw.normal(size=(3, 3, 3, 8)), "about": np.array(json.dumps(about))}  # fmt: skip
    (run.path / "explain").mkdir(exist_ok=True)
    np.savez(run.path / "explain/explanations.npz", **arrays)
    return arrays


def test_explanations_are_a_sheet(tmp_path):
    run = write_run(tmp_path / "tiny/1")
    arrays = write_explanations(run, notes=["<i>a note</i>"])
    page = page_of(run)
    assert "part-explanations" in [part["id"] for part in page.of("section")]
    for said in ("cat.png predicted: class 1 87 % sure explained: class 2", "<b>dog</b>.png", "<i>a note</i>",
                 "7x7 maps of net/block", "at most 0.40 % away", "patches of 3x3", "Grad-CAM Occlusion",
                 "all 8 filters of 3x3, red, green and blue"):  # fmt: skip
        assert said in page.text, said
    images = [image for image in page.of("img") if "cat.png" in image["alt"]]
    assert [image["alt"] for image in images] == [
        "cat.png", "Grad-CAM of cat.png for class class 2", "Occlusion of cat.png for class class 2",
    ]  # fmt: skip
    assert np.array_equal(decoded(images[0]["src"]), arrays["images"][0])
    assert all(cell["scope"] in ("row", "col") for cell in page.of("th"))
    assert not page.of("b") and not page.of("i")


@pytest.mark.parametrize("methods", [(), ("saliency",)])
def test_explanations_of_few_methods(tmp_path, methods):
    arrays = write_explanations(write_run(tmp_path / "tiny/1"), methods=methods)
    sheet = explanation_sheet.sheet(arrays)
    assert sheet.width > 500 and sheet.height > 100
    assert ("Images and what explains" in page_of(Run(tmp_path / "tiny/1")).text) == bool(methods)


def test_augmented_samples_are_a_sheet(tmp_path):
    run = write_run(tmp_path / "tiny/1")
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 16, 16, 3)).astype(np.uint8)
    np.savez(run.path / "augmented.npz", images=images)
    page = page_of(run)
    found = [image for image in page.of("img") if image["alt"].startswith(("Original", "Copy"))]
    assert np.array_equal([decoded(image["src"]) for image in found], images.reshape(8, 16, 16, 3))
    assert [image["alt"] for image in found[:2]] == ["Original 1", "Copy 1 of 1"]
    assert "original copy 1 copy 2 copy 3 1 2" in page.text


@pytest.mark.parametrize(
    "images", [np.zeros((0, 3, 8, 8, 1)), np.zeros((2, 3, 5)), np.zeros((2, 3, 8, 8, 2))]
)
def test_augmented_samples_that_are_no_pictures_are_left_out(tmp_path, images):
    run = write_run(tmp_path / "tiny/1")
    np.savez(run.path / "augmented.npz", images=images)
    assert "part-augmentation" not in [part["id"] for part in page_of(run).of("section")]


@pytest.mark.parametrize("name", ["augmented.npz", "explain/explanations.npz"])
@pytest.mark.parametrize("content", ["garbage", "other arrays"])
def test_damaged_pictures_are_named(tmp_path, name, content):
    run = write_run(tmp_path / "tiny/1")
    (run.path / name).parent.mkdir(exist_ok=True)
    if content == "garbage":
        (run.path / name).write_bytes(b"not a zip")
    else:
        np.savez(run.path / name, other=np.zeros(3))
    with pytest.raises(RunFailedError, match=rf"{name} is damaged.*Delete"):
        write_report(run)


def test_classes_are_shown_by_their_names_alone():
    for written in ("kerasdl>Tfds", "kerasdl.data.tfds.Tfds", "recipe.py:Tfds"):
        assert provenance.short_type({"type": written, "fields": {"name": "mnist"}}, "name") == "Tfds mnist"


def test_cells_are_written_as_their_columns_say():
    assert Column("a", ".2%").text(0.98765) == "98.77 %"
    assert Column("a", ",d").text(12345) == "12,345"
    assert Column("a", ".2%").text(None) == Column("a").text(None) == ""
    assert label("a" * 40, 11) == "aaaa...aaaa"


def luminance(color):
    parts = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme):
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for lines that carry meaning."""
    style = (Path(report.__file__).parent / "page.css").read_text()
    values = re.findall(r"--([\w-]+): .*?(#\w{6})(?:, (#\w{6}))?", style.partition("* {")[0])
    colors = {name: (dark if scheme == "dark" else "") or light for name, light, dark in values}
    pairs = [(name, "surface", 4.5) for name in ("text", "muted", "link", "warning", "error")]
    pairs += [(name, "raised", 4.5) for name in ("text", "muted", "link")]
    pairs += [("text", name, 4.5) for name in ("right-low", "right-high", "wrong-low", "wrong-high")]
    pairs += [(f"chart-{index}", "surface", 3) for index in range(1, 5)]
    for front, back, needed in pairs:
        high, low = sorted((luminance(colors[front]), luminance(colors[back])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= needed, (front, back)


# In a browser.

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(browser.find() is None, reason="there is no Chromium here"),
]


@pytest.fixture(scope="module")
def chromium():
    with browser.Browser() as opened:
        yield opened


@pytest.mark.slow
class TestInBrowser:
    pytestmark = needs_browser

    @pytest.fixture(scope="class")
    def path(self, finished):
        return write_report(finished)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_draws_its_charts_and_fetches_nothing(self, chromium, path, scheme):
        chromium.open(path, scheme=scheme)
        outside = [url for url in chromium.requests if not url.startswith("data:image/")]
        assert outside == [path.resolve().as_uri()]
        assert chromium.logged == []
        plots = "[...document.querySelectorAll('.plot')]"
        assert chromium.evaluate(f"{plots}.length") == 6
        assert chromium.evaluate(f"{plots}.every((plot) => plot.querySelector('svg.main-svg .xtitle'))")
        assert chromium.evaluate(f"{plots}.every((plot) => plot.querySelector('.trace, .hm image'))")
        assert chromium.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")

    def test_hostile_names_stay_text(self, chromium, tmp_path):
        run = write_run(tmp_path / "tiny/1", num_classes=5, names=HOSTILE, accuracy=0.5)
        chromium.open(write_report(run))
        assert chromium.logged == []
        ticks = chromium.evaluate(
            "[...document.querySelectorAll('.ytick text')].map((tick) => tick.textContent)"
        )
        assert "<script...cript>" in ticks

    def test_charts_follow_the_color_scheme(self, chromium, path):
        ground = "document.querySelector('.main-svg').style.background"
        chromium.open(path, scheme="light")
        assert chromium.evaluate(ground) == "rgb(255, 255, 255)"
        chromium.scheme("dark")
        chromium.settle()
        assert chromium.evaluate(ground) == "rgb(20, 23, 26)"
        assert chromium.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"

    def test_charts_tell_their_numbers_when_hovered(self, chromium, path):
        chromium.open(path)
        chromium.evaluate(
            "document.querySelector('.plot').scrollIntoView({block: 'center', behavior: 'instant'})"
        )
        place = chromium.evaluate(
            "(() => { const box = document.querySelector('.plot .nsewdrag').getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        chromium.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
        chromium.settle()
        text = chromium.evaluate("document.querySelector('.plot .hoverlayer').textContent")
        assert "training" in text and "validation" in text

    def test_tables_are_sorted_from_the_keyboard(self, chromium, path):
        chromium.open(path)
        table = "document.querySelector('#part-classes table')"
        chromium.evaluate(f"{table}.tHead.rows[0].cells[1].querySelector('button').focus()")
        column = f"[...{table}.tBodies[0].rows].map((row) => parseFloat(row.cells[1].textContent))"
        for key, direction in (("Enter", "descending"), (" ", "ascending")):
            chromium.press(key)
            values = chromium.evaluate(column)
            assert values == sorted(values, reverse=direction == "descending")
            heading = chromium.evaluate(f"{table}.tHead.rows[0].cells[1].getAttribute('aria-sort')")
            assert heading == direction
        assert values[0] < values[-1]

    def test_the_first_tab_leads_to_the_content(self, chromium, path):
        chromium.open(path)
        chromium.press("Tab")
        assert chromium.evaluate("document.activeElement.getAttribute('href')") == "#main"
        chromium.press("Enter")
        assert chromium.evaluate("document.activeElement.id") == "main"

    def test_everything_has_a_name_for_screen_readers(self, chromium, path):
        chromium.open(path)
        nodes = chromium.call("Accessibility.getFullAXTree")["nodes"]
        roles = ("button", "link", "image", "img", "region", "table", "navigation", "DisclosureTriangle")
        named = [
            (node["role"]["value"], node.get("name", {}).get("value"))
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in roles
        ]
        assert len(named) > 50
        assert [role for role, name in named if not name] == []
        inside = "[aria-hidden=true] :is(button, a[href], input, [tabindex]:not([tabindex='-1']))"
        assert chromium.evaluate(f'document.querySelectorAll("{inside}").length') == 0

    @pytest.mark.parametrize("width", [400, 800])
    def test_fits_narrow_windows(self, chromium, path, width):
        chromium.open(path, width=width)
        inside = "document.documentElement.clientWidth"
        assert chromium.evaluate(f"document.documentElement.scrollWidth - {inside}") == 0
        assert chromium.evaluate(
            "[...document.querySelectorAll('.plot')].every((plot) =>"
            " plot.querySelector('.main-svg').clientWidth <= plot.clientWidth)"
        )

    def test_reloads_itself_until_it_is_late(self, chromium, tmp_path):
        run = unfinished(tmp_path / "tiny/1")
        with run.locked():
            page = write_report(run)
        text = re.sub(r'data-every="[^"]*"', 'data-every="6"', page.read_text())
        page.write_text(text)
        chromium.open(page)
        fold = "document.querySelectorAll('details')[1].open"
        chromium.evaluate(f"{fold} = true")
        page.write_text(text.replace("tiny/1</h1>", "later</h1>"))
        chromium.settle(9)
        assert chromium.evaluate("document.querySelector('h1').textContent") == "later"
        assert chromium.evaluate(fold) and chromium.evaluate("document.getElementById('late').hidden")
        page.write_text(re.sub(r'data-written="\d+"', 'data-written="1"', text))
        chromium.settle(9)
        assert not chromium.evaluate("document.getElementById('late').hidden")
        chromium.requests.clear()
        chromium.settle(9)
        assert chromium.requests == []

    def test_prints_light_whole_and_unfolded(self, chromium, path):
        chromium.open(path, scheme="dark")
        chromium.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert chromium.evaluate("document.querySelectorAll('details:not([open])').length") == 0
        assert (
            chromium.evaluate("document.querySelector('.main-svg').style.background") == "rgb(255, 255, 255)"
        )
        widest = "Math.max(...[...document.querySelectorAll('.main-svg')].map((svg) => svg.clientWidth))"
        assert chromium.evaluate(widest) <= 680  # A4 less 15 mm on each side, at 96 dots an inch
        chromium.evaluate("dispatchEvent(new Event('afterprint'))")
        assert chromium.evaluate("document.querySelectorAll('details[open]').length") == 0
        assert chromium.evaluate("document.querySelector('.main-svg').style.background") == "rgb(20, 23, 26)"
