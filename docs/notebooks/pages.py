"""Makes a page of each notebook, for `mkdocs build`: its texts, and its code to copy."""

import json
from pathlib import Path

from mkdocs.structure.files import File


def on_files(files, config):
    """Add a page for each notebook."""
    for path in sorted((Path(config.docs_dir) / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        parts = [f"[Download this notebook]({path.name})"]
        for cell in cells:
            text = "".join(cell["source"])
            parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        parts[:2] = parts[1::-1]  # the title first
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content="\n\n".join(parts)))
    return files
