package [[ package ]]

import android.app.Activity
[% if app.picture %]
import android.content.ActivityNotFoundException
import android.content.ContentValues
import android.content.Intent
import android.graphics.Bitmap
[% if app.picture.orientation == "exif" %]
import android.graphics.ImageDecoder
[% else %]
import android.graphics.BitmapFactory
[% endif %]
import android.net.Uri
import android.os.Build
[% endif %]
import android.os.Bundle
import android.os.SystemClock
[% if app.picture %]
import android.provider.MediaStore
[% else %]
import android.text.Editable
import android.text.TextWatcher
[% endif %]
[% if app.picture %]
import android.widget.Button
import android.widget.ImageView
[% else %]
import android.widget.EditText
[% endif %]
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import java.util.concurrent.Executors

/** Shows what the network answers to [[ "a picture from the picker or the camera" if app.picture else "a text" ]]. */
class MainActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor() // networks are slow, and the screen must not wait
    private val network by lazy { Network(assets) }
    private lateinit var answer: TextView
[% if app.picture %]
    private lateinit var shown: ImageView
    private var photo: Uri? = null
[% else %]
    private val words by lazy { assets.open("vocab.txt").bufferedReader().useLines { Words(it) } }
[% endif %]

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        answer = TextView(this).apply { textSize = 18f }
        val column = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            fitsSystemWindows = true
            setPadding(48, 48, 48, 48)
        }
[% if app.picture %]
        shown = ImageView(this).apply { adjustViewBounds = true }
        column.addView(button("Choose a picture") { choose() })
        column.addView(button("Camera") { takePhoto() })
        column.addView(shown, LinearLayout.LayoutParams(LinearLayout.LayoutParams.MATCH_PARENT, SHOWN))
[% else %]
        val text = EditText(this).apply { hint = "A text" }
        text.addTextChangedListener(object : TextWatcher {
            override fun beforeTextChanged(s: CharSequence?, start: Int, count: Int, after: Int) = Unit

            override fun onTextChanged(s: CharSequence?, start: Int, before: Int, count: Int) = Unit

            override fun afterTextChanged(s: Editable?) {
                val given = s.toString()
                inBackground { words.toInput(given) }
            }
        })
        column.addView(text)
[% endif %]
        column.addView(answer)
        setContentView(ScrollView(this).apply { addView(column) })
    }

    override fun onDestroy() {
        worker.execute { network.close() }
        worker.shutdown()
        super.onDestroy()
    }

    /** Make the input and run the network on it away from the screen's thread, then show the answer. */
    private fun inBackground(input: () -> [[ "FloatArray" if app.picture else "IntArray" ]]) {
        worker.execute {
            val text = try {
                val values = input()
                val start = SystemClock.elapsedRealtimeNanos()
                val found = network.run(values)
                val milliseconds = (SystemClock.elapsedRealtimeNanos() - start) / 1e6
                describe(found) + "\n\n%.1f ms".format(milliseconds)
            } catch (error: Exception) {
                "It did not work: ${error.message}"
            }
            runOnUiThread { answer.text = text }
        }
    }

    private fun describe(found: FloatArray): String {
[% if app.output.name == "probabilities" %]
        val best = found.indices.sortedByDescending { found[it] }.take(5)
        return best.joinToString("\n") { "%5.1f %%  %s".format(100 * found[it], network.labels.getOrElse(it) { _ -> "class $it" }) }
[% else %]
        return found.take(10).joinToString("\n")
[% endif %]
    }
[% if app.picture %]

    private fun button(label: String, act: () -> Unit) = Button(this).apply {
        text = label
        setOnClickListener { act() }
    }

    private fun choose() {
        val picker = if (Build.VERSION.SDK_INT >= 33) {
            Intent(MediaStore.ACTION_PICK_IMAGES)
        } else {
            Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*")
        }
        startActivityForResult(picker, CHOSEN)
    }

    private fun takePhoto() {
        val values = ContentValues().apply { put(MediaStore.Images.Media.MIME_TYPE, "image/jpeg") }
        photo = contentResolver.insert(MediaStore.Images.Media.EXTERNAL_CONTENT_URI, values)
        try {
            startActivityForResult(Intent(MediaStore.ACTION_IMAGE_CAPTURE).putExtra(MediaStore.EXTRA_OUTPUT, photo), TAKEN)
        } catch (error: ActivityNotFoundException) {
            answer.text = "There is no camera app."
        }
    }

    @Deprecated("Without a library, it is the only way.")
    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        super.onActivityResult(requestCode, resultCode, data)
        val picture = (if (requestCode == CHOSEN) data?.data else photo) ?: return
        if (resultCode == RESULT_OK) {
            inBackground { read(picture, isOurs = requestCode == TAKEN) }
        } else if (requestCode == TAKEN) {
            contentResolver.delete(picture, null, null)
        }
    }

    private fun read(picture: Uri, isOurs: Boolean): FloatArray {
[% if app.picture.orientation == "exif" %]
        // It turns the picture upright, as its EXIF tag says.
        val bitmap = ImageDecoder.decodeBitmap(ImageDecoder.createSource(contentResolver, picture)) { decoder, info, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
            decoder.setTargetSampleSize(samples(info.size.width, info.size.height))
        }
[% else %]
        val options = BitmapFactory.Options().apply { inJustDecodeBounds = true }
        contentResolver.openInputStream(picture).use { BitmapFactory.decodeStream(it, null, options) }
        options.inJustDecodeBounds = false
        options.inSampleSize = samples(options.outWidth, options.outHeight)
        val bitmap = contentResolver.openInputStream(picture).use { BitmapFactory.decodeStream(it, null, options) }
            ?: throw IllegalArgumentException("this is not a picture")
[% endif %]
        if (isOurs) contentResolver.delete(picture, null, null)
        // A screen draws no picture of more than 100 MB.
        val small = Bitmap.createScaledBitmap(bitmap, maxOf(1, SHOWN * bitmap.width / bitmap.height), SHOWN, true)
        runOnUiThread { shown.setImageBitmap(small) }
        return pixels(bitmap)
    }

    /**
     * Return by how much a photo is made smaller while it is decoded: one of 50 megapixels takes 200 MB.
     *
     * At least four pixels stay for each that the network takes, so that its answer hardly changes.
     */
    private fun samples(width: Int, height: Int): Int =
        maxOf(1, minOf(width, height) / maxOf(4 * Pictures.WIDTH, 4 * Pictures.HEIGHT, SHOWN))

    private fun pixels(bitmap: Bitmap): FloatArray {
        val argb = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(argb, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        return Pictures.toInput(argb, bitmap.width, bitmap.height)
    }

    private companion object {
        const val CHOSEN = 1
        const val TAKEN = 2
        const val SHOWN = 900 // pixels, the height of the picture on the screen
    }
[% endif %]
}
