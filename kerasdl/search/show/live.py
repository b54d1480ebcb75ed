"""The display of a running search."""

import contextlib
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live

from kerasdl.report import terminal
from kerasdl.search import record
from kerasdl.search.record import SearchRecord, TrialRecord
from kerasdl.search.show import table
from kerasdl.search.trials.workers import Workers

_MOST_OF_A_TRIAL = 0.95  # after the last epoch it is evaluated, and perhaps exported


class View:
    """A live table, or a line for each trial where there is no terminal."""

    def __init__(self, path: Path, max_trials: int | None, console: Console):
        self.path = path
        self.max_trials = max_trials
        self.console = console
        self.workers: Workers | None = None
        self.known = record.read(path)
        self._begun = time.monotonic()
        self._before = self._num_ended()
        self._changed = False
        self._drawn = 0.0
        self._live: Live | None = None
        self._shown = contextlib.ExitStack()

    def __enter__(self):
        if self.console.is_terminal:
            self.console.soft_wrap = False  # what is live is broken between words, and not cut
            self._shown.enter_context(terminal.without_status())
            self._live = Live(console=self.console, transient=True, auto_refresh=False)
            self._shown.enter_context(self._live)
        elif terminal.in_notebook():
            self._shown.enter_context(terminal.line_of_status.showing(self._text))
        return self

    def _text(self) -> str:
        """Return the line of a notebook: how far the search is, its best trial, and the time left."""
        of = "" if self.max_trials is None else f" of {self.max_trials}"
        parts = [f"{self._num_ended()}{of} trials ended"]
        if (best := self.known.best()) is not None:
            aim = self.known.objectives[0].name
            parts.append(f"best {aim} {best.figures[aim]:.4g} (trial {best.number})")
        if self.workers is not None and (left := self._seconds_left()) is not None:
            parts.append(f"{left:.0f} s left")
        return "  ".join(parts)

    def __exit__(self, *_):
        self._shown.close()

    def changed(self) -> None:
        """Note that a trial started, reported or ended."""
        self._changed = True

    def refresh(self) -> bool:
        """Draw, at most twice a second; tell whether a trial has ended."""
        now = time.monotonic()
        ended = False
        if self._changed:
            self._changed = False
            ended = self._read()
        elif now - self._drawn < 0.5:
            return False
        self._drawn = now
        if self._live is not None:
            shown = table.live(
                self.known, running=self.workers.running_now(), seconds_left=self._seconds_left()
            )
            self._live.update(shown, refresh=True)
        return ended

    def _read(self) -> bool:
        """Read the files, and print a line for each trial that has ended since."""
        before = {trial.number for trial in self.known.trials if trial.status != "running"}
        self.known = record.read(self.path)
        ended = [
            trial for trial in self.known.trials if trial.status != "running" and trial.number not in before
        ]
        for trial in ended:
            self.console.print(_line(self.known, trial), highlight=False, markup=False, soft_wrap=True)
        return bool(ended)

    def _num_ended(self) -> int:
        return sum(trial.status != "running" for trial in self.known.trials)

    def _seconds_left(self) -> float | None:
        """Return how long the search goes on at its pace so far; trials that run count by their epochs."""
        running = sum(
            min(one.epoch / one.epochs, _MOST_OF_A_TRIAL) for one in self.workers.running_now() if one.epochs
        )
        done = self._num_ended() - self._before + running
        if self.max_trials is None or done == 0:
            return None
        left = max(self.max_trials - self._num_ended() - running, 0.0)
        return left * (time.monotonic() - self._begun) / done


def _line(known: SearchRecord, trial: TrialRecord) -> str:
    """Return the line that says how a trial ended."""
    aims = [
        f"{aim.name} {trial.figures[aim.name]:.4g}" for aim in known.objectives if aim.name in trial.figures
    ]
    time_taken = f"{trial.seconds:.1f} s" if trial.seconds is not None else ""
    best = known.best()
    best_so_far = "" if best is None or len(known.objectives) > 1 else f"best: trial {best.number}"
    state = trial.status if trial.feasible else "infeasible"
    reason = trial.reason.removeprefix(record.PRUNED).partition("\n")[0]
    return "  ".join(
        part for part in (f"trial {trial.number}", state, *aims, time_taken, best_so_far, reason) if part
    )
