// Pictures from a file, the camera, a drawing, and the test examples that the bundle holds.
import {toInput} from './picture.js';

const element = (id) => document.getElementById(id);

export async function start(settings, answer, problem) {
  const input = settings.picture, shown = element('shown');
  const context = shown.getContext('2d', {willReadFrequently: true});
  let stream = null;

  function give(canvasContext, width, height) {
    const {data} = canvasContext.getImageData(0, 0, width, height);
    return giveInput(toInput(data, width, height, input));
  }

  function giveInput(values, expected = null) {
    paint(element('seen'), values, input);
    return answer(values, expected);
  }

  async function open(file) {
    stopCamera();
    try {
      const orientation = input.orientation === 'exif' ? 'from-image' : 'none';
      // Colours as they are stored, and colours below transparency kept: as the network was trained.
      const bitmap = await createImageBitmap(file, {
        imageOrientation: orientation, colorSpaceConversion: 'none', premultiplyAlpha: 'none',
      });
      shown.width = bitmap.width;
      shown.height = bitmap.height;
      context.drawImage(bitmap, 0, 0);
      problem('');
      await give(context, bitmap.width, bitmap.height);
    } catch (error) {
      problem(`${file.name ?? 'This'} cannot be read as a picture: ${error.message}`);
    }
  }

  element('file').addEventListener('change', ({target}) => {
    if (target.files[0]) open(target.files[0]);
    target.value = '';
  });
  const drop = element('drop');
  for (const kind of ['dragover', 'dragleave', 'drop']) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle('over', kind === 'dragover');
      if (kind === 'drop' && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
    });
  }

  function stopCamera() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    element('video').hidden = true;
    shown.hidden = false;
    element('camera').textContent = 'Camera';
  }

  element('camera').addEventListener('click', async () => {
    if (stream) return stopCamera();
    try {
      if (!navigator.mediaDevices) throw new Error('browsers give it to pages from https:// or this machine only');
      stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}});
    } catch (error) {
      return problem(`There is no camera: ${error.message}`);
    }
    const video = element('video');
    video.srcObject = stream;
    video.hidden = false;
    shown.hidden = true;
    element('camera').textContent = 'Stop the camera';
    await video.play();
    while (stream) {
      shown.width = video.videoWidth;
      shown.height = video.videoHeight;
      context.drawImage(video, 0, 0);
      await give(context, shown.width, shown.height);
      await new Promise(requestAnimationFrame);
    }
  });

  if (settings.ink) drawing(settings.ink, shown, context, stopCamera, () => give(context, shown.width, shown.height));
  for (const example of settings.examples) {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = button.ariaLabel = `Test example: ${example.label}`;
    const values = Uint8Array.from(atob(example.pixels), (letter) => letter.charCodeAt(0));
    paint(button.appendChild(document.createElement('canvas')), values, input);
    button.addEventListener('click', () => {
      stopCamera();
      paint(shown, values, input);
      giveInput(values, Float32Array.from(example.expected));
    });
    element('examples').append(button);
  }
}

function drawing(ink, shown, context, before, give) {
  let place = null;
  const clear = () => {
    before();
    shown.width = shown.height = 280;
    context.fillStyle = ink === 'white' ? 'black' : 'white';
    context.fillRect(0, 0, 280, 280);
    shown.dataset.drawing = 'yes';
  };
  clear();
  element('clear').addEventListener('click', clear);
  const at = (event) => {
    const box = shown.getBoundingClientRect();
    return [(event.clientX - box.x) * shown.width / box.width, (event.clientY - box.y) * shown.height / box.height];
  };
  shown.addEventListener('pointerdown', (event) => {
    if (shown.width !== 280 || shown.height !== 280) clear();
    shown.setPointerCapture(event.pointerId);
    place = at(event);
  });
  shown.addEventListener('pointermove', (event) => {
    if (!place) return;
    const next = at(event);
    Object.assign(context, {strokeStyle: ink, lineWidth: 22, lineCap: 'round', lineJoin: 'round'});
    context.beginPath();
    context.moveTo(...place);
    context.lineTo(...next);
    context.stroke();
    place = next;
    give();
  });
  for (const kind of ['pointerup', 'pointercancel']) shown.addEventListener(kind, () => { place = null; });
}

function paint(canvas, values, {width, height, channels}) {
  canvas.width = width;
  canvas.height = height;
  const pixels = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let place = 0; place < width * height; place++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels[4 * place + channel] = values[channels * place + (channels === 3 ? channel : 0)];
    }
  }
  canvas.getContext('2d').putImageData(new ImageData(pixels, width, height), 0, 0);
}
