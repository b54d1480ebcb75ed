"""What holds the house together: arrows between modules, and that no network is forgotten."""

import ast
import configparser
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from kerasdl.cli import flags
from kerasdl.data import from_text
from kerasdl.network.network import Network
from kerasdl.recipe import catalog, replace
from tests.cases import CASES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "kerasdl"

#: From the bottom. A file imports from its own layer and those below; a file of the root from the root alone.
LAYERS = (
    "private", "recipe", "layers", "preprocessing", "network", "models", "data", "inference", "runs",
    "report", "tasks", "export", "deploy", "training", "explain", "serving", "jobs", "search", "python",
    "cli",
)  # fmt: skip
#: What the kinds of data share; apart from it they do not import each other.
SHARED = ("data", "labelled")


def module_files():
    """Return the file of every module below `kerasdl` by its parts: ("data", "order")."""
    files = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        files[parts[:-1] if parts[-1] == "__init__" else parts] = file
    return files


class ForTypesAlone(ast.NodeTransformer):
    """Takes out `if TYPE_CHECKING:`: names for readers and editors, which nothing imports when it runs."""

    def visit_If(self, node):
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def imports_of(file, modules):
    """Return the parts of every module of kerasdl that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ForTypesAlone().visit(ast.parse(file.read_text()))):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{file}: import by full name"
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kerasdl":
            parts = tuple(node.module.split(".")[1:])
            names = {(*parts, alias.name) for alias in node.names}
            found |= {name if name in modules else parts for name in names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {tuple(name[1:]) for name in names if name[0] == "kerasdl"}
    return found - {()}


def test_every_file_imports_only_from_its_own_layer_and_those_below():
    modules, wrong = module_files(), []
    for parts, file in modules.items():
        if parts in ((), ("__main__",)):  # the Python API, over all layers
            continue
        height = LAYERS.index(parts[0]) if len(parts) > 1 or file.stem == "__init__" else -1
        for target in imports_of(file, modules):
            if (LAYERS.index(target[0]) if target[0] in LAYERS else -1) > height:
                wrong.append(f"{'.'.join(parts)} -> {'.'.join(target)}")
    assert not wrong, "\n".join(["These imports point up:", *wrong])


def kind_of(parts):
    """Return the network, the kind of problem or the kind of data that a module belongs to, or None."""
    if parts[:1] == ("models",) or (parts[0] in ("tasks", "data") and PACKAGE.joinpath(*parts[:2]).is_dir()):
        return parts[:2] if len(parts) > 1 and parts[:2] != SHARED else None
    return None


def test_models_tasks_and_kinds_of_data_do_not_import_each_other():
    modules = module_files()
    wrong = [
        f"{'.'.join(parts)} -> {'.'.join(target)}"
        for parts, file in modules.items()
        if parts and kind_of(parts)
        for target in imports_of(file, modules)
        if target[0] == parts[0] and kind_of(target) not in (None, kind_of(parts))
    ]
    assert not wrong, "\n".join(["These siblings import each other:", *wrong])


def test_the_root_holds_what_everything_stands_on_alone():
    assert len(list(PACKAGE.glob("*.py"))) <= 8
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(LAYERS)


def test_every_folder_is_part_of_the_wheel():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = {".".join(("kerasdl", *parts)) for parts, file in module_files().items() if is_package(file)}
    assert set(setup["options"]["packages"].split()) == folders | {"kerasdl.pipelines", "kerasdl.tuning"}


def is_package(file):
    return file.name == "__init__.py"


def layers_in(*names):
    """Return the layers and networks that are defined in packages and modules of kerasdl."""
    found = []
    for parts in (parts for parts in module_files() if parts[0:1] and parts[0] in names):
        module = importlib.import_module(".".join(("kerasdl", *parts)))
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


@pytest.mark.by_default(lambda name, text: text == "digits")
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
        "cli.main(['--help'])\n"
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


def test_one_place_writes_to_the_terminal():
    """What is printed elsewhere would reach the terminal with the escape sequences in it."""
    writes = {"print", "Console", "input"}
    wrong = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.name != "terminal.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in writes)
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout.write", "sys.stderr.write"))
    ]
    assert not wrong
