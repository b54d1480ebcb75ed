package [[ package ]]

import android.content.res.AssetManager
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.TensorBuffer

/**
 * The exported network: one example in, its answer out.
 *
 * `[[ app.input.name ]]` has the shape [[ app.shape | list ]]. Everything behind [[ "the raw pixels, 0 to 255," if app.picture else "the numbers of the words" ]]
 * is inside the file: scale or normalise nothing.
 *
 * @param accelerator CPU runs every file. GPU takes float32 and float16 files; NPU needs files made for the chip.
 */
class Network(assets: AssetManager, accelerator: Accelerator = Accelerator.CPU) : AutoCloseable {
    private val model = CompiledModel.create(assets, FILE, CompiledModel.Options(accelerator))
    private val input = model.createInputBuffer([[ app.input.name | kotlin ]], ENDPOINT)
    private val outputs: Map<String, TensorBuffer> =
        OUTPUTS.associateWith { model.createOutputBuffer(it, ENDPOINT) }

    /** Names of the classes in the order of the answer; empty where there are none. */
[% if app.bundle.labels %]
    val labels: List<String> = assets.open("labels.txt").bufferedReader().useLines { it.toList() }
[% else %]
    val labels: List<String> = emptyList()
[% endif %]

[% set array = "FloatArray" if app.picture else "IntArray" %]
    /** Return `[[ app.output.name ]]` of one example of [[ elements ]] values. */
    fun run(values: [[ array ]]): FloatArray {
        require(values.size == [[ elements ]]) { "${values.size} values instead of [[ elements ]]" }
        input.write[[ "Float" if app.picture else "Int" ]](values)
        model.run(mapOf([[ app.input.name | kotlin ]] to input), outputs, ENDPOINT)
        return outputs.getValue([[ app.output.name | kotlin ]]).readFloat()
    }

    override fun close() {
        input.close()
        outputs.values.forEach { it.close() }
        model.close()
    }

    companion object {
        const val FILE = [[ file | kotlin ]]
        const val ENDPOINT = [[ app.endpoint.name | kotlin ]]
        val OUTPUTS = listOf([% for one in app.given %][[ one.name | kotlin ]][[ ", " if not loop.last ]][% endfor %])
    }
}
