"""The one place that writes to a terminal: no name or message in a file of somebody else's may steer it."""

import logging
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# Control characters but for new lines and tabs, what turns the direction of text, and halves of characters.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    r"""Return a text with everything that steers a terminal written out: `\x1b[31m`."""
    return _STEERING.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def line(text: str) -> str:
    r"""Return a text as a part of one line: new lines are written out too, as `\n`."""
    return clean(text).replace("\n", "\\n")


def cells(text: str) -> int:
    """Return how wide a text is in a terminal: letters of some scripts, and emoji, take two columns."""
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, width: int) -> str:
    """Return a text as one line that is at most so many columns wide, with `...` where it was cut."""
    from rich.cells import set_cell_size

    shown = line(" ".join(text[: 8 * width].split()))
    if cells(shown) <= width and len(text) <= 8 * width:
        return shown
    return set_cell_size(shown, max(0, min(width - 3, cells(shown)))).rstrip() + "..."


def say(text: object = "", **options: Any) -> None:
    """Print a text; takes `end`, `file` and `flush` as `print` does."""
    print(clean(str(text)), **options)


class Formatter(logging.Formatter):
    """Formats log records for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


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
            return [Cleaned(renderable) for renderable in renderables]

    return Hook()
