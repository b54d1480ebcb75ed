"""Renders blocks as one HTML file that holds style, script and plotly and fetches nothing."""

import base64
import functools
import gzip
import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from kerasdl import __version__
from kerasdl.report.blocks import Block, Chart, Picture, Section

_FOLDER = Path(__file__).parent


def render(
    *,
    title: str,
    subtitle: str,
    notices: Sequence[Block],
    sections: Sequence[Section],
    every: float | None = None,
) -> str:
    """Return a page.

    Args:
        title: title of the page.
        subtitle: kind of the page.
        notices: notices above the sections.
        sections: sections, listed in the navigation.
        every: seconds after which the page is expected to be written again; it reloads itself. None: never.
    """
    now = datetime.now().astimezone()
    figures = [block.figure for part in sections for block in part.blocks if isinstance(block, Chart)]
    return (
        environment()
        .get_template("page.html")
        .render(
            title=title,
            subtitle=subtitle,
            notices=notices,
            sections=sections,
            style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
            script=Markup((_FOLDER / "page.js").read_text(encoding="utf-8")),
            plotly=_plotly() if figures else "",
            figures=_packed(figures),
            written=now.strftime("%Y-%m-%d %H:%M %Z"),
            now=int(now.timestamp()),
            every=every,
            version=__version__,
        )
    )


def anchor(title: str) -> str:
    """Return the id of a section: its title in lower case, with - between words."""
    return "part-" + re.sub(r"\W+", "-", title.lower()).strip("-")


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates beside this file; what they are given is escaped."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"zip": zip, "anchor": anchor, "kind": lambda block: type(block).__name__.lower()}
    made.tests["picture"] = lambda value: isinstance(value, Picture)
    return made


@functools.cache
def _plotly() -> str:
    """Return plotly.js (npm's plotly.js-cartesian-dist-min, packed by zopfli) as base64."""
    return base64.b64encode((_FOLDER / "plotly-cartesian-4.1.1.min.js.gz").read_bytes()).decode()


def _packed(figures: Sequence[Any]) -> str:
    """Return figures as JSON, gzip and base64, which nothing in a name of the user's can leave."""
    text = json.dumps(figures, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
