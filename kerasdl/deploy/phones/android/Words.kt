package [[ package ]]

/**
 * From a text to the numbers of its words.
 *
 * @param vocabulary the lines of `vocab.txt`: padding, the unknown word, and a word a line.
 */
class Words(vocabulary: Sequence<String>) {
    private val numbers = vocabulary.withIndex().filter { it.index > 1 }.associate { it.value to it.index }

    /** Return [[ app.shape[1] ]] numbers; 0 stands behind the last word. */
    fun toInput(text: String): IntArray {
        val words = text
[% if "lower" in app.words.standardize %]
            .map { if (it in 'A'..'Z') it + 32 else it }.joinToString("")
[% endif %]
[% if "strip_punctuation" in app.words.standardize %]
            .replace(Regex("[!-/:-@\\[-`{-~]"), "")
[% endif %]
            .split(' ', '\t', '\n', '\u000B', '\u000C', '\r').filter { it.isNotEmpty() }
        return IntArray([[ app.shape[1] ]]) { place ->
            if (place < words.size) numbers[words[place]] ?: 1 else 0
        }
    }
}
