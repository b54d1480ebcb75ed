"""Fills the template files of the sample projects."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import escape

_FOLDER = Path(__file__).parent


def render(platform: str, template: str, values: Mapping[str, Any]) -> str:
    """Return a template of `android/` or `ios/` with its values.

    Templates write texts of a bundle, which may hold any character, with a filter: `kotlin`, `swift` (as
    literals) or `xml`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / platform),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # `{{ }}` and `{# #}` are common in Kotlin and Swift.
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
    )
    environment.filters |= {"kotlin": _kotlin, "swift": _swift, "xml": lambda text: str(escape(text))}
    return environment.get_template(template).render(values)


def _kotlin(text: str) -> str:
    """Return a text as a literal of Kotlin."""
    return json.dumps(text).replace("$", "\\$")


def _swift(text: str) -> str:
    """Return a text as a literal of Swift."""
    inner = "".join(
        f"\\u{{{ord(sign):x}}}" if sign in '"\\' or not sign.isprintable() else sign for sign in text
    )
    return f'"{inner}"'
