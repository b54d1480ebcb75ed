"""What the README and docs/ show works as it stands there."""

import ast
import configparser
import functools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import kerasdl
from kerasdl import cli
from kerasdl.recipe import catalog
from kerasdl.recipe.document import to_json
from kerasdl.search import record, results, session
from kerasdl.search.definition import Search
from kerasdl.search.keras_tuner.tuner import RecipeTuner

ROOT = Path(__file__).parent.parent
PAGES = {
    str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
#: (page, language, text) of each fenced block.
BLOCKS = [
    (page, language, block)
    for page, text in PAGES.items()
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
]


def python_block(page, beginning):
    (block,) = [
        text for at, kind, text in BLOCKS if (at, kind) == (page, "python") and text.startswith(beginning)
    ]
    return block


def lines(page):
    """Return the commands of a page's fenced blocks, without comments and loops."""
    blocks = [text.replace("\\\n", " ") for at, kind, text in BLOCKS if at == page and kind in ("", "bash")]
    parts = [part for block in blocks for line in block.splitlines() for part in line.split("&&")]
    return [part.split(" #")[0].strip() for part in parts if "$" not in part]


def commands(page):
    """Return every `kerasdl ...` of the fenced blocks and of the running text, as typed."""
    found = [*lines(page), *re.findall(r"`(kerasdl [^`]+)`", PAGES[page])]
    return [command for command in found if re.match(r"kerasdl [^-]", command)]


@pytest.fixture(scope="module", autouse=True)
def _loaded_once():
    """Load each pipeline once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "load", functools.cache(catalog.load))
        yield


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder but for the recipe and the space of the documentation, and the run of an import."""
    monkeypatch.chdir(tmp_path)
    parts = {"data": kerasdl.Npz(path="mine.npz"), "task": kerasdl.Classification()}
    imported = kerasdl.Recipe(name="my_model", model=kerasdl.Config(kerasdl.Imported), **parts)
    (tmp_path / "runs/my_model/1").mkdir(parents=True)
    (tmp_path / "runs/my_model/1/recipe.json").write_text(to_json(imported), encoding="utf-8")
    files = {"own-network": "my_recipe.py", "tuning": "my_space.py", "own-task": "my_task.py"}
    for page, name in ((f"docs/{page}.md", name) for page, name in files.items()):
        (tmp_path / name).write_text(python_block(page, f"# {name}"), encoding="utf-8")
    for name in ("photos.py", "houses.py"):  # of kerasdl init
        (tmp_path / name).write_text((tmp_path / "my_recipe.py").read_text())
    return tmp_path


@pytest.mark.slow
def test_own_recipe(here):
    arguments = ["train", "./my_recipe.py", "--filters", "4", "--epochs", "1", "--no-export"]
    assert cli.main(arguments) == 0
    assert json.loads((here / "runs/my_recipe/1/recipe.json").read_text())["fields"]["model"]["fields"] == {
        "filters": 4,
        "num_classes": 10,
    }
    network = keras.saving.load_model(here / "runs/my_recipe/1/model.keras")
    assert network.convolution.filters == 4


@pytest.mark.slow
def test_own_task(here):
    assert cli.main(["train", "./my_task.py", "--no-export"]) == 0
    test = json.loads((here / "runs/my_task/1/metrics.json").read_text())["test"]
    assert test["examples"] == 170 and test["mean_error"] < 0.2


@pytest.mark.slow
def test_own_space(here):
    assert cli.main(["tune", "./my_space.py", "--max-trials", "1", "--epochs", "1"]) == 0
    assert cli.main(["train", "./my_space.py", "--from-trial", "searches/lenet5/1:best", "--no-export"]) == 0
    assert (here / "runs/lenet5/1/model.keras").is_file()


@pytest.mark.slow
def test_from_python(here, capsys):
    block = python_block("docs/python.md", "import numpy as np\n\nimport kerasdl")
    assert "epochs=5" in block
    exec(compile(block.replace("epochs=5", "epochs=1"), "python.md", "exec"), {})
    written = capsys.readouterr().out
    assert re.search(r"^\[\d \d\]$", written, re.MULTILINE)
    assert re.search(r"^runs/lenet5/1 0\.\d+$", written, re.MULTILINE)
    assert Path("runs/lenet5/1/model.keras").is_file()
    assert Path("exported/lenet5/1/card.json").is_file()
    found = {}
    exec(python_block("docs/python.md", "import kerasdl\n\nresult = kerasdl.resume"), found)
    assert 0 < found["result"].metrics["accuracy"] < 1
    exec(python_block("docs/python.md", "import kerasdl\n\nrun = kerasdl.open_run"), found)
    assert found["run"].bundle.path == Path("exported/lenet5/1")
    assert "1 finished\n" in capsys.readouterr().out


def test_readme_shows_a_part_of_it():
    short = python_block("README.md", "import numpy as np").splitlines()
    assert set(short) <= set(python_block("docs/python.md", "import numpy as np").splitlines())


def test_changed_recipe(capsys):
    exec(python_block("docs/python.md", "from kerasdl import load_recipe, replace"), {})
    assert capsys.readouterr().out == "5 0.0\n"


@pytest.mark.slow
def test_own_arrays(here, capsys):
    exec(python_block("docs/data.md", "import numpy as np"), {})
    assert cli.main(["train", "mlp", "--data", "mine.npz", "--dry-run", "--no-export"]) == 0


@pytest.fixture(scope="module")
def searches(tmp_path_factory):
    """The folder of a search of LeNet-5 with one trial that was never trained."""
    recipe, source, space_file = catalog.load_space("lenet5")
    root = tmp_path_factory.mktemp("readme") / "searches"
    files = {"space_file": space_file, "recipe_source": source, "searches_dir": root}
    search = Search(recipe=recipe, space=catalog.space_in(space_file), **files)
    folder = session.create(search)
    oracle = RecipeTuner(search.oracle(), search.space, recipe, folder.path).oracle
    trial = oracle.create_trial("worker")
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.5}, step=1)
    trial.status, trial.best_step = "COMPLETED", 1
    oracle.end_trial(trial)
    results.write_best(folder, record.read(folder.path))
    return root


@pytest.mark.slow
def test_tune_from_python(here, tmp_path):
    block = python_block("docs/python.md", "import kerasdl\n\nif __name__")
    assert "max_trials=10" in block and "epochs=5" in block
    (here / "script.py").write_text(
        block.replace("max_trials=10", "max_trials=2").replace("epochs=5", "epochs=1")
    )
    ran = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=True)
    assert "learning_rate" in ran.stdout.splitlines()[-1]


@pytest.mark.parametrize(("page", "block"), [(at, text) for at, kind, text in BLOCKS if kind == "python"])
def test_python_compiles(page, block):
    compile(block, page, "exec")


def test_there_are_commands():
    assert {command.split()[1] for page in PAGES for command in commands(page)} == set(cli._COMMANDS)


@functools.cache
def flags_of(*arguments):
    """Return the flags that the help of a command names."""
    asked = "--help-all" if arguments[0] in ("train", "lr-find", "tune") else "--help"
    assert cli.main([*arguments, asked]) == 0
    return set(re.findall(r"--[\w-]+", flags_of.capsys.readouterr().out))


def misunderstood(command):
    """Return why a command is not understood, or None."""
    _, name, *arguments = shlex.split(command)
    if name not in cli._COMMANDS:
        return f"{command}: there is no such command"
    if name == "train" and not {"--help", "--help-all", "--resume"} & set(arguments):
        code = cli.main([name, *arguments, "--print-recipe"])
        return code and f"{command}: {flags_of.capsys.readouterr().err}"
    pipeline = []
    if name in ("train", "lr-find", "tune") and arguments[:1] not in ([], ["show"]):  # its recipe has flags
        pipeline = ["lenet5" if arguments[0] == "--resume" else arguments[0]]
    if name in ("doctor", "init"):  # its data has flags
        pipeline = arguments[:1]
    given = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    unknown = given - flags_of(name, *pipeline) - {"--help", "--help-all"}
    return f"{command}: {unknown}" if unknown else None


@pytest.mark.by_default(lambda page: page == "README.md")
@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(here, searches, capsys, page):
    (here / "searches").symlink_to(searches)
    flags_of.capsys = capsys
    assert [wrong for command in commands(page) if (wrong := misunderstood(command))] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_and_extras_exist(page):
    known = configparser.ConfigParser()
    known.read(ROOT / "setup.cfg")
    for line in lines(page):
        if line.startswith("python "):
            assert (ROOT / line.split()[1]).is_file(), line
        for extras in re.findall(r"^pip install .*\[(.*)\]", line):
            assert set(extras.split(",")) <= set(known["options.extras_require"]), line


def test_readme_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", PAGES["README.md"]):
        path, _, anchor = target.partition("#")
        assert (ROOT / path).is_file(), target
        headings = re.findall(r"^#+ (.*)$", PAGES.get(path, ""), re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, target


def test_readme_is_read_to_the_end():
    assert len(PAGES["README.md"].split()) <= 1350


def texts_of_the_code():
    """Yield each text in the code, with a zero where a value is put in."""

    def parts(node):
        if isinstance(node, ast.JoinedStr):
            return "".join(map(parts, node.values))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return parts(node.left) + parts(node.right)
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "\0"

    for file in (ROOT / "kerasdl").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr | ast.BinOp | ast.Constant) and len(text := parts(node)) > 8:
                yield text


@pytest.mark.slow
def test_messages_of_the_troubleshooting_page_are_printed_as_they_stand_there():
    cells = re.findall(r"^\| (`.*?`) \|", PAGES["docs/troubleshooting.md"], re.MULTILINE)
    messages = [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]
    assert len(messages) > 50
    wanted = {
        message: [part.strip() for part in message.split("...") if part.strip()] for message in messages
    }
    for text in texts_of_the_code():
        for message in [message for message, (first, *_) in wanted.items() if first in text]:
            if re.search(".*".join(map(re.escape, wanted[message])), text, re.DOTALL):
                del wanted[message]
    assert list(wanted) == []
