"""Explanations of taggers: what each token of a sentence adds to the tag of one of them."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data.dataset import DataSpec, Spec
from kerasdl.errors import UsageError
from kerasdl.explain.explainer import Examples, Question
from kerasdl.explain.sentences import SentenceExplainer
from kerasdl.models.tagger import Tagger
from kerasdl.network import network as deployed
from kerasdl.preprocessing.sentence import TokenPreprocessing
from kerasdl.tasks.tagging import decoding

TAGS = ("O", "B-PER", "I-PER")
DATA = DataSpec(Spec((None,), "string"), Spec((None,), "int32", TAGS))
SENTENCE = (b"call", b"Anna", b"Berg", b"in", b"<b>\xff", b"in")


def made(crf, **arguments):
    """Return a tagger with weights that are large enough for its answers to be far from linear."""
    keras.utils.set_random_seed(3)
    layer = TokenPreprocessing()
    layer.fit(lambda: [np.array([[b"call", b"Anna", b"Berg", b"in"]], object)])
    sizes = {"units": 3, "embedding_size": 4, "suffix_size": 3, "shape_size": 2, **arguments}
    network = Tagger(num_tags=3, crf=crf, cell="simple_rnn", preprocessing=layer, **sizes)
    network(tf.constant([["call"]]))
    waves = [np.sin(np.arange(weight.size)).reshape(weight.shape) for weight in network.get_weights()]
    pairs = zip(network.get_weights(), waves, strict=True)
    network.set_weights([2 * weight + wave for weight, wave in pairs])
    return network


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(False, id="softmax"),
        pytest.param(True, id="chain", marks=pytest.mark.slow),
    ],
)
def network(request):
    return made(request.param)


def explained(network, tokens=SENTENCE, true=None, **asked):
    features = np.array([[*tokens, b""]], object)
    examples = Examples(features, ["s"], None if true is None else np.array([[*true, 0]]))
    found = SentenceExplainer().explain(network, DATA, examples, Question(class_names=TAGS, **asked))
    about = json.loads(str(found["about"]))
    assert about["methods"] == list(asked.get("methods", SentenceExplainer.methods))
    twice = "s: the first 'in' is explained. Of another one: --token 5."
    assert (twice in about["notes"]) == (asked.get("token") == "in")
    return about["texts"][0]


def answered(network, tokens):
    """Return tags, from 0 on, logits or logarithms of probabilities, and probabilities of each token."""
    outputs = deployed.logits(network, tf.constant([list(tokens)]))
    tags, shares = decoding.tags_of(outputs, tf.ones((1, len(tokens)), tf.bool))
    return (
        tags.numpy()[0] - 1,
        (tf.math.log(shares) if network.crf else outputs).numpy()[0],
        shares.numpy()[0],
    )


@pytest.mark.slow
def test_scores_are_those_of_the_token_that_is_asked_for(network):
    tags, logits, _ = answered(network, SENTENCE)
    row = explained(network, token="Berg", class_id=1)
    assert row["token"] == 2 and row["name"] == 's, token 2 "Berg"' and row["class"] == "B-PER"
    assert row["predicted"] == TAGS[tags[2]] and row["logit"] == pytest.approx(logits[2, 1], abs=1e-5)
    assert [word["word"] for word in row["words"]] == ["call", "Anna", "Berg", "in", "<b>\ufffd", "in"]
    for method in SentenceExplainer.methods:
        assert sum(abs(word[method]) > 1e-3 for word in row["words"]) >= 3
    for place, word in enumerate(row["words"]):
        without = [b"\x01" * 4 if other == place else token for other, token in enumerate(SENTENCE)]
        fall = logits[2, 1] - answered(network, without)[1][2, 1]
        assert word["occlusion"] == pytest.approx(fall, abs=1e-4)
    unknown = answered(network, [b"\x01" * 4] * 6)[1][2, 1]
    total = sum(word["integrated-gradients"] for word in row["words"])
    assert total == pytest.approx(logits[2, 1] - unknown, rel=0.011) and row["error"] <= 0.01


@pytest.mark.slow
def test_the_token_is_chosen_by_what_is_wrong_or_least_sure(network):
    tags, _, shares = answered(network, SENTENCE)
    sure, cheap = shares[np.arange(6), tags], {"methods": ["occlusion"]}
    assert explained(network, **cheap)["token"] == sure.argmin()
    right = tags + 1
    wrong = right.copy()
    wrong[[1, 3]] = right[[1, 3]] % 3 + 1
    row = explained(network, true=wrong, **cheap)
    assert row["token"] == max((1, 3), key=lambda place: sure[place])
    assert row["true"] == TAGS[wrong[row["token"]] - 1] != row["predicted"]
    assert explained(network, true=right, **cheap)["token"] == sure.argmin()
    assert explained(network, token="5", **cheap)["token"] == 5
    assert explained(network, token="in", **cheap)["token"] == 3
    for token in ("6", "-1", "Bergs"):
        with pytest.raises(
            UsageError, match=rf"--token is '{token}'.*sentence of 6 has no such token: call A"
        ):
            explained(network, token=token, **cheap)


@pytest.mark.slow
def test_sentences_without_the_token_are_left_out(network):
    features = np.array([[b"in", b"Berg"], [b"call", b"Anna"], [b"Berg", b""]], object)
    examples = Examples(features, ["a", "b", "c"], None)

    def about(token):
        asked = Question(class_names=TAGS, token=token, methods=["occlusion"])
        return json.loads(str(SentenceExplainer().explain(network, DATA, examples, asked)["about"]))

    found = about("Berg")
    assert [row["name"] for row in found["texts"]] == ['a, token 1 "Berg"', 'c, token 0 "Berg"']
    assert found["notes"][-1] == "1 of 3 sentences have no token 'Berg': they are left out."
    with pytest.raises(UsageError, match="none of these 3 sentences has such token: in Berg"):
        about("Oslo")


def test_a_sentence_may_not_be_a_book():
    with pytest.raises(UsageError, match="s has 1,001 tokens, but a sentence of 1,000 at most"):
        explained(made(False), [b"in"] * 1001, methods=["occlusion"])


@pytest.mark.slow
def test_a_chain_is_explained_as_it_answers():
    """The best sequence as a whole may hold a tag that is not the most probable one by itself."""
    network = made(True)
    for seed in range(40):
        keras.utils.set_random_seed(seed)
        network.set_weights([np.random.normal(size=weight.shape) for weight in network.get_weights()])
        tags, _, shares = answered(network, SENTENCE)
        if (differs := np.flatnonzero(shares.argmax(-1) != tags)).size:
            break
    place = differs[0]
    row = explained(network, token=str(place), methods=["occlusion"])
    assert row["predicted"] == row["class"] == TAGS[tags[place]]
    assert row["probability"] == pytest.approx(shares[place, tags[place]], abs=1e-5)
