// From a text to the numbers of its words, as kerasdl's own tokeniser.

/**
 * Return a function from a text to ids.
 *
 * @param {string} vocabulary content of vocab.txt: padding, the unknown word, and a word a line.
 * @param {{max_length: number, standardize: string}} settings content of tokenizer.json.
 * @return {function(string): Int32Array} takes a text; returns max_length ids, 0 behind the last word.
 */
export function tokenizer(vocabulary, settings) {
  const numbers = new Map(vocabulary.split('\n').slice(0, -1).map((word, n) => [word, n]).slice(2));
  return (text) => {
    if (settings.standardize.includes('lower')) {
      text = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
    }
    if (settings.standardize.includes('strip_punctuation')) text = text.replace(/[!-\/:-@[-`{-~]/g, '');
    const words = text.split(/[ \t\n\v\f\r]+/).filter(Boolean).slice(0, settings.max_length);
    return Int32Array.from({length: settings.max_length}, (_, n) =>
      n < words.length ? numbers.get(words[n]) ?? 1 : 0);
  };
}
