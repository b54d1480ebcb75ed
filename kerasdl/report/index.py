"""Pages of comparisons, found again by what they say of themselves, so that an index can link them."""

import html
import re
from collections.abc import Iterable
from pathlib import Path

COMPARISON = "Comparison of training runs"
_HEAD = 2000  # bytes in which a page says what it is
_TITLE = re.compile(
    rf'<meta name="generator" content="kerasdl [^"]*">\s*<title>([^<]*) - {COMPARISON}</title>'
)


def comparisons(folders: Iterable[Path]) -> dict[Path, str]:
    """Return the pages of `kerasdl compare --html` that lie in some folders, with their titles, by name."""
    found = {}
    for path in sorted({path for folder in folders for path in folder.glob("*.html")}):
        with path.open(encoding="utf-8", errors="replace") as file:
            if said := _TITLE.search(file.read(_HEAD)):
                found[path] = html.unescape(said[1])
    return found
