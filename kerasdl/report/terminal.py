"""The one place that writes to a terminal: no name or message in a file of somebody else's may steer it."""

import logging
import shutil
import sys
from typing import TYPE_CHECKING, Any, TextIO

from kerasdl.report.fitting import cells as cells
from kerasdl.report.fitting import clean as clean
from kerasdl.report.fitting import cut as cut
from kerasdl.report.fitting import line as line
from kerasdl.report.fitting import wrapped as wrapped
from kerasdl.report.status_line import each as each
from kerasdl.report.status_line import in_notebook as in_notebook
from kerasdl.report.status_line import line_of_status as line_of_status
from kerasdl.report.status_line import status as status
from kerasdl.report.status_line import without_status as without_status

if TYPE_CHECKING:
    from rich.console import Console


def tell(text: str, *, file: TextIO | None = None) -> None:
    """Print sentences; on a terminal they are broken between words.

    Args:
        text: what is said.
        file: where to. Defaults to standard error.
    """
    text, file = clean(text), file or sys.stderr
    is_terminal = file is not None and file.isatty()
    say(wrapped(text, shutil.get_terminal_size().columns) if is_terminal else text, file=file)


def say(text: object = "", **options: Any) -> None:
    """Print a text; takes `end`, `file` and `flush` as `print` does."""
    line_of_status.wipe()
    print(clean(str(text)), **options)


class Formatter(logging.Formatter):
    """Formats log records for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        line_of_status.wipe()
        text = clean(super().format(record))
        return wrapped(text, shutil.get_terminal_size().columns) if sys.stderr.isatty() else text


def begin_logging() -> None:
    """Log to standard error what this package tells, and warnings of others."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("kerasdl").setLevel(logging.INFO)


def open_console(**options: Any) -> "Console":
    """Return a console of Rich whose own colours work, while those in names and messages are written out."""
    from rich.console import Console

    console = Console(**options)
    console.push_render_hook(_hook())
    return console


def _hook():
    from rich.console import RenderHook
    from rich.segment import Segment

    class Cleaned:
        def __init__(self, renderable: Any):
            self.renderable = renderable

        def __rich_console__(self, console, options):
            for text, style, control in console.render(self.renderable, options):
                yield Segment(text if control else clean(text), style, control)

    class Hook(RenderHook):
        def process_renderables(self, renderables):
            line_of_status.wipe()
            return [Cleaned(renderable) for renderable in renderables]

    return Hook()
