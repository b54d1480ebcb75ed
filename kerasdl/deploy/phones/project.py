"""Fills the template files of the sample projects."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import escape

from kerasdl.deploy.app import App, app_of
from kerasdl.deploy.description import Content, Described

_FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Project:
    """The files of a sample project.

    Attributes:
        platform: folder of the templates: "android" or "ios".
        assets: folder in the project that the model's files go to.
        files: relative path -> template, of every project.
        of_pictures: likewise, of networks that take pictures.
        of_texts: likewise, of networks that take texts.
    """

    platform: str
    assets: str
    files: Mapping[str, str]
    of_pictures: Mapping[str, str]
    of_texts: Mapping[str, str]

    def generate(
        self, bundle: Described, values: Callable[[App, str], Mapping[str, Any]]
    ) -> Mapping[str, Content]:
        """Return the files of a project by relative path.

        Args:
            bundle: the bundle.
            values: takes the app and the name of its TFLite file; returns what templates need besides.

        Raises:
            UsageError: when it has no TFLite file, or that takes neither a picture nor a text.
            RunFailedError: when a file of it has changed since the export.
        """
        app = app_of(bundle, "The app")
        file = app.tflite_file(None)
        known = {"app": app, "file": file, "elements": math.prod(app.shape), **values(app, file)}
        templates = {**self.files, **(self.of_pictures if app.picture else self.of_texts)}
        assets = {f"{self.assets}/{name}": app.checked(name) for name in (file, *app.assets)}
        return {path: render(self.platform, name, known) for path, name in templates.items()} | assets


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
