"""Progress on the terminal: one bar for the whole run, and a line for each epoch that says what matters."""

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence

import keras
from rich.console import Console

from kerasdl.report import terminal
from kerasdl.training.callbacks.best import Best
from kerasdl.training.callbacks.position import Position

_MOST_LINES = 100  # of a run with many epochs every second one, every third one, ... is printed
_NARROWEST = 60  # columns
_BAR = (4, 20)  # columns, at least and at most


class ProgressBar(keras.callbacks.Callback):
    """Draw a bar of the whole run, and print lines of its epochs; without a terminal the lines alone.

    Args:
        console: where lines are printed.
        position: where training stands.
        best: the callback that knows the best epoch.
        epochs: number of epochs of the run.
        names: metrics to show, the most important first; what has no room is in `history.csv`.
        max_seconds: time limit of the run. Defaults to None.
    """

    def __init__(
        self,
        console: Console,
        position: Position,
        best: Best,
        *,
        epochs: int,
        names: Sequence[str],
        max_seconds: float | None = None,
    ):
        super().__init__()
        self.console, self.position, self.best = console, position, best
        self.epochs, self.names, self.max_seconds = epochs, names, max_seconds
        self._shown = contextlib.ExitStack()
        self._first: tuple[float, float] | None = None  # time and share of the run, to see how fast it is
        self._doing = ""
        self._latest: Mapping[str, float] = {}

    def on_train_begin(self, logs=None):
        self._doing = "the first step is compiled ..."
        self._shown.enter_context(terminal.line_of_status.showing(self.text))

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._doing = ""
        self._first = self._first or (time.monotonic(), self._share())
        terminal.line_of_status.draw(at_most_every=0.2)

    def on_test_begin(self, logs=None):
        self._doing = "validating ..."
        terminal.line_of_status.draw(at_most_every=0.2)

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self._began
        self._doing, self._latest = "", logs
        is_best = self.best.best_epoch == epoch
        every = -(-self.epochs // _MOST_LINES)
        if (epoch + 1) % every and not is_best and epoch + 1 < self.epochs and self.position.stopped is None:
            return
        width = self.console.width if self.console.is_terminal else 80
        begin, end = f"epoch {epoch + 1}/{self.epochs}", f"{seconds:.1f} s" + (" (best)" if is_best else "")
        room = max(width, _NARROWEST) - len(begin) - len(f"{end}  ") - len(" (best)") * (not is_best)
        line = "  ".join([begin, *shown_figures(logs, self.names, room), end])
        self.console.print(line, highlight=False, markup=False)

    def on_train_end(self, logs=None):
        self.close()

    def close(self) -> None:
        """Take the bar off the screen, also when training ended by an error."""
        self._shown.close()

    def text(self) -> str:
        """Return the bar: epoch, share of the run, its metric now and at its best, time left."""
        share, width = self._share(), shutil.get_terminal_size().columns - 1
        begin = f"epoch {min(self.position.epoch + 1, self.epochs)}/{self.epochs}"
        if self.console.quiet:  # a run beside the one that was asked for
            begin = f"{self.best.run.path.parent.name}: {begin}"
        end = [f"{share:4.0%}"]
        if (name := next((name for name in self.names if name in self._latest), None)) is not None:
            end.append(f"{name} {self._latest[name]:.4f}")
            if (best := self.best.best_figures.get(name)) is not None:
                end.append(f"best {best:.4f}")
        end.append(self._doing or self._left(share))
        text = "  ".join(filter(None, end))
        room = min(width - len(f"{begin}  [] {text}"), _BAR[1])
        return f"{begin}  {_bar(share, room)} {text}" if room >= _BAR[0] else f"{begin} {text}"

    def _share(self) -> float:
        """Return how much of the run is done, 0 to 1."""
        done = self.position.epoch + self.position.step / self.position.steps_per_epoch
        return min(done / self.epochs, 1.0)

    def _left(self, share: float) -> str:
        if self._first is None or share <= self._first[1]:
            return ""
        began, at_first = self._first
        left = (time.monotonic() - began) * (1 - share) / (share - at_first)
        if self.max_seconds is not None:
            left = min(left, max(self.max_seconds - self.position.seconds, 0))
        return f"{_duration(left)} left"


def shown_figures(figures: Mapping[str, float], names: Sequence[str], room: int) -> list[str]:
    """Return the metrics of an epoch that have room in a line, the most important of them, in their order.

    Args:
        figures: all metrics by name.
        names: those that matter, the most important first.
        room: columns that they may take, with two before each.
    """
    losses = [name for name in figures if name.endswith("loss")]
    chosen = set()
    for name in dict.fromkeys((*names, "val_loss", "loss", *losses, *figures)):
        if name in figures and name != "learning_rate":
            room -= len(f"  {name} {float(figures[name]):.4f}")
            if room < 0:
                break
            chosen.add(name)
    return [f"{name} {float(value):.4f}" for name, value in figures.items() if name in chosen]


def _bar(share: float, width: int) -> str:
    done = int(share * width)
    return f"[{'=' * done}{'>' if done < width else ''}{'.' * (width - done - 1)}]"


def _duration(seconds: float) -> str:
    """Return a time that counts down, without jumps between units: 0:07, 12:05, 3:20:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
