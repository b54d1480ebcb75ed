import {difference, openAll} from './engines.js';
import {toInput} from './picture.js';
import {tokenizer} from './words.js';

const element = (id) => document.getElementById(id);
const settings = await (await fetch('settings.json')).json();
element('problem').hidden = true;

const engines = await opened();
const last = {};
/** Answers inputs one after the other; the newest that waits replaces older ones. */
let waiting = null, busy = null;

export function answer(values, expected = null) {
  waiting = {values, expected};
  busy ??= (async () => {
    while (waiting) {
      const next = waiting;
      waiting = null;
      try {
        await show(next);
      } catch (error) {
        problem(`The network could not be run: ${error.message}`);
        break;
      }
    }
    busy = null;
  })();
  return busy;
}

async function opened() {
  try {
    if (typeof WebAssembly === 'undefined') throw new Error('it has no WebAssembly');
    const found = await openAll(settings, (name) => { element('status').textContent = `Opening ${name} ...`; });
    element('status').textContent = '';
    element('give').hidden = element('answer').hidden = false;
    return found;
  } catch (error) {
    element('status').textContent = '';
    problem(`This browser cannot run the network: ${error.message}`);
    throw error;
  }
}

function problem(text) {
  element('problem').textContent = text;
  element('problem').hidden = !text;
}

async function show({values, expected}) {
  const rows = [];
  for (const engine of engines) rows.push({engine, ...await engine.run(values)});
  const name = settings.output.name, first = rows[0].outputs[name];
  const against = expected ?? first;
  rows.forEach((row) => { row.apart = difference(against, row.outputs[name]); });
  element('apart').textContent = expected ? 'Difference from Keras'
    : rows.length > 1 ? `Difference from ${rows[0].engine.name}` : '';
  element('engines').replaceChildren(...rows.map(({engine, ms, apart}) => {
    const row = line('tr', 'td', [
      engine.name, `${engine.ready.toFixed(0)} ms`, `${ms.toFixed(1)} ms`,
      expected || rows.length > 1 ? apart.toExponential(1) : '',
    ]);
    row.firstChild.appendChild(document.createElement('small')).textContent = engine.file;
    return row;
  }));
  element('top').replaceChildren(...best(first).map(([label, shown, part]) => {
    const item = line('li', 'span', [label, shown]);
    if (part === null) return item;
    const bar = document.createElement('progress');
    bar.max = 1;
    bar.value = part;
    bar.setAttribute('aria-hidden', 'true');
    item.prepend(bar);
    return item;
  }));
  element('note').textContent = expected ? 'The difference is that from the answer of Keras at export.' : '';
  Object.assign(last, {rows, values});
  document.body.dataset.answers = Number(document.body.dataset.answers ?? 0) + 1;
}

/** Return label, text and part of 1 of the five best answers, or of the first ten numbers. */
function best(values) {
  if (settings.output.name !== 'probabilities') {
    return Array.from(values.slice(0, 10), (value, place) => [`${settings.output.name} ${place}`, value.toPrecision(5), null]);
  }
  return Array.from(values, (value, place) => [settings.labels[place] ?? `class ${place}`, value])
    .sort((a, b) => b[1] - a[1]).slice(0, 5)
    .map(([label, value]) => [label, `${(100 * value).toFixed(1)} %`, value]);
}

function line(outer, inner, texts) {
  const row = document.createElement(outer);
  for (const text of texts) row.appendChild(document.createElement(inner)).textContent = text;
  return row;
}

if (settings.picture) await (await import('./pictures.js')).start(settings, answer, problem);
else await startTexts();

async function startTexts() {
  const idsOf = tokenizer(await (await fetch('vocab.txt')).text(), settings.words);
  element('text').addEventListener('input', () => answer(idsOf(element('text').value)));
  element('text').focus();
}

// For tests, and for whoever looks into it from the console.
window.demo = {engines, last, answer, settings, toInput};
document.body.dataset.ready = 'yes';
