"""What a user sees of a search: the page, the importance of hyperparameters, TensorBoard, the terminal."""

import dataclasses
import html
import math
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing import data_provider, event_accumulator, plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    get_experiment,
    list_session_groups,
    plugin_data_pb2,
)

from kerasdl.report.blocks import Chart, Notice, label
from kerasdl.search import dimensions
from kerasdl.search.importance import LEAST_TRIALS, importances
from kerasdl.search.objectives import Constraint, Objective
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show import charts, pareto, table, tensorboard
from kerasdl.search.show import page as search
from kerasdl.search.show.parallel import parallel_coordinates
from kerasdl.search.show.slices import slices
from kerasdl.search.space import Condition, Parameter
from tests import browser
from tests.test_report import HOSTILE, Page

SPACE = (
    Parameter(name="activation", kind="choice", choices=("tanh", "relu"), default="tanh"),
    Parameter(name="optimizer", kind="choice", choices=("sgd", "adam", "adamw"), default="adam"),
    Parameter(name="learning_rate", kind="float", low=1e-4, high=1e-1, sampling="log", default=1e-3),
    Parameter(name="units", kind="int", low=16, high=256, default=64),
    Parameter(name="momentum", kind="float", high=0.99, conditions=(Condition("optimizer", ("sgd",)),)),
)
ACCURACY = Objective("val_accuracy", "max")
SIZE, LATENCY = Objective("tflite_kb", "min"), Objective("latency_ms", "min")
LIMIT = Constraint("tflite_kb", "<=", 150.0)


def drawn(number, noise):
    """Return values of a trial; number 0 has the recipe's own."""
    values = {
        "activation": noise.choice(("tanh", "relu")),
        "optimizer": noise.choice(("sgd", "adam", "adamw")),
        "learning_rate": 10 ** noise.uniform(-4, -1),
        "units": noise.randint(16, 256),
    }
    if number == 0:
        values |= {"optimizer": "adam", "learning_rate": 1e-3}
    return values | ({"momentum": noise.uniform(0, 0.99)} if values["optimizer"] == "sgd" else {})


def trial(number, seed=0, score=None, **changes):
    """Return a completed trial whose accuracy hangs on the learning rate alone."""
    noise = random.Random(1000 * seed + number)
    values = drawn(number, noise)
    if score is None:
        score = 0.98 - 0.1 * (math.log10(values["learning_rate"]) + 2.5) ** 2
    history = tuple((epoch, score - 0.5 / epoch) for epoch in range(1, 9))
    size = 40 + 90 * noise.random()
    figures = {"val_accuracy": score, "tflite_kb": size, "latency_ms": size / 100 * noise.uniform(0.5, 2)}
    made = TrialRecord(
        number=number, status="completed", values=values, figures=figures, history=history, seconds=30.0
    )
    return dataclasses.replace(made, **changes)


def search_of(*trials, path=Path("searches/lenet5/1"), objectives=(ACCURACY,), **changes):
    given = {
        "path": path, "name": "lenet5", "tuner": "bayesian",
        "method": "Gaussian process, expected improvement", "objectives": objectives,
        "constraints": (LIMIT,), "space": SPACE, "trials": trials,
        "pipeline": "./mine.py", "max_trials": max(len(trials), 1), "command": "kerasdl tune lenet5",
        "finished": True,
    }  # fmt: skip
    return SearchRecord(**given | changes)


def mixed(count=24, **changes):
    """Return a search with trials of every kind; number 3 failed, 5 was pruned, 7 is too large."""
    trials = {number: trial(number) for number in range(count)}
    trials[3] = trial(3, status="failed", figures={}, history=(), reason="Training diverged: epoch 2")
    trials[5] = trial(
        5, status="pruned", score=0.3, history=((1, 0.2), (2, 0.3)), reason="pruned: below half"
    )
    big = trials[7].figures | {"tflite_kb": 400.0, "val_accuracy": 0.999}
    trials[7] = trial(7, figures=big, feasible=False)
    return search_of(*trials.values(), **changes)


class Text(Page):
    """A page that was not written to a file."""

    def __init__(self, record, tmp_path):
        path = tmp_path / "page.html"
        path.write_text(search.page(record), encoding="utf-8")
        super().__init__(path)

    @property
    def sections(self):
        return [part["id"].removeprefix("part-") for part in self.of("section")]


ALL = ["overview", "best", "history", "learning-curves", "parallel-coordinates", "importance", "slices",
       "failed-trials", "all-trials"]  # fmt: skip


def test_has_every_section_and_the_figures(tmp_path):
    record = mixed()
    page, best = Text(record, tmp_path), record.best()
    assert page.sections == ALL
    for part in ("lenet5/1", "Best validation accuracy", f"{best.figures['val_accuracy']:.4g}",
                 f"trial {best.number}", "kerasdl train ./mine.py --from-trial searches/lenet5/1:best",
                 "Gaussian process, expected improvement", "tflite_kb<=150", "Completed trials 22 of 24",
                 "Pruned trials 1", "Failed trials 1", "12 min 0 s"):  # fmt: skip
        assert part in page.text, part
    assert best.number != 7


def test_every_chart_has_words_and_numbers(tmp_path):
    page = Text(mixed(objectives=(ACCURACY, SIZE)), tmp_path)
    plots = [part for part in page.of("div") if part.get("class") == "plot"]
    assert len(plots) == len(page.figures()) == 4 + len(SPACE) + 1
    assert all(len(plot["aria-label"]) > 60 for plot in plots)
    assert len(page.of("details")) == len(plots)
    assert len(page.of("table")) == len(plots) + 3


def test_history_marks_each_kind_and_steps_with_the_best():
    record = mixed()
    steps = record.best_so_far()
    counted = [t for t in record.trials if t.status == "completed" and t.feasible]
    for number, value in steps.items():
        assert value == max(t.figures["val_accuracy"] for t in counted if t.number <= number)
    chart = charts.history(record)
    traces = {trace["name"]: trace for trace in chart.figure["data"]}
    assert list(traces) == ["best so far", "completed", "pruned", "infeasible", "failed", "best"]
    marks = [trace["marker"]["symbol"] for name, trace in traces.items() if name != "best so far"]
    assert len(set(marks)) == len(marks)
    assert (traces["failed"]["x"], traces["pruned"]["x"], traces["infeasible"]["x"]) == ([3], [5], [7])
    assert traces["failed"]["y"][0] < min(t.figures["val_accuracy"] for t in record.trials if t.figures)
    assert traces["best"]["x"] == [record.best().number]
    assert traces["best so far"]["line"]["shape"] == "hv"
    assert [row[3] for row in chart.table.rows] == list(steps.values())


def test_less_is_better_where_it_is():
    record = mixed(objectives=(SIZE, ACCURACY), constraints=())
    steps = list(record.best_so_far().values())
    assert steps == sorted(steps, reverse=True) and steps[0] > steps[-1]
    assert slices(record)[1].table.rows[0][2] < 60


def test_learning_curves_are_of_all_trials_and_the_best_is_thick():
    chart = charts.learning_curves(mixed())
    traces = {trace["name"]: trace for trace in chart.figure["data"]}
    assert traces["best"]["line"]["width"] > 2 * traces["completed"]["line"]["width"]
    assert traces["completed"]["x"].count(None) == 20
    assert traces["pruned"]["x"] == [1, 2, None]
    assert len(chart.table.rows) == 23


def test_parallel_coordinates_place_logarithms_and_what_is_inactive():
    record = mixed(objectives=(ACCURACY, SIZE))
    chart = parallel_coordinates(record)
    written = [(mark["y"], mark["x"], mark["text"]) for mark in chart.figure["layout"]["annotations"]]
    titles = [text.split("</b>")[0][3:] for *_, text in written if text.startswith("<b>")]
    assert titles == [
        "validation accuracy", "tflite kb", "activation", "optimizer", "learning rate", "units", "momentum",
    ]  # fmt: skip
    points = {}
    for trace in chart.figure["data"]:
        for x, y, text in zip(trace["x"], trace["y"], trace["text"], strict=True):
            if x is not None:
                points[int(re.match(r"trial (\d+)", text)[1]), y] = x, text
    assert len(points) == 7 * 23
    for one in (t for t in record.trials if t.status != "failed"):
        place, _ = points[one.number, 4]
        assert place == pytest.approx((math.log10(one.values["learning_rate"]) + 4) / 3, abs=1e-3)
        place, text = points[one.number, 6]
        assert (place > 1.1 and "inactive" in text) == ("momentum" not in one.values)
    assert [y for y, _, text in written if text == "inactive"] == [6]
    ticks = [[text for y, _, text in written if y == row and "<b>" not in text] for row in (4, 3)]
    assert ticks == [["0.0001", "0.001", "0.01", "0.1"], ["sgd", "adam", "adamw"]]
    assert [trace["name"] for trace in chart.figure["data"]][-1] == "best"


def test_slices_have_an_axis_as_values_were_sampled():
    record = mixed()
    drawn = {chart.title: chart for chart in slices(record) if isinstance(chart, Chart)}
    assert list(drawn) == [f"Validation accuracy against {name}" for name in
                            ("activation", "optimizer", "learning rate", "units", "momentum")]  # fmt: skip
    axes = [chart.figure["layout"]["xaxis"] for chart in drawn.values()]
    assert [axis.get("type") for axis in axes] == [None, None, "log", None, None]
    assert axes[1]["ticktext"] == ["sgd", "adam", "adamw"]
    *_, momentum = drawn.values()
    shown = sum(len(trace["x"]) for trace in momentum.figure["data"])
    assert shown == sum("momentum" in t.values and bool(t.figures) for t in record.trials)
    assert f"inactive in {23 - shown} trials" in momentum.summary
    assert sum(row[1] for row in momentum.table.rows) == shown


def test_two_objectives_have_one_front_and_three_have_pairs(tmp_path):
    record = mixed(objectives=(ACCURACY, SIZE))
    drawn = [block for block in pareto.charts(record) if isinstance(block, Chart)]
    assert len(drawn) == 1
    traces = {trace["name"]: trace for trace in drawn[0].figure["data"]}
    front = [t.number for t in record.pareto_front()]
    assert [row[0] for row in drawn[0].table.rows] == front
    assert len(traces["front"]["x"]) == len(traces["edge"]["x"]) == len(front) > 1
    assert traces["edge"]["x"] == sorted(traces["edge"]["x"])
    assert traces["edge"]["line"]["shape"] == "vh"  # more accuracy is better
    assert traces["dominated"]["marker"]["color"] == "--muted"
    assert len(traces["dominated"]["x"]) == 21 - len(front)
    record = mixed(objectives=(ACCURACY, SIZE, LATENCY))
    drawn = [block for block in pareto.charts(record) if isinstance(block, Chart)]
    assert len(drawn) == 3
    page = Text(record, tmp_path)
    assert "pareto-front" in page.sections
    assert f"Pareto front: {len(record.pareto_front())} trials that no other one beats" in page.text


def test_states_without_a_best_are_said(tmp_path):
    failed = [trial(n, status="failed", figures={}, history=(), reason=f"reason {n}") for n in range(3)]
    large = [trial(n, feasible=False, figures=trial(n).figures | {"tflite_kb": 200.0 + n}) for n in range(3)]
    running = [trial(n, status="running", figures={}, history=(), seconds=None) for n in range(2)]
    cases = {
        "No trial has started yet.": (search_of(finished=False), ["overview"]),
        "Every trial failed; see below why.": (search_of(*failed), ALL),
        "No completed trial keeps to tflite_kb<=150. Nearest to tflite_kb<=150: trial 0 with 200": (
            search_of(*large), ALL[:7] + ALL[8:],
        ),
        "No trial has completed yet.": (search_of(*running, finished=False), ALL[:7] + ALL[8:]),
        "2 of 2 trials": (search_of(trial(0), trial(1), finished=False), ALL[:7] + ALL[8:]),
        "1 trial completed; at least 8 are needed": (search_of(trial(0)), ALL[:7] + ALL[8:]),
    }  # fmt: skip
    for said, (record, sections) in cases.items():
        page = Text(record, tmp_path)
        assert said in page.text, said
        assert page.sections == sections, said
        assert ("--from-trial" in page.text) == (record.best() is not None)
    assert "reason 2" in Text(search_of(*failed), tmp_path).text


def test_a_page_says_whether_the_search_goes_on_was_interrupted_or_ended(tmp_path):
    some = search_of(trial(0), trial(1), max_trials=5, finished=False)
    for live, said, other in ((True, "The search goes on: 2 of 5 trials", "interrupted"),
                              (False, "The search was interrupted: 2 of 5 trials have ended. To continue it: "
                               "kerasdl tune lenet5", "goes on")):  # fmt: skip
        (tmp_path / "page.html").write_text(search.page(some, live=live))
        page = Page(tmp_path / "page.html")
        assert said in page.text and other not in page.text
        assert ("data-every" in page.of("body")[0]) == live
    assert not {"goes on", "interrupted"} & set(Text(search_of(trial(0)), tmp_path).text.split())


def test_figures_that_are_no_numbers_are_left_out(tmp_path):
    broken = trial(1, figures={"val_accuracy": math.nan, "tflite_kb": math.inf}, history=((1, math.nan),))
    page = Text(search_of(trial(0), broken, trial(2), objectives=(ACCURACY, SIZE)), tmp_path)
    assert "nan" not in page.text.split()
    assert page.figures()


def test_a_search_whose_space_or_values_changed_is_shown(tmp_path):
    strange = trial(1, values={"optimizer": "lion", "learning_rate": 0.5, "gone": None})
    record = search_of(trial(0), strange, trial(2))
    for space in (SPACE, ()):
        page = Text(dataclasses.replace(record, space=space), tmp_path)
        assert "lion" in page.text and "gone" in page.text


def test_an_own_value_without_a_logarithm_stands_at_the_lower_end():
    """No weight decay in the recipe, where a search tries 1e-4 to 1e-1."""
    record = search_of(*(trial(n, values={"learning_rate": value}) for n, value in enumerate((0.0, 0.01))))
    lines = parallel_coordinates(record).figure["data"]
    points = [point for line in lines for point in zip(line["x"], line["text"], strict=True)]
    found = {text.split("<br>")[1]: x for x, text in points if "learning rate" in text}
    assert found == {"learning rate 0": 0.0, "learning rate 0.01": pytest.approx(2 / 3, abs=1e-3)}
    points = slices(record)[1].figure["data"]
    assert sorted(x for trace in points for x in trace["x"]) == [1e-4, 0.01]


def test_nothing_that_users_write_becomes_markup(tmp_path):
    name = "<script>alert(1)</script>"
    space = (
        Parameter(name=name, kind="choice", choices=tuple(HOSTILE)),
        Parameter(name="<b>x</b>", kind="float", low=0.0, high=1.0),
    )
    trials = [
        trial(
            n, values={name: HOSTILE[n % 5], "<b>x</b>": n / 12}, figures={"<i>f</i>": n / 7, "<u>": 1.0 * n}
        )
        for n in range(12)
    ]
    trials.append(trial(12, status="failed", figures={}, values={}, reason="</script><img src=x onerror=y>"))
    objectives = (Objective("<i>f</i>", "max"), Objective("<u>", "min"))
    record = search_of(
        *trials, objectives=objectives, space=space, constraints=(), name=name, method=name, command=name,
        path=tmp_path / "<s>" / "1",
    )  # fmt: skip
    page = Text(record, tmp_path)
    assert [script.get("id") for script in page.of("script")] == ["plotly", "plotly-figures", None]
    assert not [tag for tag, _ in page.elements if tag in ("b", "i", "u", "s", "img")]
    texts = re.findall(r'"((?:[^"\\]|\\.)*)"', str(page.figures()).replace("'", '"'))
    tags = {tag for text in texts for tag in re.findall(r"<[^>]*>", text)}
    assert tags <= {"<br>", "<b>", "</b>", "<extra>", "</extra>"}
    assert html.unescape(label(name)) in page.text or name in page.text


@pytest.mark.slow
def test_the_same_record_gives_the_same_page():
    record = mixed(40, objectives=(ACCURACY, SIZE, LATENCY))
    first, second = (re.sub(r"Written [^<]*", "", search.page(record)) for _ in range(2))
    assert first == second


def test_write_replaces_the_page_atomically(tmp_path):
    record = mixed(path=tmp_path / "searches/lenet5/1")
    record.path.mkdir(parents=True)
    (record.path / "report.html").write_text("old")
    path = search.write(record)
    assert path == record.path / "report.html"
    assert "<title>lenet5/1 - Report of a hyperparameter search</title>" in path.read_text(encoding="utf-8")
    assert [file.name for file in record.path.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_five_hundred_trials_make_a_page_that_opens(tmp_path):
    record = search_of(*(trial(n) for n in range(500)), objectives=(ACCURACY, SIZE))
    page = Text(record, tmp_path)
    assert (tmp_path / "page.html").stat().st_size < 8e6
    assert sum(len(figure["data"]) for figure in page.figures()) < 60


# Importance.


@pytest.mark.slow
def test_importance_finds_what_counts_and_says_how_well():
    found = importances(search_of(*(trial(n) for n in range(60))))
    assert found.r2 > 0.6 and not found.reason and found.trials == 60
    first, *rest = found.items
    assert first.name == "learning_rate"
    assert all(item.loss < 0.1 * first.loss for item in rest)
    assert found == importances(search_of(*(trial(n) for n in range(60))))
    chart, about = search.search_importance.importance(found, "val_accuracy")
    bars, axis = chart.figure["data"][0], chart.figure["layout"]["yaxis"]
    assert (bars["x"][0], axis["ticktext"][0], bars["y"]) == (first.loss, "learning rate", [0, 1, 2, 3, 4])
    assert (
        bars["marker"]["color"] == ["--chart-1", *(["--muted"] * 4)] and "4 do not stand out" in chart.summary
    )
    assert "random forest" in about.text and f"R^2 is {found.r2:.2f}" in about.text


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_importance_claims_nothing_about_noise(seed):
    noise = random.Random(seed)
    found = importances(search_of(*(trial(n, seed=seed, score=noise.random()) for n in range(60))))
    assert found.items == ()
    assert "out-of-bag R^2" in found.reason
    (block,) = search.search_importance.importance(found, "val_accuracy")
    assert isinstance(block, Notice) and block.text.startswith("Nothing can be said")


def test_importance_of_a_child_is_not_that_of_its_parent():
    """Only the optimizer counts; momentum, active with sgd alone, must not stand in for it."""
    trials = [trial(n) for n in range(80)]
    noise = random.Random(0)
    scores = [(t.values["optimizer"] == "sgd") + 0.2 * noise.random() for t in trials]
    trials = [trial(n, score=score) for n, score in enumerate(scores)]
    found = {item.name: item for item in importances(search_of(*trials)).items}
    assert found["optimizer"].loss > 0.9  # half of it when a fixed number says "inactive"
    assert found["momentum"].loss < 0.05
    assert found["momentum"].trials == sum("momentum" in t.values for t in trials) < 40


def test_importance_of_a_child_that_counts_is_seen():
    trials = [trial(n) for n in range(80)]
    noise = random.Random(0)
    scores = [2 * t.values.get("momentum", 0.5) + 0.2 * noise.random() for t in trials]
    found = importances(search_of(*(trial(n, score=score) for n, score in enumerate(scores))))
    assert found.items[0].name == "momentum"


def test_importance_needs_enough_trials_and_more_than_one_value():
    few = search_of(*(trial(n) for n in range(LEAST_TRIALS - 1)))
    assert importances(few).reason == "7 trials completed; at least 8 are needed."
    same = search_of(*(trial(n, score=0.5) for n in range(20)))
    assert importances(same).reason == "Every completed trial has the same val_accuracy."
    fixed = search_of(*(trial(n, score=n, values={"units": 3}) for n in range(20)))
    assert importances(fixed).reason == "No hyperparameter took more than one value."
    pruned = search_of(*(trial(n, status="pruned") for n in range(20)))
    assert importances(pruned).trials == 0


def test_importance_leaves_out_what_it_cannot_judge():
    trials = [trial(n, values=trial(n).values | {"activation": "tanh"}) for n in range(40)]
    rare = [t if n < 3 else dataclasses.replace(t, values={k: v for k, v in t.values.items() if k != "units"})
            for n, t in enumerate(trials)]  # fmt: skip
    found = {item.name: item for item in importances(search_of(*rare)).items}
    assert (found["activation"].loss, found["activation"].note) == (None, "always the same value")
    assert (found["units"].loss, found["units"].note) == (None, "active in 3 trials only")


def test_parameters_of_one_name_are_one_axis():
    a = Parameter(
        name="units", kind="int", low=8, high=16, sampling="log", conditions=(Condition("k", (1,)),)
    )
    b = Parameter(name="units", kind="float", low=4, high=10, sampling="log")
    (one,) = dimensions.by_name((a, b))
    assert (one.kind, one.low, one.high, one.conditions) == ("float", 4, 16, ())
    assert dimensions.is_log(one)
    (one,) = dimensions.by_name((a, Parameter(name="units", kind="choice", choices=(1, 2))))
    assert (one.kind, one.choices) == ("choice", (1, 2))


# TensorBoard.


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    path = tmp_path_factory.mktemp("logged") / "lenet5/1"
    record = mixed(path=path, objectives=(ACCURACY, SIZE))
    running = trial(24, status="running", figures={}, seconds=None)
    record = dataclasses.replace(record, trials=(*record.trials, running))
    tensorboard.write(record)
    return record


def backend(path):
    """Return TensorBoard's own view of a folder, as its HParams tab asks for it."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(path))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(path))
    return backend_context.Context(TBContext(data_provider=provider))


def session_groups(path):
    context, request = RequestContext(), api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=1000,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING],
        col_params=[api_pb2.ColParams(metric=api_pb2.MetricName(tag="val_accuracy"))],
    )  # fmt: skip
    seen = backend(path)
    experiment = get_experiment.Handler(context, seen, "", api_pb2.GetExperimentRequest()).run()
    handler = list_session_groups.Handler(context, seen, "", request)
    return experiment, handler.run().session_groups


def test_tensorboard_shows_every_finished_trial_with_its_active_values(logged):
    _, groups = session_groups(logged.path)
    found = {group.name: group for group in groups}
    assert set(found) == {f"trial {t.number:03d}" for t in logged.trials if t.status != "running"}
    for one in logged.trials[:-1]:
        group = found[f"trial {one.number:03d}"]
        kinds = {"string_value": str, "number_value": float, "bool_value": bool}
        values = {
            name: kinds[value.WhichOneof("kind")](getattr(value, value.WhichOneof("kind")))
            for name, value in group.hparams.items()
        }
        assert values == one.values
        assert len(group.sessions) == 1
        failed = group.sessions[0].status == api_pb2.STATUS_FAILURE
        assert failed == (one.status == "failed")
        metrics = {value.name.tag: value.value for value in group.metric_values}
        assert metrics == pytest.approx({name: one.figures[name] for name in metrics}, rel=1e-6)
        assert set(metrics) == ({"val_accuracy", "tflite_kb"} if one.figures else set())


def test_tensorboard_knows_the_domains_and_the_objectives(logged):
    experiment, _ = session_groups(logged.path)
    infos = {info.name: info for info in experiment.hparam_infos}
    assert set(infos) == {parameter.name for parameter in SPACE}
    assert list(infos["optimizer"].domain_discrete) == ["sgd", "adam", "adamw"]
    interval = infos["learning_rate"].domain_interval
    assert (interval.min_value, interval.max_value) == (1e-4, 1e-1)
    assert [metric.name.tag for metric in experiment.metric_infos] == ["val_accuracy", "tflite_kb"]


def test_event_files_hold_the_curve_and_the_figures(logged):
    accumulator = event_accumulator.EventAccumulator(str(logged.path / "logs/hparams/trial-002"))
    accumulator.Reload()
    tensors = accumulator.Tags()["tensors"]
    assert "epochs/val_accuracy" in tensors and "tflite_kb" in tensors
    curve = [
        (event.step, event.tensor_proto.float_val[0]) for event in accumulator.Tensors("epochs/val_accuracy")
    ]
    assert [step for step, _ in curve] == [epoch for epoch, _ in logged.trials[2].history]
    content = accumulator.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.group_name == "trial 002"


def test_writing_again_changes_nothing_and_doubles_nothing(tmp_path):
    record = mixed(path=tmp_path / "1")
    tensorboard.write(record)
    files = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.rglob("events.*")}
    assert len(files) == 25
    tensorboard.write(record)
    again = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.rglob("events.*")}
    assert again == files
    changed = dataclasses.replace(record, trials=(trial(0, score=0.5), *record.trials[1:10]))
    tensorboard.write(changed)
    _, groups = session_groups(tmp_path / "1")
    assert len(groups) == 10
    accuracy = {g.name: {m.name.tag: m.value for m in g.metric_values} for g in groups}
    assert accuracy["trial 000"]["val_accuracy"] == 0.5


def test_choices_of_several_types_are_written_as_text(tmp_path):
    space = (
        Parameter(name="mixed", kind="choice", choices=(1, "two", None, True)),
        Parameter(name="flag", kind="choice", choices=(False, True)),
        Parameter(name="count", kind="choice", choices=(1, 2), ordered=True),
    )
    trials = [
        trial(n, values={"mixed": v, "flag": n == 1, "count": 2}) for n, v in enumerate((1, "two", None))
    ]
    tensorboard.write(search_of(*trials, space=space, path=tmp_path))
    experiment, groups = session_groups(tmp_path)
    assert {info.name: info.type for info in experiment.hparam_infos} == {
        "mixed": api_pb2.DATA_TYPE_STRING,
        "flag": api_pb2.DATA_TYPE_BOOL,
        "count": api_pb2.DATA_TYPE_FLOAT64,
    }
    infos = {info.name: info for info in experiment.hparam_infos}
    assert list(infos["mixed"].domain_discrete) == ["1", "two", "None", "True"]
    assert {g.hparams["mixed"].string_value for g in groups} == {"1", "two", "None"}
    assert {g.hparams["flag"].bool_value for g in groups} == {False, True}


# The terminal.


def printed(renderable, width):
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@pytest.mark.parametrize("width", [50, 80, 120, 250])
def test_trials_fit_the_terminal_best_first(width):
    record = mixed(objectives=(ACCURACY, SIZE))
    text = printed(table.trials(record), width)
    assert max(map(len, text.splitlines())) <= width
    assert "\u2026" not in text, "a cell was cut"
    numbers = [int(line[:5]) for line in text.splitlines() if line[:5].strip().isdigit()]
    assert numbers[:22] == [t.number for t in record.ranked()]
    assert sorted(numbers) == list(range(24))
    flat = " ".join(text.split())
    assert "trial 3: Training diverged: epoch 2" in flat
    best = record.best()
    assert f"{best.figures['val_accuracy']:.4g}" in text
    value = dimensions.spelled(best.values["learning_rate"])
    joined = "".join(text.split())
    assert (f"learning_rate={value}" in joined) == (width < 100)
    assert value in joined
    assert ("latency" in text) == (width > 100)


def test_live_table_says_what_runs_and_what_was_best():
    record = mixed(objectives=(ACCURACY, SIZE), max_trials=40)
    running = [table.Running(24, 3, 8, 0.9123, 75.0), table.Running(25, 0, 8, None, 2.0)]
    text = printed(table.live(record, running=running, seconds_left=605.0), 80)
    best = record.best()
    flat = " ".join(text.split())
    for part in ("24 of 40 trials (22 completed, 1 pruned, 1 failed, 2 running), 10 min 5 s left",
                 f"trial {best.number}: val accuracy {best.figures['val_accuracy']:.4g}",
                 f"optimizer={best.values['optimizer']}", "trial 24 3/8 0.9123 1 min 15 s",
                 "trial 25 0/8 2.0 s"):  # fmt: skip
        assert part in flat, part
    assert max(map(len, text.splitlines())) <= 80
    empty = printed(table.live(search_of(), running=[], seconds_left=None), 80)
    assert "none yet" in empty and "left" not in empty
    assert printed(table.trials(search_of()), 80) == "No trial has started yet.\n"


def test_the_terminal_gets_no_control_characters_and_no_markup():
    odd = trial(
        0, status="failed", figures={}, reason="\x1b[2J[bold]x[/bold]\nnext", values={"a": "[red]\x1b"}
    )
    text = printed(table.trials(search_of(odd, trial(1))), 100)
    assert "\x1b" not in text
    assert "[bold]x[/bold] next" in text and "[red]" in text


@pytest.mark.slow
def test_none_of_it_imports_keras_or_tensorflow(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from kerasdl.search.show import page, table, tensorboard\n"
        "from kerasdl.search.record import SearchRecord, TrialRecord\n"
        "from kerasdl.search.objectives import Objective\n"
        "from kerasdl.search.space import Parameter\n"
        "trials = tuple(TrialRecord(number=n, status='completed', values={'x': n / 9},"
        " figures={'loss': n * 1.0}, history=((1, 1.0),), seconds=1.0) for n in range(12))\n"
        "space = (Parameter(name='x', kind='float'),)\n"
        f"record = SearchRecord(path=Path({str(tmp_path)!r}), name='a', tuner='random', method='m',"
        " objectives=(Objective('loss', 'min'),), space=space, trials=trials)\n"
        "page.write(record); tensorboard.write(record); table.trials(record)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "report.html").is_file()


# In a browser.


@pytest.fixture(scope="module")
def chromium():
    with browser.Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    made = tmp_path_factory.mktemp("page") / "report.html"
    made.write_text(search.page(mixed(objectives=(ACCURACY, SIZE, LATENCY))), encoding="utf-8")
    return made


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(browser.find() is None, reason="there is no Chromium here")
class TestInBrowser:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_draws_every_chart_and_fetches_nothing(self, chromium, path, scheme):
        chromium.open(path, scheme=scheme)
        assert chromium.requests == [path.resolve().as_uri()]
        assert chromium.logged == []
        plots = "[...document.querySelectorAll('.plot')]"
        assert chromium.evaluate(f"{plots}.length") == 4 + len(SPACE) + 3
        assert chromium.evaluate(f"{plots}.every((plot) => plot.querySelector('.trace path'))")
        lines = "[...document.querySelectorAll('#part-parallel-coordinates .scatterlayer .js-line')]"
        strokes = chromium.evaluate(f"{lines}.map((line) => getComputedStyle(line).stroke)")
        assert strokes[-1] == {"light": "rgb(213, 94, 0)", "dark": "rgb(230, 159, 0)"}[scheme]  # --chart-2
        texts = "[...document.querySelectorAll('#part-parallel-coordinates .annotation')]"
        assert "inactive" in chromium.evaluate(f"{texts}.map((text) => text.textContent)")
        cut = "[...document.querySelectorAll('.plot .xtick text, .plot .annotation-text')].filter((text) => {"
        cut += " const a = text.getBoundingClientRect(), b = text.closest('.plot').getBoundingClientRect();"
        cut += " return a.left < b.left - 1 || a.right > b.right + 1; }).map((text) => text.textContent)"
        assert chromium.evaluate(cut) == []

    def test_nothing_overflows_a_phone(self, chromium, path):
        chromium.open(path, width=390)
        assert chromium.logged == []
        inside = "document.documentElement.clientWidth"
        assert chromium.evaluate(f"document.documentElement.scrollWidth - {inside}") == 0
        wide = "[...document.querySelectorAll('.plot')].filter((plot) => plot.scrollWidth > plot.clientWidth)"
        assert chromium.evaluate(f"{wide}.length") == 0

    def test_hostile_names_are_shown_as_they_are(self, chromium, tmp_path):
        name = "<b>x</b>"
        space = (Parameter(name=name, kind="choice", choices=("<i>a</i>", "b")),)
        trials = [trial(n, values={name: ("<i>a</i>", "b")[n % 2]}, score=n / 10) for n in range(9)]
        page = tmp_path / "page.html"
        page.write_text(search.page(search_of(*trials, space=space)), encoding="utf-8")
        chromium.open(page)
        assert chromium.logged == []
        for part, texts in (("slices", ".xtick text"), ("parallel-coordinates", ".annotation")):
            found = f"[...document.querySelectorAll('#part-{part} :is({texts})')]"
            assert "<i>a</i>" in chromium.evaluate(f"{found}.map((text) => text.textContent)")
