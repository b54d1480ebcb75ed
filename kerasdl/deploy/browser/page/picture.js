// From a picture to the input of a network: the same steps as kerasdl's own reader, in the same order.

/**
 * Bring pixels to the size and the channels of an input.
 *
 * @param {Uint8ClampedArray} rgba height x width x 4, 0..255, upright, alpha not multiplied in.
 * @param {{height, width, channels, fit, background}} input its size; fit is squeeze, crop or letterbox.
 * @return {Uint8Array} height x width x channels, 0..255.
 */
export function toInput(rgba, width, height, input) {
  let image = {values: onBackground(rgba, input.background), width, height};
  if (input.fit === 'crop') image = cropped(image, input);
  const values = input.fit === 'letterbox' ? letterboxed(image, input) : resized(image, input.height, input.width);
  return rounded(input.channels === 1 ? grey(values) : values);
}

function onBackground(rgba, background) {
  const behind = background === 'white' ? 255 : 0;
  const values = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const alpha = background === 'ignored' ? 1 : rgba[from + 3] / 255;
    for (let channel = 0; channel < 3; channel++, to++) {
      values[to] = halfToEven(behind + (rgba[from + channel] - behind) * alpha);
    }
  }
  return values;
}

function cropped({values, width, height}, input) {
  const scale = Math.min(height / input.height, width / input.width);
  const rows = clip(halfToEven(input.height * scale), 1, height);
  const columns = clip(halfToEven(input.width * scale), 1, width);
  const top = (height - rows) >> 1, left = (width - columns) >> 1;
  const part = new Uint8Array(rows * columns * 3);
  for (let row = 0; row < rows; row++) {
    const start = ((top + row) * width + left) * 3;
    part.set(values.subarray(start, start + columns * 3), row * columns * 3);
  }
  return {values: part, width: columns, height: rows};
}

function letterboxed(image, input) {
  const scale = Math.min(input.height / image.height, input.width / image.width);
  const rows = clip(halfToEven(image.height * scale), 1, input.height);
  const columns = clip(halfToEven(image.width * scale), 1, input.width);
  const top = (input.height - rows) >> 1, left = (input.width - columns) >> 1;
  const inner = resized(image, rows, columns);
  const whole = new Float32Array(input.height * input.width * 3).fill(input.background === 'white' ? 255 : 0);
  for (let row = 0; row < rows; row++) {
    const part = inner.subarray(row * columns * 3, (row + 1) * columns * 3);
    whole.set(part, ((top + row) * input.width + left) * 3);
  }
  return whole;
}

/** Resize bilinearly with antialiasing: a triangle as wide as the coarser of the two grids. */
function resized({values, width, height}, rows, columns) {
  const down = spans(height, rows), across = spans(width, columns);
  const between = new Float32Array(rows * width * 3);
  for (let row = 0; row < rows; row++) {
    const {start, weights} = down[row];
    for (let place = 0; place < width * 3; place++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += values[(start + k) * width * 3 + place] * weights[k];
      between[row * width * 3 + place] = sum;
    }
  }
  const found = new Float32Array(rows * columns * 3);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const {start, weights} = across[column];
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          sum += between[(row * width + start + k) * 3 + channel] * weights[k];
        }
        found[(row * columns + column) * 3 + channel] = sum;
      }
    }
  }
  return found;
}

/** The pixels that each pixel of the result is made of, and their weights. */
function spans(from, to) {
  const step = from / to, reach = Math.max(step, 1);
  return Array.from({length: to}, (_, place) => {
    const middle = (place + 0.5) * step;
    const start = clip(Math.ceil(middle - reach - 0.5), 0, from - 1);
    const end = clip(Math.floor(middle + reach - 0.5), 0, from - 1);
    const weights = [];
    for (let pixel = start; pixel <= end; pixel++) {
      weights.push(Math.max(0, 1 - Math.abs((pixel + 0.5 - middle) / reach)));
    }
    const sum = weights.reduce((a, b) => a + b);
    return {start, weights: weights.map((weight) => weight / sum)};
  });
}

function grey(values) {
  const found = new Float32Array(values.length / 3);
  for (let place = 0; place < found.length; place++) {
    found[place] = values[3 * place] * 0.299 + values[3 * place + 1] * 0.587 + values[3 * place + 2] * 0.114;
  }
  return found;
}

function rounded(values) {
  return Uint8Array.from(values, (value) => clip(halfToEven(value), 0, 255));
}

function halfToEven(value) {
  const below = Math.floor(value), rest = value - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
