"""The standard streams of a command: closed ones, full disks, readers that are gone."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class Stream:
    """A text stream that never ends the work of a command: after its first failure, all goes nowhere.

    What the locale cannot write is written as escapes.

    Args:
        stream: where it writes to; everything else is asked of it.

    Attributes:
        failure: the first error; None while there is none.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._surviving():
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding
                self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        with self._surviving():
            self._stream.flush()

    @contextlib.contextmanager
    def _surviving(self):
        try:
            yield
        except OSError as error:
            self.failure = self.failure or error
            with contextlib.suppress(OSError):  # what is still in the buffer has a place to go then
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
                self._stream.flush()


@contextlib.contextmanager
def guarded() -> Iterator[Stream]:
    """Put a `Stream` in the place of each standard stream that is written to; yield that of the output."""
    _open_closed()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(Stream, before)
    try:
        yield sys.stdout
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Open what is closed (`2>&-`) to nowhere: the next file to be opened would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
