"""`kerasdl runs`, `show` and `clean` over run folders of every state."""

import json

import pytest
from rich.console import Console

from kerasdl.cli import main, printing
from kerasdl.errors import UsageError
from kerasdl.jobs import clean, runs
from kerasdl.report import index
from kerasdl.report.render import render
from kerasdl.runs import places
from kerasdl.runs.folder import Run
from tests.run_folders import write_run, write_status


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a finished run, a better one, an interrupted one, and one that came to nothing."""
    monkeypatch.chdir(tmp_path)
    for number, accuracy in ((2, 0.9), (10, 0.97)):
        run = write_run(tmp_path / f"runs/lenet5/{number}", accuracy=accuracy)
        (run.checkpoints / "00000010").mkdir(parents=True)
        (run.checkpoints / "00000010/state.json").write_text("{}")
    write_status(run, stage="finished", started="2026-11-22T00:00:00+00:00")
    (tmp_path / "exported/lenet5/1").mkdir(parents=True)
    receipt = run.read_json("receipt.json")
    run.write("receipt.json", {**receipt, "artefacts": {"exported/lenet5/1": {}, "exported/lenet5/9": {}}})
    stopped = write_run(tmp_path / "runs/mlp/1")
    write_status(stopped)
    stopped.model_file.write_bytes(b"x")
    write_status(write_run(tmp_path / "runs/mlp/2"), error="out of memory")
    (tmp_path / "runs/mlp/3").mkdir()
    (tmp_path / "runs/mlp/3/recipe.json").write_text("{")
    return tmp_path


def told(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_narrow_table_of_runs_leaves_columns_out(place, capsys, monkeypatch):
    widths = {}
    for width in (200, 60):
        monkeypatch.setattr(printing, "open_console", lambda width=width: Console(width=width))
        assert main(["runs"]) == 0
        lines = capsys.readouterr().out.rstrip().splitlines()
        widths[width] = lines[0].split()
        assert len(lines) == 6 + (width == 60)  # nothing is broken
    assert widths[200] == list(runs.TITLES)
    assert widths[60] == ["run", "metric", "bundle"]
    assert lines[-1].startswith("No room for: time, state, data, started.")
    assert [line for line in lines if "damaged" in line or "stopped" in line or "failed" in line], lines


def test_a_figure_that_is_no_number_stands_behind_all_others(place):
    for number, accuracy in ((2, float("nan")), (3, 0.95)):
        run = write_run(place / f"runs/resnet/{number}")
        run.write("metrics.json", {"test": {"accuracy": accuracy}, "best_epoch": 1})
    best = [row.value for row in runs.find(place / "runs", ["finished"], "metric")]
    assert best[1] == 0.95 and sorted(best[:3], reverse=True) == best[:3] and best[3] != best[3]


def test_runs_are_listed_sorted_and_filtered(place, capsys):
    rows = {row["run"]: row for row in told(capsys, "runs")}
    assert {name: row["state"] for name, row in rows.items()} == {
        "runs/lenet5/2": "finished", "runs/lenet5/10": "finished", "runs/mlp/1": "interrupted",
        "runs/mlp/2": "failed", "runs/mlp/3": "damaged",
    }  # fmt: skip
    best = rows["runs/lenet5/10"]
    assert (best["metric"], best["bundles"]) == ("accuracy", ["exported/lenet5/1", "exported/lenet5/9"])
    assert best["value"] == pytest.approx(0.97, abs=0.02)
    assert next(iter(rows)) == "runs/lenet5/10"  # the newest
    ranked = [row["run"] for row in told(capsys, "runs", "finished", "--sort", "metric")]
    assert ranked == ["runs/lenet5/10", "runs/lenet5/2"]
    assert [row["run"] for row in told(capsys, "runs", "runs/lenet5", "--sort", "run")] == ranked[::-1]
    assert main(["runs", "nothing of that name"]) == 0
    assert "No run in runs" in capsys.readouterr().out
    assert main(["runs", "--runs-dir", "nowhere"]) == 2


def test_index_page_links_the_reports_that_are_there(place, capsys):
    (place / "runs/lenet5/10/report.html").touch()
    (place / "pages").mkdir()
    assert main(["runs", "--html", "pages/index.html"]) == 0
    page = (place / "pages/index.html").read_text()
    assert '<a href="../runs/lenet5/10/report.html">runs/lenet5/10</a>' in page
    assert page.count("<a href=") - page.count('<a href="#') == 1
    compared = render(title="a <and> b", subtitle=index.COMPARISON, notices=[], sections=[])
    (place / "two.html").write_text(compared)
    trial = place / "searches/lenet5/1/trial_0"
    trial.mkdir(parents=True)
    for file, content in (
        (trial / "trial.json", "{}"),
        (trial.parent / "search.json", '{"objectives": ["max:a"]}'),
    ):
        file.write_text(content)
    assert main(["runs", "--html", "pages/index.html"]) == 0
    page = " ".join((place / "pages/index.html").read_text().split())
    assert '<a href="../two.html">two.html</a></th> <td>a &lt;and&gt; b</td>' in page
    assert '>searches/lenet5/1</th> <td class="number">1</td> <td>max:a</td> <td>interrupted</td>' in page
    assert "runs/lenet5/10" in capsys.readouterr().out


def test_show_tells_what_belongs_to_a_run(place, capsys):
    shown = told(capsys, "show", "runs/lenet5/10")
    assert shown["bundles"] == ["exported/lenet5/1", "exported/lenet5/9 (no longer there)"]
    assert shown["epoch kept"] == "12 of 15"
    assert any(text.startswith("accuracy 0.9") for text in shown["test"])
    (place / "runs/mlp/1/model.keras").touch()
    assert main(["show", "runs/mlp/1/model.keras"]) == 0  # it stands for its run
    out = capsys.readouterr().out
    assert "interrupted" in out
    assert "kerasdl train --resume runs/mlp/1" in out
    (place / "exported/lenet5/1/saved_model.pb").touch()
    assert main(["show", "runs/lenet5/10"]) == 0
    assert "Next:\n  kerasdl serve exported/lenet5/1\n" in capsys.readouterr().out


def test_clean_leaves_a_finished_run_that_a_process_works_on(place):
    run = Run(place / "runs/lenet5/10")
    (before,) = [one for one in clean.find(place / "runs") if one.run == run.path]
    with run.locked():
        (run.path / ".writing-now").mkdir()
        assert [one for one in clean.find(place / "runs") if one.run == run.path] == []
        with pytest.raises(UsageError, match="Another process works on"):
            clean.remove(before)
    assert before.path.is_dir()


def test_clean_asks_and_takes_what_nobody_needs_alone(place, capsys):
    assert main(["clean"]) == 1  # there is no terminal to ask at
    assert "kerasdl clean --yes" in capsys.readouterr().out
    found = told(capsys, "clean")
    assert [one["path"] for one in found["found"]] == [
        "runs/lenet5/10/checkpoints", "runs/lenet5/2/checkpoints", "runs/mlp/2",
    ]  # fmt: skip
    assert not found["removed"]
    assert (place / "runs/mlp/2").is_dir()
    assert main(["clean", "--yes"]) == 0
    assert "Removed 3 folders" in capsys.readouterr().out
    left = sorted(str(path.relative_to(place)) for path in (place / "runs").glob("*/*"))
    assert left == ["runs/lenet5/10", "runs/lenet5/2", "runs/mlp/1", "runs/mlp/3"]
    assert (place / "runs/lenet5/10/metrics.json").is_file()
    assert told(capsys, "clean")["found"] == []


def test_a_network_without_its_run_is_told(tmp_path):
    (tmp_path / "model.keras").touch()
    with pytest.raises(UsageError, match=r"model\.keras is a network without its run.* Give the run"):
        places.find(tmp_path / "model.keras")
