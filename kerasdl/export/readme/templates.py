"""Texts of a bundle's README.md, filled by `readme.py` with `str.format`."""

HEAD = """\
# {name}

{about}
{choice}
## The files

| file | size | {titles} | latency |
|---|---:|{lines}---:|
{rows}

Compared with Keras on {examples:,} examples; `saved_model.pb` stands for all files of the SavedModel.
Latency: median of calls with one example, on the CPU of the machine that exported.
`card.json` holds the recipe, every figure and the SHA-256 of every file; `kerasdl verify .` checks them.

## What goes in

{endpoints}
"""

SAVED_MODEL = """
## TensorFlow: this folder is the SavedModel

```python
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(".")
{arrays}
outputs = model.signatures["{endpoint}"]({tensors})
print({{key: value.numpy() for key, value in outputs.items()}})
```

## TF Serving

It serves the newest version in the folder above this one, and answers the requests in `assets.extra/` first,
which warm it up. `kerasdl deploy exported/{name} --to tf-serving` (or `docker`, `kserve`, `triton`) writes
labels for versions, batching, metrics, compose files, manifests, and a client that tries the server.

```sh
docker run --rm -p 127.0.0.1:8501:8501 -e MODEL_NAME={name} \\
  -v "$(dirname "$PWD")":/models/{name}:ro tensorflow/serving:2.21.0
python -c 'import json, numpy as np
print(json.dumps({{"signature_name": "{endpoint}", "inputs": {{{inputs}}}}}))' \\
  | curl -d @- http://localhost:8501/v1/models/{name}:predict
{encoded}```
"""

CURL_BYTES = """\
echo '{{"signature_name": "{endpoint}", "inputs": {{"{input}": [{{"b64": "'$(base64 -w0 FILE)'"}}]}}}}' \\
  | curl -d @- http://localhost:8501/v1/models/{name}:predict
"""

TFLITE = """
## LiteRT (TFLite)

{takes}.{labels} All modes are used alike.

Python (`pip install ai-edge-litert`):

```python
import numpy as np
from ai_edge_litert.interpreter import Interpreter

run = Interpreter("{file}").get_signature_runner("{endpoint}")
{arrays}
print(run({keywords}))
```

Kotlin (`com.google.ai.edge.litert:litert:2.1.5`, file in `assets/`; not run where this was exported):

```kotlin
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer

val options = CompiledModel.Options(Accelerator.CPU)
val model = CompiledModel.create(context.assets, "{file}", options)
val inputs = mutableMapOf<String, TensorBuffer>()
{kotlin_inputs}
val outputs = mapOf(
{kotlin_outputs}
)
model.run(inputs, outputs, "{endpoint}")
val {output} = outputs.getValue("{output}").readFloat()
```

Swift (`TensorFlowLiteSwift`; neither compiled nor run where this was exported):

```swift
import Foundation
import TensorFlowLite

let path = Bundle.main.path(forResource: "{stem}", ofType: "tflite")!
let runner = try Interpreter(modelPath: path).signatureRunner(with: "{endpoint}")
{swift_inputs}
try runner.invoke(with: [{swift_map}])
let bytes = try runner.output(named: "{output}").data
let {output} = bytes.withUnsafeBytes {{ Array($0.bindMemory(to: Float32.self)) }}
```

JavaScript (`npm install @litertjs/core`; serve its folder `wasm/`):

```js
import {{loadLiteRt, loadAndCompile, Tensor}} from '@litertjs/core';

await loadLiteRt('/wasm/');
const model = await loadAndCompile('{file}', {{accelerator: 'wasm'}});
const outputs = await model.run('{endpoint}', {{
{js_inputs}
}});
console.log(outputs['{output}'].toTypedArray());
```
{apps}"""

APPS = """
Whole projects around these files, written outside this folder: `kerasdl deploy . --to android --out
../../../android`, the same with `ios`, and a page for browsers: `kerasdl demo . --out ../../../demo`.
"""

KOTLIN_INPUT = """\
inputs["{name}"] = model.createInputBuffer("{name}", "{endpoint}")
inputs.getValue("{name}").write{type}({value})"""

SWIFT_INPUT = """\
let {name} = {value}.withUnsafeBufferPointer {{ Data(buffer: $0) }}"""

LITERT_JS_INPUT = "  {name}: new Tensor({value}, {shape}),"

ONNX = """
## ONNX: `{file}`

Python (`pip install onnxruntime`):

```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{file}")
{arrays}
outputs = session.run(None, {{{feed}}})
print(dict(zip([output.name for output in session.get_outputs()], outputs)))
print(session.get_modelmeta().custom_metadata_map["labels"].splitlines())
```

JavaScript (`npm install onnxruntime-web`, or `onnxruntime-node`):

```js
import * as ort from 'onnxruntime-web';

const session = await ort.InferenceSession.create('{file}');
const outputs = await session.run({{
{js_inputs}
}});
console.log(outputs['{output}'].data);
```
"""

ONNX_JS_INPUT = "  {name}: new ort.Tensor('{dtype}', {value}, {shape}),"
