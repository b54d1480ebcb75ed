"""Classifiers of texts in use: files and tables to predict for, scores of words, texts in the report."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.cli import main
from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.data.text.table import TextTable
from kerasdl.errors import UsageError
from kerasdl.explain import words_page
from kerasdl.explain.explainer import Examples, Question
from kerasdl.explain.images import ImageExplainer
from kerasdl.explain.texts import TextExplainer
from kerasdl.explain.words import WordNetwork
from kerasdl.files import read_arrays
from kerasdl.inference.texts import read_texts
from kerasdl.jobs import train
from kerasdl.models.recurrent import RecurrentNetwork
from kerasdl.network.network import Network
from kerasdl.preprocessing.sequence import SequencePreprocessing
from kerasdl.preprocessing.words import Tokenizer
from kerasdl.recipe import Config, Recipe
from kerasdl.report import terminal
from kerasdl.report.blocks import Words
from kerasdl.report.render import environment
from kerasdl.tasks.classification.task import Classification
from tests import browser

WORDS = ("good", "bad", "film", "book", "not", "was", "the")
DATA = DataSpec(Spec((), "string"), Spec((), "int32", ("bad", "good")))
MODELS = {
    "attention": {"bidirectional": True, "pooling": "attention"},
    "pooled": {"cell": "gru", "embedding_mean": True, "num_pairs": 50},
}
# Punctuation alone, words that are not in the vocabulary, other scripts, and what a page must not run.
TEXT = (
    "The film -- was NOT 'good', caf\u00e9 <b>bad</b>\x00 \u0645\u0631\u062d\u0628\u0627 \U0001f600 book, the"
)


def made(name):
    """Return a network with random weights that are large enough for its answers to be far from linear."""
    keras.utils.set_random_seed(3)
    layer = SequencePreprocessing(max_length=40, vocabulary=WORDS)
    network = RecurrentNetwork(num_classes=2, units=6, embedding_size=5, preprocessing=layer, **MODELS[name])
    network(tf.constant(["the film"]))
    waves = [np.sin(np.arange(weight.size)).reshape(weight.shape) for weight in network.get_weights()]
    network.set_weights(
        [3 * weight + wave for weight, wave in zip(network.get_weights(), waves, strict=True)]
    )
    return network


@pytest.fixture(scope="module")
def attentive():
    return made("attention")


@pytest.fixture(scope="module")
def pooled():
    return made("pooled")


@pytest.fixture(params=MODELS)
def network(request):
    return request.getfixturevalue({"attention": "attentive", "pooled": "pooled"}[request.param])


def logits_of(network, texts):
    outputs = network.infer(tf.constant([text.encode() for text in texts]))
    return (outputs["logits"] if isinstance(outputs, dict) else outputs).numpy()


def explained(network, text=TEXT, **asked):
    examples = Examples(np.array([text], object), ["x"])
    found = TextExplainer().explain(network, DATA, examples, Question(class_names=("bad", "good"), **asked))
    return json.loads(str(found["about"]))


@pytest.mark.slow
def test_integrated_gradients_add_up_to_the_difference_from_unknown_words(network):
    about = explained(network, class_id=1)
    row = about["texts"][0]
    assert about["methods"] == ["integrated-gradients", "occlusion"] + ["attention"] * (
        network.attend is not None
    )
    words = [word for word in row["words"] if "known" in word]
    unknown = " ".join(["qqq"] * len(words))
    difference = np.subtract(*logits_of(network, [TEXT, unknown])[:, 1])
    assert abs(difference) > 0.1
    total = sum(word["integrated-gradients"] for word in words)
    assert total == pytest.approx(difference, rel=0.01)
    assert row["difference"] == pytest.approx(difference, rel=1e-4) and row["error"] <= 0.01
    if network.pair_embedding is None:  # with pairs, an unknown word shares in what its neighbours add
        assert all(word["integrated-gradients"] == 0 for word in words if not word["known"])
    assert sum(abs(word["integrated-gradients"]) > 1e-3 for word in words) >= 4


@pytest.mark.slow
def test_occlusion_is_the_fall_of_the_logit_without_a_word(network):
    text = " ".join([TEXT] * 4)  # more words than a call takes, and than the network reads
    row = explained(network, text, class_id=0, methods=["occlusion"])["texts"][0]
    pieces = text.split()
    assert [word["word"] for word in row["words"]] == [
        terminal.line(piece) for piece in pieces[: len(row["words"])]
    ]
    places = [place for place, word in enumerate(row["words"]) if "known" in word]
    assert len(places) == 40 and row["unread"] == len(pieces) - len(row["words"]) > 0
    without = [
        " ".join("qqq" if other == place else piece for other, piece in enumerate(pieces)) for place in places
    ]
    whole, *others = logits_of(network, [text, *without])[:, 0]
    expected = [whole - other for other in others]
    np.testing.assert_allclose([row["words"][place]["occlusion"] for place in places], expected, atol=1e-5)
    assert max(np.abs(expected)) > 0.01


@pytest.mark.slow
def test_attention_is_that_of_the_network(attentive, pooled):
    words = explained(attentive, methods=["attention"])["texts"][0]["words"]
    found = [word["attention"] for word in words if "known" in word]
    expected = attentive.infer(tf.constant([TEXT.encode()]))["attention"].numpy()[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert "known" not in words[2] and sum(found) == pytest.approx(1, abs=1e-5)
    with pytest.raises(UsageError, match=r"no attention\. Use --methods integrated-gradients,occlusion"):
        explained(pooled, methods=["attention"])


@pytest.mark.slow
def test_texts_without_words_are_explained_as_such(attentive):
    texts = ["", " !! ", "qqq \x00"]
    examples = Examples(np.array(texts, object), ["a", "b", "c"])
    asked = Question(class_names=("bad", "good"))
    about = json.loads(str(TextExplainer().explain(attentive, DATA, examples, asked)["about"]))
    for note, said in zip(about["notes"], ("there is none", "there is none", "knows none"), strict=True):
        assert said in note
    for row in about["texts"]:
        assert not any(word.get("occlusion") or word.get("integrated-gradients") for word in row["words"])
        assert row["error"] == 0
    assert words_page.section(about).blocks


def test_a_network_without_an_embedding_has_no_integrated_gradients():
    class Counts(Network):
        def forward(self, ids, training=False):
            return tf.reduce_sum(tf.one_hot(ids, 9)[..., :2], axis=1)

    network = Counts(preprocessing=SequencePreprocessing(vocabulary=WORDS))
    with pytest.raises(UsageError, match=r"no Embedding layer.*--methods occlusion"):
        explained(network)
    row = explained(network, class_id=1, methods=["occlusion"])["texts"][0]
    assert [word["occlusion"] for word in row["words"][:2]] == [-1, -1]  # one unknown word more
    keyless = WordNetwork(network)
    np.testing.assert_array_equal(keyless.occlusion(np.array([2, 1, 0]), 1), [-1, 0, 0])


@pytest.mark.slow
def test_images_that_are_read_by_rows_are_explained_as_images():
    network = RecurrentNetwork(num_classes=2, units=3, preprocessing=SequencePreprocessing())
    images = np.random.default_rng(0).integers(0, 256, (1, 6, 5, 1), np.uint8)
    found = ImageExplainer().explain(network, None, Examples(images, ["a"]), Question(class_names=("a", "b")))
    row = json.loads(str(found["about"]))["images"][0]
    assert found["integrated-gradients"].shape == (1, 6, 5, 1) and row["error"] <= 0.01


def test_spelled_words_have_the_numbers_that_the_network_reads():
    layer = SequencePreprocessing(max_length=9, vocabulary=WORDS)
    tokenizer = Tokenizer(layer.assets())
    for text in (TEXT, "", " the\x0bfilm\u3000book \x1c good\r\n", "(the) " * 12, "... the -"):
        numbers = [number for _, number in tokenizer.spelled(text) if number is not None]
        assert numbers == tokenizer.rows([text])[0].tolist()
        assert (
            b" ".join(word.encode() for word, _ in tokenizer.spelled(text)).split() == text.encode().split()
        )


def test_shades_are_relative_to_the_largest_number():
    drawn = environment().from_string("{% import 'blocks.html' as blocks %}{{ blocks.draw(block) }}")

    def shades(*words, **more):
        page = drawn.render(block=Words("x", words, **more))
        return re.findall(
            r'<span(?: class="(\w+)" style="--amount: (\d+)%" title="([^"]*)")?>([^<]*)</span>', page
        )

    assert shades(("a", 2.0), (",", None), ("b", -1.0), ("c", 0.0)) == [
        ("for", "100", "+2.000", "a"),
        ("", "", "", ","),
        ("against", "50", "-1.000", "b"),
        ("for", "0", "+0.000", "c"),
    ]
    assert shades(("a", 0.2), signed=False) == [("weight", "100", "0.200", "a")]
    assert shades(("a", 0.0)) == [("for", "0", "+0.000", "a")]


# What a command is given.


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run of two epochs, and files of texts."""
    folder = tmp_path_factory.mktemp("texts")
    rows = [(f"the {thing} was {word} {end}", word) for thing in ("film", "book", "hotel", "meal")
            for word in ("good", "bad") for end in ("", "at all", "i think", "really", "today")]  # fmt: skip
    # Labels at random, so that there are mistakes; one of them wants to be a tag.
    labels = np.random.default_rng(0).permutation([label for _, label in rows])
    lines = [f"{text} <i>x</i>,{label}" for (text, _), label in zip(rows, labels, strict=True)]
    (folder / "train.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    recipe = Recipe(
        name="tiny",
        model=Config(RecurrentNetwork, cell="simple_rnn", units=4, embedding_size=4, pooling="attention"),
        data=TextTable(path=str(folder / "train.csv"), test_fraction=0.4),
        task=Classification(),
        preprocessing=Config(SequencePreprocessing, max_length=12),
        epochs=1,
        batch_size=8,
    )
    train.train(recipe, runs_dir=folder / "runs", export=False)
    return folder


@pytest.fixture
def run(place, tmp_path, monkeypatch):
    """The run, from a folder with files of texts in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_bytes("caf\u00e9 was good".encode("cp1252"))
    (tmp_path / "b.TXT").write_bytes("good \U0001f600\x00".encode("utf-16"))
    (tmp_path / "notes").write_text("good")
    rows = ["the film, was good", "", "bad " * 300]
    (tmp_path / "r.csv").write_text("id,review\n" + "".join(f'{n},"{text}"\n' for n, text in enumerate(rows)))
    (tmp_path / "r.jsonl").write_text(json.dumps({"x": "good\nfilm"}) + "\n")
    (tmp_path / "other.csv").write_text("a,b\nx,y\n")
    (tmp_path / "none.csv").write_text("text,b\n,y\n")
    return str(place / "runs/tiny/1")


def said(capsys, *arguments):
    code = main([*map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.slow
def test_predict_reads_texts_files_and_tables(run, capsys, caplog):
    given = ["good film", "a.txt", "b.TXT", "r.csv", "nowhere.txt", "notes", ""]
    code, out, _ = said(capsys, "predict", run, *given, "--json")
    answers = json.loads(out)
    assert code == 0
    about = [
        {name: value for name, value in row.items() if name not in ("class", "probability")}
        for row in answers
    ]
    assert about == [
        {"text": "good film"}, {"file": "a.txt"}, {"file": "b.TXT"},
        {"file": "r.csv", "row": 1, "text": "the film, was good"},
        {"file": "r.csv", "row": 3, "text": "bad " * 300},
        {"text": "nowhere.txt"}, {"text": "notes"}, {"text": ""},
    ]  # fmt: skip
    notes = ("not UTF-8.*a.txt", "1 of 3 rows of r.csv have no text", "no file nowhere.txt",
             "notes is read as a text", "1 text is empty")  # fmt: skip
    for words in notes:
        assert re.search(words, caplog.text), words
    code, out, _ = said(capsys, "predict", run, "caf\u00e9 was good", "good \U0001f600\x00", "--json")
    same = [answer["probability"] for answer in json.loads(out)]
    assert same == pytest.approx([answer["probability"] for answer in answers[1:3]], abs=1e-6)


@pytest.mark.slow
def test_lines_of_predict_fit_80_columns(run, capsys):
    wide = "\u6f22\u5b57 " * 60
    code, out, _ = said(
        capsys, "predict", run, "r.csv", wide, "good\nfilm", "r.jsonl", "--text-column", "review"
    )
    assert code == 2 and not out  # the other table has no such column
    code, out, _ = said(capsys, "predict", run, "r.csv", wide, "good\nfilm\x1b[31m", "")
    header, *lines = out.splitlines()
    assert header.split()[:3] == ["file", "row", "text"]
    assert code == 0 and len(lines) == 5
    assert max(map(terminal.cells, lines)) <= 80
    assert lines[1].startswith("r.csv  3    bad bad") and "...  " in lines[1] and "...  " in lines[2]
    assert lines[3].startswith("            good film\\x1b[31m  ") and lines[4].strip().startswith('""  ')


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "explain"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["other.csv"], "has the columns 'a', 'b'. Name the one to use with --text-column"),
        (["other.csv", "--text-column", "c"], "no column 'c'"),
        (["good", "--text-column", "c"], "--text-column names a column of a table"),
        (["none.csv"], "has no row with a text"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(run, capsys, command, arguments, message):
    code, out, error = said(capsys, command, run, *arguments)
    assert code == 2 and not out and message in error and "Traceback" not in error


def test_texts_are_told_from_paths_whatever_they_hold(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.txt").mkdir()
    hostile = [
        "d.txt",
        "a\x00.txt",
        "x" * 300 + ".txt",
        "x" * 10**6,
        "/" * 5000,
        "~nobody/x.csv",
        "\u202etxt.a",
    ]
    assert [example.features.item() for example in read_texts(hostile)] == hostile
    assert caplog.text.count("There is no file") == 3 and "xxx" not in caplog.text
    latin = b"caf\xe9".decode(errors="surrogateescape")  # as the command line hands bytes over
    assert read_texts([latin])[0].about == {"text": "caf\u00e9"}
    assert read_texts([f"{latin} \ud83d"])[0].features.item() == "caf\u00e9 ?"  # cut within an emoji


@pytest.mark.slow
def test_any_file_is_answered_and_explained(run, capsys, tmp_path):
    contents = [b"good " * 200_000, b"x" * 10**6, b"\x00" * 50, bytes(range(256)),
                "\u202e\u0645 \U0001f600".encode("utf-16-be")]  # fmt: skip
    for number, content in enumerate(contents):
        (tmp_path / f"x{number}.txt").write_bytes(content)
    files = [f"x{number}.txt" for number in range(len(contents))]
    code, out, error = said(
        capsys, "explain", run, *files, "--methods", "attention", "--out", "here", "--json"
    )
    assert code == 0 and "Traceback" not in error
    rows = json.loads(out)["texts"]
    assert [row["name"] for row in rows] == files
    assert all(np.isfinite(row["logit"]) and len(row["words"]) <= 12 for row in rows)
    assert rows[0]["unread"] == 200_000 - 12 and len(rows[1]["words"][0]["word"]) < 100
    assert (tmp_path / "here/explanation.html").stat().st_size < 100_000


# The commands.


@pytest.mark.slow
def test_explain_writes_a_page_and_adds_to_the_report(run, place, capsys):
    code, out, _ = said(capsys, "explain", run, "The film was <b>bad</b>", "r.csv", "--class", "good")
    folder = place / "runs/tiny/1"
    assert code == 0
    assert f"Page    {folder / 'explain/explanation.html'}" in out and "text 1: predicted" in out
    assert re.search(r"Integrated gradients: .* (was|film|The) [+-]0\.\d\d", out)
    assert "r.csv, row 3: the network does not read the last 288 words" in out
    page, report = ((folder / name).read_text() for name in ("explain/explanation.html", "report.html"))
    for text in (page, report):
        assert "&lt;b&gt;bad&lt;/b&gt;" in text and "<b>bad" not in text
        assert text.count("<h3>Occlusion</h3>") == 3 and "logit of good" in text
    assert {path.name for path in (folder / "explain").iterdir()} == {"explanation.html", "explanations.npz"}
    code, out, _ = said(capsys, "explain", run, "--json", "--methods", "occlusion")  # the mistakes
    found = json.loads(out)
    assert code == 0 and found["methods"] == ["occlusion"]
    assert all(row["true"] != row["predicted"] for row in found["texts"])
    code, _, error = said(capsys, "explain", run, "good", "--methods", "grad-cam")
    assert code == 2 and "it takes integrated-gradients,occlusion,attention" in error


@pytest.mark.slow
def test_the_report_shows_texts_of_mistakes_and_attention(place):
    with np.load(place / "runs/tiny/1/mistakes.npz") as mistakes:
        first = mistakes["features"][0].decode()
        assert mistakes["attention"].shape == mistakes["words"].shape
        words = [word for word in mistakes["words"][0] if word]
        assert words == first.split()
        np.testing.assert_allclose(mistakes["attention"].sum(-1), 1, atol=1e-5)
    shown, answers = (
        read_arrays(place / "runs/tiny/1" / name) for name in ("gallery.npz", "predictions.npz")
    )
    assert shown["first_indices"].tolist() == [*range(8)] == [*range(len(shown["first_words"]))]
    for name in ("labels", "class_ids", "confidence"):  # of the test split, in its order
        np.testing.assert_allclose(shown[f"first_{name}"], answers[name][:8], atol=1e-6)
    np.testing.assert_allclose(shown["first_attention"].sum(-1), 1, atol=1e-5)
    assert (shown["first_words"][:, 0] == "the").all()
    page = (place / "runs/tiny/1/report.html").read_text()
    assert first.replace("<", "&lt;").replace(">", "&gt;") in page and "<i>x" not in page
    assert "Attention over the words" in page and 'class="weight"' in page


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(browser.find() is None, reason="there is no Chromium here")
def test_the_page_in_a_browser(run, capsys, tmp_path):
    arabic = "\u0645\u0631\u062d\u0628\u0627 film good " + "x" * 300
    assert said(capsys, "explain", run, "the film was bad", arabic, "--out", "here")[0] == 0
    with browser.Browser() as opened:
        for scheme, width in (("light", 1200), ("dark", 390)):
            opened.open(tmp_path / "here/explanation.html", scheme=scheme, width=width)
            assert not opened.logged and len(opened.requests) == 1
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
            shades = "[...document.querySelectorAll('.words span.for, .words span.against')]"
            assert opened.evaluate(
                f"{shades}.some((word) => getComputedStyle(word).backgroundColor != 'rgba(0, 0, 0, 0)')"
            )
            assert (
                opened.evaluate("getComputedStyle(document.querySelectorAll('.words p')[3]).direction")
                == "rtl"
            )
