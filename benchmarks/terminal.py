"""A command behind a terminal, as a person would see it: for measurements and pictures."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

COLUMNS, ROWS = 80, 40


class Terminal:
    """A command that runs behind a terminal of 80 columns and 40 rows.

    Args:
        command: program and arguments.
        folder: folder in which it runs.
        **environment: variables of the environment that it has besides.

    Attributes:
        process: number of the process.
        code: its exit code, once all pieces were read.
        seconds: processor seconds that it and its children took, once all pieces were read.
    """

    def __init__(self, command: Sequence[str], folder: Path, **environment: str):
        self.code, self.seconds = 0, 0.0
        self.process, self._file = pty.fork()
        if self.process == 0:
            # The size is set before the program can ask for it.
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.chdir(folder)
            os.environ.update(environment)
            os.execvp(command[0], command)

    def pieces(self) -> Iterator[bytes]:
        """Yield what the command writes, as it is written, to its end."""
        while True:
            try:
                piece = os.read(self._file, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not piece:
                break
            yield piece
        _, status, usage = os.wait4(self.process, 0)
        os.close(self._file)
        self.code, self.seconds = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
