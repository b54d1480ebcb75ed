"""The loops in the README of a language model's bundle, run as they stand there."""

import json
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from kerasdl.data.text.corpus import UNKNOWN, vocabulary_text
from kerasdl.export.readme.steps import steps_text

VOCABULARY = (UNKNOWN, "\n", '"', "a", "\u2028", "\U0001f600")
STATES = {"h0": {"shape": [None, 2], "dtype": "float32"}, "c0": {"shape": [None, 3], "dtype": "float32"}}
STEP = {
    "name": "step",
    "inputs": {"ids": {"shape": [None], "dtype": "int32"}, **STATES},
    "outputs": {"logits": {}, **{f"next_{name}": {} for name in STATES}},
}
FILES = {"dynamic": "x.dynamic.tflite", "onnx": "x.step.onnx"}
CARD = {
    "endpoints": [STEP],
    "artefacts": [{"file": file, "kind": kind, "endpoints": {"step": {}}} for kind, file in FILES.items()],
}
OWN = [VOCABULARY[4], "?", VOCABULARY[5]]  # the second one is unknown
READ = [4, 0, 5]
# The unknown character is the most probable one each time, then the one after what was read.
WRITTEN = [1, 2, 3, 4, 5, 1]


def code(language):
    """Return the loop with another text to go on from, and six characters to write."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", steps_text(CARD), re.DOTALL)
    own = ascii(OWN) if language == "python" else json.dumps(OWN)
    found, count = re.subn(r"""\[["']\\n["']\]""", lambda _: own, found)
    assert count == found.count("+ 499") == 1
    return found.replace("+ 499", "+ 5")


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "vocab.txt").write_text(vocabulary_text(VOCABULARY), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_loop_in_python_carries_states_and_reads_unknown_characters(place, monkeypatch, capsys):
    read = []

    def step(ids, h0, c0):
        assert ids.dtype == np.int32 and ids.shape == (1,) and h0.shape == (1, 2) and c0.shape == (1, 3)
        assert h0.dtype == c0.dtype == np.float32 and (h0 == len(read)).all() and (c0 == 2 * len(read)).all()
        read.append(int(ids[0]))
        logits = np.zeros((1, len(VOCABULARY)), np.float32)
        logits[0, 0], logits[0, 1 + read[-1] % 5] = 500, 400
        return {"logits": logits, "next_h0": h0 + 1, "next_c0": c0 + 2}

    def interpreter(file):
        assert file == FILES["dynamic"]
        return types.SimpleNamespace(get_signature_runner={"step": step}.get)

    fake = types.SimpleNamespace(Interpreter=interpreter)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", fake)
    exec(code("python"), {})
    assert read == READ + WRITTEN[:-1]
    assert capsys.readouterr().out == "".join(OWN + [VOCABULARY[one] for one in WRITTEN]) + "\n"


RUNTIME = """
export class Tensor {
  constructor(type, data, dims) { Object.assign(this, {type, data, dims}); }
}
const read = [];
function check(value, type, dims, wanted) {
  const right = value.type === type && JSON.stringify(value.dims) === JSON.stringify(dims);
  if (!right || value.data.some((x) => wanted !== null && x !== wanted)) throw Error(JSON.stringify(value));
}
async function run({ids, h0, c0}) {
  check(ids, 'int32', [1], null);
  check(h0, 'float32', [1, 2], read.length);
  check(c0, 'float32', [1, 3], 2 * read.length);
  read.push(ids.data[0]);
  const logits = new Float32Array(6);
  logits[0] = 500; logits[1 + read.at(-1) % 5] = 400;
  const next = (state, more) => new Tensor('float32', state.data.map((x) => x + more), state.dims);
  return {logits: new Tensor('float32', logits, [1, 6]), next_h0: next(h0, 1), next_c0: next(c0, 2)};
}
export const InferenceSession = {create: async (bytes) => ({run})};
process.on('exit', () => console.error(JSON.stringify(read)));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
def test_the_loop_in_javascript_runs_in_node(place):
    package = place / "node_modules/onnxruntime-web"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    (package / "index.js").write_text(RUNTIME)
    (place / FILES["onnx"]).write_bytes(b"")
    (place / "loop.mjs").write_text(code("js"), encoding="utf-8")
    ran = subprocess.run(["node", "loop.mjs"], capture_output=True, text=True, encoding="utf-8")
    read = json.loads(ran.stderr)
    assert read == READ + WRITTEN[:-1]
    assert ran.stdout == "".join(OWN + [VOCABULARY[one] for one in WRITTEN]) + "\n"
