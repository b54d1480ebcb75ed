package [[ package ]]

import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round // halves to even

/** From a picture to the input of the network: the same steps as in training, in the same order. */
object Pictures {
    const val HEIGHT = [[ app.shape[1] ]]
    const val WIDTH = [[ app.shape[2] ]]
    const val CHANNELS = [[ app.shape[3] ]]
    private const val BACKGROUND = [[ "255f" if app.picture.background == "white" else "0f" ]]

    /**
     * Return the pixels that the network takes, [[ app.shape[1:] | join(" x ") ]], 0 to 255[[ ", red before green before blue" if app.shape[3] == 3 else ", grey" ]].
     *
     * @param argb colours of an upright picture, row by row, as `Bitmap.getPixels` gives them.
     */
    fun toInput(argb: IntArray, width: Int, height: Int): FloatArray {
        val picture = Picture(argb, width, 0, 0, height, width)
[% if app.picture.fit == "crop" %]
        val scale = min(height.toFloat() / HEIGHT, width.toFloat() / WIDTH)
        val rows = round(HEIGHT * scale).toInt().coerceIn(1, height)
        val columns = round(WIDTH * scale).toInt().coerceIn(1, width)
        val part = picture.copy(top = (height - rows) / 2, left = (width - columns) / 2, rows = rows, columns = columns)
        return channels(resized(part, HEIGHT, WIDTH))
[% elif app.picture.fit == "letterbox" %]
        val scale = min(HEIGHT.toFloat() / height, WIDTH.toFloat() / width)
        val rows = round(height * scale).toInt().coerceIn(1, HEIGHT)
        val columns = round(width * scale).toInt().coerceIn(1, WIDTH)
        val inner = resized(picture, rows, columns)
        val whole = FloatArray(HEIGHT * WIDTH * 3) { BACKGROUND }
        val top = (HEIGHT - rows) / 2
        val left = (WIDTH - columns) / 2
        for (row in 0 until rows) {
            inner.copyInto(whole, ((top + row) * WIDTH + left) * 3, row * columns * 3, (row + 1) * columns * 3)
        }
        return channels(whole)
[% else %]
        return channels(resized(picture, HEIGHT, WIDTH))
[% endif %]
    }

    /** A part of a picture. */
    private data class Picture(
        val argb: IntArray,
        val width: Int,
        val top: Int,
        val left: Int,
        val rows: Int,
        val columns: Int,
    ) {
        /** Return a colour of a pixel, 0 red to 2 blue, on the background where it is transparent. */
        fun value(row: Int, column: Int, channel: Int): Float {
            val pixel = argb[(top + row) * width + left + column]
            val value = (pixel shr (16 - 8 * channel) and 0xff).toFloat()
[% if app.picture.background == "ignored" %]
            return value
[% else %]
            val alpha = (pixel ushr 24) / 255f
            return if (alpha == 1f) value else round(BACKGROUND + (value - BACKGROUND) * alpha)
[% endif %]
        }
    }

    /** Pixels that a pixel of the result is made of, from `start` on, and their weights. */
    private class Span(val start: Int, val weights: FloatArray)

    /** Resize bilinearly with antialiasing: a triangle as wide as the coarser of the two grids. */
    private fun resized(picture: Picture, rows: Int, columns: Int): FloatArray {
        val down = spans(picture.rows, rows)
        val across = spans(picture.columns, columns)
        val found = FloatArray(rows * columns * 3)
        val between = FloatArray(picture.columns * 3)
        for (row in 0 until rows) {
            between.fill(0f)
            down[row].weights.forEachIndexed { place, weight ->
                for (column in 0 until picture.columns) {
                    for (channel in 0 until 3) {
                        between[column * 3 + channel] +=
                            weight * picture.value(down[row].start + place, column, channel)
                    }
                }
            }
            for (column in 0 until columns) {
                across[column].weights.forEachIndexed { place, weight ->
                    for (channel in 0 until 3) {
                        found[(row * columns + column) * 3 + channel] +=
                            weight * between[(across[column].start + place) * 3 + channel]
                    }
                }
            }
        }
        return found
    }

    private fun spans(from: Int, to: Int): List<Span> {
        val step = from.toDouble() / to
        val reach = max(step, 1.0)
        return List(to) { place ->
            val middle = (place + 0.5) * step
            val start = ceil(middle - reach - 0.5).toInt().coerceIn(0, from - 1)
            val end = floor(middle + reach - 0.5).toInt().coerceIn(0, from - 1)
            val weights = DoubleArray(end - start + 1) { max(0.0, 1 - abs((start + it + 0.5 - middle) / reach)) }
            val sum = weights.sum()
            Span(start, FloatArray(weights.size) { (weights[it] / sum).toFloat() })
        }
    }

    private fun channels(rgb: FloatArray): FloatArray {
[% if app.shape[3] == 3 %]
        return FloatArray(rgb.size) { round(rgb[it]).coerceIn(0f, 255f) }
[% else %]
        return FloatArray(rgb.size / 3) {
            round(0.299f * rgb[3 * it] + 0.587f * rgb[3 * it + 1] + 0.114f * rgb[3 * it + 2]).coerceIn(0f, 255f)
        }
[% endif %]
    }
}
