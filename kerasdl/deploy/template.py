"""Fills the template files that lie beside a generator."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import jinja2


class Templates:
    """A folder of templates. `x | json` writes a value as JSON and YAML, `x | quote` as a word of a shell.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path):
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folder),
            autoescape=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters |= {"json": json.dumps, "quote": shlex.quote}

    def fill(self, names: Mapping[str, str], values: Mapping[str, object]) -> dict[str, str]:
        """Return files by name, each filled from the template that `names` gives it."""
        return {file: self._environment.get_template(name).render(values) for file, name in names.items()}
