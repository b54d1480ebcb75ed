"""The part of a bundle's README that goes through sequences step by step, with the states by hand."""

import math
from collections.abc import Mapping
from typing import Any

from kerasdl.export.readme import stepwise
from kerasdl.inference.steps import NEXT

_TEXT = """
## Step by step

`{endpoint}` takes one character of each text (`ids`) and its states ({states}; zeros before the first).
It gives `logits` of the next one, and the states to go on with, `{next}` before their names. Line n + 1 of
`vocab.txt` is the character with the id n, as a JSON string; 0 is unknown.
{parts}"""

_TFLITE = """
Python (`pip install ai-edge-litert`):

```python
import json

import numpy as np
from ai_edge_litert.interpreter import Interpreter

vocabulary = [json.loads(line) for line in open("vocab.txt", encoding="utf-8")]
ids = {{character: number for number, character in enumerate(vocabulary)}}
step = Interpreter("{file}").get_signature_runner("{endpoint}")
states = {{{zeros}}}
text = ["\\n"]  # your own, and 500 characters after it
for place in range(len(text) + 499):
    found = step(ids=np.array([ids.get(text[place], 0)], np.int32), **states)
    states = {{name: found["next_" + name] for name in states}}
    if place + 1 == len(text):
        chances = np.exp(found["logits"][0, 1:].astype(float) / 0.8)
        text.append(vocabulary[1 + np.random.choice(len(chances), p=chances / chances.sum())])
print("".join(text))
```

Kotlin (not run where this was exported):

```kotlin
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import kotlin.math.exp
import kotlin.random.Random
import org.json.JSONTokener

val vocabulary = context.assets.open("vocab.txt").bufferedReader().readLines()
    .map {{ JSONTokener(it).nextValue() as String }}
val model = CompiledModel.create(context.assets, "{file}", CompiledModel.Options(Accelerator.CPU))
val states = mutableMapOf({kotlin_zeros})
val text = mutableListOf("\\n")  // your own
for (place in 0 until text.size + 499) {{
    val inputs = (states.keys + "ids").associateWith {{ model.createInputBuffer(it, "{endpoint}") }}
    inputs.getValue("ids").writeInt(intArrayOf(maxOf(0, vocabulary.indexOf(text[place]))))
    for ((name, value) in states) inputs.getValue(name).writeFloat(value)
    val names = states.keys.map {{ "next_$it" }} + "logits"
    val outputs = names.associateWith {{ model.createOutputBuffer(it, "{endpoint}") }}
    model.run(inputs, outputs, "{endpoint}")
    for (name in states.keys) states[name] = outputs.getValue("next_$name").readFloat()
    val logits = outputs.getValue("logits").readFloat()
    val chances = logits.mapIndexed {{ id, x -> if (id == 0) 0f else exp(x / 0.8f) }}
    var left = Random.nextFloat() * chances.sum()
    val id = chances.indexOfFirst {{ left -= it; left < 0 }}.let {{ if (it < 1) chances.lastIndex else it }}
    if (place + 1 == text.size) text += vocabulary[id]
}}
```

Swift (neither compiled nor run where this was exported):

```swift
import Foundation
import TensorFlowLite

let file = Bundle.main.url(forResource: "vocab", withExtension: "txt")!
let vocabulary = try String(contentsOf: file).split(separator: "\\n").map {{
  try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed) as! String
}}
let path = Bundle.main.path(forResource: "{stem}", ofType: "tflite")!
let runner = try Interpreter(modelPath: path).signatureRunner(with: "{endpoint}")
var states: [String: Data] = [{swift_zeros}]
var text = ["\\n"]  // your own
for place in 0..<(text.count + 499) {{
  var id = Int32(vocabulary.firstIndex(of: text[place]) ?? 0)
  try runner.invoke(with: states.merging(["ids": Data(bytes: &id, count: 4)]) {{ $1 }})
  for name in states.keys {{ states[name] = try runner.output(named: "next_" + name).data }}
  let bytes = try runner.output(named: "logits").data
  let logits = bytes.withUnsafeBytes {{ Array($0.bindMemory(to: Float32.self)) }}
  let chances = logits.enumerated().map {{ $0.offset == 0 ? 0 : exp($0.element / 0.8) }}
  var left = Float32.random(in: 0..<chances.reduce(0, +))
  let next = chances.firstIndex {{ left -= $0; return left < 0 }} ?? chances.count - 1
  if place + 1 == text.count {{ text.append(vocabulary[next]) }}
}}
```
"""

_ONNX = """
JavaScript (`npm install onnxruntime-web`; as `loop.mjs` in Node, in a browser with `fetch` instead of `fs`):

```js
import fs from 'node:fs';
import * as ort from 'onnxruntime-web';

const lines = fs.readFileSync('vocab.txt', 'utf8').trimEnd().split('\\n');
const vocabulary = lines.map((line) => JSON.parse(line));
const session = await ort.InferenceSession.create(fs.readFileSync('{file}'));
const zeros = (...shape) => new ort.Tensor('float32', new Float32Array(shape.reduce((a, b) => a * b)), shape);
const states = {{{js_zeros}}};
const text = ['\\n'];  // your own, and 500 characters after it
for (let place = 0, end = text.length + 499; place < end; place++) {{
  const ids = new ort.Tensor('int32', Int32Array.of(Math.max(0, vocabulary.indexOf(text[place]))), [1]);
  const found = await session.run({{ids, ...states}});
  for (const name in states) states[name] = found['next_' + name];
  const chances = Array.from(found.logits.data, (x, id) => (id ? Math.exp(x / 0.8) : 0));
  let left = Math.random() * chances.reduce((a, b) => a + b), id = 0;
  while (id < chances.length - 1 && (left -= chances[id]) >= 0) id++;
  if (place + 1 === text.length) text.push(vocabulary[id]);
}}
console.log(text.join(''));
```
"""


def steps_text(card: Mapping[str, Any]) -> str:
    """Return loops in several languages over the endpoint that hands states on; empty where there is none.

    Args:
        card: content of `card.json`.
    """
    for endpoint in card["endpoints"]:
        inputs, outputs = endpoint["inputs"], endpoint["outputs"]
        sizes = {name: [size or 1 for size in spec["shape"]] for name, spec in inputs.items()}
        shapes = {name: size for name, size in sizes.items() if NEXT + name in outputs}
        given = [name for name in inputs if name not in shapes]
        if not shapes or len(given) != 1:
            continue
        about = {
            "endpoint": endpoint["name"],
            "given": given[0],
            "states": ", ".join(f"`{name}`" for name in shapes),
            "next": NEXT,
            "answer": next(name for name in ("logits", "probabilities", "values") if name in outputs),
            "steps": stepwise.OF_IDS.get(len(sizes["ids"]), "") if given == ["ids"] else "",
            **_types(inputs[given[0]]["dtype"], sizes[given[0]]),
        }
        templates = (_TFLITE, _ONNX) if "logits" in outputs else (stepwise.TFLITE, stepwise.ONNX)
        parts = _took(card, endpoint["name"]) + "".join(_parts(card, about, shapes, *templates))
        return (_TEXT if "logits" in outputs else stepwise.TEXT).format(parts=parts, **about)
    return ""


def _took(card: Mapping[str, Any], endpoint: str) -> str:
    """Return how long a step took in each file; empty in bundles of earlier versions."""
    times = [
        f"{of_step['latency_ms']:.2g} ms in `{row['file']}`"
        for row in card["artefacts"]
        if "latency_ms" in (of_step := row.get("endpoints", {}).get(endpoint, {}))
    ]
    return f"\nOne step took {', '.join(times)}, where this was exported.\n" if times else ""


def _types(dtype: str, shape: list[int]) -> dict[str, str | int]:
    """Return how each language writes a step of this type; TFLite files take float32 for uint8."""
    whole = dtype == "int32"
    return {
        "dtype": "int32" if whole else "float32",
        "three": repr((3, *shape[1:])),
        "size": math.prod(shape),
        "kotlin_array": "IntArray" if whole else "FloatArray",
        "kotlin_type": "Int" if whole else "Float",
        "kotlin_suffix": "" if whole else "f",
        "swift_type": "Int32" if whole else "Float32",
        "js_array": {"int32": "Int32Array", "uint8": "Uint8Array"}.get(dtype, "Float32Array"),
        "js_dtype": dtype,
        "js_shape": ", ".join(map(str, shape)),
    }


def _parts(
    card: Mapping[str, Any], about: Mapping[str, Any], shapes: Mapping[str, list[int]], tflite: str, onnx: str
) -> list[str]:
    """Return a part for the TFLite file to take, and one for the ONNX file, where they are there."""
    rows = [row for row in card["artefacts"] if "error" not in row and about["endpoint"] in row["endpoints"]]
    files = {row["kind"]: row["file"] for row in rows}
    parts = []
    if file := files.get("dynamic") or files.get("float32") or files.get("float16"):
        sizes = {name: math.prod(shape) for name, shape in shapes.items()}
        parts.append(
            tflite.format(
                file=file,
                stem=file.removesuffix(".tflite"),
                zeros=", ".join(
                    f'"{name}": np.zeros({tuple(shape)}, np.float32)' for name, shape in shapes.items()
                ),
                kotlin_zeros=", ".join(f'"{name}" to FloatArray({size})' for name, size in sizes.items()),
                swift_zeros=", ".join(f'"{name}": Data(count: {4 * size})' for name, size in sizes.items()),
                **about,
            )
        )
    if file := files.get("onnx"):
        zeros = ", ".join(f"{name}: zeros({', '.join(map(str, shape))})" for name, shape in shapes.items())
        parts.append(onnx.format(file=file, js_zeros=zeros, **about))
    return parts
