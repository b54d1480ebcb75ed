"""Fits texts to a terminal: what steers it is written out; widths, cuts, breaks between words."""

import re
import textwrap

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


def wrapped(text: str, width: int) -> str:
    """Return a text with its long lines broken between words; what follows a list's dash is indented."""
    return "\n".join(
        textwrap.fill(
            part, width, subsequent_indent="  " if part.startswith("- ") else "", break_long_words=False,
            break_on_hyphens=False, replace_whitespace=False, drop_whitespace=True,
        ) if cells(part) > width else part
        for part in text.split("\n")
    )  # fmt: skip
