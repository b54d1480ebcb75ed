"""What holds the house together: arrows between modules, and that no network is forgotten."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from kerasdl import catalog, flags
from kerasdl.data import from_text
from kerasdl.recipe import replace
from kerasdl.step import Network
from tests.cases import CASES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kerasdl"

#: Package or module -> modules of kerasdl that it must not import, anywhere in its files.
FORBIDDEN = {
    "models": ("data", "tasks", "trainer", "export", "cli", "commands", "recipe"),
    "layers": ("data", "tasks", "models", "trainer", "export"),
    "step": ("data", "tasks", "models", "trainer", "export"),
    "data": ("models", "tasks", "trainer", "export", "cli", "commands"),
    "tasks": ("models", "data", "trainer", "cli", "commands"),
    "export": ("models", "data", "tasks", "trainer", "cli", "commands", "shipping"),
    "recipe": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "serialization": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "catalog": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "flags": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "optimizers": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "callbacks": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "evaluate": ("models", "data", "tasks", "trainer", "cli", "commands"),
    "loading": ("models", "tasks", "trainer", "cli", "commands"),
    "speed": ("models", "tasks", "trainer", "cli", "commands"),
    "losses": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "checkpoints": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "interruption": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "faults": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "receipt": ("models", "tasks", "trainer", "export", "cli", "commands"),
    "building": ("models", "tasks", "trainer", "export", "cli", "commands"),
    "backbone": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "phases": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "published": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "pretrained": ("models", "data", "tasks", "trainer", "cli", "commands"),
    "trial": ("models", "tasks", "trainer", "cli", "commands", "search"),
    "fitting": ("models", "tasks", "trainer", "cli", "commands", "report"),
    "crew": ("models", "data", "tasks", "trainer", "fitting", "export", "cli", "commands", "report"),
    "training": ("models", "tasks", "trainer", "fitting", "export", "cli", "commands", "report"),
    "profiling": ("models", "data", "tasks", "trainer", "fitting", "export", "cli", "commands", "report"),
    "breakdown": ("models", "data", "tasks", "trainer", "export", "cli", "commands", "profiling"),
    "operations": ("models", "data", "tasks", "trainer", "export", "cli", "commands", "breakdown", "trace"),
    "trace": ("models", "data", "tasks", "trainer", "export", "cli", "commands", "breakdown", "profiling"),
    "report": ("models", "data", "tasks", "trainer", "cli", "commands"),
    "compare": ("models", "data", "tasks", "trainer", "cli", "commands"),
    "reproduce": ("models", "tasks", "cli", "commands"),
    "lr_find": ("models", "tasks", "export", "cli", "commands", "report"),
    "preprocessing": ("models", "data", "tasks", "trainer", "export", "cli", "commands"),
    "trainer": ("cli", "commands", "models", "check", "search"),
    "search": ("models", "cli", "commands"),
    "shipping": ("cli", "commands", "models", "trainer"),
}


def files_of(name):
    folder = PACKAGE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]


def imported_parts(file):
    """Return the first name below `kerasdl` of everything a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{file}: import by full name"
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kerasdl":
            parts = node.module.split(".")[1:]
            found |= {parts[0]} if parts else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("kerasdl.")}
    return found


@pytest.mark.parametrize("name", FORBIDDEN)
def test_arrows(name):
    for file in files_of(name):
        wrong = imported_parts(file) & set(FORBIDDEN[name])
        assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


def layers_in(*names):
    """Return the layers and networks that are defined in packages and modules of kerasdl."""
    files = [file.relative_to(PACKAGE).with_suffix("") for name in names for file in files_of(name)]
    found = []
    for file in files:
        module = importlib.import_module(".".join(("kerasdl", *file.parts)).removesuffix(".__init__"))
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, keras.Layer) and kind.__module__ == module.__name__:
                found.append(kind)
    return found


def test_every_network_has_a_case_and_a_pipeline():
    networks = {kind for kind in layers_in("models") if issubclass(kind, Network)}
    assert networks == {case.model.target for case in CASES}
    used = {catalog.load(name)[0].model.target for name in catalog.names()}
    assert networks <= used


def test_every_space_has_a_pipeline():
    assert set(catalog.names("tuning")) <= set(catalog.names("pipelines"))


def test_every_layer_is_registered_and_writes_its_config():
    kinds = layers_in("models", "layers", "preprocessing")
    assert {"ResNet", "ResidualBlock", "Maxout", "ImagePreprocessing"} <= {kind.__name__ for kind in kinds}
    for kind in kinds:
        assert keras.saving.get_registered_name(kind) == f"kerasdl>{kind.__name__}"
        if "__init__" in vars(kind):  # arguments of its own
            assert "get_config" in vars(kind), f"{kind.__name__} has no get_config of its own"


def test_cases_differ_from_the_defaults():
    for case in CASES:
        defaults = case.model.target().get_config()
        for name, value in case.model.arguments.items():
            assert defaults[name] != value, f"{case}: {name} is the default"


@pytest.mark.parametrize("text", ["digits", "mnist", "some/folder", "some.npz"])
@pytest.mark.parametrize("name", sorted(catalog.names()))
def test_flags_of_a_pipeline_never_collide_and_all_have_help(name, text):
    recipe, _ = catalog.load(name)
    for flag in flags.of_recipe(replace(recipe, data=from_text(text))):
        assert flag.help, f"{flag.option} has no comment or docstring line"


def test_no_module_with_a_name_that_says_nothing():
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "helpers", "common", "base", "misc"}


def test_help_imports_no_tensorflow():
    code = (
        "import sys; from kerasdl import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "cli.main(['list'])\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_environment_is_set_in_one_place_and_respects_the_user():
    setters = [
        file.relative_to(PACKAGE)
        for file in PACKAGE.rglob("*.py")
        if "os.environ[" in file.read_text() or "environ.setdefault" in file.read_text()
    ]
    assert [str(file) for file in setters] == ["environment.py"]
    code = "import kerasdl, os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    for value in ("0", "1"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env={"TF_ENABLE_ONEDNN_OPTS": value, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == value
