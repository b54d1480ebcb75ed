"""The loops in the READMEs of bundles that are read step by step, run as they stand there."""

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


def test_how_long_a_step_takes_is_told_where_it_was_measured():
    assert "One step took" not in steps_text(CARD)
    rows = [{**row, "endpoints": {"step": {"latency_ms": 0.0421}}} for row in CARD["artefacts"][:1]]
    told = "\nOne step took 0.042 ms in `x.dynamic.tflite`, where this was exported.\n"
    assert told in steps_text({**CARD, "artefacts": [*rows, *CARD["artefacts"][1:]]})


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


def card_of(given, shape, dtype, answer):
    """Return the card of a network with a state, which is given steps of this kind."""
    step = {
        "name": "step",
        "inputs": {given: {"shape": [None, *shape], "dtype": dtype}, "h0": STATES["h0"]},
        "outputs": {"other": {}, answer: {}, "next_h0": {}},
    }
    return {**CARD, "endpoints": [step]}


CASES = [
    ("ids", (), "int32", np.int32, "probabilities"),
    ("ids", (3,), "int32", np.int32, "probabilities"),
    ("inputs", (3, 1), "uint8", np.float32, "values"),
]
GIVEN = pytest.mark.parametrize(("given", "shape", "dtype", "of_phones", "answer"), CASES)
CARDS = [CARD, *(card_of(given, shape, dtype, answer) for given, shape, dtype, _, answer in CASES)]


@GIVEN
def test_the_loop_over_a_classifier_in_python(given, shape, dtype, of_phones, answer, monkeypatch, capsys):
    def step(h0, **inputs):
        (one,) = inputs.values()
        assert list(inputs) == [given] and one.dtype == of_phones and one.shape == (1, *shape)
        return {answer: one.reshape(1, -1).sum(axis=1, keepdims=True) + h0, "next_h0": h0 + 1}

    fake = types.SimpleNamespace(
        Interpreter=lambda file: types.SimpleNamespace(get_signature_runner={"step": step}.get)
    )
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", fake)
    (found,) = re.findall(r"```python\n(.*?)```", steps_text(card_of(given, shape, dtype, answer)), re.DOTALL)
    exec(found, {})
    ones = int(np.prod(shape))
    assert capsys.readouterr().out == "".join(f"[{x}. {x}.]\n" for x in range(ones, ones + 3))


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
@GIVEN
def test_the_loop_over_a_classifier_in_javascript(place, given, shape, dtype, of_phones, answer):
    package = place / "node_modules/onnxruntime-web"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    head, _, _ = RUNTIME.partition("async function run")
    run = f"""
async function run({{{given}: one, h0}}) {{
  check(one, '{dtype}', {json.dumps([1, *shape])}, 1);
  if (one.data.constructor.name.toLowerCase() !== '{dtype}array') throw Error(one.data.constructor.name);
  read.push(0);
  const sum = one.data.reduce((a, b) => a + b);
  const next = new Tensor('float32', h0.data.map((x) => x + 1), h0.dims);
  return {{{answer}: new Tensor('float32', h0.data.map((x) => x + sum), h0.dims), next_h0: next}};
}}
export const InferenceSession = {{create: async (bytes) => ({{run}})}};
"""
    (package / "index.js").write_text(head + run)
    (place / FILES["onnx"]).write_bytes(b"")
    (loop,) = re.findall(r"```js\n(.*?)```", steps_text(card_of(given, shape, dtype, answer)), re.DOTALL)
    (place / "loop.mjs").write_text(loop)
    ran = subprocess.run(["node", "loop.mjs"], capture_output=True, text=True, encoding="utf-8")
    assert not ran.stderr
    ones = int(np.prod(shape))
    assert ran.stdout == "".join(f"[ {x}, {x} ]\n" for x in range(ones, ones + 3))
