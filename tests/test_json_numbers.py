"""Large arrays in JSON: read at once, and told from what is not one, with the answers of the plain way."""

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasdl.serving import json_numbers, rest
from kerasdl.serving.engine import Signature
from kerasdl.serving.json_numbers import Numbers
from kerasdl.serving.json_tensors import array_of_json, read_json
from kerasdl.serving.status import ServingError

PIXELS = np.arange(3072).reshape(2, 32, 16, 3) % 256
LONG = json.dumps(PIXELS.tolist()).encode()
INSTANCES = b'{"instances": ' + LONG + b"}"


def outcome(read, body, dtype):
    """Return the array, or the message; whether it took the short way comes first."""
    try:
        value = read(body)["x"]
        return isinstance(value, Numbers) and value.array(dtype) is not None, array_of_json(value, dtype)
    except (ServingError, orjson.JSONDecodeError) as error:
        return False, str(error)


def check(body, dtype):
    """Hold both ways of reading against each other; returns whether the short one was taken."""
    _, plain = outcome(read_json, body, dtype)
    quick, found = outcome(lambda text: read_json(text, with_numbers=True), body, dtype)
    if isinstance(plain, str):
        assert found == plain
    else:
        assert found.dtype == plain.dtype
        np.testing.assert_array_equal(found, plain, strict=True)
        assert np.array_equal(np.signbit(found), np.signbit(plain)) or found.dtype.kind not in "f"
    return quick


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int64", "uint64", "float16", "float32", "float64", "bool", "string"]
)
@pytest.mark.parametrize(
    ("row", "quick"),
    [
        ("[0, 1, 2]", {"uint8", "int64", "uint64", "float16", "float32", "float64"}),
        ("[0, 1.5, -2e0]", {"float16", "float32", "float64"}),
        ("[0, 1, 2, 3]", set()),
        ("[0, 1]", set()),
        ("[]", set()),
        ("[[0], [1], [2]]", set()),
        ("5", set()),
        ("[0, true, 2]", set()),
        ('[0, "1", 2]', set()),
        ("[0, null, 2]", set()),
        ("[0, NaN, 2]", set()),
        ("[0, -Inf, 2]", set()),
        ("[0, 01, 2]", set()),
        ("[0, +1, 2]", set()),
        ("[0, 1., 2]", set()),
        ("[0, 1,, 2]", set()),
        ("[0, 1, 2],", set()),
        ("[0, 1 2, 3]", set()),
        ("[0, 1e39, 2]", set()),
        ("[0, 1e999, 2]", set()),
        ("[0, 16777217, 2]", {"int64", "uint64", "float64"}),
        ("[0, -300, 2]", {"int64", "float16", "float32", "float64"}),
        ("[0, -0, 2]", {"uint8", "int64", "uint64", "float16", "float32", "float64"}),
        ("[0, -0.0, 2]", {"float16", "float32", "float64"}),
        (f"[0, {2**63}, 2]", set()),
        (f"[0, {10**25}, 2]", set()),
        (f"[0.5, {2**53 + 1}, 2]", set()),
    ],
)  # fmt: skip
def test_both_ways_agree(dtype, row, quick):
    body = b'{"y": [1], "x": ' + LONG.replace(b"[0, 1, 2]", row.encode(), 1) + b"}"
    assert check(body, dtype) == (dtype in quick)


@pytest.mark.parametrize(
    "text",
    [
        LONG.replace(b"[3, 4, 5], [6, 7, 8]", b"[3, 4], [5, 6, 7, 8]"),
        b"[" + b"[5], " * 2000 + b"[]]",
        b"[" + b"[5], " * 2000 + b"[5, 6]]",
        b"[" + b"[[1, 2], [3, 4]], " * 500 + b"[[1, 2, 3, 4]]]",
    ],
)
def test_ragged_lists_are_refused_in_the_same_words(text):
    assert not check(b'{"x": ' + text + b"}", "float32")
    assert (
        "unexpected size"
        in outcome(lambda body: read_json(body, with_numbers=True), b'{"x":' + text + b"}", "float32")[1]
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(LONG) - 1), st.sampled_from(list(b'0123456789+-.eE,[] \n"{}:ntN')), st.booleans())
def test_a_changed_character_is_read_as_the_plain_way_reads_it(place, character, inserted):
    text = LONG[:place] + bytes([character]) + LONG[place + (not inserted) :]
    check(b'{"x":' + text + b"}", "float32")


@pytest.mark.parametrize(
    "body",
    [
        b'{"x": "' + LONG + b'"}',
        b'{"x": "a\\"' + LONG + b'"}',
        b'{"' + LONG + b'": 1, "x": 2}',
        b'{"x": ["a", ' + LONG + b', "b"]}',
        b'{"x": 1, "x": ' + LONG + b"}",
        b'{"x": ' + LONG + b', "x": 1}',
        b'{"a": {"b": {"c": {"d": {"x": ' + LONG + b'}}}}, "x": 0}',
        LONG,
        b'{"x": ' + LONG + b"}}",
        b'{"x": ' + LONG,
        b'{"x": ' + 40 * b"[" + b"1," * 5000 + b"1" + 40 * b"]" + b"}",
    ],
)
def test_documents_of_other_forms_are_read_as_they_are(body):
    def plain(value):
        if isinstance(value, Numbers):
            return value.lists()
        return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value

    try:
        expected = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        with pytest.raises(orjson.JSONDecodeError, match=error.msg[:20]):
            json_numbers.loads(body)
    else:
        assert plain(json_numbers.loads(body)) == expected


def test_requests_of_every_form_give_the_arrays():
    image = ((None, 32, 16, 3), "uint8")
    one, two = (Signature("s", names, {}, True) for names in ({"a": image}, {"a": image, "b": image}))
    half = json.dumps(PIXELS[0].tolist()).encode()
    rows = b'{"instances": [{"a": %b, "b": %b}, {"b": %b, "a": %b}]}' % (half, half, half, half)
    named = b'{"inputs": {"a": %b, "b": %b}}' % (LONG, LONG)
    for body, signature in ((INSTANCES, one), (b'{"inputs": ' + LONG + b"}", one), (named, two), (rows, two)):
        found = rest.inputs_of(read_json(body, with_numbers=True), signature)
        assert found.keys() == signature.inputs.keys()
        for array in found.values():
            wanted = PIXELS if body is not rows else np.stack([PIXELS[0]] * 2)
            np.testing.assert_array_equal(array, wanted.astype(np.uint8), strict=True)
    with pytest.raises(ServingError, match="instances is a plain list, but expecting list of objects"):
        rest.inputs_of(read_json(INSTANCES, with_numbers=True), two)
    wrong = INSTANCES.replace(b"255", b"256", 1)
    for with_numbers in (False, True):
        with pytest.raises(ServingError, match=r"Failed to process element: 0 of 'instances' list\. .* 256 "):
            rest.inputs_of(read_json(wrong, with_numbers=with_numbers), one)
