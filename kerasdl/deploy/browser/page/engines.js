// The two runtimes behind one interface: {name, file, ready (ms), run(values) -> {outputs, ms}}.

const ARRAYS = {uint8: Uint8Array, int32: Int32Array, float32: Float32Array};

/** Open every file of the page; calls `tell(name)` before each. */
export async function openAll(settings, tell) {
  const open = {'LiteRT.js': openLiteRt, 'ONNX Runtime Web': openOnnx};
  const engines = [];
  for (const {engine, file} of settings.files) {
    tell(`${engine}: ${file}`);
    const start = performance.now();
    const run = await open[engine](new URL(file, document.baseURI).href, settings);
    await run(new ARRAYS[settings.input.dtype](settings.input.shape.reduce((a, b) => a * b))); // the first is slow
    const timed = async (values) => {
      const begin = performance.now();
      const outputs = await run(values);
      return {outputs, ms: performance.now() - begin};
    };
    engines.push({name: engine, file, ready: performance.now() - start, run: timed});
  }
  return engines;
}

async function openLiteRt(url, {endpoint, input}) {
  const {loadLiteRt, loadAndCompile, Tensor} = await import('@litertjs/core');
  await loadLiteRt(new URL('runtimes/litert/', document.baseURI).href);
  const model = await loadAndCompile(url, {accelerator: 'wasm', cpuOptions: {numThreads: 1}});
  return async (values) => {
    // Pixels are float32 in TFLite files, with the same values.
    const kind = input.dtype === 'uint8' ? Float32Array : ARRAYS[input.dtype];
    const given = new Tensor(kind.from(values), input.shape);
    const tensors = await model.run(endpoint, {[input.name]: given});
    given.delete();
    const outputs = {};
    for (const [name, tensor] of Object.entries(tensors)) {
      outputs[name] = tensor.toTypedArray().slice();
      tensor.delete();
    }
    return outputs;
  };
}

async function openOnnx(url, {input}) {
  const ort = await import('./runtimes/onnxruntime/ort.wasm.min.mjs');
  ort.env.wasm.numThreads = 1; // more need headers that not every server sends
  ort.env.wasm.wasmPaths = new URL('runtimes/onnxruntime/', document.baseURI).href;
  const session = await ort.InferenceSession.create(url, {executionProviders: ['wasm']});
  return async (values) => {
    const given = new ort.Tensor(input.dtype, ARRAYS[input.dtype].from(values), input.shape);
    const found = await session.run({[input.name]: given});
    return Object.fromEntries(session.outputNames.map((name) => [name, found[name].data]));
  };
}

/** Return the largest difference between two arrays of one output. */
export function difference(first, second) {
  let largest = 0;
  for (let place = 0; place < first.length; place++) {
    largest = Math.max(largest, Math.abs(first[place] - second[place]));
  }
  return first.length === second.length ? largest : Infinity;
}
