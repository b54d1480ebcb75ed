"""Tagging: numbers of tokens, the linear chain, entities, and comparisons."""

import itertools
import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.export import verify
from kerasdl.export.readme.tags import tags_part
from kerasdl.inference import sentences
from kerasdl.inference.answers import Answers, caller, run_over
from kerasdl.inference.endpoint import Endpoint
from kerasdl.layers import linear_chain
from kerasdl.layers.linear_chain import LinearChain
from kerasdl.preprocessing.sentence import TokenPreprocessing
from kerasdl.preprocessing.tokens import TokenNumbers
from kerasdl.tasks.tagging import comparison, decoding, figures
from kerasdl.tasks.tagging.entities import Scheme
from kerasdl.tasks.tagging.losses import TagF1, TagLoss, TokenAccuracy
from kerasdl.tasks.tagging.task import Tagging

TAGS = ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")


# Numbers of tokens


def test_tensorflow_numbers_tokens_as_python_does():
    train = np.array(
        [[b"The", b"U.S.", b"won", b"3-1"], ["Zürich".encode(), b"it", "漢字".encode(), b"2nd"]], object
    )
    layer = TokenPreprocessing(max_words=7)
    layer.fit(lambda: [train])
    assert layer.sizes[0] == 7 and layer.shapes[0] == "a"
    odd = [
        "THE",
        "the",
        "Zürich",
        "ZüRICH",
        "é",
        "don't",
        "x" * 50,
        "7th",
        "漢",
        "a\tb",
        "[UNK]",
        "İ",
        "😀.",
        "",
    ]
    tokens = np.array([[one.encode() for one in odd], [b"won"] + [b""] * 13], object)
    expected = layer(tf.constant(tokens)).numpy()
    found = TokenNumbers(layer.assets())
    np.testing.assert_array_equal(found.padded(tokens, 14), expected)
    assert [len(row) for row in found.rows(tokens)] == [13, 1]
    np.testing.assert_array_equal(found.padded(tokens, 3), expected[:, :3])
    again = TokenPreprocessing.from_config(layer.get_config())
    np.testing.assert_array_equal(again(tf.constant(tokens)), expected)


def test_the_readme_of_a_bundle_numbers_tokens(tmp_path, monkeypatch):
    layer = TokenPreprocessing(phone_length=5)
    layer.fit(lambda: [np.array([[b"The", b"U.S.", b"won", b"3-1"]], object)])
    for name, content in layer.assets().items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", tags_part({}, layer.assets()), re.DOTALL)
    found = {}
    exec(code, found)
    tokens = ["Won", "Zürich", "3-2", "U.S.", "a", "b"]
    row = np.array([[one.encode() for one in tokens]], object)
    expected = TokenNumbers(layer.assets()).padded(row, 5)
    np.testing.assert_array_equal(found["ids_of"](tokens)[None], expected)
    assert tags_part({}, {"vocab.txt": ""}) == ""


def test_texts_are_split_at_signs_around_words():
    assert sentences.split('He said: "(don\'t) fly to St. Ives, 3.5 km!"') == [
        *(
            "He",
            "said",
            ":",
            '"',
            "(",
            "don't",
            ")",
            "fly",
            "to",
            "St",
            ".",
            "Ives",
            ",",
            "3.5",
            "km",
            "!",
            '"',
        ),
    ]
    assert sentences.split(" ... \n") == [".", ".", "."]
    long = "a" + "!" * 300_000 + "b"  # an expression that tried each place took an hour
    assert sentences.split(f'("{long}"') == ["(", '"', long, '"']


# The chain


def chain(count=5, steps=4, size=3, seed=0):
    """Return potentials of a layer with distinct weights, a mask of several lengths, and tags."""
    random = np.random.default_rng(seed)
    layer = LinearChain(num_tags=size)
    mask = np.arange(steps) < np.array([steps, 1, 0, steps - 1, 2])[:count, None]
    features = random.normal(size=(count, steps, 2)).astype(np.float32)
    layer(features, mask=mask)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer, features, mask, random.integers(0, size, (count, steps))


def score(layer, features, tags):
    """Return the score of one way to tag one sequence, from the definition."""
    kernel, bias, transitions, first, last = (
        layer.emissions.kernel.numpy(), layer.emissions.bias.numpy(), layer.transitions.numpy(),
        layer.first.numpy(), layer.last.numpy(),
    )  # fmt: skip
    emitted = sum((feature @ kernel + bias)[tag] for feature, tag in zip(features, tags, strict=True))
    return (
        emitted
        + first[tags[0]]
        + last[tags[-1]]
        + sum(transitions[pair] for pair in itertools.pairwise(tags))
    )


@pytest.mark.by_default(lambda seed: seed == 0)
@pytest.mark.parametrize("seed", range(5))
def test_the_chain_is_the_sum_over_all_ways(seed):
    """Partition, best way and the share of each tag, against every way to tag a sequence."""
    layer, features, mask, tags = chain(count=5, steps=5, seed=seed)
    potentials = layer(features, mask=mask)
    likelihood = linear_chain.log_likelihood(potentials, tags, mask).numpy()
    total = linear_chain.log_partition(potentials, mask).numpy()
    best, shares = (part.numpy() for part in linear_chain.decode(potentials, mask))
    assert likelihood[2] == 0  # the empty sequence
    for row, length in enumerate(mask.sum(axis=1).tolist()):
        if not length:
            continue
        ways = list(itertools.product(range(3), repeat=length))
        scores = np.array([score(layer, features[row, :length], way) for way in ways])
        partition = np.log(np.exp(scores).sum())
        assert total[row] == pytest.approx(partition, abs=1e-4)
        true = scores[ways.index(tuple(tags[row, :length].tolist()))]
        assert likelihood[row] == pytest.approx(true - partition, abs=1e-4)
        assert tuple(best[row, :length].tolist()) == ways[int(scores.argmax())]
        weights = np.exp(scores - partition)
        for place in range(length):
            expected = np.bincount([way[place] for way in ways], weights, minlength=3)
            np.testing.assert_allclose(shares[row, place], expected, atol=1e-5)


def test_shares_are_the_gradient_of_the_partition():
    layer, features, mask, _ = chain(seed=3)
    potentials = layer(features, mask=mask)
    with tf.GradientTape() as tape:
        tape.watch(potentials)
        total = tf.reduce_sum(linear_chain.log_partition(potentials, mask))
    gradient = tf.reduce_sum(tape.gradient(total, potentials), axis=2).numpy()  # over the tag before
    _, shares = linear_chain.decode(potentials, mask)
    np.testing.assert_allclose(gradient[mask], shares.numpy()[mask], atol=1e-5)


def test_padding_changes_nothing():
    layer, features, mask, tags = chain()
    wider = [np.concatenate([part, np.ones_like(part[:, :2]) * fill], axis=1)
             for part, fill in ((features, 9), (mask, False), (tags, 2))]  # fmt: skip
    short = layer(features, mask=mask), tags, mask
    long = layer(wider[0], mask=wider[1]), wider[2], wider[1]
    np.testing.assert_allclose(
        linear_chain.log_likelihood(*short), linear_chain.log_likelihood(*long), atol=1e-5
    )
    for one, other in zip(
        decoding.tags_of(short[0], short[2]), decoding.tags_of(long[0], long[2]), strict=True
    ):
        np.testing.assert_allclose(one, other[:, :4], atol=1e-5)
        assert not np.any(other[:, 4:])


def test_the_loss_counts_tokens_alone():
    logits = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    targets = np.array([[1, 4, 2, 0, 0], [3, 0, 0, 0, 0]], np.int32)  # as long as the longest of all
    nats = -np.log(keras.ops.softmax(logits))
    expected = [nats[0, 0, 0] + nats[0, 1, 3] + nats[0, 2, 1], nats[1, 0, 2]]
    loss = TagLoss(reduction=None)
    np.testing.assert_allclose(loss(targets, logits), expected, rtol=1e-5)
    independent = np.broadcast_to(logits[:, :, None, :], (2, 3, 4, 4))  # a chain without pairs is the same
    np.testing.assert_allclose(loss(targets, independent), expected, rtol=1e-5)
    accuracy = TokenAccuracy()
    for outputs in (logits, independent):
        accuracy.reset_state()
        accuracy.update_state(targets, outputs)
        right = (logits.argmax(-1) + 1 == targets[:, :3]).sum()
        assert float(accuracy.result()) == pytest.approx(right / 4)


# Entities


def reference_entities(tags):
    """Return the entities by the rules of conlleval, written as its two functions are."""
    found, begun = set(), None
    for place, tag in enumerate([*tags, "O"]):
        before = tags[place - 1] if place else "O"
        (prefix, _, kind), (last, _, last_kind) = tag.partition("-"), before.partition("-")
        ends = last != "O" and (last in "ES" or prefix in "BSO" or kind != last_kind)
        starts = prefix != "O" and (prefix in "BS" or last in "ESO" or kind != last_kind)
        if ends:
            found.add((last_kind, begun, place - 1))
        begun = place if starts else begun
    return found


def test_entities_are_those_of_conlleval():
    tags = ("O", "B-A", "I-A", "B-B", "I-B", "E-A", "S-B")
    scheme, random = Scheme.of(tags), np.random.default_rng(0)
    for _ in range(300):
        numbers = random.integers(1, len(tags) + 1, 7).tolist()
        expected = reference_entities([tags[number - 1] for number in numbers])
        assert set(scheme.entities(numbers)) == expected, numbers
    assert scheme.entities([3, 3, 1, 2, 5]) == [("A", 0, 1), ("A", 3, 3), ("B", 4, 4)]  # I- without B-


@pytest.mark.parametrize("tags", [TAGS, ("O", "B-A", "I-A", "E-A", "S-B"), ("noun", "verb", "O", "B-X")])
def test_f1_of_training_is_that_of_the_figures(tags):
    random = np.random.default_rng(1)
    targets = random.integers(1, len(tags) + 1, (40, 9)).astype(np.int32)
    targets[np.arange(9) >= random.integers(1, 10, (40, 1))] = 0
    logits = random.normal(size=(40, 9, len(tags))).astype(np.float32)
    logits += 2 * np.eye(len(tags) + 1, dtype=np.float32)[targets][:, :, 1:]
    metric = TagF1(tags=tags)
    for part in (slice(0, 30), slice(30, 40)):
        metric.update_state(targets[part], logits[part])
    given = (logits.argmax(-1) + 1) * (targets > 0)
    found = figures.figures(given, targets, tags)
    assert 0.2 < found["f1"] < 1
    assert float(metric.result()) == pytest.approx(found["f1"], abs=1e-6)
    assert found["kind"] == ("tags" if "noun" in tags else "entities")
    again = TagF1.from_config(metric.get_config())
    assert again.tags == tags


def test_figures_of_a_small_example():
    """Two of three entities are found, one more is made up; seven of eight tokens have their tag."""
    targets = np.array([[3, 5, 1, 2, 0], [1, 1, 3, 1, 0]], np.int32)
    given = np.array([[3, 5, 1, 2, 4], [2, 1, 3, 1, 0]], np.int32)  # behind the end nothing counts
    found = figures.figures(given, targets, TAGS)
    assert found["accuracy"] == 7 / 8 and found["sentence_accuracy"] == 0.5 and found["tokens"] == 8
    assert found["precision"] == 3 / 4 and found["recall"] == 1 and found["f1"] == pytest.approx(6 / 7)
    by_type = {row["name"]: (row["found"], row["given"], row["support"]) for row in found["per_entity"]}
    assert by_type == {"LOC": (1, 2, 1), "PER": (2, 2, 2)}
    rows = {row["name"]: row for row in found["per_tag"]}
    assert rows["B-LOC"]["precision"] == 0.5 and rows["O"]["recall"] == 0.75
    answers = Answers({"tag_ids": given[:, :2]}, targets)  # of a file that takes two tokens
    data = DataSpec(Spec((None,), "string"), Spec((None,), "int32", TAGS))
    cut = Tagging().evaluate(answers, data, {}).figures
    assert cut["tokens"] == 8 and cut["accuracy"] == 3 / 8 and cut["sentence_accuracy"] == 0


def test_tokens_that_a_file_does_not_read_count_as_wrong(caplog):
    endpoint, *_ = Tagging().endpoints(
        None, DataSpec(Spec((None,), "string"), Spec((None,), "int32", TAGS)), {}
    )
    answers = Answers({"tag_ids": np.array([[2], [1]])}, np.array([[2, 3, 1], [1, 0, 0]]))
    for _ in range(2):
        assert endpoint.judge(answers) == {
            "accuracy": 0.5,
            "f1": 2 / 3,
            "sentence_accuracy": 0.5,
            "examples": 2,
        }
    assert caplog.text.count("1 of 2 sentences have more than the 1 tokens of TFLite files") == 1


@pytest.mark.parametrize(("kind", "steps"), [("onnx", 3), ("tflite", 2)])
def test_files_of_any_length_are_judged_on_whole_examples(kind, steps):
    endpoint = Endpoint(
        "e", None, {}, inputs_of=lambda features, seed: {"x": features[:, :2]}, phone_length=2,
        drawn=lambda specs: lambda features, seed: {"x": features},
        judge=lambda answers: {"steps": answers.outputs["y"].shape[1]},
    )  # fmt: skip
    predictor = SimpleNamespace(kind=kind, inputs={"e": {}}, call=lambda name, inputs: {"y": inputs["x"]})

    def batches():
        return [(np.zeros((1, 3)), np.ones((1, 3)), None)]

    compared = run_over(caller(predictor, "e"), endpoint.inputs_of, batches)
    assert verify.evaluation(predictor, endpoint, compared, batches) == {"steps": steps}


def test_runs_are_compared_by_sentence():
    targets = np.ones((200, 3), np.int32)
    tokens = np.full(200, 3, np.int32)
    first = {"right": np.full(200, 2, np.int32), "tokens": tokens, "targets": targets}
    second = {**first, "right": np.where(np.arange(200) < 30, 3, 2).astype(np.int32)}
    found = comparison.compare(first, second)
    assert found.p_value < 0.001 and found.gain == pytest.approx(30 / 600)
    assert comparison.compare(first, first).p_value == 1
    with pytest.raises(ValueError, match="other sentences"):
        comparison.compare(first, {**second, "targets": targets * 2})
