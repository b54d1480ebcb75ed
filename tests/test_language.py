"""Language models by characters: data, carried states, steps, figures, generation and exported files."""

import collections
import contextlib
import itertools
import json
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasdl
from kerasdl.cli import main
from kerasdl.data import batches, from_text
from kerasdl.data.passes import split_batches
from kerasdl.data.text.corpus import UNKNOWN, Corpus
from kerasdl.errors import UsageError
from kerasdl.inference import generation
from kerasdl.inference.generation import Settings
from kerasdl.models.char_lm import CharLM
from kerasdl.tasks.language import figures, ngram, streaming
from kerasdl.tasks.language.task import LanguageModel
from kerasdl.training import build, devices
from kerasdl.training.interruption import Interrupted
from kerasdl.training.loop import Loop
from tests.cases import CASES

TEXT = "the cat sat on the mat, and the dog ran to the cat.\n" * 12
SHORT = {"window": 8, "evaluation_window": 16}
CASE = next(case for case in CASES if case.model.target is CharLM)


def corpus(tmp_path, content=TEXT, **fields):
    file = tmp_path / "some.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Corpus(path=str(file), **{**SHORT, **fields})


def decoded(dataset, ids):
    return "".join(dataset.spec.inputs.class_names[one] for one in ids)


# Data


def test_a_text_becomes_windows_and_the_characters_after_them(tmp_path):
    data = corpus(tmp_path).load()
    assert data.spec.inputs.class_names == (UNKNOWN, *sorted(set(TEXT)))
    parts = [decoded(data, part.ids) for part in (data.train, data.validation, data.test)]
    assert "".join(parts) == TEXT
    features, targets, _ = next(split_batches(data.test)())
    assert features.shape == targets.shape == ((len(parts[2]) - 1) // 16, 16)
    assert features.dtype == targets.dtype == np.int32
    text = decoded(data, streaming.whole_text(split_batches(data.test)))
    assert text == parts[2][: len(features) * 16 + 1]
    assert data.spec.assets["vocab.txt"].splitlines()[:2] == [json.dumps(UNKNOWN), json.dumps("\n")]


@pytest.mark.by_default(lambda order: order == "shuffled")
@pytest.mark.parametrize("order", ["continued", "shuffled"])
def test_training_windows_are_a_function_of_seed_and_step(tmp_path, order):
    data = corpus(tmp_path, order=order).load()

    def first(count, start=0, seed=3):
        found = batches.training_batches(data.train, batch_size=4, seed=seed, start_step=start)
        return list(found.take(count).as_numpy_iterator())

    steps = batches.steps_per_epoch(data.train, 4)
    whole = first(3 * steps)
    for (features, targets), (again, _) in zip(whole[5:], first(3 * steps - 5, 5), strict=True):
        np.testing.assert_array_equal(features, again)
        np.testing.assert_array_equal(features[:, 1:], targets[:, :-1])
    assert len({whole[epoch * steps][0].tobytes() for epoch in range(3)}) > 1  # they begin elsewhere
    pairs = itertools.pairwise(whole[: steps - 1])
    follows = [np.array_equal(before[1][:3, -1], after[0][:3, 0]) for before, after in pairs]
    assert all(follows) == (order == "continued")
    assert data.train.ordering.continues == (order == "continued")


@pytest.mark.parametrize(
    ("content", "fields", "wanted"),
    [
        (
            b"\xef\xbb\xbf" + "h\u00e9 \U0001f600\x00\u05d0\n".encode() * 60,
            {},
            "\x00\n h\u00e9\u05d0\U0001f600",
        ),
        (("h\u00e9\r\n" * 90).encode("utf-16"), {}, "\nh\u00e9"),
        (("h\u00e9\r" * 90).encode("latin-1"), {"encoding": "latin-1"}, "\nh\u00e9"),
    ],
)
def test_encodings_marks_and_line_ends(tmp_path, content, fields, wanted):
    assert corpus(tmp_path, content, **fields).load().spec.inputs.class_names == (UNKNOWN, *wanted)


@pytest.mark.parametrize(
    ("content", "fields", "message"),
    [
        (b"", {}, "has 0 characters, but training needs more than 8"),
        (b"short", {}, "--window 32 --evaluation-window 32"),
        ("h\u00e9".encode("latin-1") * 90, {}, "is not UTF-8 text at byte 1.*--encoding cp1252"),
        (TEXT, {"min_count": 10**6}, "smaller --min-count"),
    ],
)
def test_a_text_that_cannot_be_used_is_one_sentence(tmp_path, content, fields, message):
    with pytest.raises(UsageError, match=message):
        corpus(tmp_path, content, **fields).load()


@pytest.mark.parametrize(
    "fields", [{"window": 0}, {"encoding": "klingon"}, {"encoding": "zip"}, {"test_fraction": 1.0}]
)
def test_fields_out_of_range_are_refused(fields):
    with pytest.raises(UsageError):
        Corpus(**fields)


def test_words_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "2.txt").write_text("b" * 200)
    (tmp_path / "book" / "1.TXT").write_text("a" * 200)
    assert from_text("shakespeare") == Corpus() and from_text("tiny_shakespeare").name == "tiny_shakespeare"
    assert from_text("missing.txt") == Corpus(path="missing.txt")
    data = Corpus(path=from_text("book").path, **SHORT).load()
    assert decoded(data, data.train.ids).startswith("a" * 200 + "\nb")
    with pytest.raises(UsageError, match=r"There is no missing\.txt"):
        from_text("missing.txt").load()
    (tmp_path / "book" / "class").mkdir()  # now its folders are classes
    assert not isinstance(from_text("book"), Corpus)


def test_another_text_is_read_with_the_vocabulary_of_a_run(tmp_path):
    spec = corpus(tmp_path).load().spec
    other = corpus(tmp_path, "the Zebra sat\n" * 40).like(spec)
    data = other.load()
    assert data.spec.inputs == spec.inputs
    assert decoded(data, data.train.ids).startswith(f"the {UNKNOWN}ebra".replace("b", UNKNOWN)[:4])
    assert (data.train.ids == 0).any() and "count as unknown" in data.notes[0]
    assert other.moved_to(Corpus(path="x.txt")).path == "x.txt"


def test_the_shipped_text_needs_no_network():
    data = Corpus().load()
    assert decoded(data, data.train.ids[:14]) == "First Citizen:"
    assert sum(len(part.ids) for part in (data.train, data.validation, data.test)) == 100_000


# Networks


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{"cell": "lstm"}, {"cell": "gru", "tied": True}, {"cell": "min_gru"}])
def test_500_steps_equal_one_pass(arguments):
    network = CharLM(vocabulary_size=9, embedding_dim=5, units=6, **arguments)
    ids = tf.constant(np.random.default_rng(0).integers(0, 9, (2, 500)), tf.int32)
    whole, last = network.forward_from(ids, None)
    step, states = tf.function(network.step), network.initial_states(2)
    logits = []
    for place in range(500):
        found, states = step(ids[:, place], states)
        logits.append(found)
    np.testing.assert_allclose(tf.stack(logits, 1), whole, atol=1e-5)
    for one, other in zip(states, last, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    half, states = network.forward_from(ids[:, :77], None)
    any_length = [tf.TensorSpec((2, None), tf.int32), [tf.TensorSpec(state.shape) for state in states]]
    rest, _ = tf.function(network.forward_from, input_signature=any_length)(ids[:, 77:], states)
    np.testing.assert_allclose(tf.concat([half, rest], 1), whole, atol=1e-5)


def trained(strategy, *, steps, places=8, accumulation=1):
    """Train on windows that continue each other; return the network."""
    with devices.choose(strategy).scope():
        keras.utils.set_random_seed(0)
        network = CASE.build(cell="lstm", num_layers=1, tied=False)
        recipe = kerasdl.Recipe(
            model=CASE.model,
            data=Corpus(),
            task=CASE.task,
            gradient_accumulation_steps=accumulation,
        )
        build.compile_network(network, recipe, CASE.spec, 100, 0, places)
    text = np.random.default_rng(0).integers(0, 3, (8, 6 * steps + 1)).astype(np.int32)
    cut = [text[:, 6 * step : 6 * step + 7] for step in range(steps)]
    data = tf.data.Dataset.from_generator(
        lambda: ((part[:, :-1], part[:, 1:]) for part in cut),
        output_signature=(tf.TensorSpec((8, 6), tf.int32), tf.TensorSpec((8, 6), tf.int32)),
    )
    network.fit(data, epochs=1, shuffle=False, verbose=0)
    return network, text


def carried(network):
    return [state.numpy() for state in network._carried.metric.states]


@pytest.mark.slow
def test_training_carries_the_state_from_batch_to_batch():
    network, text = trained("none", steps=1)
    weights = network.get_weights()
    again, _ = trained("none", steps=2)
    before = carried(network)
    assert all(state.shape == (8, 7) and np.abs(state).max() > 0.01 for state in before)
    network.set_weights(weights)
    with_past, _ = network.forward_from(text[:, 6:12], [tf.constant(state) for state in before])
    cold, _ = network.forward_from(text[:, 6:12], None)
    assert np.abs(with_past - cold).max() > 1e-4
    assert not np.allclose(carried(again)[0], before[0])
    network.reset_metrics()
    assert all(not state.any() for state in carried(network))


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
def test_two_replicas_carry_the_states_of_one(accumulation):
    one, _ = trained("none", steps=3)
    two, _ = trained("cpu:2", steps=3, accumulation=accumulation)
    for left, right in zip(one.get_weights() + carried(one), two.get_weights() + carried(two), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


@pytest.mark.slow
def test_a_run_that_was_interrupted_carries_its_states_on(tmp_path, monkeypatch):
    recipe = kerasdl.load_recipe("char_lm", data=corpus(tmp_path), epochs=2, batch_size=8, deterministic=True)
    model = recipe.model.replace(units=6, num_layers=1)
    recipe = kerasdl.replace(recipe, model=model, task=LanguageModel(sample_length=10))
    whole = kerasdl.train(recipe, runs_dir=tmp_path / "whole", export=False).run
    step, done = Loop.run, []

    def run(loop, limit):
        done.append(1)
        if len(done) == 5:  # in the middle of the first epoch
            os.kill(os.getpid(), signal.SIGINT)
        return step(loop, 1)

    monkeypatch.setattr(Loop, "run", run)
    with pytest.raises(Interrupted):
        kerasdl.train(recipe, runs_dir=tmp_path / "parts", export=False)
    parts = kerasdl.resume(tmp_path / "parts/char_lm/1").run
    for one, other in zip(whole.network().get_weights(), parts.network().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole.read_json("samples.json") == parts.read_json("samples.json")
    assert whole.read_json("metrics.json")["test"] == parts.read_json("metrics.json")["test"]


# Figures


def test_nats_are_the_cross_entropy():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(100, 7, 5)).astype(np.float32), rng.integers(0, 5, (100, 7))
    expected = keras.ops.convert_to_numpy(
        keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)
    )
    nats = figures.nats_of(logits, targets)
    np.testing.assert_allclose(nats, expected, atol=1e-5)
    found = figures.figures(nats)
    assert found["nats"] == pytest.approx(expected.mean(), abs=1e-6)
    assert found["perplexity"] == pytest.approx(np.exp(expected.mean()), abs=1e-5)
    assert (found["window"], found["characters"], found["examples"]) == (7, 700, 100)
    assert found["by_place"][0] == [1, pytest.approx(expected[:, 0].mean(), abs=1e-5)]


def test_a_file_that_answers_otherwise_is_beyond_the_limits():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(70, 7, 5)).astype(np.float32), rng.integers(0, 5, (70, 7))
    same = figures.compare({"logits": logits}, {"logits": logits + 3}, targets)  # softmax does not see it
    assert same["max_difference"] < 1e-5 and abs(same["divergence"]) < 1e-6
    worse = figures.compare({"logits": logits}, {"logits": logits[..., ::-1]}, targets)
    assert worse["divergence"] > 0.1 and worse["max_difference"] > 1
    broken = figures.compare({"logits": logits}, {"logits": logits * np.nan}, targets)
    assert not broken["divergence"] <= 0.02 and broken["max_difference"] == np.inf
    states = [{"logits": logits, "next_h0": np.full((2, 3), value, np.float32)} for value in (0, np.nan)]
    assert np.isnan(figures.compare(*states, targets)["max_difference"])


def test_ngrams_sum_to_one_and_know_what_they_counted():
    ids = np.array([1, 2, 3, 1, 2, 3, 1, 2, 4] * 20)
    model = ngram.NGrams(ids, order=2)
    past, size = [1, 2], 5
    counts = collections.Counter(zip(ids, ids[1:], ids[2:], strict=False))
    told = []
    for following in range(size):
        text = np.array([*past, following])
        both = model.nats(text) * 2  # of the last two characters
        known = model.nats(np.array([*past, 4])) * 2
        told.append(np.exp(-(both - known)))
    of_last = np.array(told) / np.sum(told)
    share = counts[1, 2, 3] / (counts[1, 2, 3] + counts[1, 2, 4])
    assert of_last[3] == pytest.approx(share, abs=0.02) and of_last.min() > 0
    assert model.nats(ids) < 0.45 < np.log(size)


def test_the_order_of_ngrams_is_the_one_that_is_counted():
    ids = np.random.default_rng(0).integers(0, 9000, 1000)
    assert (ngram.NGrams(ids).order, ngram.NGrams(ids % 60).order) == (3, 4)
    assert ngram.NGrams(ids % 60, size=9000).order == 3


def test_the_coldest_temperature_takes_the_most_probable_character():
    logits = np.array([9.0, 1.0, 3.0, 2.0])
    assert generation._draw(logits, generation.Settings(temperature=1e-320), 0.5) == 2


def test_windows_that_do_not_follow_each_other_are_no_text():
    ids = np.arange(13)
    parts = ids[:12].reshape(3, 4), ids[1:].reshape(3, 4), None
    np.testing.assert_array_equal(streaming.whole_text(lambda: [parts]), ids)
    swapped = parts[0][::-1], parts[1][::-1], None
    assert streaming.whole_text(lambda: [swapped]) is None


def test_worse_than_counting_is_a_verdict():
    task = LanguageModel()
    told = {"nats": 2.0, "carried_nats": 1.9, "ngram_nats": 1.8, "ngram_order": 4}
    assert "No better than counting" in task.verdicts(told)[0].text
    assert task.verdicts({**told, "carried_nats": 1.7}) == [] and task.verdicts({"nats": 2.0}) == []


# Generation


def automaton(inputs):
    """A network whose logits after a character are fixed, and whose state counts its characters."""
    logits = np.log(np.array([[9, 1, 1, 1], [9, 1, 6, 3], [9, 8, 1, 1], [9, 1, 1, 1.5]]))
    return {"logits": logits[inputs["ids"]], "next_h0": inputs["h0"] + 1}


def write(**settings):
    return generation.write(automaton, {"h0": np.zeros((1, 1))}, [1], Settings(length=60, **settings))


def test_sampling_follows_its_settings():
    assert write() == write() != write(seed=1)
    assert 0 not in write(temperature=5.0)  # the unknown character, the most probable of all
    assert write(temperature=0)[:4] == [2, 1, 2, 1] == write(top_k=1)[:4] == write(top_p=0.3)[:4]
    chances, logits = np.linspace(0, 0.999, 50), np.log([9, 1, 6, 3])
    for settings, drawn in ((Settings(top_p=0.7), {2, 3}), (Settings(top_k=1), {2}), (Settings(), {1, 2, 3})):
        assert {generation._draw(logits, settings, chance) for chance in chances} == drawn


def test_beams_find_the_more_probable_text():
    def score(text):
        known = automaton({"ids": [1, *text[:-1]], "h0": 0})["logits"][:, 1:]
        known = known - np.log(np.exp(known).sum(-1, keepdims=True))
        return sum(row[one - 1] for row, one in zip(known, text, strict=True))

    found = generation.write(automaton, {"h0": np.zeros((1, 1))}, [1], Settings(length=4, beams=8))
    best = max(itertools.product((1, 2, 3), repeat=4), key=score)
    assert score(found) == pytest.approx(score(best))
    assert Settings(beams=8).used() == {"beams": 8}
    assert Settings(seed=3).used().items() >= {"temperature": 0.8, "seed": 3, "beams": 1}.items()


@pytest.mark.parametrize(
    "fields", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_p": 0.0}, {"length": 0},
               {"beams": 2, "top_k": 3}, {"beams": 2, "temperature": 0.5}, {"beams": 2, "seed": 1}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(fields):
    with pytest.raises(UsageError):
        Settings(**fields)


# The whole chain


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run of the shipped pipeline on a small text, and its bundle."""
    folder = tmp_path_factory.mktemp("language")
    (folder / "some.txt").write_text(TEXT)
    with contextlib.chdir(folder):
        code = main(
            ["train", "char_lm", "--data", "some.txt", "--units", "8", "--num-layers", "1", "--epochs", "2",
             "--batch-size", "8", "--window", "8", "--evaluation-window", "16", "--sample-length", "20"]
        )  # fmt: skip
        assert code == 0
    return folder


@pytest.fixture
def there(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


@pytest.mark.slow
def test_every_file_is_verified_with_its_steps(there):
    card = json.loads((there / "exported/char_lm/1/card.json").read_text())
    made = [row for row in card["artefacts"] if "error" not in row]
    assert {row["kind"] for row in made} >= {"saved_model", "float32", "float16", "dynamic", "onnx"}
    steps = {row["kind"]: row["endpoints"]["step"] for row in made if "step" in row["endpoints"]}
    assert steps.keys() >= {"saved_model", "float32", "float16", "dynamic", "onnx"}
    assert all("stream_nats_rise" in step for step in steps.values())
    timed = [row for row in made if row["endpoint"] == "serving_default"]
    assert all(row["latency_ms_by_length"].keys() == {"10", "100", "400"} for row in timed)
    assert all(row.get("refused") for row in card["artefacts"] if "error" in row)
    assert main(["verify", "exported/char_lm/1", "--data", "some.txt"]) == 0
    figures = json.loads((there / "runs/char_lm/1/metrics.json").read_text())["test"]
    assert {"nats", "carried_nats", "carried_rows", "ngram_nats", "by_place"} <= figures.keys()
    samples = json.loads((there / "runs/char_lm/1/samples.json").read_text())["samples"]
    assert [row["epoch"] for row in samples] == [1, 2] and all(len(row["text"]) == 20 for row in samples)
    assert "Samples by epoch" in (there / "runs/char_lm/1/report.html").read_text()
    assert "next_" in (there / "exported/char_lm/1/README.md").read_text()


@pytest.mark.slow
def test_run_and_files_write_the_same_text(there, capsys):
    bundle = "exported/char_lm/1"
    texts = set()
    for target in (
        "runs/char_lm/1",
        bundle,
        f"{bundle}/char_lm.float32.tflite",
        f"{bundle}/char_lm.step.onnx",
    ):
        assert main(["generate", target, "--prompt", "the c", "--length", "40", "--json"]) == 0
        texts.add(json.loads(capsys.readouterr().out)["text"])
    assert len(texts) == 1 and len(texts.pop()) == 40
    assert main(["generate", f"{bundle}/char_lm.serving_default.onnx"]) == 2
    assert "Give char_lm.step.onnx" in capsys.readouterr().err
    assert main(["generate", "runs/char_lm/1", "--prompt", "\u05d0"]) == 2
    assert "knows no character of the prompt" in capsys.readouterr().err


@pytest.mark.slow
def test_evaluate_gives_the_same_figures_of_run_and_files(there, capsys):
    written = json.loads((there / "runs/char_lm/1/metrics.json").read_text())["test"]
    for target in ("runs/char_lm/1", "exported/char_lm/1", "exported/char_lm/1/char_lm.float32.tflite"):
        assert main(["evaluate", target, "--data", "some.txt", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        for name in ("nats", "carried_nats", "ngram_nats"):
            assert found[name] == pytest.approx(written[name], abs=1e-4), (target, name)
