"""Files are compared with the network when they are written, and verified later."""

import dataclasses
import json
import weakref

import numpy as np
import onnx
import pytest

from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export import bundle as bundles
from kerasdl.export.artefact import Artefact
from kerasdl.export.references import References
from kerasdl.export.samples import embed
from kerasdl.export.verify import compare, verify_artefacts
from kerasdl.files import hash_files
from kerasdl.inference.runtimes import open_artifact
from kerasdl.inference.worker.client import Worker
from tests.export.tiny import ENDPOINTS, FILES


def test_each_file_is_asked_for_examples_alone(bundle, spec, batches):
    predictor = open_artifact(bundle.path / "tiny.onnx")
    call, answer = predictor.call, {}

    def forgetful(endpoint, inputs):
        answer[endpoint] = call(endpoint, inputs)
        if len(inputs["images"]) == 2:
            return {name: value[::-1] for name, value in answer[endpoint].items()}
        return answer[endpoint]

    predictor.call = forgetful
    with pytest.raises(RunFailedError, match="another answer in a batch of 2"):
        compare(
            predictor,
            Artefact("tiny.onnx", "onnx", ("serving_default",)),
            References(spec.endpoints, batches),
        )


def test_one_file_is_open_at_a_time(bundle, spec, batches, images, monkeypatch):
    open_file, before = Artefact.open, []

    def watched(*arguments):
        assert all(predictor() is None for predictor in before)
        predictor = open_file(*arguments)
        before.append(weakref.ref(predictor))
        return predictor

    monkeypatch.setattr(Artefact, "open", watched)
    artefacts = [Artefact("tiny.onnx", "onnx", ("serving_default",))] * 2
    references, worker = References(spec.endpoints, batches), Worker()  # which nothing here starts
    verify_artefacts(artefacts, bundle.path, references, (worker, worker), bundles.Files(), ())
    embed({"features": images[:2], "targets": np.zeros(2)}, artefacts, bundle.path, references, worker)
    assert len(before) == 4


@pytest.mark.slow
def test_serving_bytes_is_compared_with_keras(bundle, spec, batches):
    def turned(image_bytes):
        outputs = spec.endpoints[1].function(image_bytes)
        return {**outputs, "probabilities": outputs["probabilities"][:, ::-1]}

    endpoints = (spec.endpoints[0], dataclasses.replace(spec.endpoints[1], function=turned))
    artefact = Artefact("saved_model.pb", "saved_model", ("serving_default", "serving_bytes"))
    with Worker() as worker:
        predictor = artefact.open(bundle.path, worker)
        for network, problems in [(spec.endpoints, []), (endpoints, ["serving_bytes: max_difference"])]:
            figures, beyond = compare(predictor, artefact, References(network, batches))
            assert [problem.partition(" is ")[0] for problem in beyond] == problems
            examples = [figures["endpoints"][name]["examples"] for name in artefact.endpoints]
            assert examples == [40, 16]


def flip_byte(path, place=-5):
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(bytes(content))


def test_verify_accepts_what_was_exported(bundle, batches):
    rows = bundles.verify_bundle(bundle.path, endpoints=ENDPOINTS, batches=batches)
    assert [row["file"] for row in rows] == list(FILES)
    for row in rows:
        assert list(row["repeat"]) == list(row["endpoints"])
        assert all(figures["max_difference"] < 1e-6 for figures in row["repeat"].values())


def test_verify_names_every_file_that_changed(copy):
    changed = [file for file in FILES if file != "saved_model.pb"]
    changed += ["variables/variables.data-00000-of-00001", "labels.txt", "README.md"]
    for file in changed:
        flip_byte(copy / file)
    (copy / "saved_model.pb").unlink()
    with pytest.raises(RunFailedError) as error:
        bundles.verify_bundle(copy, endpoints=ENDPOINTS)
    for file in changed:
        assert f"{file} has changed" in str(error.value)
        assert str(error.value).count(file) == 1  # and was not opened
    assert "saved_model.pb is missing" in str(error.value)


def test_verify_runs_the_files_too(copy):
    """A changed weight with a hash to match is found by its answers."""
    model = onnx.load(copy / "tiny.onnx")
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.shape == (60, 3):
            weight.CopyFrom(onnx.numpy_helper.from_array(values + np.eye(60, 3, dtype="f"), weight.name))
    onnx.save(model, copy / "tiny.onnx")
    card = json.loads((copy / "card.json").read_text())
    card["files"]["tiny.onnx"]["sha256"] = hash_files(copy)["tiny.onnx"]["sha256"]
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(RunFailedError, match=r"tiny\.onnx: serving_default: max_difference is") as error:
        bundles.verify_bundle(copy, endpoints=ENDPOINTS)
    assert "tflite" not in str(error.value)


def test_verify_notices_other_data(bundle, images):
    batches = [(images, np.zeros(40, np.int32), None)]
    with pytest.raises(
        RunFailedError, match=r"tiny\.onnx: serving_default: accuracy is .* on this data, but was"
    ):
        bundles.verify_bundle(bundle.path, endpoints=ENDPOINTS, batches=lambda: batches)


def rewrite_card(folder, **changes):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))


@pytest.mark.parametrize(
    "changes, problems",
    [
        ({"artefacts": []}, ["card.json lists no exported files"]),
        ({"files": {}}, ["card.json lists no files", *(f"{file} is not among the files" for file in FILES)]),
        (
            {"artefacts": [{"file": "tiny.onnx", "kind": "onnx", "error": "none"}]},
            ["card.json lists no exported files"],
        ),
        ({"artefacts": [], "files": {}}, ["card.json lists no files", "card.json lists no exported files"]),
    ],
)
def test_verify_fails_where_there_is_nothing_to_check(copy, changes, problems):
    rewrite_card(copy, **changes)
    with pytest.raises(bundles.NotTheSameError) as error:
        bundles.verify_bundle(copy, endpoints=ENDPOINTS)
    for problem in problems:
        assert problem in str(error.value)


def test_verify_fails_where_a_runtime_would_read_what_the_card_does_not_list(copy):
    (copy / "variables" / "variables.data-00001-of-00002").write_text("more")
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(bundles.NotTheSameError) as error:
        bundles.verify_bundle(copy, endpoints=ENDPOINTS)
    (problem,) = error.value.problems
    assert problem.startswith("variables/variables.data-00001-of-00002 is not among the files of card.json")
    (copy / "variables" / "variables.data-00001-of-00002").unlink()
    assert bundles.verify_bundle(copy, endpoints=ENDPOINTS)
    card = bundles.read_card(copy)
    assert bundles.unlisted_files(copy, card) == ["notes.txt"]
    rewrite_card(copy, files={name: file for name, file in card["files"].items() if name != "tiny.onnx"})
    with pytest.raises(bundles.NotTheSameError, match=r"tiny\.onnx is not among the files"):
        bundles.verify_bundle(copy, endpoints=ENDPOINTS)


def test_verify_needs_a_bundle(tmp_path, copy):
    with pytest.raises(UsageError, match="is not a bundle"):
        bundles.verify_bundle(tmp_path, endpoints=ENDPOINTS)
    (copy / "card.json").write_text("{")
    with pytest.raises(RunFailedError, match=r"card\.json is damaged"):
        bundles.verify_bundle(copy, endpoints=ENDPOINTS)
