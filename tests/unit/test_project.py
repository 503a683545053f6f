"""The project itself: direction of imports, light imports, pins, data made as they say."""

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import smm_bayes

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "smm_bayes"
# a room may import the rooms above it in this list
ROOMS = ["errors", "interruption", "compiling", "files", "reading", "execution", "markup", "results", "progress",
         "numerics", "priors",
         "inference", "trial", "evidence", "survival", "response", "safety", "borrowing", "surrogacy", "prediction",
         "design", "analysis", "reporting", "cli", "validation"]  # fmt: skip


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_up_the_list(path):
    if path == PACKAGE / "__init__.py":
        return
    here = ROOMS.index(room(path))
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("smm_bayes"):
            modules = [node.module]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names if alias.name.startswith("smm_bayes")]
        for module in modules:
            parts = module.split(".")
            if len(parts) > 1:
                assert ROOMS.index(parts[1]) <= here, f"{path.name} imports {module}"


def test_architecture_lists_the_rooms_in_their_order():
    """Every file and folder of the package stands in the table of rooms, in the order in which they may import."""
    table = (PACKAGE.parent / "ARCHITECTURE.md").read_text().partition("## Rooms")[2].partition("## Values")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = [name.strip("/").removesuffix(".py") for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    there = {room(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert set(listed) == there
    assert listed == sorted(listed, key=ROOMS.index)


def test_no_trial_is_named_in_the_package():
    names = re.compile("mgus2|quiredex|e3a06|aquila|ascent|gem-cesar|carfilzomib|lenalidomide", re.IGNORECASE)
    for path in PACKAGE.rglob("*.py"):
        assert not names.search(path.read_text()), path


def test_nothing_but_fit_samples():
    for path in PACKAGE.rglob("*.py"):
        if path.name != "sampling.py":
            assert not re.search(r"nutpie\.sample|pm\.sample\(", path.read_text()), path


def test_lock_satisfies_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if line]
    pinned = {requirement.name.lower(): requirement for requirement in lock}
    wanted = [
        *project["dependencies"],
        *(line for group in project["optional-dependencies"].values() for line in group),
    ]
    for line in wanted:
        requirement = Requirement(line)
        (pin,) = pinned[requirement.name.lower()].specifier
        assert pin.operator == "=="
        assert pin.version in requirement.specifier, line


def test_lock_names_no_address():
    assert not re.search(r"https?://|--hash|--index", (ROOT / "requirements.lock").read_text())


def test_conda_environment_has_the_same_pins():
    text = (ROOT / "environment.yml").read_text()
    assert f"python={(ROOT / '.python-version').read_text().strip()}" in text
    assert "-r requirements.lock" in text
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python == ">=3.12"


def test_the_citation_names_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {smm_bayes.__version__}\n" in text


def test_types_are_told_to_whoever_imports_the_package():
    assert (PACKAGE / "py.typed").is_file()


def test_long_tests_are_there():
    """A test that quick runs leave out was not renamed meanwhile."""
    for line in (ROOT / "tests/long.txt").read_text().split():
        path, _, name = line.partition("::")
        assert not name or f"\ndef {name}(" in (ROOT / path).read_text(), line
        assert (ROOT / path).is_file(), line


def test_adtte_table_is_made_from_the_raw_one(tmp_path):
    for name in ("mgus2.csv", "make_mgus2_adtte.py"):
        (tmp_path / name).write_bytes((ROOT / "data/patients" / name).read_bytes())
    subprocess.run([sys.executable, tmp_path / "make_mgus2_adtte.py"], check=True)
    assert (tmp_path / "mgus2_adtte.csv").read_bytes() == (ROOT / "data/patients/mgus2_adtte.csv").read_bytes()


def test_reconstructed_table_is_made_from_the_facts(tmp_path):
    made = tmp_path / "quiredex_2013_adtte.csv"
    subprocess.run([sys.executable, ROOT / "data/patients/make_quiredex_2013_adtte.py", made], check=True)
    assert made.read_bytes() == (ROOT / "data/patients/quiredex_2013_adtte.csv").read_bytes()


def test_every_data_file_is_described():
    described = (ROOT / "data/README.md").read_text()
    for path in (ROOT / "data").rglob("*"):
        if path.is_file() and path.name != "README.md" and "__pycache__" not in path.parts:
            assert path.name in described, path.name


# --- what notebooks import --------------------------------------------------------------------------------------------


def behind_a_room(source):
    """Names that code imports from the package and that neither the face nor a room offers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names if one.name.startswith("smm_bayes.")]
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("smm_bayes"):
            continue
        module, _, last = node.module.rpartition(".")
        offered = public(node.module)
        if offered is None and last in (public(module) or ()):  # a module that its room offers
            offered = [name for name in vars(importlib.import_module(node.module)) if not name.startswith("_")]
        found += [f"{node.module}.{one.name}" for one in node.names if one.name not in (offered or ())]
    return found


def public(name):
    """Names that the face, a room or a module beside the rooms offers; None of a module inside a room."""
    if name == "smm_bayes.errors":
        return [one for one in vars(importlib.import_module(name)) if one.endswith("Error")]
    found = importlib.import_module(name) if name else None
    return found.__all__ if hasattr(found, "__path__") and hasattr(found, "__all__") else None


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_import_from_the_face_or_from_rooms(path):
    cells = json.loads(path.read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    code = "\n".join(line for source in sources for line in source.splitlines() if not line.startswith(("%", "!")))
    assert not behind_a_room(code)


def test_an_import_from_behind_a_room_is_seen():
    assert behind_a_room("from smm_bayes.survival.one_trial import OneTrial")
    assert behind_a_room("import smm_bayes.survival.one_trial")
    assert behind_a_room("from smm_bayes.survival import DIMS")
    assert not behind_a_room("import smm_bayes as smm\nfrom smm_bayes.survival import OneTrial\n"
                             "from smm_bayes.reporting.plots import plot_survival")  # fmt: skip
