"""The page that runs a bundle in the browser: its files, its pictures and words, and its answers."""

import base64
import json
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kerasdl
from kerasdl import cli
from kerasdl.deploy.app import app_of
from kerasdl.deploy.browser import one_example, runtimes
from kerasdl.deploy.description import describe
from kerasdl.jobs import demo
from kerasdl.preprocessing.decoding import decode_image
from kerasdl.preprocessing.picture import Picture
from kerasdl.preprocessing.words import Tokenizer
from tests import app_bundles, browser
from tests.test_phones import STANDARDIZE, TEXTS, assets_for

PAGE = Path(runtimes.__file__).parent / "page"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
needs_browser = pytest.mark.skipif(browser.find() is None, reason="there is no Chromium")


def in_node(script, given):
    """Run a module beside the page's own with `given` as a value; return the JSON that it prints."""
    begin = f"const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n(async () => {{{script}}})();"
    ran = subprocess.run(["node", "-e", begin], input=json.dumps(given), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def module(name):
    """Return JavaScript that imports a module of the page, whatever its file is called."""
    text = base64.b64encode((PAGE / name).read_bytes()).decode()
    return f"await import('data:text/javascript;base64,{text}')"


@needs_node
def test_pictures_become_the_same_input_as_in_predict(tmp_path):
    draw, cases, expected = np.random.default_rng(0), [], []
    for number, (height, width, channels, fit, background) in enumerate(
        [
            (9, 7, 1, "squeeze", "white"),
            (5, 4, 3, "squeeze", "black"),
            (2, 13, 3, "crop", "white"),
            (31, 20, 1, "crop", "white"),
            (23, 6, 3, "letterbox", "white"),
            (3, 40, 1, "letterbox", "black"),
        ]
    ):
        pixels = draw.integers(0, 256, (height, width, 4), np.uint8)
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(path)
        picture = Picture(fit=fit, background=background)
        expected.append(decode_image(tf.constant(path.read_bytes()), 5, 4, channels, picture=picture).numpy())
        settings = {"height": 5, "width": 4, "channels": channels, "fit": fit, "background": background}
        cases.append([pixels.ravel().tolist(), width, height, settings])
    script = f"""const {{toInput}} = {module("picture.js")};
    const all = given.map(([rgba, ...others]) => [...toInput(Uint8ClampedArray.from(rgba), ...others)]);
    console.log(JSON.stringify(all));"""
    for values, one in zip(in_node(script, cases), expected, strict=True):
        np.testing.assert_array_equal(np.reshape(values, one.shape), one)


@needs_node
@pytest.mark.parametrize("standardize", STANDARDIZE[:1])
def test_words_get_the_numbers_of_keras(standardize):
    assets = assets_for(standardize)
    given = {
        "vocabulary": assets["vocab.txt"],
        "settings": json.loads(assets["tokenizer.json"]),
        "texts": TEXTS,
    }
    script = f"""const {{tokenizer}} = {module("words.js")};
    const idsOf = tokenizer(given.vocabulary, given.settings);
    console.log(JSON.stringify(given.texts.map((text) => [...idsOf(text)])));"""
    np.testing.assert_array_equal(in_node(script, given), Tokenizer(assets).padded(TEXTS))


@pytest.fixture
def npm(tmp_path):
    """A node_modules of packages of a few bytes."""
    for package in runtimes.PACKAGES:
        folder = tmp_path / "node_modules" / package.name
        for file in package.files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(file)
        (folder / "package.json").write_text(json.dumps({"version": package.version}))
    return tmp_path / "node_modules"


def test_the_page_of_pictures_is_whole(tmp_path, npm, capsys):
    bundle = app_bundles.write(tmp_path)
    out = tmp_path / "out"
    before = sorted(bundle.iterdir())
    assert cli.main(["demo", str(bundle.parent), "--runtimes", str(npm), "--out", str(out)]) == 0
    settings = json.loads((out / "settings.json").read_text())
    assert settings["input"] == {"name": "images", "dtype": "uint8", "shape": [1, 5, 4, 1]}
    assert settings["labels"] == app_bundles.LABELS
    assert [one["file"] for one in settings["files"]] == ["x.float32.tflite", "x.onnx"]
    assert settings["ink"] == "white" and len(settings["examples"]) == 2
    assert settings["examples"][0]["label"] == app_bundles.LABELS[2]
    for name in ("index.html", "demo.js", "pictures.js", "x.onnx", "runtimes/onnxruntime/ort.wasm.min.mjs"):
        assert (out / name).is_file()
    page = (out / "index.html").read_text()
    assert "http://127.0.0.1:8000" in page and "https://" not in page and "{{" not in page
    assert sorted(bundle.iterdir()) == before
    again = ["demo", str(bundle), "--runtimes", str(npm), "--out", str(out), "--mode", "int8", "--no-samples"]
    assert cli.main(again) == 0  # its own folder is written again
    settings = json.loads((out / "settings.json").read_text())
    assert settings["files"][0]["file"] == "x.int8.tflite" and settings["examples"] == []
    assert not (out / "x.float32.tflite").exists()
    with demo.server(out, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        kinds = {}
        for name in ("demo.js", "runtimes/onnxruntime/ort.wasm.min.mjs", "x.onnx"):
            with urllib.request.urlopen(f"{url}/{name}") as answer:
                kinds[name] = answer.headers.get_content_type()
        server.shutdown()
    assert list(kinds.values())[:2] == ["text/javascript"] * 2


def test_pictures_that_browsers_do_not_give_are_said(tmp_path, caplog):
    described = describe(app_bundles.write(tmp_path, name="plain"))
    app_of(described, "The demo")
    assert caplog.text == ""
    odd = {**app_bundles.PICTURE, "bits": 12, "background": "ignored"}
    app_of(describe(app_bundles.write(tmp_path, picture=odd)), "The demo")
    assert "trained on values of 12 bits" in caplog.text
    assert "no colours below transparent parts" in caplog.text


def test_files_with_an_open_batch_are_left_to_onnx(tmp_path, npm, caplog):
    bundle = app_bundles.write(tmp_path, kind="text", dynamic_batch=True)
    out = demo.write_demo(bundle, tmp_path / "out", runtimes_folder=npm)
    settings = json.loads((out / "settings.json").read_text())
    assert [one["engine"] for one in settings["files"]] == ["ONNX Runtime Web"]
    assert caplog.text.count("the ONNX file alone. For both, export the run again") == 1


def test_a_file_with_an_open_batch_is_made_one_of_one_example(tmp_path):
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    weights = tf.constant(np.random.default_rng(0).normal(size=(3, 4)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, "x")])
    def steps(x):
        y = tf.zeros_like(tf.matmul(x, weights))
        for _ in tf.range(3):
            y = tf.tanh(y + tf.matmul(x, weights))
        return {"y": y}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([steps.get_concrete_function()])
    file = tmp_path / "x.tflite"
    file.write_bytes(converter.convert())
    interpreter = Interpreter(model_content=one_example.of_one_example(file))
    (given,) = interpreter.get_input_details()
    assert (given["shape"].tolist(), given["shape_signature"].tolist()) == ([1, 3], [1, 3])
    interpreter.allocate_tensors()
    x = np.array([[1, -2, 0.5]], np.float32)
    interpreter.set_tensor(given["index"], x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, steps(tf.constant(x))["y"], atol=1e-6)
    answers = iter([([np.zeros(1)], {}), ([np.ones(1)], {})])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_example, "_asked", lambda content: next(answers))
        with pytest.raises(kerasdl.RunFailedError, match="answers otherwise"):
            one_example.of_one_example(file)


def test_the_page_of_texts_is_whole(tmp_path, npm):
    bundle = app_bundles.write(tmp_path, kind="text", onnx=False)
    out = demo.write_demo(bundle, tmp_path / "out", runtimes_folder=npm)
    settings = json.loads((out / "settings.json").read_text())
    assert settings["input"]["shape"] == [1, 6] and settings["words"]["max_length"] == 6
    assert [one["engine"] for one in settings["files"]] == ["LiteRT.js"]
    assert (out / "vocab.txt").is_file() and "<textarea" in (out / "index.html").read_text()


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"kind": "vectors"}, 2, "takes a float32 [None, 3], b float32 [None, 3]"),
        ({"modes": (), "onnx": False}, 2, "no TFLite and no ONNX file"),
        ({"dynamic_batch": True, "onnx": False}, 2, "LiteRT.js takes no file with an open batch"),
        ("changed", 1, "not what was exported"),
        ("mode", 2, "'float16' that takes real numbers; it has float32, int8"),
        ("foreign", 2, "kerasdl did not make it"),
        ("inside", 2, "lies in the bundle"),
        ("none", 2, "npm install --ignore-scripts @litertjs/core@2.5.3"),
        ("empty", 2, "has no @litertjs/core/dist/index.js"),
    ],
)
def test_what_cannot_be_shown_is_said(tmp_path, npm, monkeypatch, capsys, change, code, said):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle = app_bundles.write(tmp_path, **(change if isinstance(change, dict) else {}))
    out, flags = tmp_path / "out", ["--runtimes", str(npm)]
    if change == "changed":
        (bundle / "x.onnx").write_text("other")
    elif change == "mode":
        flags += ["--mode", "float16"]
    elif change == "foreign":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    elif change == "inside":
        out = bundle / "demo"
    elif change == "none":
        flags = []
    elif change == "empty":
        flags = ["--runtimes", str(tmp_path / "cache")]
    assert cli.main(["demo", str(bundle), "--out", str(out), *flags]) == code
    assert said in capsys.readouterr().err
    assert change == "foreign" or not out.exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [("exit 1", "npm could not get @litertjs/core@2.5.3"), ('echo x > "$5/x.tgz"', "its SHA-512 is another")],
)
def test_downloads_are_checked(tmp_path, monkeypatch, capsys, script, said):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    bundle = app_bundles.write(tmp_path)
    assert cli.main(["demo", str(bundle), "--out", str(tmp_path / "out"), "--download"]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "cache").exists() and not (tmp_path / "out").exists()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert cli.main(["demo", str(bundle), "--download"]) == 2
    assert "needs npm" in capsys.readouterr().err


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The cache with the real runtimes, from the package index."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        try:
            runtimes.find(None, download=True)
        except kerasdl.RunFailedError as error:
            pytest.skip(f"npm cannot be used here: {error}")
        yield


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(page, url, **how):
    """Open a page and wait until it has opened its runtimes."""
    page.visit(url, **how)
    for _ in range(240):
        if page.evaluate("document.body.dataset.ready"):
            return
        assert page.evaluate("document.getElementById('problem').hidden || location.href"), page.logged
        page.settle(0.25)
    raise AssertionError(page.evaluate("document.body.innerText"))


def answers_of(page, script):
    """Return the answer of each runtime to what a script gives it."""
    page.evaluate("document.body.dataset.answers = 0")
    page.evaluate(script)
    for _ in range(100):
        if int(page.evaluate("document.body.dataset.answers")) > 0:
            break
        page.settle(0.05)
    found = page.evaluate(
        "window.demo.last.rows.map((row) => [...row.outputs[window.demo.settings.output.name]])"
    )
    assert len(found) == 2
    return found


@pytest.mark.slow
@pytest.mark.browser
@needs_browser
def test_pictures_get_keras_answers_in_the_browser(packages, here):
    assert cli.main(["train", "lenet5", "--data", "digits", "--epochs", "2"]) == 0
    assert cli.main(["demo", "exported/lenet5", "--out", "page"]) == 0
    draw = np.random.default_rng(0)
    files = []
    for number in range(20):  # of several sizes, grey and colour: what predict resizes, the page resizes
        size = (8, 8) if number < 10 else (int(draw.integers(3, 60)), int(draw.integers(3, 60)))
        pixels = draw.integers(0, 256, (*size, 3 if number % 2 else 1), np.uint8)
        files.append(here / f"{number}.png")
        Image.fromarray(pixels if number % 2 else pixels[..., 0]).save(files[-1])
    target = kerasdl.load("runs/lenet5/1")
    images = np.stack([example.features for example in target.read(files)])
    expected = target.predict(images)["probabilities"]
    with demo.server(here / "page", 0) as server, browser.Browser() as page:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        opened(page, url)
        for file, one in zip(files, expected, strict=True):
            encoded = base64.b64encode(file.read_bytes()).decode()
            found = answers_of(
                page,
                f"""{{const bytes = Uint8Array.from(atob('{encoded}'), (letter) => letter.charCodeAt(0));
                const files = new DataTransfer();
                files.items.add(new File([bytes], 'x.png', {{type: 'image/png'}}));
                const input = document.getElementById('file');
                input.files = files.files;
                input.dispatchEvent(new Event('change'));}}""",
            )
            np.testing.assert_allclose(found, [one, one], atol=1e-5)
        assert np.ptp(expected, axis=0).max() > 0.1
        shown = page.evaluate("document.querySelector('#top li').innerText")
        assert shown.split()[0] == target.labels[int(expected[-1].argmax())]
        for scheme, width in (("light", 1200), ("dark", 390)):
            opened(page, url, scheme=scheme, width=width)
            answers_of(page, "document.querySelector('#examples button').click()")
            text = page.evaluate("document.body.innerText")
            assert "Difference from Keras" in text and "LiteRT.js" in text and "ONNX Runtime Web" in text
            apart = page.evaluate("window.demo.last.rows.map((row) => row.apart)")
            assert max(apart) < 1e-5
            assert page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            )
            colours = page.evaluate(
                "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
            )
            assert (colours[1] == "rgb(255, 255, 255)") == (scheme == "light")
        page.evaluate("document.getElementById('clear').click()")
        top = page.evaluate("document.getElementById('shown').getBoundingClientRect().top")
        stroke = (("mousePressed", 100), ("mouseMoved", 140), ("mouseMoved", 180), ("mouseReleased", 180))
        for kind, x in stroke:
            page.call("Input.dispatchMouseEvent", type=kind, x=x, y=top + 80, button="left", clickCount=1)
        page.settle()
        assert page.evaluate("window.demo.last.values.some((value) => value > 50)")
        assert all(asked.startswith((url, "data:", "blob:")) for asked in page.requests)
        assert not [line for line in page.logged if "Security Policy" in line]
        server.shutdown()


@pytest.mark.slow
@pytest.mark.browser
@needs_browser
def test_texts_get_keras_answers_in_the_browser(packages, here):
    lines = [f'"The film was {word} {number}",{label}' for number in range(60)
             for word, label in (("good", "good"), ("dull", "bad"))]  # fmt: skip
    (here / "x.csv").write_text("\n".join(["text,label", *lines]))
    flags = ["--epochs", "2", "--units", "8", "--embedding-size", "8", "--max-length", "12"]
    assert cli.main(["train", "lstm", "--data", "x.csv", "--no-export", *flags]) == 0
    files = [
        "--formats",
        "tflite,onnx",
        "--tflite-modes",
        "float32",
    ]  # has loops: an open batch
    assert cli.main(["export", "runs/lstm/1", *files]) == 0
    (bundle,) = (here / "exported").iterdir()
    assert cli.main(["demo", str(bundle), "--out", "page"]) == 0
    texts = [text for text in TEXTS if text] + [f"GOOD, dull film {number}!" for number in range(15)]
    expected = kerasdl.load("runs/lstm/1").predict(np.array(texts, object))["probabilities"]
    with demo.server(here / "page", 0) as server, browser.Browser() as page:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened(page, f"http://127.0.0.1:{server.server_address[1]}", scheme="dark", width=390)
        for text, one in zip(texts, expected, strict=True):
            found = answers_of(
                page,
                f"""{{const box = document.getElementById('text');
                box.value = {json.dumps(text)};
                box.dispatchEvent(new Event('input'));}}""",
            )
            np.testing.assert_allclose(found, [one, one], atol=1e-5)
        server.shutdown()


@pytest.mark.slow
@pytest.mark.browser
@needs_browser
def test_the_javascript_of_the_readme_runs_in_the_browser(packages, here):
    flags = ["--data", "digits", "--epochs", "1", "--hidden-units", "4"]
    assert cli.main(["train", "mlp", *flags]) == 0
    bundle = here / "exported/mlp/1"
    blocks = re.findall(r"```js\n(.*?)```", (bundle / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    shutil.copytree(bundle, here / "site")
    for name, path in runtimes.find(None, download=False).items():
        for to in (here / "site" / name, here / "site/wasm" / path.name):
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
    imports = {
        "@litertjs/core": "/runtimes/litert/index.js",
        "@litertjs/wasm-utils": "/runtimes/litert/wasm-utils.js",
        "onnxruntime-web": "/runtimes/onnxruntime/ort.wasm.min.mjs",
    }
    head = f"<body><script type=importmap>{json.dumps({'imports': imports})}</script><script type=module>"
    with demo.server(here / "site", 0) as server, browser.Browser() as page:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for number, block in enumerate(blocks):
            (here / f"site/{number}.html").write_text(f"{head}{block}</script>")
            page.visit(f"http://127.0.0.1:{server.server_address[1]}/{number}.html")
            for _ in range(600):  # a loaded machine compiles megabytes of WebAssembly slowly
                if any("Float32Array(10)" in line for line in page.logged):
                    break
                page.settle(0.1)
            else:
                raise AssertionError(page.logged)
        server.shutdown()


def test_it_needs_no_tensorflow(tmp_path, npm):
    bundle = app_bundles.write(tmp_path)
    command = (
        f"cli.main(['demo', {str(bundle)!r}, '--runtimes', {str(npm)!r}, '--out', {str(tmp_path / 'o')!r}])"
    )
    code = (
        f"import sys; from kerasdl import cli; assert {command} == 0; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
