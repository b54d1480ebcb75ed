"""Fills the template files that lie beside a generator."""

import json
from pathlib import Path

import jinja2


def render(folder: Path, name: str, /, **values: object) -> str:
    """Return a template of a folder, filled. `x | json` writes a value as JSON, which YAML reads too.

    Args:
        folder: the folder of the templates.
        name: the template's file.
        **values: what it is filled with; a name that is missing is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["json"] = json.dumps
    return environment.get_template(name).render(**values)
