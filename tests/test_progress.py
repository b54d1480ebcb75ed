"""The last line of a terminal, the bar of a run, and the lines of its epochs."""

import io
import re
import types

import pytest

from kerasdl.cli.parser import Parser
from kerasdl.data.text.phrases import Phrases
from kerasdl.preprocessing.sequence import SequencePreprocessing
from kerasdl.recipe import Config
from kerasdl.report import status_line, terminal
from kerasdl.training import preparation
from kerasdl.training.callbacks import progress_bar
from kerasdl.training.callbacks.progress_bar import ProgressBar, shown_figures


class Screen(io.StringIO):
    """A terminal: it overwrites what stands behind a carriage return."""

    def seen(self):
        lines = []
        for text in self.getvalue().split("\n"):
            line = ""
            for part in text.split("\r"):
                line = part + line[len(part) :]
            lines.append(line.rstrip())
        return lines


@pytest.fixture
def line(monkeypatch):
    """A status line that draws on a screen of 80 columns, without a thread."""
    line = status_line.StatusLine()
    screen = Screen()
    screen.close = lambda: None
    monkeypatch.setattr(line, "_begin", lambda: setattr(line, "_stream", screen))
    for module in (terminal, status_line):
        monkeypatch.setattr(module, "line_of_status", line)
    monkeypatch.setenv("COLUMNS", "80")
    line.screen = screen
    return line


def test_the_line_is_wiped_before_anything_else_is_printed(line):
    with terminal.status("Loading the data"):
        assert line.screen.seen() == ["Loading the data ..."]
        with terminal.status("In it"):
            assert line.screen.seen() == ["In it ..."]
        assert line.screen.seen() == ["Loading the data ..."]
        terminal.say("a result", file=line.screen)
        line.draw()
        assert line.screen.seen() == ["a result", "Loading the data ..."]
    assert line.screen.seen() == ["a result", ""]


def test_the_echo_of_ctrl_c_does_not_stay_behind_the_line(line):
    with terminal.status("Working"):
        line.screen.write("^C")
        line.draw()
        assert line.screen.seen() == ["Working ..."]
        line.screen.write("^C")
        terminal.say("stopped", file=line.screen)
    assert line.screen.seen()[0] == "stopped"


def test_help_wipes_the_line(line):
    with terminal.status("Working"):
        Parser(prog="kerasdl x").print_help(file=line.screen)
    assert line.screen.seen()[0].startswith("usage: kerasdl x")


def test_what_began_inside_ends_with_it(line):
    with terminal.status("outer"):
        for item in terminal.each("Exporting", ["a", "b"]):
            assert line.screen.seen() == [f"Exporting {1 + (item == 'b')}/2: {item} ..."]
            if item == "b":
                left = terminal.each("left", [1])
                next(left)
    assert not line._texts
    with terminal.status("outer"), terminal.without_status():
        line.draw()
        assert line.screen.seen() == [""]


def test_without_a_terminal_nothing_is_drawn(capsys):
    with terminal.status("Loading"):
        terminal.line_of_status.draw()
    assert capsys.readouterr() == ("", "")


def bar(monkeypatch, width=80, *, epochs=25, max_seconds=None, quiet=False):
    monkeypatch.setenv("COLUMNS", str(width))
    clock = types.SimpleNamespace(now=100.0)
    clock.monotonic = clock.perf_counter = lambda: clock.now
    monkeypatch.setattr(progress_bar, "time", clock)
    position = types.SimpleNamespace(epoch=0, step=0, steps_per_epoch=10, seconds=0.0, stopped=None)
    path = types.SimpleNamespace(parent=types.SimpleNamespace(name="judge"))
    best = types.SimpleNamespace(best_epoch=None, best_figures={}, run=types.SimpleNamespace(path=path))
    console = terminal.open_console(file=io.StringIO(), quiet=quiet)
    made = ProgressBar(
        console, position, best, epochs=epochs, names=("val_accuracy",), max_seconds=max_seconds
    )
    return made, clock


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_bar_fits_and_tells_the_time_left_of_the_run(monkeypatch, width):
    made, clock = bar(monkeypatch, width)
    assert "left" not in made.text()
    made.on_epoch_begin(0)
    made.position.step = 5
    made.on_train_batch_end(4)
    made.position.epoch, made.position.step, clock.now = 5, 0, 149.0  # 5 of 25 epochs, 4.9 of them timed
    made.best.best_epoch, made.best.best_figures = 2, {"val_accuracy": 0.98125}
    made.on_epoch_end(4, {"val_accuracy": 0.97, "loss": 0.1})
    text = made.text()
    if width >= 80:
        assert len(text) < width
        assert re.fullmatch(
            r"epoch 6/25  \[=+>[. ]+\]  20%  val_accuracy 0.9700  best 0.9812  3:3\d left", text
        ), text
    else:
        assert text.startswith("epoch 6/25")
    made.on_test_begin()
    assert "validating" in made.text()


def test_the_time_left_is_not_longer_than_the_time_limit(monkeypatch):
    made, clock = bar(monkeypatch, max_seconds=60.0)
    made.position.step = 1
    made.on_train_batch_end(0)
    made.position.step, made.position.seconds, clock.now = 2, 50.0, 150.0
    assert made.text().endswith("0:10 left")
    assert bar(monkeypatch, quiet=True)[0].text().startswith("judge: epoch 1/25")


def test_lines_of_epochs_fit_and_are_not_too_many(monkeypatch):
    made, clock = bar(monkeypatch, epochs=667)
    figures = {f"generator_loss_{number}": 0.5 for number in range(20)} | {"val_accuracy": 0.5}
    for epoch in range(667):
        made.on_epoch_begin(epoch)
        clock.now += 1.25
        made.on_epoch_end(epoch, figures)
    lines = made.console.file.getvalue().splitlines()
    assert 90 < len(lines) <= 100
    assert max(map(len, lines)) <= 79
    assert re.fullmatch(r"epoch 667/667  generator_loss_0 0.5000 .* val_accuracy 0.5000  1\.2 s", lines[-1])


def test_the_most_important_figures_come_first():
    figures = {"accuracy": 0.9, "loss": 0.1, "val_accuracy": 0.8, "val_loss": 0.2, "learning_rate": 0.1}
    assert shown_figures(figures, ["val_accuracy"], 41) == ["val_accuracy 0.8000", "val_loss 0.2000"]
    assert shown_figures(figures, ["val_accuracy"], 99)[0] == "accuracy 0.9000"
    assert len(shown_figures(figures, ["val_accuracy"], 99)) == 4


def test_fitting_the_preprocessing_tells_how_far_it_is(line):
    data, seen = Phrases().load(), []

    class Watched(SequencePreprocessing):
        def fit(self, examples):
            super().fit(lambda: map(watch, examples()))

    def watch(batch):
        line.draw()
        seen.append(line.screen.seen()[-1].partition(" ...")[0])
        return batch

    preparation.make_preprocessing(Config(Watched), data, 1024)
    total = len(data.train)
    told = [f"Fitting the preprocessing: {read:,}/{total:,} examples" for read in range(0, total, 1024)]
    assert seen == [told[0], *told]  # the first batch is asked for twice: it tells what the examples are
