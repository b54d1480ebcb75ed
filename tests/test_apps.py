"""The sample projects for Android and iOS are whole; their code is compiled and run as far as it can be."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import xml.dom.minidom
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasdl import cli
from kerasdl.export.readme.steps import steps_text
from kerasdl.preprocessing.decoding import decode_image
from kerasdl.preprocessing.picture import Picture
from kerasdl.preprocessing.words import Tokenizer
from tests import app_bundles
from tests.test_phones import TEXTS, readme
from tests.test_streaming_readme import CARDS

API = Path(__file__).parent / "android_api"
KOTLIN = "kotlin-compiler@2.4.20"
GRAMMARS = ("tree-sitter==0.26.*", "tree-sitter-kotlin==1.1.*", "tree-sitter-swift==0.7.*", "pbxproj==4.*")


def deployed(folder, target, **bundle):
    """Generate a project; return its folder."""
    path = app_bundles.write(folder, **bundle)
    out = folder / f"{bundle.get('name', 'x')}-{target}"
    assert cli.main(["deploy", str(path), "--to", target, "--out", str(out)]) == 0
    return out


def test_android_projects_are_whole(tmp_path):
    out = deployed(tmp_path, "android", name="9lives")
    main = out / "app/src/main"
    manifest = xml.dom.minidom.parse(str(main / "AndroidManifest.xml"))
    assert manifest.getElementsByTagName("uses-permission") == []
    assert "IMAGE_CAPTURE" in (main / "AndroidManifest.xml").read_text()
    xml.dom.minidom.parse(str(main / "res/values/strings.xml"))
    assert {path.name for path in (main / "assets").iterdir()} == {"x.float32.tflite", "labels.txt"}
    gradle = (out / "app/build.gradle.kts").read_text()
    assert "com.google.ai.edge.litert:litert:2" in gradle and 'noCompress += "tflite"' in gradle
    assert 'namespace = "org.example.n9lives"' in gradle
    network = (main / "kotlin/Network.kt").read_text()
    assert "package org.example.n9lives\n" in network and "FloatArray" in network
    assert 'createInputBuffer("images", ENDPOINT)' in network and 'listOf("probabilities")' in network
    assert all("[[" not in path.read_text() for path in out.rglob("*.kt*"))


def test_ios_projects_are_whole(tmp_path):
    out = deployed(tmp_path, "ios")
    project = (out / "App.xcodeproj/project.pbxproj").read_text()
    assert project.count("INFOPLIST_KEY_NSCameraUsageDescription") == 2 and "org.example.x" in project
    assert (out / "App/x.float32.tflite").is_file() and (out / "App/labels.txt").is_file()
    network = (out / "App/Network.swift").read_text()
    assert 'file = "x.float32"' in network and 'invoke(with: ["images": values' in network
    assert "func run(_ values: [Float32])" in network
    words = deployed(tmp_path, "ios", name="y", kind="text")
    assert "func run(_ values: [Int32])" in (words / "App/Network.swift").read_text()
    assert "NSCamera" not in (words / "App.xcodeproj/project.pbxproj").read_text()
    assert (words / "App/vocab.txt").is_file() and not (words / "App/Camera.swift").exists()


@pytest.mark.parametrize(
    ("bundle", "code", "said"),
    [
        ({"kind": "vectors"}, 2, "takes a float32 [None, 3], b float32 [None, 3]"),
        ({"modes": ()}, 2, "has no TFLite file that takes real numbers; it has none"),
        ({"modes": ("int8",), "io": "uint8"}, 2, "has no TFLite file that takes real numbers"),
    ],
)
def test_bundles_that_are_not_for_phones_are_refused(tmp_path, capsys, bundle, code, said):
    path = app_bundles.write(tmp_path, **bundle)
    for target in ("android", "ios"):
        command = ["deploy", str(path), "--to", target, "--out", str(tmp_path / "out")]
        assert cli.main(command) == code
        assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def kotlin(tmp_path_factory):
    """The folder with the jars of Kotlin's compiler, from the package index."""
    if not (shutil.which("npm") and shutil.which("java")):
        pytest.skip("there is no npm, or no Java")
    folder = tmp_path_factory.mktemp("kotlin")
    if subprocess.run(["npm", "pack", "--silent", KOTLIN], cwd=folder, capture_output=True).returncode:
        pytest.skip("npm cannot be used here")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "lib"


def compiled(kotlin, sources, out):
    """Compile Kotlin into a jar."""
    names = ("compiler", "stdlib", "script-runtime", "reflect")
    jars = [*(kotlin / f"kotlin-{name}.jar" for name in names), kotlin / "kotlinx-coroutines-core-jvm.jar"]
    command = ["java", "-cp", ":".join(map(str, jars)), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    command += ["-no-stdlib", "-no-reflect", "-cp", kotlin / "kotlin-stdlib.jar", "-d", out, *sources]
    return subprocess.run(command, capture_output=True, text=True)


MAIN = """
import java.io.File

fun main(arguments: Array<String>) {
    val numbers = File(arguments[0]).readLines().map { line -> line.split(" ").map { it.toInt() } }
    for ((kind, line) in listOf("squeeze", "crop", "letterbox").zip(numbers)) {
        val argb = line.drop(2).toIntArray()
        val (width, height) = line
        val found = when (kind) {
            "squeeze" -> org.example.squeeze.Pictures.toInput(argb, width, height)
            "crop" -> org.example.crop.Pictures.toInput(argb, width, height)
            else -> org.example.letterbox.Pictures.toInput(argb, width, height)
        }
        println(found.joinToString(" "))
    }
    val words = File(arguments[1]).useLines { org.example.words.Words(it) }
    File(arguments[2]).readText().split("\\u0000").forEach { println(words.toInput(it).joinToString(" ")) }
}
"""


def code_of_readmes(language):
    """Return the blocks of code in READMEs of bundles: whole texts first, then each kind of steps."""
    texts = [readme(few_words()), *map(steps_text, CARDS)]
    return [block for text in texts for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


def snippets(folder):
    """Return a Kotlin file with the code of READMEs, each block in a function of its own."""
    blocks = [
        block for block in code_of_readmes("kotlin") if "TextClassifier" not in block
    ]  # another library
    imports, bodies = set(), []
    for block in blocks:
        lines = block.splitlines()
        imports |= {line for line in lines if line.startswith("import ")}
        bodies.append("\n".join(line for line in lines if not line.startswith("import ")))
    words = [body for body in bodies if "fun idsOf" in body]
    others = [body for body in bodies if body not in words]
    assert len(words) == 1 and len(others) == 1 + len(CARDS)
    parts = [
        f"fun f{n}(context: android.content.Context) {{\n{words[0]}\n{body}\n}}"
        for n, body in enumerate(others)
    ]
    path = folder / "Snippets.kt"
    path.write_text("\n".join([*sorted(imports), *parts]), encoding="utf-8")
    return path


def few_words():
    settings = {"max_length": 6, "standardize": "lower_and_strip_punctuation"}
    return {
        "vocab.txt": "<PAD>\n<UNKNOWN>\ngood\n",
        "tokenizer.json": json.dumps(settings),
        "spellings.txt": "",
    }


@pytest.mark.slow
def test_kotlin_compiles_and_reads_pictures_and_texts_as_keras_does(kotlin, tmp_path):
    """Types are checked against declarations of Android's and LiteRT's API: the real ones are not here."""
    draw = np.random.default_rng(0)
    kinds = {"squeeze": (31, 20, 1, "white"), "crop": (9, 17, 3, "black"), "letterbox": (23, 6, 3, "white")}
    sources, lines, expected = [], [], []
    for fit, (height, width, channels, background) in kinds.items():
        picture = Picture(fit=fit, background=background, orientation="exif" if fit != "crop" else "stored")
        out = deployed(tmp_path, "android", name=fit, channels=channels, picture=vars(picture))
        sources.append(out / "app/src/main/kotlin")
        pixels = draw.integers(0, 256, (height, width, 4), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "x.png")
        encoded = tf.constant((tmp_path / "x.png").read_bytes())
        expected.append(decode_image(encoded, 5, 4, channels, picture=picture).numpy().ravel())
        argb = pixels[..., [2, 1, 0, 3]].copy().view(np.int32).ravel()
        lines.append(" ".join(map(str, [width, height, *argb])))
    out = deployed(tmp_path, "android", name="words", kind="text")
    sources.append(out / "app/src/main/kotlin")
    (tmp_path / "numbers.txt").write_text("\n".join(lines))
    texts = [*TEXTS, "GOOD, bad good!"]
    (tmp_path / "texts.txt").write_bytes("\0".join(texts).encode())
    (tmp_path / "Main.kt").write_text(MAIN)
    ran = compiled(kotlin, [*sources, API, tmp_path / "Main.kt", snippets(tmp_path)], tmp_path / "all.jar")
    assert ran.returncode == 0, ran.stderr
    vocabulary = out / "app/src/main/assets/vocab.txt"
    command = ["java", "-cp", f"{tmp_path / 'all.jar'}:{kotlin / 'kotlin-stdlib.jar'}", "MainKt",
               *map(str, (tmp_path / "numbers.txt", vocabulary, tmp_path / "texts.txt"))]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = [list(map(float, line.split())) for line in ran.stdout.splitlines()]
    for values, one in zip(found, expected, strict=False):
        np.testing.assert_array_equal(values, one)
    bundle = tmp_path / "words" / "1"
    assets = {name: (bundle / name).read_text() for name in ("vocab.txt", "tokenizer.json")}
    np.testing.assert_array_equal(found[3:], Tokenizer(assets).padded(texts))


PARSE = """
import sys
from pathlib import Path
import tree_sitter_kotlin, tree_sitter_swift
from openstep_parser import OpenStepDecoder
from tree_sitter import Language, Parser

def wrong(node):
    if node.is_error or node.is_missing:
        yield f"line {node.start_point[0] + 1}"
    for child in node.children:
        yield from wrong(child)

for path in map(Path, sys.argv[1:]):
    if path.suffix == ".pbxproj":
        with path.open() as file:
            assert OpenStepDecoder.ParseFromFile(file)["objectVersion"] == "77"
        continue
    grammar = tree_sitter_swift if path.suffix == ".swift" else tree_sitter_kotlin
    found = list(wrong(Parser(Language(grammar.language())).parse(path.read_bytes()).root_node))
    assert not found, (path, found)
"""


@pytest.mark.slow
def test_swift_and_gradle_files_are_grammatical(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    if subprocess.run([python, "-m", "pip", "install", "-q", *GRAMMARS]).returncode:
        pytest.skip("the parsers cannot be installed here")
    files = []
    for fit in ("squeeze", "crop", "letterbox"):
        picture = vars(Picture(fit=fit, background="black" if fit == "crop" else "white"))
        channels = 1 if fit == "squeeze" else 3
        files.append(deployed(tmp_path, "ios", name=fit, channels=channels, picture=picture))
    files += [
        deployed(tmp_path / "t", target, kind="text", name=f"n{target}") for target in ("ios", "android")
    ]
    paths = [
        path
        for folder in files
        for path in folder.rglob("*")
        if path.suffix in (".swift", ".kts", ".pbxproj")
    ]
    assert len(paths) > 20
    for n, block in enumerate(code_of_readmes("swift")):
        paths.append(tmp_path / f"readme{n}.swift")
        paths[-1].write_text(block, encoding="utf-8")
    assert n >= len(CARDS)
    ran = subprocess.run([python, "-c", PARSE, *paths], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
