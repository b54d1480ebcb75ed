"""The loops in a bundle's README over an endpoint that answers after each step of a sequence."""

#: Each template is filled with what `steps.py` finds out of the card.
TEXT = """
## Step by step

`{endpoint}` takes one step of each sequence (`{given}`) and its states ({states}; zeros before the first).
It gives the `{answer}` after the steps so far, and the states to go on with: `{next}` before their
names.{steps} `stream max difference` in the table above: how far its answers lie at most from those to whole
sequences, over 500 steps.
{parts}"""

#: What a step is, by the number of axes of `ids`; nothing is told of other inputs.
OF_IDS = {
    1: " A step is the number of a word, as above; 0, which is padding, is no word.",
    2: " A step is the three numbers of a token, as above; zeros, which are padding, are no token.",
}

TFLITE = """
Python (`pip install ai-edge-litert`):

```python
import numpy as np
from ai_edge_litert.interpreter import Interpreter

step = Interpreter("{file}").get_signature_runner("{endpoint}")
states = {{{zeros}}}
for one in np.ones({three}, np.{dtype}):  # your own steps
    found = step({given}=one[None], **states)
    states = {{name: found["next_" + name] for name in states}}
    print(found["{answer}"][0])
```

Kotlin (not run where this was exported):

```kotlin
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel

val model = CompiledModel.create(context.assets, "{file}", CompiledModel.Options(Accelerator.CPU))
val states = mutableMapOf({kotlin_zeros})
for (one in List(3) {{ {kotlin_array}({size}) {{ 1{kotlin_suffix} }} }}) {{  // your own steps
    val inputs = (states.keys + "{given}").associateWith {{ model.createInputBuffer(it, "{endpoint}") }}
    inputs.getValue("{given}").write{kotlin_type}(one)
    for ((name, value) in states) inputs.getValue(name).writeFloat(value)
    val names = states.keys.map {{ "next_$it" }} + "{answer}"
    val outputs = names.associateWith {{ model.createOutputBuffer(it, "{endpoint}") }}
    model.run(inputs, outputs, "{endpoint}")
    for (name in states.keys) states[name] = outputs.getValue("next_$name").readFloat()
    println(outputs.getValue("{answer}").readFloat().toList())
}}
```

Swift (neither compiled nor run where this was exported):

```swift
import Foundation
import TensorFlowLite

let path = Bundle.main.path(forResource: "{stem}", ofType: "tflite")!
let runner = try Interpreter(modelPath: path).signatureRunner(with: "{endpoint}")
var states: [String: Data] = [{swift_zeros}]
let own = [{swift_type}](repeating: 1, count: {size})  // a step of your own
for one in [own, own, own] {{
  let step = one.withUnsafeBufferPointer {{ Data(buffer: $0) }}
  try runner.invoke(with: states.merging(["{given}": step]) {{ $1 }})
  for name in states.keys {{ states[name] = try runner.output(named: "next_" + name).data }}
  let bytes = try runner.output(named: "{answer}").data
  print(bytes.withUnsafeBytes {{ Array($0.bindMemory(to: Float32.self)) }})
}}
```
"""

ONNX = """
JavaScript (`npm install onnxruntime-web`; as `loop.mjs` in Node, in a browser with `fetch` instead of `fs`):

```js
import fs from 'node:fs';
import * as ort from 'onnxruntime-web';

const session = await ort.InferenceSession.create(fs.readFileSync('{file}'));
const zeros = (...shape) => new ort.Tensor('float32', new Float32Array(shape.reduce((a, b) => a * b)), shape);
const states = {{{js_zeros}}};
for (const one of Array.from({{length: 3}}, () => new {js_array}({size}).fill(1))) {{  // your own steps
  const {given} = new ort.Tensor('{js_dtype}', one, [{js_shape}]);
  const found = await session.run({{{given}, ...states}});
  for (const name in states) states[name] = found['next_' + name];
  console.log(Array.from(found.{answer}.data));
}}
```
"""
