"""The last line of a terminal, or of a notebook's cell: it says what goes on."""

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, TextIO, TypeVar

from kerasdl.report.fitting import cells, clean, cut

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

_Item = TypeVar("_Item")
_ECHO = 2  # columns of the ^C that a terminal shows behind the line


def in_notebook() -> bool:
    """Tell whether this process runs the cells of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and shell.has_trait("kernel")


class Cell:
    """The line of progress below the cell of a notebook: a display that is rewritten, used like a stream."""

    _AT_ONCE = 0.5  # seconds; of what is over by then no empty place shall remain

    def __init__(self):
        self.last = ""  # what stays
        self._begun = time.monotonic()
        self._display: DisplayHandle | None = None
        self._shown = ""

    def write(self, text: str) -> None:
        """Show a text in the place of the one before; spaces, which wipe a terminal, do nothing."""
        text = text.strip()
        if text and (self._display is not None or time.monotonic() - self._begun > self._AT_ONCE):
            self._show(text)

    def flush(self) -> None:
        """Do nothing: a display is sent at once."""

    def close(self) -> None:
        """Let `last` stay."""
        if self._display is not None or self.last:
            self._show(self.last)

    def _show(self, text: str) -> None:
        from IPython.display import display

        if text == self._shown:
            return
        self._shown, shown = text, {"text/plain": text}
        if self._display is None:
            self._display = display(shown, raw=True, display_id=True)
        else:
            self._display.update(shown, raw=True)


class StatusLine:
    """The last line of a terminal: it says what goes on, and is wiped before anything else is printed.

    It is drawn on standard error, again every second; without a terminal there it is not drawn. In a notebook
    it is one line below the cell.
    """

    _EVERY = 1.0  # seconds
    _REST = 0.2  # seconds in which it lets others print

    def __init__(self):
        self._lock = threading.RLock()
        self._texts: list[Callable[[], str]] = []
        self._drawn = self._wiped = 0.0
        self._width = 0  # of what stands there
        self._stream: TextIO | Cell | None = None
        self._hidden = False
        self._ends = threading.Event()

    @contextlib.contextmanager
    def showing(self, text: Callable[[], str]) -> Iterator[None]:
        """Show what a function returns while the block runs; of nested ones the inner one shows."""
        if not self._texts:
            self._begin()
        self._texts.append(text)
        self.draw()
        try:
            yield
        finally:
            if text in self._texts:  # those that began inside end with it
                del self._texts[self._texts.index(text) :]
            if self._texts:
                self.draw()
            else:
                self._end()

    def draw(self, *, at_most_every: float = 0.0) -> None:
        """Draw the line as it is now."""
        now = time.monotonic()
        with self._lock:
            if self._stream is None or self._hidden or not self._texts or now - self._drawn < at_most_every:
                return
            width = shutil.get_terminal_size().columns - 1
            if not (text := self._texts[-1]()):  # somebody else draws here
                return
            shown = cut(text, width)
            with contextlib.suppress(OSError, UnicodeError):
                before = " " * min(self._width + _ECHO, width) + "\r" if self._width else ""
                self._stream.write("\r" + before + shown)
                self._stream.flush()
            self._drawn, self._width = now, cells(shown)

    def leave(self, text: str) -> None:
        """Let a text stay in a notebook when the line ends; a terminal has what was printed."""
        if isinstance(self._stream, Cell):
            self._stream.last = clean(text)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Draw nothing inside."""
        before, self._hidden = self._hidden, True
        try:
            yield
        finally:
            self._hidden = before

    def wipe(self) -> None:
        """Take the line off the screen; it comes back with the next second."""
        if not self._width or self._stream is None:
            return
        columns = shutil.get_terminal_size().columns
        with self._lock, contextlib.suppress(OSError):
            self._stream.write("\r" + " " * min(self._width + _ECHO, columns - 1) + "\r")
            self._stream.flush()
            self._width, self._wiped = 0, time.monotonic()

    def _begin(self) -> None:
        if in_notebook():
            self._stream = Cell()
            self._start()
            return
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
                return
            # A stream of its own: while C++ code is kept quiet, file descriptor 2 leads elsewhere.
            encoding = sys.stderr.encoding
            number = os.dup(sys.stderr.fileno())
            self._stream = open(number, "w", encoding=encoding, errors="replace")  # noqa: SIM115, PTH123
            self._start()

    def _start(self) -> None:
        self._ends.clear()
        threading.Thread(target=self._tick, args=(self._ends,), daemon=True).start()

    def _tick(self, ends: threading.Event) -> None:
        while not ends.wait(self._EVERY):
            if time.monotonic() - self._wiped > self._REST:
                self.draw(at_most_every=self._EVERY / 2)

    def _end(self) -> None:
        self._ends.set()
        self._ends = threading.Event()
        self.wipe()
        with self._lock:
            if self._stream is not None:
                self._stream.close()
            self._stream = None


line_of_status = StatusLine()


@contextlib.contextmanager
def status(text: str | Callable[[], str]) -> Iterator[None]:
    """Show on the last line of the terminal what goes on inside, and for how many seconds."""
    begun = time.monotonic()

    def shown() -> str:
        seconds = int(time.monotonic() - begun)
        return f"{text if isinstance(text, str) else text()} ..." + (f" {seconds} s" if seconds else "")

    with line_of_status.showing(shown):
        yield


def each(doing: str, items: Collection[_Item], name: Callable[[_Item], str] = str) -> Iterator[_Item]:
    """Yield items while the last line of the terminal tells which one it is: `Exporting 3/6: x.tflite`."""
    for number, item in enumerate(items, 1):
        with status(f"{doing} {number}/{len(items)}: {name(item)}"):
            yield item


@contextlib.contextmanager
def without_status() -> Iterator[None]:
    """Leave the last line to somebody else inside: a live table, or an answer that is typed."""
    with line_of_status.showing(str):
        line_of_status.wipe()
        yield
