"""Texts on phones: the tokeniser of MediaPipe, and the code of a bundle's README."""

import json
import re
import shutil
import string
import subprocess
import types
import zipfile
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from kerasdl.errors import RunFailedError
from kerasdl.export import bundle, verify
from kerasdl.export import compiled as compiled_model
from kerasdl.export.artefact import Artefact
from kerasdl.export.readme.text import readme_text
from kerasdl.export.tflite import INTEGER
from kerasdl.inference import tflite_file, word_numbers
from kerasdl.inference.endpoint import Endpoint
from kerasdl.preprocessing import spellings, words
from kerasdl.preprocessing.words import Tokenizer

STANDARDIZE = ["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"]
TEXTS = [
    "The film, the FILM -- wasn't it McDonald's? It was.<br /><br />The end",
    "... a caf\u00e9\u2028\u00c9cole <START> well-made \U0001f600! the\x0bend\x0cof\ttime\r\n",
    "!!! ...",
    "",
    "it's 'it' (the) end. " * 9,
    "<UNKNOWN> $5.00 rock'n'roll a",
]


def assets_for(standardize, max_length=12):
    """Return the text files of a bundle whose training texts were TEXTS."""
    texts = [text.encode() for text in TEXTS]
    found = {word for text in texts for word in words.standardized(text, standardize).split()}
    vocabulary = sorted(word.decode() for word in found)[1:]  # one is unknown
    written = spellings.find(texts, vocabulary, standardize, 100)
    return {
        words.VOCABULARY: words.to_text(vocabulary),
        words.SETTINGS: json.dumps({"max_length": max_length, "standardize": standardize}),
        spellings.FILE: "".join(f"{form}\n" for form in written),
    }


def mediapipe(assets, text):
    """Split and number a text as MediaPipe's regex tokeniser does."""
    delimiters, tokens = spellings.for_mediapipe(assets)
    pattern = re.compile(delimiters.replace("[:punct:]", re.escape(string.punctuation)))
    numbers = dict(line.rsplit(" ", 1) for line in tokens.removesuffix("\n").split("\n"))
    assert (numbers["<PAD>"], numbers["<UNKNOWN>"]) == ("0", "1") and "<START>" not in numbers
    found = [int(numbers.get(token, 1)) for token in pattern.split(text) if token]
    return found[: json.loads(assets[words.SETTINGS])["max_length"]]


@pytest.mark.parametrize("standardize", STANDARDIZE)
def test_mediapipe_numbers_known_spellings_as_keras_does(standardize):
    assets = assets_for(standardize)
    special = {"<START>", "<UNKNOWN>"} if "strip" not in standardize else set()
    for text, row in zip(TEXTS, Tokenizer(assets).rows(TEXTS), strict=True):
        if not special & set(text.split()):
            assert mediapipe(assets, text) == row.tolist()
    assert len(Tokenizer(assets).rows(["the the"])[0]) == 2


def test_spellings_are_counted_and_limited():
    texts = [b"don't Don't DON'T dont Dont it's it's it's \xff"]
    found = ("it's", "don't", "Don't", "DON'T")
    assert spellings.find(texts, ["its", "dont"], STANDARDIZE[0], 9) == found
    assert spellings.find(texts, ["its", "dont"], STANDARDIZE[0], 2) == found[:2]
    assert spellings.find(texts, ["its", "dont"], "none", 9) == ()


@pytest.mark.parametrize(("loops", "name"), [(False, "ids"), (True, "ids"), (False, "images")])
def test_tokens_are_in_files_that_mediapipe_takes(tmp_path, loops, name):
    model, tensor, entry = schema.ModelT(), schema.TensorT(), schema.TensorMapT()
    tensor.shape, tensor.name, tensor.type = [1, 12], "x", schema.TensorType.INT32
    entry.name, entry.tensorIndex = name, 0
    signature, graph = schema.SignatureDefT(), schema.SubGraphT()
    signature.inputs, signature.outputs, signature.signatureKey = [entry], [], "run"
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [], []
    model.subgraphs, model.signatureDefs = [graph] * (2 if loops else 1), [signature]
    model.buffers, model.operatorCodes, model.version = [schema.BufferT()], [], 3
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "x.tflite"
    path.write_bytes(builder.Output())
    assets = assets_for(STANDARDIZE[0])
    tflite_file.embed(path, "x", ("bad", "good"), assets)
    delimiters, tokens = spellings.for_mediapipe(assets)
    with zipfile.ZipFile(path) as archive:
        assert ("tokens.txt" in archive.namelist()) == (not loops)
        assert loops or archive.read("tokens.txt").decode() == tokens
    assert (delimiters.encode() in path.read_bytes()) == (not loops and name == "ids")
    assert tflite_file.read_labels(path) == ("bad", "good")


def readme(assets):
    endpoints = [
        {"name": "serving_default", "inputs": {"inputs": {"shape": [None], "dtype": "string"}}},
        {
            "name": "serving_ids",
            "inputs": {"ids": {"shape": [None, None], "dtype": "int32"}},
            "phone_length": 12,
        },
    ]
    rows = [
        {"file": file, "kind": kind, "endpoint": endpoint, "bytes": 1}
        for file, kind, endpoint in (
            ("saved_model.pb", "saved_model", "serving_default"),
            ("x.float32.tflite", "float32", "serving_ids"),
            ("x.onnx", "onnx", "serving_ids"),
        )
    ]
    outputs = {"probabilities": {"shape": [None, 2], "dtype": "float32"}}
    card = {
        "name": "x",
        "created": "2026-01-01",
        "versions": {"kerasdl": "0"},
        "labels": ["bad", "good"],
        "examples": 1,
        "dynamic_batch": False,
        "artefacts": rows,
        "endpoints": [{**one, "formats": [], "outputs": outputs} for one in endpoints],
    }
    return readme_text(card, assets)


def code(text, language, number=0):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)[number]


@pytest.mark.parametrize("standardize", STANDARDIZE)
def test_the_code_in_the_readme_numbers_words_as_keras_does(tmp_path, monkeypatch, standardize):
    assets, texts = assets_for(standardize), [*TEXTS, "<PAD> a"]
    text = readme(assets)
    (tmp_path / "vocab.txt").write_text(assets[words.VOCABULARY], encoding="utf-8", newline="")
    monkeypatch.chdir(tmp_path)
    expected = Tokenizer(assets).padded(texts)
    found = {}
    exec(code(text, "python"), found)
    np.testing.assert_array_equal(np.concatenate([found["ids_of"](one) for one in texts]), expected)
    if node := shutil.which("node"):
        script = code(text, "js").replace("(await fetch('vocab.txt')).text()", "read('vocab.txt', 'utf8')")
        begin = "import {readFile as read} from 'node:fs/promises';\n"
        end = f"\nconsole.log(JSON.stringify({json.dumps(texts)}.map(text => [...idsOf(text)])))"
        (tmp_path / "x.mjs").write_text(begin + script + end, encoding="utf-8")
        ran = subprocess.run([node, "x.mjs"], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        np.testing.assert_array_equal(json.loads(ran.stdout), expected)


def test_files_of_any_length_are_given_no_padding_behind_the_longest_text():
    assets, default = assets_for(STANDARDIZE[0]), Endpoint("serving_default", dict, {})
    _, of_ids = word_numbers.endpoints(default, Tokenizer(assets))
    phones, others = (of_ids.inputs_for({"ids": ((None, length), "int32")}) for length in (12, None))
    texts = np.array([b"the film", b"", b"it was the end"], object)
    ids = phones(texts, 0)["ids"]
    assert ids.shape == (3, 12) and not ids[:, 4:].any()
    np.testing.assert_array_equal(others(texts, 0)["ids"], ids[:, :4])
    assert others(texts[1:2], 0)["ids"].tolist() == [[0]]
    given = np.array([[2, 0, 0]], np.int32)
    assert others(given, 0)["ids"] is given


def test_the_readme_of_texts_speaks_of_texts():
    text = readme(assets_for(STANDARDIZE[0]))
    assert "pixels" not in text and "images" not in text
    assert 'ids = ids_of("some text")' in text and "idsOf('some text'), [1, 12]" in text
    assert "[Int32](repeating: 0, count: 12)" in text
    assert 'np.full((1,), "some text").tolist()' in text  # between the quotes of a shell
    assert "--tflite-unroll" in text


@pytest.mark.parametrize(("kind", "modes"), [("int8", None), ("int8", ("int8",)), ("float16", None)])
def test_integer_files_that_nobody_asked_for_are_left_out(tmp_path, monkeypatch, kind, modes):
    for name in "xy":
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr(Artefact, "open", lambda *_: types.SimpleNamespace(kind="onnx"))
    monkeypatch.setattr(verify, "check_interface", lambda *_: None)
    monkeypatch.setattr(
        verify, "compare", lambda _, artefact, __: ({}, ["drop is 1"] if artefact.file == "x" else [])
    )

    references = types.SimpleNamespace(endpoints=())

    def run():
        files = bundle.Files(tflite_modes=modes)
        written = [Artefact("x", kind, ("run",)), Artefact("y", "onnx", ("run",))]
        return verify.verify_artefacts(written, tmp_path, references, (None, None), files, INTEGER)

    if kind == "int8" and modes is None:
        rows, refused = run()
        assert (
            [row["file"] for row in rows] == ["y"]
            and "drop is 1" in refused["x"]
            and not (tmp_path / "x").exists()
        )
    else:
        with pytest.raises(RunFailedError, match="drop is 1"):
            run()


class InInterpreter:
    """An opened file that answers 0.25 and 0.75, in whole numbers of a tenth inside."""

    path = Path("x.int8.tflite")

    def as_stored(self, endpoint, inputs):
        return {name: (value * 10).astype(np.int8) for name, value in inputs.items()}

    def as_real(self, endpoint, outputs):
        return {name: value / 100 for name, value in outputs.items()}

    def call(self, endpoint, inputs):
        return {"probabilities": np.tile([0.25, 0.75], (len(inputs["x"]), 1)), "class_ids": np.ones(4)}


@pytest.mark.parametrize(
    ("answer", "found", "wrong"),
    [
        ([25, 75], {"max_difference": 0, "examples": 4}, 0),
        ([29, 71], {"max_difference": 0.04, "examples": 4}, 1),
        (None, {"error": "it crashed"}, 0),
    ],
)
def test_files_are_compared_in_compiled_model(caplog, answer, found, wrong):
    asked = {}

    def ask(command, *, path, endpoint, inputs):
        asked.update(inputs, command=command, endpoint=endpoint)
        if answer is None:
            raise RunFailedError("it crashed")
        return {"probabilities": np.tile(answer, (4, 1))}

    caplog.set_level("INFO")
    artefact = Artefact("x.int8.tflite", "int8", ("run",))
    given = {"x": np.linspace(0, 1, 9)[:, None]}
    figures, problems = compiled_model.compare(
        InInterpreter(), artefact, lambda name: given, types.SimpleNamespace(ask=ask)
    )
    assert asked["x"].dtype == np.int8 and len(asked["x"]) == 4 and asked["endpoint"] == "run"
    assert {name: figures["run"][name] for name in found} == pytest.approx(found)
    assert len(problems) == wrong
    assert (
        not wrong
        or "run in LiteRT's CompiledModel: mean_difference from the interpreter is 0.04" in problems[0]
    )
    assert (answer is None) == ("CompiledModel cannot run run (it crashed)" in caplog.text)
