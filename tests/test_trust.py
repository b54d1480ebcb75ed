"""What somebody else sends is data: none of its code runs before its reader says so."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session

import kerasdl
from kerasdl.cli import artefacts, main
from kerasdl.data.tfds import builder
from kerasdl.errors import RunFailedError, UsageError
from kerasdl.export import bundle as bundles
from kerasdl.export.artefact import Artefact
from kerasdl.inference import graph, runtimes
from kerasdl.private import keras_config
from kerasdl.recipe import catalog, document, python_file, trust
from kerasdl.recipe.document import encode, from_json
from kerasdl.recipe.own_files import OwnFiles
from kerasdl.report import terminal
from kerasdl.runs import folder as runs
from kerasdl.runs import receipt
from kerasdl.search import folder as folders
from kerasdl.search.keras_tuner import tuner
from kerasdl.search.trials import files as trial_files
from kerasdl.search.trials import process, workers
from kerasdl.training import checkpoint
from kerasdl.training.weights import source as weights
from tests.run_folders import write_run

#: A recipe file whose code says that it has run.
PROGRAM = """
from pathlib import Path
from kerasdl import Classification, Config, Digits, MLP, Recipe
Path({mark!r}).touch()

class Task(Classification):
    pass

RECIPE = Recipe(model=Config(MLP), data=Digits(), task=Task(), name="theirs")
def space(hp, recipe):
    hp.Boolean("it")
    return recipe
"""
DIGITS = {"type": "kerasdl>Digits", "fields": {}}
OWN_TASK = {"type": "recipe.py:Task", "fields": {}}


@pytest.fixture(autouse=True)
def trusted(tmp_path, monkeypatch):
    """The file of what is trusted, of a user who has trusted nothing, in a process that knows nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(trust, "_known", set())
    yield tmp_path / "config/kerasdl/trusted.txt"
    trust.accept(False)


@pytest.fixture
def mark(tmp_path):
    """The file that is there when somebody else's code has run."""
    return tmp_path / "it ran"


@pytest.fixture
def theirs(tmp_path, mark):
    """A run, the trials of a search, and a bundle of somebody else, in one folder."""
    folder = write_run(tmp_path / "theirs", task=OWN_TASK, data=DIGITS).path
    program = PROGRAM.format(mark=str(mark))
    for name in ("recipe.py", "space.py"):
        (folder / name).write_text(program)
    with zipfile.ZipFile(folder / "model.keras", "w") as file:
        file.writestr("config.json", '{"config": {"preprocessing": {}}}')
    values = {"space": [], "values": {}}
    oracle = {"start_order": ["0"], "end_order": ["0"], "hyperparameters": values}
    (folder / "oracle.json").write_text(json.dumps(oracle))
    (folder / "trial_0").mkdir()
    trial = {"trial_id": "0", "status": "COMPLETED", "metrics": {"metrics": {}}, "hyperparameters": values}
    (folder / "trial_0/trial.json").write_text(json.dumps(trial))
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    shutil.copy(folder / "recipe.py", bundle)
    digest = hashlib.sha256(program.encode()).hexdigest()
    card = {
        "name": "theirs", "artefacts": [], "samples": None,
        "data": {"fingerprint": "", "features": {"shape": [8, 8, 1], "dtype": "uint8"}},
        "files": {"recipe.py": {"bytes": len(program), "sha256": digest}},
        "recipe": {"fields": {"task": OWN_TASK, "data": DIGITS}},
    }  # fmt: skip
    (bundle / "card.json").write_text(json.dumps(card))
    (bundle / "theirs.onnx").touch()
    return folder


RUN, BUNDLE = "theirs", "bundle"


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", RUN],
        ["predict", RUN, "x.png"],
        ["explain", RUN],
        ["export", RUN],
        ["reproduce", RUN],
        ["benchmark", RUN],
        ["train", "--resume", RUN],
        ["train", f"./{RUN}"],
        ["train", "lenet5", "--data", "digits", "--weights", RUN, "--no-export"],
        ["lr-find", f"./{RUN}"],
        ["train", f"./{RUN}/recipe.py"],
        ["tune", f"./{RUN}/space.py"],
        ["verify", BUNDLE],
        ["predict", BUNDLE, "x.png"],
        ["benchmark", BUNDLE],
    ],
    ids=" ".join,
)
def test_their_code_does_not_run(theirs, mark, monkeypatch, capsys, arguments):
    monkeypatch.chdir(theirs.parent)
    (theirs.parent / "x.png").touch()
    assert main(arguments) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("kerasdl: ")]
    file = "space.py" if "space.py" in arguments[1] else "recipe.py"
    assert f"{arguments[1] if arguments[1] in (RUN, BUNDLE) else RUN}/{file} is a program" in line
    assert "--trust" in line
    assert not mark.exists()


@pytest.mark.parametrize("command", ["report", "compare"])
def test_pages_and_comparisons_do_without_their_code(theirs, mark, capsys, caplog, command):
    other = write_run(theirs.parent / "mine", seed=1).path
    assert main([command, str(theirs), *([str(other)] if command == "compare" else [])]) == 0
    assert "recipe.py is a program" in capsys.readouterr().out + caplog.text
    assert not mark.exists()


def test_a_search_of_somebody_else_runs_nothing(theirs, mark):
    (theirs / "search.json").write_text('{"name": "theirs"}')
    with pytest.raises(UsageError, match=r"recipe\.py is a program.*--trust"):
        tuner.recipe_of_trial(theirs, 0)
    recipe = document.to_json(catalog.load("mlp")[0])
    (theirs / "recipe.json").write_text(recipe)
    with pytest.raises(UsageError, match=r"space\.py is a program.*--trust"):
        tuner.recipe_of_trial(theirs, 0)
    assert not mark.exists()


def test_what_is_trusted_is_remembered_by_content(theirs, mark, trusted, monkeypatch):
    assert main(["report", str(theirs), "--trust"]) == 0
    assert mark.exists()
    digest = hashlib.sha256((theirs / "recipe.py").read_bytes()).hexdigest()
    assert trusted.read_text().startswith(digest)
    monkeypatch.setattr(trust, "_known", set())  # as in another process
    moved = theirs.rename(theirs.parent / "elsewhere")
    assert type(runs.Run(moved).recipe().task).__name__ == "Task"
    with (moved / "recipe.py").open("a") as file:
        file.write("# edited\n")
    with pytest.raises(UsageError, match=r"elsewhere/recipe\.py is a program"):
        runs.Run(moved).recipe()


def test_trust_from_python_counts_for_one_call(theirs):
    other = shutil.copytree(theirs, theirs.parent / "other")
    (other / "recipe.py").write_text((theirs / "recipe.py").read_text() + "# another\n")
    kerasdl.load(theirs, trust=True)
    with pytest.raises(UsageError, match="is a program"):
        kerasdl.load(other)


def test_a_file_that_the_user_names_is_his_own_and_so_is_its_copy(theirs, trusted, monkeypatch):
    mine = shutil.copy(theirs / "recipe.py", theirs.parent / "mine.py")
    recipe, source = catalog.load(str(mine))
    run = runs.create(theirs.parent / "runs", recipe, source)
    runs.create(theirs.parent / "runs", recipe, source)
    monkeypatch.setattr(trust, "_known", set())
    assert run.recipe() == recipe
    assert len(trusted.read_text().splitlines()) == 1


def test_copying_code_that_never_ran_does_not_make_it_trusted(theirs, mark):
    recipe = catalog.load("mlp")[0]
    run = runs.create(theirs.parent / "runs", recipe, theirs / "recipe.py")  # as --from-trial does
    with pytest.raises(UsageError, match="is a program"):
        python_file.load_received(run.path / "recipe.py")
    assert not mark.exists()


@pytest.mark.parametrize("home", ["/dev/null", "/proc/1/none"], ids=["no folder", "not writable"])
def test_runs_can_be_made_where_nothing_can_be_remembered(theirs, monkeypatch, home):
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    monkeypatch.setenv("HOME", home)
    mine = shutil.copy(theirs / "recipe.py", theirs.parent / "mine.py")
    recipe, source = catalog.load(str(mine))
    assert runs.create(theirs.parent / "runs", recipe, source).recipe() == recipe


def test_trials_may_run_what_their_search_may(tmp_path, monkeypatch):
    trust.allow(["of the search"])
    tuner = SimpleNamespace(build=lambda hp: catalog.load("mlp")[0])
    plan = workers.Plan(tuner=tuner, folder=tmp_path, types=tmp_path, names=(), pruner="none", retries=0)
    trial = SimpleNamespace(hyperparameters={}, trial_id="0")
    job = workers.Workers._job(SimpleNamespace(plan=plan), trial, workers.Slot("worker0"))
    monkeypatch.setattr(trust, "_known", set())  # another process, where nothing can be remembered
    monkeypatch.setattr(process, "_run", lambda job, observe: trust.is_trusted("of the search"))
    monkeypatch.setattr(process.tempfile, "tempdir", None)
    assert process.run(job, lambda figures: None) is True


def test_a_recipe_file_that_cannot_be_parsed_is_no_crash(theirs, mark):
    for source in ("(" * 5000, "x = [" * 3000, "\0", "-" * 200_000 + "1"):
        (theirs / "recipe.py").write_text(source)
        with pytest.raises(UsageError, match="is a program"):
            runs.Run(theirs).recipe()
        assert folders.hash_code(theirs / "recipe.py")


def test_git_settings_of_a_folder_run_no_program(tmp_path, mark, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    if shutil.which("git") is None:
        pytest.skip("no git here")
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("one")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    revision = receipt._git_revision()
    assert re.fullmatch("[0-9a-f]{40}", revision.removesuffix("+changes"))
    (tmp_path / "file").write_text("two")
    assert receipt._git_revision() == revision.removesuffix("+changes") + "+changes"
    hook = tmp_path / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    hook.chmod(0o755)
    subprocess.run(["git", "config", "core.fsmonitor", f"touch '{mark}'; false"], check=True)
    assert receipt._git_revision().endswith("+changes")
    (tmp_path / ".gitattributes").write_text("* filter=theirs\n")
    subprocess.run(["git", "config", "filter.theirs.clean", f"touch '{mark}'; cat"], check=True)
    assert receipt._git_revision() == revision.removesuffix("+changes")
    assert not mark.exists()


def test_a_type_in_json_imports_no_module(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("this", None)
    for name in (
        "this.Zen",
        "evil.X",
        "subprocess.Popen",
        "kerasdl.__main__.X",
        "keras.src.callbacks.CSVLogger",
    ):
        with pytest.raises(UsageError, match=re.escape(name)):
            document.decode({"type": name, "fields": {}}, tmp_path)
    assert not {"this", "evil"} & sys.modules.keys()


def test_a_class_of_an_installed_package_works_where_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "somebodys_package.py").write_text(
        "import kerasdl\nclass Task(kerasdl.Classification): pass\n"
    )
    (tmp_path / "mine.py").write_text(
        "import keras, kerasdl, somebodys_package as package\n"
        "RECIPE = kerasdl.Recipe(model=kerasdl.Config(kerasdl.MLP), data=kerasdl.Digits(), "
        "task=package.Task(), preprocessing=kerasdl.Config(keras.layers.Rescaling, scale=2.0))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "mine.py").rename(tmp_path / "recipes/mine.py")
    recipe, source = catalog.load(str(tmp_path / "recipes/mine.py"))
    run = runs.create(tmp_path / "runs", recipe, source)
    monkeypatch.setattr(document, "_written", {})  # as in another process
    assert run.recipe() == recipe


def test_python_m_imports_nothing_of_the_current_folder(tmp_path):
    for name in ("numpy", "rich", "tensorflow"):
        (tmp_path / f"{name}.py").write_text(f"print('{name} of the current folder')")
    root = str(trust.__file__).partition("/kerasdl/recipe")[0]
    ran = subprocess.run(
        [sys.executable, "-m", "kerasdl", "compare", "nothing", "nothing"],
        cwd=tmp_path, env={"PYTHONPATH": root, "PATH": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 2, ran.stderr
    assert "of the current folder" not in ran.stdout


# Recipe files that import the files beside them.


@pytest.fixture
def parts(tmp_path):
    folder = tmp_path / "mine"
    (folder / "blocks").mkdir(parents=True)
    (folder / "blocks/__init__.py").write_text("from .width import WIDTH\n")
    (folder / "blocks/width.py").write_text("WIDTH = 7\n")
    (folder / "json.py").write_text("raise SystemExit('not the standard library')\n")
    (folder / "network.py").write_text(
        "import json\nfrom blocks import WIDTH\nimport kerasdl\nclass Net(kerasdl.MLP):\n"
        "    def __init__(self, *, hidden_units=(WIDTH,), **kwargs):\n"
        "        super().__init__(hidden_units=hidden_units, **kwargs)\n"
        "def late():\n    import blocks.width\n    return blocks.width.WIDTH\n"
    )
    (folder / "mine.py").write_text(
        "import network\nfrom kerasdl import Classification, Config, Digits, Recipe\n"
        "RECIPE = Recipe(model=Config(network.Net), data=Digits(), task=Classification())\n"
    )
    return folder


def test_files_beside_a_recipe_travel_with_it(parts, tmp_path, monkeypatch):
    recipe, source = catalog.load(str(parts / "mine.py"))
    run = runs.create(tmp_path / "runs", recipe, source)
    names = {file.relative_to(run.path).as_posix() for file in run.path.rglob("*.py")}
    assert names == {"recipe.py", "network.py", "blocks/__init__.py", "blocks/width.py"}
    (parts / "blocks/width.py").write_text("WIDTH = 9\n")  # an edit makes another recipe, and no run changes
    edited, _ = catalog.load(str(parts / "mine.py"))
    assert (recipe.model.hidden_units, edited.model.hidden_units) == ((7,), (9,))
    assert run.recipe() == recipe
    assert sys.modules[recipe.model.target.__module__].late() == 7
    assert "network" not in sys.modules
    assert OwnFiles(source).digest != OwnFiles(run.path / "recipe.py").digest
    monkeypatch.setattr(trust, "_known", set())
    (run.path / "blocks/width.py").write_text("WIDTH = 8\n")
    with pytest.raises(UsageError, match=r"recipe\.py is a program \(with network\.py, blocks/"):
        run.recipe()


def test_a_file_beside_a_recipe_takes_no_place_of_a_run(parts, tmp_path):
    (parts / "space.py").write_text("")
    (parts / "mine.py").write_text("import space\n" + (parts / "mine.py").read_text())
    recipe, source = catalog.load(str(parts / "mine.py"))
    with pytest.raises(UsageError, match=r"space\.py.*Rename the file"):
        runs.create(tmp_path / "runs", recipe, source)


# SavedModels.


def all_operators():
    found = op_def_pb2.OpList()
    found.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return found.op


def test_no_operator_with_a_place_outside_counts_as_computing():
    """Every operator of this TensorFlow with an argument that may name a place is known not to be one."""
    place = re.compile(
        r"file|(^|_)path|(^|_)dir(?!ection)|url|addr|host|target_|socket|prefix|server|output_stream|region|descriptor|graph"
    )
    known = {"host_reserved", "top_paths"}
    wrong = {
        operator.name
        for operator in all_operators()
        if graph.computes(operator.name)
        for part in (*operator.input_arg, *operator.attr)
        if place.search(part.name) and part.name not in known
    }
    assert not wrong
    for name in (
        "WriteFile",
        "ReadFile",
        "SaveV2",
        "RestoreV2",
        "EagerPyFunc",
        "PyFunc",
        "PrintV2",
        "MatchingFiles",
    ):
        assert not graph.computes(name)
    for name in ("Conv2D", "DecodeImage", "StatelessWhile", "TensorListStack", "RFFT2D", "LookupTableFindV2"):
        assert graph.computes(name)


class Writing(tf.Module):
    """A module whose signature writes a file."""

    def __init__(self, place):
        self.place, self.weight = place, tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([], "float32")])
    def serve(self, x):
        tf.while_loop(lambda step: step < 1, self._write, [tf.constant(0)])
        return {"y": x * self.weight}

    def _write(self, step):
        tf.io.write_file(self.place, "written")
        return [step + 1]


def test_a_saved_model_that_writes_is_not_opened(tmp_path, mark):
    module = Writing(str(mark))
    tf.saved_model.save(module, str(tmp_path / "bundle"), signatures={"serving_default": module.serve})
    mark.unlink(missing_ok=True)
    with pytest.raises(UsageError, match=r"saved_model\.pb holds operators.*\(WriteFile; saved.*--trust"):
        runtimes.open_artifact(tmp_path / "bundle")
    with pytest.raises(UsageError, match="holds operators"):
        Artefact("saved_model.pb", "saved_model", ()).open(tmp_path / "bundle", worker=None)
    assert not mark.exists()
    with trust.accepting(True):
        predictor = runtimes.open_artifact(tmp_path / "bundle")
    assert predictor.call("serving_default", {"x": 3.0})["y"] == 6.0
    assert mark.exists()


def test_only_the_saver_of_a_saved_model_may_restore(tmp_path):
    module = Writing("unused")
    module.serve = tf.function(lambda x: {"y": x * module.weight}, input_signature=[tf.TensorSpec([])])
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
    file = tmp_path / "saved_model.pb"
    assert graph.reaching(file) == []
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    (meta,) = model.meta_graphs
    kept = model.SerializeToString()
    saver = next(f for f in meta.graph_def.library.function if "traced_restore" in f.signature.name)
    node = next(node for node in saver.node_def if node.op == "RestoreV2")
    node.input[0] = node.input[1]  # another place than the one it is given
    file.write_bytes(model.SerializeToString())
    assert graph.reaching(file) == ["RestoreV2"]
    model.ParseFromString(kept)
    meta = model.meta_graphs[0]
    serving = next(f for f in meta.graph_def.library.function if "signature_wrapper" in f.signature.name)
    call = next(node for node in serving.node_def if node.op.endswith("PartitionedCall"))
    call.attr["f"].func.name = saver.signature.name  # called by a signature
    file.write_bytes(model.SerializeToString())
    assert "RestoreV2" in graph.reaching(file)
    model.ParseFromString(kept)
    model.meta_graphs[0].ClearField("object_graph_def")  # TensorFlow 1 runs its saver
    file.write_bytes(model.SerializeToString())
    assert "RestoreV2" in graph.reaching(file)


# Links, and files that are elsewhere.


@pytest.mark.parametrize("name", [".lock", ".owner", "history.csv", "explain", "logs/train", "checkpoints"])
def test_nothing_is_written_through_a_link(theirs, tmp_path, name):
    mine = tmp_path / "important.txt"
    mine.write_text("mine")
    place = theirs / name
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(mine)
    run = runs.Run(theirs)
    with pytest.raises(UsageError, match=re.escape(f"{place} is a link to {mine}")), run.locked():
        pass
    if name == ".lock":
        with pytest.raises(UsageError, match="is a link"):
            run.is_active()
    assert mine.read_text() == "mine"


def test_a_network_on_another_disk_may_be_a_link(theirs, tmp_path):
    (theirs / "model.keras").rename(tmp_path / "large.keras")
    (theirs / "model.keras").symlink_to(tmp_path / "large.keras")
    (theirs / ".writing-file").touch()
    with runs.Run(theirs).locked():
        assert not (theirs / ".writing-file").exists()


@pytest.mark.parametrize("name", ["/dev/zero", "../theirs/labels.txt", "link", "missing"])
def test_a_checkpoint_names_its_own_files_alone(theirs, caplog, name):
    folder = theirs / "checkpoints/00000001"
    folder.mkdir(parents=True)
    for own in ("variables.npz", "state.json"):
        (folder / own).write_text("{}")
    (folder / "link").symlink_to("/dev/zero")
    digest = hashlib.sha256(b"{}").hexdigest()
    names = ("variables.npz", "state.json", name)
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {one}\n" for one in names))
    assert checkpoint.newest(theirs / "checkpoints") is None
    assert f"{name} is no file in it" in caplog.text


@pytest.mark.parametrize("kind", ["external", "virtual", "link"])
def test_weights_that_lie_in_another_file_are_not_read(tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_bytes(b"SECRET! " * 8)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["there"] = np.zeros(4, "float32")
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        group = file.create_group("layers/dense/vars")
        if kind == "external":
            group.create_dataset("0", (4,), "float32", external=[(str(secret), 0, 16)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4,), "float32")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "there", (4,))
            group.create_virtual_dataset("0", layout)
        else:
            group["0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "there")
    network = kerasdl.MLP(num_classes=2, hidden_units=(2,))
    with pytest.raises(UsageError, match="takes layers/dense/vars/0 from another file on this machine"):
        weights.Source(tmp_path / "w.weights.h5").load(network, ("a", "b"))


# One hash for a bundle.


def test_the_hash_that_export_prints_stands_for_the_whole_bundle(theirs, capsys):
    bundle = theirs.parent / "bundle"
    row = {"file": "theirs.onnx", "kind": "onnx", "bytes": 1, "endpoint": "classify"}
    exported = bundles.Bundle(bundle, [row], None)
    artefacts.print_bundle(terminal.open_console(soft_wrap=True), exported, kerasdl.Classification())
    (digest,) = re.findall("SHA-256 ([0-9a-f]{64})", capsys.readouterr().out)
    verify = ["verify", str(bundle), "--expect"]
    assert main([*verify, "abc"]) == 2
    assert "64 digits" in capsys.readouterr().err
    assert main([*verify, digest]) == 1
    assert "theirs.onnx is not in the card: it was added." in capsys.readouterr().err
    (bundle / "theirs.onnx").unlink()
    assert main([*verify, digest.upper()]) == 2  # it is the bundle, whose code is not trusted
    assert "recipe.py is a program" in capsys.readouterr().err
    (bundle / "card.json").write_text((bundle / "card.json").read_text().replace("Digits", "Tfds"))
    assert main([*verify, digest]) == 1
    assert "card.json has changed: its SHA-256 is" in capsys.readouterr().err


# The network.


def test_a_file_does_not_permit_a_download(tmp_path):
    recipe = catalog.load("resnet50")[0]
    model = recipe.model.replace(version="v1")
    asks = kerasdl.replace(
        recipe, model=model, weights="imagenet", data=kerasdl.Tfds(name="kmnist", download=True)
    )
    read = document.from_json(document.to_json(asks))
    assert not read.data.download
    assert document.from_json(document.to_json(asks), own=True) == asks
    assert read.weights == "imagenet"
    with pytest.raises(UsageError, match="give --weights imagenet to fetch them"):
        weights.find(read)


def gadget(name, *arguments):
    """Return a configuration of Keras that calls a public function or class of it, safe mode or not."""
    called = {
        "module": "keras.layers",
        "class_name": "function",
        "config": name,
        "registered_name": "function",
    }
    node = {"args": [0, [called], *arguments], "kwargs": {}}
    operation = {"module": "keras.src.ops.core", "class_name": "Switch", "config": {"name": "switch"}}
    config = {"name": "f", "layers": [{**operation, "name": "switch", "inbound_nodes": [node]}]}
    return {"module": "keras", "class_name": "Functional", "config": config, "registered_name": "Functional"}


@pytest.mark.parametrize(
    "config",
    [
        gadget("TFSMLayer", "folder", "serve"),
        gadget("keras.datasets.boston_housing.load_data"),
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "x"}},
        {"module": "keras.layers", "class_name": "Lambda", "config": {}},
        {"module": "os", "class_name": "system", "config": "x", "registered_name": "system"},
        {"module": "keras.src.saving.saving_api", "class_name": "load_model", "config": {}},
        {"class_name": "function", "config": "get_file", "module": "keras.utils"},
        {
            "layers": [
                {
                    "config": {
                        "activation": {"class_name": "function", "config": "get", "module": "keras.layers"}
                    }
                }
            ]
        },
        {"class_name": ["Dense"], "config": {}},
        {"module": "keras", "class_name": "utils.get_file", "config": {}},
        {"module": "keras.utils", "class_name": "get_file", "config": {}, "registered_name": "kerasdl>Spoof"},
        {"module": "keras.src.ops.core", "class_name": "map", "config": {}},
        {"module": ["keras"], "class_name": "Dense", "config": {}},
    ],
)
def test_keras_builds_nothing_but_layers_from_a_file(config):
    with pytest.raises(UsageError, match="does not let Keras build"):
        keras_config.check({"config": {"preprocessing": config}}, "evil.keras")


def test_keras_builds_layers_and_classes_of_kerasdl_and_of_the_recipe():
    activation = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "relu"}
    layer = keras.saving.serialize_keras_object(keras.layers.Dense(2, kernel_regularizer="l2"))
    network = keras.saving.serialize_keras_object(kerasdl.MLP(preprocessing=kerasdl.ImagePreprocessing()))
    own = {"module": "mine", "class_name": "Mine", "config": {}, "registered_name": "mine>Mine"}
    registered = keras.saving.register_keras_serializable("elsewhere")(type("Block", (keras.Layer,), {}))
    keras_config.check(keras.saving.serialize_keras_object(registered()), "x.keras")
    keras_config.check([activation, layer, network, own], "x.keras", {"mine>Mine"})
    given = keras.Input((4,))
    functional = keras.Model(given, keras.ops.abs(keras.layers.Dense(2)(given)) + 1)
    for model in (functional, keras.Sequential([given, keras.layers.Dense(2)])):
        keras_config.check(keras.saving.serialize_keras_object(model), "x.keras")


def test_a_recipe_holds_nothing_that_keras_would_build(tmp_path):
    recipe = encode(kerasdl.load_recipe("mlp", data="digits"))
    recipe["fields"]["model"]["fields"]["activation"] = gadget("TFSMLayer", "folder", "serve")
    with pytest.raises(UsageError, match="value that Keras would build an object of"):
        from_json(json.dumps(recipe))


def test_keras_tuner_makes_nothing_but_hyperparameters(tmp_path):
    space = [{"class_name": "kerasdl>MLP", "config": {"preprocessing": {}}}]
    oracle = {"hyperparameters": {"space": space, "values": {}}, "start_order": [], "end_order": []}
    (tmp_path / "oracle.json").write_text(json.dumps(oracle))
    with pytest.raises(RunFailedError, match="'kerasdl>MLP' is not a kind of hyperparameter"):
        trial_files.read_states(tmp_path)


def test_a_prepared_set_imports_no_other_package(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    folder = tmp_path / "mine/1.0.0"
    folder.mkdir(parents=True)
    (folder / "features.json").write_text(json.dumps({"pythonClassName": "this.X"}))
    with pytest.raises(UsageError, match=r"names the class 'this\.X'"):
        builder.open_builder("mine", download=False)


def test_git_fetches_nothing(tmp_path, monkeypatch):
    """A clone may lack objects, and name the program that fetches them."""
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "ran"
    settings = {
        "core.repositoryformatversion": "1", "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": str(tmp_path), "remote.origin.uploadpack": f"touch {marker}; false",
    }  # fmt: skip
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("x")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    tree = subprocess.run(
        [*git, "rev-parse", "HEAD^{tree}"], capture_output=True, text=True, check=True
    ).stdout
    (tmp_path / ".git/objects" / tree[:2] / tree[2:].strip()).unlink()
    for name, value in settings.items():
        subprocess.run([*git, "config", name, value], check=True)
    receipt._git_revision()
    assert not marker.exists()


@pytest.mark.parametrize("name", ["typing", "collections", "pathlib", "signal"])
def test_nothing_of_the_current_folder_is_imported(tmp_path, name):
    (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    command = [sys.executable, "-m", "kerasdl", "--version"]
    environment = os.environ | {"PYTHONPATH": str(Path(kerasdl.__file__).parent.parent)}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0 and not (tmp_path / "ran").exists(), ran.stderr
