"""The notebooks of docs/: no outputs in git, and each runs; their progress is one line that is rewritten."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs/notebooks").glob("*.ipynb"))
#: What an output of each notebook has to show.
SHOWN = {
    "photos": (
        r"Accuracy <b>(8\d|9\d|100)\.",
        r"convnet\.onnx",
        "'class': 'temple'",
        "data:image/png;base64,",
        "5 predictions",
    ),
    "tune_and_ship": ("4 trials; best: trial", r"int8\.tflite +\[0 1 2 3", "<svg", "roc_auc"),
    "texts": (r"Accuracy <b>(9\d|100)\.", "3 predictions", "dtype=float32", r"runs/lstm/2 8 (0\.9|1)"),
}


def test_notebooks_are_there_and_hold_no_outputs():
    assert {path.stem for path in NOTEBOOKS} == set(SHOWN)
    linked = (Path(__file__).parent.parent / "docs/python.md").read_text()
    for path in NOTEBOOKS:
        assert f"(notebooks/{path.name})" in linked
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    import nbclient
    import nbformat

    lines = []

    class Client(nbclient.NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] in ("display_data", "update_display_data"):
                lines.append((msg["msg_type"], msg["content"]["data"]["text/plain"]))
            return super().process_message(msg, cell, cell_index)

    notebook = nbformat.read(path, 4)
    Client(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = json.dumps(outputs, ensure_ascii=False)
    assert "\\u001b" not in shown and "<script" not in shown and len(shown) < 150_000
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    for words in SHOWN[path.stem]:
        assert re.search(words, shown), words
    calls = [kind for kind, _ in lines].count("display_data")
    assert calls == sum("kerasdl.train(" in c.source or "kerasdl.tune(" in c.source for c in notebook.cells)
    assert len(lines) > 5 * calls  # each was rewritten again and again
    assert any(re.search(r"epoch \d+/\d+ .*%.* left|trials ended", text) for _, text in lines)
    assert all("\x1b" not in text and "\r" not in text for _, text in lines)
